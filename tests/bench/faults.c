// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page faults of 2 MiB in a file on persistent memory. For a guest with ICOUNT=1,
 * where a nanosecond is one instruction.
 *
 * usage: faults FILE prepare|first|later
 *
 * "prepare" makes the file, on a file system that lays it out in whole areas; the
 * others print their name and the median of a fault.
 */
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

static char *map_file(const char *path)
{
	char *memory;
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
	return memory;
}

int main(int argc, char **argv)
{
	static long spent[NR_FAULTS];
	char *memory;
	int i;

	if (argc != 3)
		errx(2, "usage: %s FILE prepare|first|later", argv[0]);
	memory = map_file(argv[1]);
	for (i = 0; i < NR_FAULTS; i++) {
		long start = now();

		*(volatile char *)(memory + i * HUGE_BYTES) = 1;
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
