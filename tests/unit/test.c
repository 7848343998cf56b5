// SPDX-License-Identifier: GPL-2.0-only
/*
 * Run tests, print TAP. Knows nothing of what is tested.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include "test.h"

/* Where to go when a check of the test that runs in this thread fails. */
static __thread jmp_buf *test_exit;
static __thread unsigned int nr_warnings_expected;

void test_expect_warning(void)
{
	nr_warnings_expected = 1;
}

bool test_has_warned(void)
{
	return !nr_warnings_expected;
}

void test_warning(const char *condition, const char *file, int line)
{
	if (nr_warnings_expected) {
		nr_warnings_expected--;
		return;
	}
	printf("# a warning that no test expects\n");
	test_fail(condition, file, line);
}

void __noreturn test_fail(const char *what, const char *file, int line)
{
	printf("# %s:%d: %s\n", file, line, what);
	fflush(stdout);
	if (test_exit)
		longjmp(*test_exit, 1);
	abort();
}

static bool test_passes(const struct test *test)
{
	jmp_buf exit_here;
	bool passed = false;

	nr_warnings_expected = 0;
	test_exit = &exit_here;
	if (!setjmp(exit_here)) {
		test->run();
		CHECK(test_has_warned());
		passed = true;
	}
	test_exit = NULL;
	return passed;
}

/**
 * test_run_all() - run tests one after the other
 * @tests:	the tests
 * @nr_tests:	how many
 *
 * Return: what main() is to return: 0 if all have passed.
 */
int test_run_all(const struct test *tests, unsigned int nr_tests)
{
	unsigned int i, nr_failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("1..%u\n", nr_tests);
	for (i = 0; i < nr_tests; i++) {
		bool passed = test_passes(&tests[i]);

		printf("%sok %u - %s\n", passed ? "" : "not ", i + 1, tests[i].name);
		if (!passed)
			nr_failed++;
	}
	return nr_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
