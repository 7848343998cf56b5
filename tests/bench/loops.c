// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loops of system calls and page faults that cost what the page allocator
 * costs. For a guest with ICOUNT=1, where a nanosecond is one instruction.
 *
 * Prints a line per loop: its name and the instructions per operation. Each
 * loop runs several times and the best time counts: an interrupt can only add.
 * Changes sysctls of the guest; needs debugfs.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define PAGE_BYTES	4096UL
#define HUGE_BYTES	(2UL << 20)

/* Short enough to fit between two timer ticks. */
#define NR_FAULTS	250
/* Much longer than the lists of a CPU once these have been made short. */
#define NR_PIPES	64
/* Also short enough. */
#define PIPE_PAGES	256
#define BATCH_PAGES	(NR_PIPES * PIPE_PAGES)
#define NR_HUGE		4
/* Pages of hugetlb, as a number and as the kernel reads it. */
#define NR_HUGETLB	8
#define NR_HUGETLB_TEXT	"8"

#define NULL_DISK	"/dev/nullb0"
#define NULL_DISK_LIMIT	"/sys/block/nullb0/queue/max_sectors_kb"

static char *memory;
static int null_disk, ring;
static int pipes[NR_PIPES][2];

static void setup_pages(void)
{
	size_t size = BATCH_PAGES * PAGE_BYTES;
	char *start = mmap(NULL, size + HUGE_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (start == MAP_FAILED)
		err(1, "mmap");
	memory = (char *)(((unsigned long)start + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1));
}

static void set_huge(int advice)
{
	if (madvise(memory, NR_HUGE * HUGE_BYTES, advice))
		err(1, "madvise");
}

static void setup_small(void)
{
	set_huge(MADV_NOHUGEPAGE);
}

static void put(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	if (!file || fputs(text, file) < 0 || fclose(file))
		err(1, "%s", path);
}

/* The lists of a CPU grow to an eighth of memory, unless they are told not to. */
static void setup_short_lists(void)
{
	put("/proc/sys/vm/percpu_pagelist_high_fraction", "1000000");
}

static void setup_huge(void)
{
	set_huge(MADV_HUGEPAGE);
}

static void drop(size_t size)
{
	if (madvise(memory, size, MADV_DONTNEED))
		err(1, "madvise");
}

static void touch(size_t size, size_t step)
{
	size_t i;

	for (i = 0; i < size; i += step)
		*(volatile char *)(memory + i) = 1;
}

static void setup_pipes(void)
{
	struct rlimit limit = { 4 * NR_PIPES, 4 * NR_PIPES };
	int i;

	if (setrlimit(RLIMIT_NOFILE, &limit))
		err(1, "setrlimit");
	for (i = 0; i < NR_PIPES; i++) {
		if (pipe2(pipes[i], O_DIRECT))
			err(1, "pipe2");
		if (fcntl(pipes[i][1], F_SETPIPE_SZ, PIPE_PAGES * PAGE_BYTES) < 0)
			err(1, "F_SETPIPE_SZ");
	}
}

static void put_packet(int pipe)
{
	char byte = 0;

	if (write(pipes[pipe][1], &byte, 1) != 1)
		err(1, "write");
}

static void get_packet(int pipe)
{
	char byte;

	if (read(pipes[pipe][0], &byte, 1) != 1)
		err(1, "read");
}

/* In packet mode each write takes a page of its own, and nothing clears it. */
static void cycle_pipes(int nr_pipes)
{
	int i, j;

	for (i = 0; i < nr_pipes; i++)
		for (j = 0; j < PIPE_PAGES; j++)
			put_packet(i);
	for (i = 0; i < nr_pipes; i++)
		for (j = 0; j < PIPE_PAGES; j++)
			get_packet(i);
}

/* A pipe keeps its last page: the same system calls without the allocator. */
static void run_packet(void)
{
	int i;

	for (i = 0; i < PIPE_PAGES; i++) {
		put_packet(0);
		get_packet(0);
	}
}

static void run_pipe(void)
{
	cycle_pipes(1);
}

static void run_pipes(void)
{
	cycle_pipes(NR_PIPES);
}

static void run_fault_one(void)
{
	int i;

	for (i = 0; i < NR_FAULTS; i++) {
		touch(1, 1);
		drop(PAGE_BYTES);
	}
}

static void run_fault_batch(void)
{
	touch(BATCH_PAGES * PAGE_BYTES, PAGE_BYTES);
	drop(BATCH_PAGES * PAGE_BYTES);
}

static void run_populate_batch(void)
{
	if (madvise(memory, BATCH_PAGES * PAGE_BYTES, MADV_POPULATE_WRITE))
		err(1, "MADV_POPULATE_WRITE");
	drop(BATCH_PAGES * PAGE_BYTES);
}

static void touch_huge(void)
{
	touch(NR_HUGE * HUGE_BYTES, HUGE_BYTES);
}

static void drop_huge(void)
{
	drop(NR_HUGE * HUGE_BYTES);
}

static void renew_huge(void)
{
	drop_huge();
	touch_huge();
}

static void run_huge(void)
{
	touch_huge();
	drop_huge();
}

static void run_split(void)
{
	char range[64];

	snprintf(range, sizeof(range), "%d,%#lx,%#lx", getpid(), (unsigned long)memory,
		 (unsigned long)memory + NR_HUGE * HUGE_BYTES);
	put("/sys/kernel/debug/split_huge_pages", range);
}

static void run_hugetlb(void)
{
	put("/proc/sys/vm/nr_hugepages", NR_HUGETLB_TEXT);
	put("/proc/sys/vm/nr_hugepages", "0");
}

/* The largest request is of so many KiB. */
static void setup_direct(const char *limit)
{
	put(NULL_DISK_LIMIT, limit);
	null_disk = open(NULL_DISK, O_WRONLY | O_DIRECT);
	if (null_disk < 0)
		err(1, NULL_DISK);
}

static void setup_direct_huge(void)
{
	setup_huge();
	renew_huge();
	setup_direct("2048");
}

/* As many requests as the disk makes of it when it is told nothing. */
static void setup_direct_requests(void)
{
	setup_huge();
	renew_huge();
	setup_direct("127");
}

static void setup_direct_small(void)
{
	setup_small();
	drop_huge();
	touch(NR_HUGE * HUGE_BYTES, PAGE_BYTES);
	setup_direct("2048");
}

static void run_direct(void)
{
	int i;

	for (i = 0; i < NR_HUGE; i++)
		if (pwrite(null_disk, memory + i * HUGE_BYTES, HUGE_BYTES, 0) != HUGE_BYTES)
			err(1, "pwrite");
}

static void setup_ring(void)
{
	struct io_uring_params params = { 0 };

	ring = syscall(SYS_io_uring_setup, 1, &params);
	if (ring < 0)
		err(1, "io_uring_setup");
}

static void setup_register_huge(void)
{
	setup_huge();
	renew_huge();
	setup_ring();
}

static void setup_register_small(void)
{
	setup_small();
	drop_huge();
	touch(NR_HUGE * HUGE_BYTES, PAGE_BYTES);
	setup_ring();
}

/*
 * As buffers of 2 MiB, for which the kernel's own memory comes from the lists of the CPU: what
 * the buddy allocator splits and merges depends on what happens to be free. To take them
 * back is part of it.
 */
static void run_register(void)
{
	struct iovec buffers[NR_HUGE];
	int i;

	for (i = 0; i < NR_HUGE; i++)
		buffers[i] = (struct iovec){ memory + i * HUGE_BYTES, HUGE_BYTES };
	if (syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, buffers, NR_HUGE) ||
	    syscall(SYS_io_uring_register, ring, IORING_UNREGISTER_BUFFERS, NULL, 0))
		err(1, "io_uring_register");
}

static const struct loop {
	const char *name;
	void (*setup)(void);
	void (*run)(void);
	int nr_operations;
	int nr_repeats;
	void (*before)(void);	/* each time, and not measured */
} loops[] = {
	{ "packet",	setup_small,		run_packet,		PIPE_PAGES,	60 },
	{ "page",	setup_small,		run_pipe,		PIPE_PAGES,	60 },
	{ "fault",	setup_small,		run_fault_one,		NR_FAULTS,	60 },
	{ "pages",	setup_short_lists,	run_pipes,		BATCH_PAGES,	10 },
	{ "faults",	setup_small,		run_fault_batch,	BATCH_PAGES,	5 },
	{ "populate",	setup_small,		run_populate_batch,	BATCH_PAGES,	5 },
	{ "huge",	setup_huge,		run_huge,		NR_HUGE,	10 },
	{ "huge-fault",	setup_huge,		touch_huge,		NR_HUGE, 10, drop_huge },
	{ "huge-unmap",	setup_huge,		drop_huge,		NR_HUGE, 10, touch_huge },
	{ "huge-split",	setup_huge,		run_split,		NR_HUGE, 10, renew_huge },
	{ "hugetlb",	setup_small,		run_hugetlb,		NR_HUGETLB,	10 },
	{ "direct-huge", setup_direct_huge,	run_direct,		NR_HUGE,	10 },
	{ "direct-requests", setup_direct_requests, run_direct,		NR_HUGE,	10 },
	{ "direct-small", setup_direct_small,	run_direct,		NR_HUGE,	10 },
	{ "register-huge", setup_register_huge,	run_register,		NR_HUGE,	10 },
	{ "register-small", setup_register_small, run_register,		NR_HUGE,	10 },
};

static long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

static double measure(const struct loop *loop)
{
	long start, spent, best = 0;
	int i;

	loop->setup();
	/* The first round warms up: memory is lent, lists are filled. */
	loop->run();
	for (i = 0; i < loop->nr_repeats; i++) {
		if (loop->before)
			loop->before();
		start = now();
		loop->run();
		spent = now() - start;
		if (!best || spent < best)
			best = spent;
	}
	return (double)best / loop->nr_operations;
}

static void pin(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(1, "sched_setaffinity");
}

int main(void)
{
	unsigned int i;

	pin();
	setup_pages();
	setup_pipes();
	for (i = 0; i < ARRAY_SIZE(loops); i++) {
		printf("%s %.2f\n", loops[i].name, measure(&loops[i]));
		fflush(stdout);
	}
	return 0;
}
