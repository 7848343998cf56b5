// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page faults of 2 MiB in a file on persistent memory, and direct I/O from there. For a
 * guest with ICOUNT=1, where a nanosecond is one instruction.
 *
 * usage: faults FILE prepare|first|later|direct
 *
 * "prepare" makes the file, on a file system that lays it out in whole areas; the
 * others print their name and the median of a fault, or of a write of 2 MiB.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define HUGE_BYTES	(2UL << 20)
#define NR_FAULTS	128
#define NULL_DISK	"/dev/nullb0"

static char *memory;
static int null_disk;

static long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return (x > y) - (x < y);
}

static void map_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	if (fd < 0)
		err(1, "%s", path);
	errno = posix_fallocate(fd, 0, NR_FAULTS * HUGE_BYTES);
	if (errno)
		err(1, "posix_fallocate");
	memory = mmap(NULL, NR_FAULTS * HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		err(1, "mmap");
	if ((uintptr_t)memory % HUGE_BYTES)
		errx(1, "the file is mapped in small pages");
	close(fd);
}

static void touch(int i)
{
	*(volatile char *)(memory + i * HUGE_BYTES) = 1;
}

static void write_out(int i)
{
	if (pwrite(null_disk, memory + i * HUGE_BYTES, HUGE_BYTES, 0) != HUGE_BYTES)
		err(1, "pwrite");
}

static void setup_direct(void)
{
	int i;

	null_disk = open(NULL_DISK, O_WRONLY | O_DIRECT);
	if (null_disk < 0)
		err(1, NULL_DISK);
	for (i = 0; i < NR_FAULTS; i++)
		touch(i);
}

int main(int argc, char **argv)
{
	static long spent[NR_FAULTS];
	void (*operate)(int i) = touch;
	int i;

	if (argc != 3)
		errx(2, "usage: %s FILE prepare|first|later|direct", argv[0]);
	map_file(argv[1]);
	if (!strcmp(argv[2], "direct")) {
		setup_direct();
		operate = write_out;
	}
	for (i = 0; i < NR_FAULTS; i++) {
		long start = now();

		operate(i);
		spent[i] = now() - start;
	}
	if (!strcmp(argv[2], "prepare")) {
		sync();
		return 0;
	}
	qsort(spent, NR_FAULTS, sizeof(*spent), compare);
	printf("%s %ld\n", argv[2], spent[NR_FAULTS / 2]);
	return 0;
}
