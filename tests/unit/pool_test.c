// SPDX-License-Identifier: GPL-2.0-only
/*
 * pool.c: areas come and go, the counts and the owner with them.
 */
#include "internal.h"

#define NR_AREAS	64

static struct dynmemmap_pool pool;
static struct dynmemmap_area areas[NR_AREAS];

static void setup(void)
{
	unsigned int i;

	dynmemmap_pool_init(&pool);
	for (i = 0; i < NR_AREAS; i++)
		dynmemmap_area_init(&areas[i], i, 0);
	dynmemmap_broken = false;
}

static void list_check(const struct list_head *list, enum dynmemmap_owner owner,
		       unsigned long nr_counted, unsigned long nr_expected)
{
	const struct dynmemmap_area *area;
	unsigned long nr_areas = 0;

	list_for_each_entry(area, list, pool_list) {
		CHECK(area->owner == owner);
		nr_areas++;
	}
	CHECK(nr_areas == nr_expected);
	CHECK(nr_counted == nr_expected);
	CHECK(!dynmemmap_broken);
}

static void pool_check(unsigned long nr_expected)
{
	list_check(&pool.areas, DYNMEMMAP_POOL, pool.nr_areas, nr_expected);
}

static void cache_check(unsigned long nr_expected)
{
	list_check(&pool.cached, DYNMEMMAP_CACHE, pool.nr_cached, nr_expected);
}

static void pool_starts_empty(void)
{
	setup();
	CHECK(!dynmemmap_pool_first(&pool));
	CHECK(!pool.nr_lent && !pool.nr_lent_seen && !pool.nr_drains_due && !pool.nr_excess_seen);
	CHECK(pool.compact_pfn == DYNMEMMAP_COMPACT_DONE);
	CHECK(!pool.nr_scattered_left && !pool.nr_lent_compacted);
	CHECK(pool.nr_in_use_compacted == ULONG_MAX);
	CHECK(!dynmemmap_cache_first(&pool) && !dynmemmap_cache_last(&pool) && !pool.tails[0]);
	pool_check(0);
	cache_check(0);
}

static void pool_add_and_remove_mirror(void)
{
	setup();
	dynmemmap_pool_add(&pool, &areas[0]);
	CHECK(areas[0].owner == DYNMEMMAP_POOL);
	CHECK(dynmemmap_pool_first(&pool) == &areas[0]);
	pool_check(1);

	dynmemmap_pool_remove(&pool, &areas[0]);
	CHECK(areas[0].owner == DYNMEMMAP_MOVING);
	CHECK(areas[0].state == DYNMEMMAP_IDLE);
	CHECK(list_empty(&areas[0].pool_list));
	CHECK(!dynmemmap_pool_first(&pool));
	pool_check(0);
}

static void pool_first_is_the_one_added_last(void)
{
	unsigned int i;

	setup();
	for (i = 0; i < NR_AREAS; i++) {
		dynmemmap_pool_add(&pool, &areas[i]);
		CHECK(dynmemmap_pool_first(&pool) == &areas[i]);
		pool_check(i + 1);
	}
	while (i--) {
		CHECK(dynmemmap_pool_first(&pool) == &areas[i]);
		dynmemmap_pool_remove(&pool, &areas[i]);
		pool_check(i);
	}
}

static void pool_uses_last_what_is_moved_there(void)
{
	setup();
	dynmemmap_pool_add(&pool, &areas[0]);
	dynmemmap_pool_add(&pool, &areas[1]);
	dynmemmap_pool_move_last(&pool, &areas[1]);
	CHECK(dynmemmap_pool_first(&pool) == &areas[0]);
	pool_check(2);
	dynmemmap_pool_remove(&pool, &areas[0]);
	CHECK(dynmemmap_pool_first(&pool) == &areas[1]);
	pool_check(1);
}

static void pool_first_leaves_it_there(void)
{
	setup();
	dynmemmap_pool_add(&pool, &areas[0]);
	CHECK(dynmemmap_pool_first(&pool) == dynmemmap_pool_first(&pool));
	pool_check(1);
}

static void pool_removes_from_anywhere(void)
{
	unsigned int i;

	setup();
	for (i = 0; i < NR_AREAS; i++)
		dynmemmap_pool_add(&pool, &areas[i]);
	/* 37 and 64 have no common divisor: every area once, in disorder. */
	for (i = 0; i < NR_AREAS; i++) {
		dynmemmap_pool_remove(&pool, &areas[i * 37 % NR_AREAS]);
		pool_check(NR_AREAS - 1 - i);
	}
}

static void pool_has_areas_with_struct_pages_too(void)
{
	setup();
	areas[0].state = DYNMEMMAP_SPLIT;
	dynmemmap_pool_add(&pool, &areas[0]);
	pool_check(1);
	CHECK(areas[0].state == DYNMEMMAP_SPLIT);
	dynmemmap_pool_remove(&pool, &areas[0]);
	pool_check(0);
}

static void add_warns(unsigned int state, unsigned int owner)
{
	setup();
	areas[0].state = state;
	areas[0].owner = owner;
	test_expect_warning();
	dynmemmap_pool_add(&pool, &areas[0]);
	CHECK(test_has_warned());
	CHECK(dynmemmap_broken);
	CHECK(areas[0].owner == owner);
	dynmemmap_broken = false;
}

static void pool_warns_of_areas_that_do_not_belong(void)
{
	add_warns(DYNMEMMAP_HUGE, DYNMEMMAP_MOVING);
	add_warns(DYNMEMMAP_SPLIT, DYNMEMMAP_KERNEL);
	add_warns(DYNMEMMAP_SPLIT, DYNMEMMAP_STOCK);
	add_warns(DYNMEMMAP_IDLE, DYNMEMMAP_POOL);
}

static void pool_warns_of_removing_what_is_not_there(void)
{
	setup();
	dynmemmap_pool_add(&pool, &areas[0]);
	test_expect_warning();
	dynmemmap_pool_remove(&pool, &areas[1]);
	CHECK(test_has_warned());
	CHECK(dynmemmap_broken);
	dynmemmap_broken = false;
}

static void cache_add(unsigned int nr, unsigned int state)
{
	areas[nr].state = state;
	dynmemmap_cache_add(&pool, &areas[nr]);
}

static void cache_gives_what_was_freed_last_and_takes_what_was_first(void)
{
	setup();
	cache_add(0, DYNMEMMAP_HUGE);
	cache_add(1, DYNMEMMAP_HUGE);
	cache_add(2, DYNMEMMAP_HUGE);
	cache_check(3);
	pool_check(0);
	CHECK(dynmemmap_cache_first(&pool) == &areas[2]);
	CHECK(dynmemmap_cache_last(&pool) == &areas[0]);

	dynmemmap_cache_remove(&pool, &areas[0]);
	CHECK(areas[0].owner == DYNMEMMAP_MOVING && areas[0].state == DYNMEMMAP_HUGE);
	CHECK(list_empty(&areas[0].pool_list));
	cache_check(2);
	CHECK(dynmemmap_cache_last(&pool) == &areas[1]);
}

static void cache_gives_only_huge_areas(void)
{
	setup();
	cache_add(0, DYNMEMMAP_SPLIT);
	CHECK(!dynmemmap_cache_first(&pool));
	cache_add(1, DYNMEMMAP_HUGE);
	cache_add(2, DYNMEMMAP_SPLIT);
	CHECK(dynmemmap_cache_first(&pool) == &areas[1]);
	cache_check(3);
}

static void cache_keeps_what_tlbs_remember(void)
{
	setup();
	cache_add(0, DYNMEMMAP_HUGE);
	cache_add(1, DYNMEMMAP_SPLIT);
	areas[1].marks = DYNMEMMAP_MARKS_ONE_STALE;
	CHECK(dynmemmap_cache_last(&pool) == &areas[0]);
	dynmemmap_cache_remove(&pool, &areas[0]);
	CHECK(!dynmemmap_cache_last(&pool));
	areas[1].marks = DYNMEMMAP_MARK_WARM;
	CHECK(dynmemmap_cache_last(&pool) == &areas[1]);
	cache_check(1);
}

static void cache_warns_of_areas_that_do_not_belong(void)
{
	setup();
	test_expect_warning();
	cache_add(0, DYNMEMMAP_IDLE);
	CHECK(test_has_warned());
	CHECK(areas[0].owner == DYNMEMMAP_MOVING);
	dynmemmap_broken = false;
	cache_check(0);
}

static const struct test tests[] = {
	{ "pool starts empty", pool_starts_empty },
	{ "pool add and remove mirror each other", pool_add_and_remove_mirror },
	{ "pool first is the one added last", pool_first_is_the_one_added_last },
	{ "pool uses last what is moved there", pool_uses_last_what_is_moved_there },
	{ "pool first leaves it there", pool_first_leaves_it_there },
	{ "pool removes from anywhere", pool_removes_from_anywhere },
	{ "pool has areas with struct pages too", pool_has_areas_with_struct_pages_too },
	{ "pool warns of areas that do not belong", pool_warns_of_areas_that_do_not_belong },
	{ "pool warns of removing what is not there", pool_warns_of_removing_what_is_not_there },
	{ "cache gives what was freed last, and takes what was first",
	  cache_gives_what_was_freed_last_and_takes_what_was_first },
	{ "cache gives only huge areas", cache_gives_only_huge_areas },
	{ "cache keeps what TLBs remember", cache_keeps_what_tlbs_remember },
	{ "cache warns of areas that do not belong", cache_warns_of_areas_that_do_not_belong },
};

int main(void)
{
	return test_run_all(tests, ARRAY_SIZE(tests));
}
