// SPDX-License-Identifier: GPL-2.0-only
/*
 * policy.c: the boundaries of every decision, and which way it may lean.
 */
#include "internal.h"

#define RESERVE_MIN		96UL
#define RESERVE_MAX		1024UL
#define TAKE_BACK_MIN_AREAS	256

/* Numbers around which something could change. */
static const unsigned long samples[] = {
	0, 1, 2, 3, 63, 64, 65, 127, 128, 255, 256, 257, 511, 512, 1023, 1024, 1027, 1028, 1029,
	2047, 2048, 4095, 4096, 65535, 65536, 1UL << 32, ULONG_MAX / 2, ULONG_MAX - 1, ULONG_MAX,
};

#define for_each_sample(i)	for (i = 0; i < ARRAY_SIZE(samples); i++)

static void reserve_doubles_and_halves(void)
{
	CHECK(dynmemmap_policy_reserve(128, true) == 256);
	CHECK(dynmemmap_policy_reserve(256, false) == 128);
	CHECK(dynmemmap_policy_reserve(RESERVE_MIN, true) == 2 * RESERVE_MIN);
	CHECK(dynmemmap_policy_reserve(RESERVE_MAX, false) == RESERVE_MAX / 2);
}

static void reserve_has_limits(void)
{
	CHECK(dynmemmap_policy_reserve(0, true) == RESERVE_MIN);
	CHECK(dynmemmap_policy_reserve(0, false) == RESERVE_MIN);
	CHECK(dynmemmap_policy_reserve(RESERVE_MIN, false) == RESERVE_MIN);
	CHECK(dynmemmap_policy_reserve(RESERVE_MAX / 2, true) == RESERVE_MAX);
	CHECK(dynmemmap_policy_reserve(RESERVE_MAX / 2 + 1, true) == RESERVE_MAX);
	CHECK(dynmemmap_policy_reserve(RESERVE_MAX, true) == RESERVE_MAX);
	/* One more area can always be populated. */
	CHECK(RESERVE_MIN >= DYNMEMMAP_AREA_NR_FRAMES);
}

static void reserve_grows_with_what_it_was(void)
{
	unsigned long nr_reserve;

	for (nr_reserve = 0; nr_reserve < RESERVE_MAX; nr_reserve++) {
		unsigned long more = dynmemmap_policy_reserve(nr_reserve, true);
		unsigned long less = dynmemmap_policy_reserve(nr_reserve, false);

		CHECK(more >= nr_reserve && (less <= nr_reserve || less == RESERVE_MIN));
		CHECK(more <= dynmemmap_policy_reserve(nr_reserve + 1, true));
		CHECK(less <= dynmemmap_policy_reserve(nr_reserve + 1, false));
	}
}

static void excess_is_what_is_over(void)
{
	unsigned int i, j;

	for_each_sample(i)
		for_each_sample(j) {
			unsigned long nr_excess = dynmemmap_policy_excess(samples[i], samples[j]);

			if (samples[i] <= samples[j])
				CHECK(nr_excess == 0);
			else
				CHECK(nr_excess + samples[j] == samples[i]);
		}
}

static void take_back_waits_after_lending(void)
{
	unsigned int i, j;

	for_each_sample(i)
		for_each_sample(j)
			CHECK(dynmemmap_policy_take_back(samples[i], samples[j], true,
							 1UL << 20) == 0);
}

static void take_back_needs_excess_twice(void)
{
	CHECK(dynmemmap_policy_take_back(0, 100, false, 10000) == 0);
	CHECK(dynmemmap_policy_take_back(100, 0, false, 10000) == 0);
	CHECK(dynmemmap_policy_take_back(100, 99, false, 10000) == 99);
	CHECK(dynmemmap_policy_take_back(99, 100, false, 10000) == 99);
	CHECK(dynmemmap_policy_take_back(100, 100, false, 10000) == 100);
}

static void take_back_has_a_budget(void)
{
	static const struct {
		unsigned long nr_areas_zone;
		unsigned long nr_budget;
	} cases[] = {
		{ 0, 256 }, { 1, 256 }, { 1024, 256 }, { 1027, 256 }, { 1028, 257 },
		{ 4096, 1024 }, { ULONG_MAX, ULONG_MAX / 4 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		CHECK(dynmemmap_policy_take_back(ULONG_MAX, ULONG_MAX, false,
						 cases[i].nr_areas_zone) == cases[i].nr_budget);
}

static void take_back_check(unsigned long nr_excess, unsigned long nr_seen, unsigned long nr_zone)
{
	unsigned long nr = dynmemmap_policy_take_back(nr_excess, nr_seen, false, nr_zone);

	CHECK(nr <= nr_excess && nr <= nr_seen);
	CHECK(nr <= nr_zone / 4 || nr <= TAKE_BACK_MIN_AREAS);
	/* It stops at one of its limits, not short of them. */
	CHECK(nr == nr_excess || nr == nr_seen || nr == nr_zone / 4 || nr == TAKE_BACK_MIN_AREAS);
}

static void take_back_stays_within_all_limits(void)
{
	unsigned int i, j, k;

	for_each_sample(i)
		for_each_sample(j)
			for_each_sample(k)
				take_back_check(samples[i], samples[j], samples[k]);
}

static unsigned long take_back(unsigned int i, unsigned int j, unsigned int k)
{
	return dynmemmap_policy_take_back(samples[i], samples[j], false, samples[k]);
}

static void take_back_grows_with_each_limit(void)
{
	unsigned int i, j, k;

	for (i = 1; i < ARRAY_SIZE(samples); i++)
		for_each_sample(j)
			for_each_sample(k) {
				CHECK(take_back(i, j, k) >= take_back(i - 1, j, k));
				CHECK(take_back(j, i, k) >= take_back(j, i - 1, k));
				CHECK(take_back(j, k, i) >= take_back(j, k, i - 1));
			}
}

static void burst_is_more_than_a_sixteenth(void)
{
	CHECK(!dynmemmap_policy_was_burst(0, 0));
	CHECK(dynmemmap_policy_was_burst(1, 15));
	CHECK(!dynmemmap_policy_was_burst(1, 16));
	CHECK(dynmemmap_policy_was_burst(ULONG_MAX, ULONG_MAX));
}

static void compact_waits_for_an_eighth(void)
{
	CHECK(!dynmemmap_policy_compact(0, 0, 0));
	CHECK(!dynmemmap_policy_compact(8, 0, 0));
	CHECK(dynmemmap_policy_compact(9, 0, 0));
	CHECK(dynmemmap_policy_compact(9, 0, 71));
	CHECK(!dynmemmap_policy_compact(9, 0, 72));
	CHECK(!dynmemmap_policy_compact(100, 0, 800));
	CHECK(dynmemmap_policy_compact(101, 0, 800));
	CHECK(dynmemmap_policy_compact(ULONG_MAX, 0, ULONG_MAX));
}

static void compact_waits_for_more_than_was_left(void)
{
	CHECK(!dynmemmap_policy_compact(300, 300, 800));
	CHECK(!dynmemmap_policy_compact(300, 400, 800));
	CHECK(!dynmemmap_policy_compact(350, 300, 800));
	CHECK(dynmemmap_policy_compact(351, 300, 800));
	CHECK(!dynmemmap_policy_compact(ULONG_MAX, ULONG_MAX, 0));
}

/* Whatever the other two are, @x and @y. */
static void check_compact_around(unsigned long less, unsigned long more,
				 unsigned long x, unsigned long y)
{
	CHECK(dynmemmap_policy_compact(more, x, y) >= dynmemmap_policy_compact(less, x, y));
	CHECK(dynmemmap_policy_compact(x, more, y) <= dynmemmap_policy_compact(x, less, y));
	CHECK(dynmemmap_policy_compact(x, y, more) <= dynmemmap_policy_compact(x, y, less));
}

static void compact_leans_one_way(void)
{
	unsigned int i, j, k;

	for (i = 1; i < ARRAY_SIZE(samples); i++)
		for_each_sample(j)
			for_each_sample(k)
				check_compact_around(samples[i - 1], samples[i], samples[j],
						     samples[k]);
}

static const struct test tests[] = {
	{ "reserve doubles and halves", reserve_doubles_and_halves },
	{ "reserve has limits", reserve_has_limits },
	{ "reserve grows with what it was", reserve_grows_with_what_it_was },
	{ "excess is what is over", excess_is_what_is_over },
	{ "take back waits after lending", take_back_waits_after_lending },
	{ "take back needs excess twice", take_back_needs_excess_twice },
	{ "take back has a budget", take_back_has_a_budget },
	{ "take back stays within all limits", take_back_stays_within_all_limits },
	{ "take back grows with each limit", take_back_grows_with_each_limit },
	{ "burst is more than a sixteenth", burst_is_more_than_a_sixteenth },
	{ "compact waits for an eighth", compact_waits_for_an_eighth },
	{ "compact waits for more than was left", compact_waits_for_more_than_was_left },
	{ "compact leans one way", compact_leans_one_way },
};

int main(void)
{
	return test_run_all(tests, ARRAY_SIZE(tests));
}
