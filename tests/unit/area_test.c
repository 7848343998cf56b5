// SPDX-License-Identifier: GPL-2.0-only
/*
 * area.c: every state with every owner, and every change from each of them.
 */
#include <string.h>

#include "internal.h"

#define AREA_NR		4711
#define NID		3

/* What internal.h says of states and owners, written down a second time. */
static const bool may_be[DYNMEMMAP_NR_STATES][DYNMEMMAP_NR_OWNERS] = {
	/*			 KERNEL	POOL	MOVING	STOCK	DEVICE	CACHE */
	[DYNMEMMAP_IDLE]	= { false,	true,	true,	false,	true,	false },
	[DYNMEMMAP_HUGE]	= { true,	false,	true,	false,	true,	true },
	[DYNMEMMAP_SPLIT]	= { true,	true,	true,	true,	true,	true },
};

static bool may_follow(unsigned int owner, unsigned int next)
{
	return (owner == DYNMEMMAP_MOVING) != (next == DYNMEMMAP_MOVING);
}

#define for_each_state(state)	for (state = 0; state < DYNMEMMAP_NR_STATES; state++)
#define for_each_owner(owner)	for (owner = 0; owner < DYNMEMMAP_NR_OWNERS; owner++)

static struct dynmemmap_area area_make(unsigned int state, unsigned int owner)
{
	struct dynmemmap_area area;

	/* Padding too, so that whole area pages can be compared. */
	memset(&area, 0, sizeof(area));
	dynmemmap_area_init(&area, AREA_NR, NID);
	area.state = state;
	area.owner = owner;
	return area;
}

static bool areas_equal(const struct dynmemmap_area *a, const struct dynmemmap_area *b)
{
	return a->area_nr == b->area_nr && a->nid == b->nid && a->state == b->state &&
	       a->owner == b->owner && a->flags == b->flags && a->zone == b->zone;
}

static void counts_check(atomic_long_t *nr_areas, unsigned int state, long nr_in_state)
{
	unsigned int i;

	for_each_state(i)
		CHECK(atomic_long_read(&nr_areas[i]) == (i == state ? nr_in_state : 10));
}

static void area_starts_idle_and_moving(void)
{
	struct dynmemmap_area area;

	memset(&area, 0xff, sizeof(area));
	dynmemmap_area_init(&area, AREA_NR, NID);
	CHECK(area.state == DYNMEMMAP_IDLE);
	CHECK(area.owner == DYNMEMMAP_MOVING);
	CHECK(area.flags == 0);
	CHECK(!area.zone);
	CHECK(area.area_nr == AREA_NR);
	CHECK(area.nid == NID);
	CHECK(list_empty(&area.pool_list));
}

static void area_pfn_needs_more_than_32_bits(void)
{
	struct dynmemmap_area area;

	dynmemmap_area_init(&area, UINT32_MAX, 0);
	CHECK(dynmemmap_area_pfn(&area) == (unsigned long)UINT32_MAX * 512);
}

static void area_may_be_as_documented(void)
{
	unsigned int state, owner;

	for_each_state(state)
		for_each_owner(owner)
			CHECK(dynmemmap_area_may_be(state, owner) == may_be[state][owner]);
}

static void area_may_not_be_what_there_is_not(void)
{
	unsigned int state, owner;

	for_each_state(state)
		CHECK(!dynmemmap_area_may_be(state, DYNMEMMAP_NR_OWNERS));
	for_each_owner(owner)
		CHECK(!dynmemmap_area_may_be(DYNMEMMAP_NR_STATES, owner));
}

static void set_state_check(unsigned int state, unsigned int owner, unsigned int next)
{
	bool legal = next != state && next < DYNMEMMAP_NR_STATES && may_be[next][owner];
	atomic_long_t nr_areas[DYNMEMMAP_NR_STATES] = { { 10 }, { 10 }, { 10 } };
	struct dynmemmap_area area = area_make(state, owner);
	struct dynmemmap_area expected = area;

	CHECK(dynmemmap_area_set_state(&area, next, nr_areas) == legal);
	if (legal) {
		expected.state = next;
		CHECK(atomic_long_read(&nr_areas[next]) == 11);
		nr_areas[next].counter = 10;
	}
	counts_check(nr_areas, state, legal ? 9 : 10);
	CHECK(areas_equal(&area, &expected));
}

static void area_changes_state_only_legally(void)
{
	unsigned int state, owner, next;

	for_each_state(state)
		for_each_owner(owner)
			for (next = 0; next <= DYNMEMMAP_NR_STATES; next++)
				set_state_check(state, owner, next);
}

static void set_owner_check(unsigned int state, unsigned int owner, unsigned int next)
{
	bool legal = next < DYNMEMMAP_NR_OWNERS && may_follow(owner, next) && may_be[state][next];
	struct dynmemmap_area area = area_make(state, owner);
	struct dynmemmap_area expected = area;

	CHECK(dynmemmap_area_set_owner(&area, next) == legal);
	if (legal)
		expected.owner = next;
	CHECK(areas_equal(&area, &expected));
}

static void area_changes_owner_only_legally(void)
{
	unsigned int state, owner, next;

	for_each_state(state)
		for_each_owner(owner)
			for (next = 0; next <= DYNMEMMAP_NR_OWNERS; next++)
				set_owner_check(state, owner, next);
}

static void area_goes_round(void)
{
	atomic_long_t nr_areas[DYNMEMMAP_NR_STATES] = { { 1 } };
	struct dynmemmap_area area = area_make(DYNMEMMAP_IDLE, DYNMEMMAP_MOVING);

	CHECK(dynmemmap_area_set_owner(&area, DYNMEMMAP_POOL));
	CHECK(!dynmemmap_area_set_owner(&area, DYNMEMMAP_KERNEL));
	CHECK(dynmemmap_area_set_owner(&area, DYNMEMMAP_MOVING));
	CHECK(!dynmemmap_area_set_owner(&area, DYNMEMMAP_KERNEL));
	CHECK(dynmemmap_area_set_state(&area, DYNMEMMAP_SPLIT, nr_areas));
	CHECK(dynmemmap_area_set_owner(&area, DYNMEMMAP_KERNEL));
	CHECK(!dynmemmap_area_set_state(&area, DYNMEMMAP_IDLE, nr_areas));
	CHECK(dynmemmap_area_set_owner(&area, DYNMEMMAP_MOVING));
	CHECK(dynmemmap_area_set_state(&area, DYNMEMMAP_IDLE, nr_areas));
	CHECK(atomic_long_read(&nr_areas[DYNMEMMAP_IDLE]) == 1);
	CHECK(atomic_long_read(&nr_areas[DYNMEMMAP_SPLIT]) == 0);
}

static const struct test tests[] = {
	{ "area starts idle and moving", area_starts_idle_and_moving },
	{ "area pfn needs more than 32 bits", area_pfn_needs_more_than_32_bits },
	{ "area may be as documented", area_may_be_as_documented },
	{ "area may not be what there is not", area_may_not_be_what_there_is_not },
	{ "area changes state only legally", area_changes_state_only_legally },
	{ "area changes owner only legally", area_changes_owner_only_legally },
	{ "area goes round", area_goes_round },
};

int main(void)
{
	return test_run_all(tests, ARRAY_SIZE(tests));
}
