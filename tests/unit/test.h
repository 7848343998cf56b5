/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Run tests, print TAP. Knows nothing of what is tested.
 */
#ifndef _TESTS_UNIT_TEST_H
#define _TESTS_UNIT_TEST_H

#include <stdbool.h>
#include <stddef.h>

#define __noreturn	__attribute__((__noreturn__))

struct test {
	const char *name;
	void (*run)(void);
};

int test_run_all(const struct test *tests, unsigned int nr_tests);

/* The code under test is about to warn, once. */
void test_expect_warning(void);
/* Did it, since the last test_expect_warning()? */
bool test_has_warned(void);

void test_warning(const char *condition, const char *file, int line);
void __noreturn test_fail(const char *what, const char *file, int line);

/*
 * Ends the test that runs; outside of one, that is in a thread of a test and
 * under the fuzzer, ends the program.
 */
#define CHECK(condition)						\
	do {								\
		if (!(condition))					\
			test_fail(#condition, __FILE__, __LINE__);	\
	} while (0)

#endif /* _TESTS_UNIT_TEST_H */
