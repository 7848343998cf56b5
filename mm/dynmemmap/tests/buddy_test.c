// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of buddy.c: lending areas to the buddy allocator, in every context.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <trace/events/dynmemmap.h>

#include "areas.h"

/* Areas to be lent: for so many, the reserve of the stock has no frames. */
#define NR_AREAS		48UL
/* How often somebody else may have a lock. */
#define MAX_FAILURES		100000

static void lend_makes_a_free_block(struct kunit *test)
{
	struct dynmemmap_area *area = take_area(test);
	unsigned long pfn = dynmemmap_area_pfn(area);
	unsigned long nr_lent = dynmemmap_zone_pool(area->zone)->nr_lent;

	/* Nothing is taken back, so that what has been lent can be looked at. */
	CLASS(dynmemmap_range, range)(pfn, pfn);

	KUNIT_ASSERT_TRUE(test, dynmemmap_area_lend(area, "test"));
	KUNIT_EXPECT_EQ(test, area->owner, DYNMEMMAP_KERNEL);
	KUNIT_EXPECT_TRUE(test, pfn_valid(pfn));
	KUNIT_EXPECT_NOT_NULL(test, pfn_to_online_page(pfn));
	KUNIT_EXPECT_GT(test, dynmemmap_zone_pool(area->zone)->nr_lent, nr_lent);
}

struct lend_watch {
	struct task_struct *task;
	unsigned long nr_areas;
};

static void watch_lend(void *data, u32 area_nr, int nid, const char *reason, u64 duration_ns)
{
	struct lend_watch *watch = data;

	if (current == watch->task && irqs_disabled())
		watch->nr_areas++;
}

/* More than was free before: what an interrupt needs is lent to it. */
static void lend_works_with_interrupts_off(struct kunit *test)
{
	struct lend_watch watch = { .task = current };
	struct page *page, *next;
	unsigned long flags;
	LIST_HEAD(pages);

	if (!dynmemmap_enabled())
		kunit_skip(test, "boot with dynamic_memmap=on");
	KUNIT_ASSERT_EQ(test, register_trace_dynmemmap_lend(watch_lend, &watch), 0);
	do {
		local_irq_save(flags);
		page = alloc_page(GFP_ATOMIC | __GFP_NOWARN);
		local_irq_restore(flags);
		if (page)
			list_add(&page->lru, &pages);
	} while (page && watch.nr_areas < 3);
	unregister_trace_dynmemmap_lend(watch_lend, &watch);
	tracepoint_synchronize_unregister();
	KUNIT_EXPECT_EQ(test, watch.nr_areas, 3);
	list_for_each_entry_safe(page, next, &pages, lru)
		__free_page(page);
}

static void order_10_takes_a_pair(struct kunit *test)
{
	struct dynmemmap_area *area = take_area(test);
	struct zone *zone = area->zone;
	struct page *page;

	give_area(area);
	if (!__dynmemmap_can_lend(zone, MAX_PAGE_ORDER))
		kunit_skip(test, "no two areas of a pair in the pool");
	page = alloc_pages_node(zone_to_nid(zone), GFP_KERNEL | __GFP_NOWARN, MAX_PAGE_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, page);
	memset(page_address(page), 0x5a, PAGE_SIZE << MAX_PAGE_ORDER);
	__free_pages(page, MAX_PAGE_ORDER);
}

static unsigned long count_free_pages(unsigned long *nr_areas)
{
	unsigned long nr_pages = 0;
	struct zone *zone;

	*nr_areas = 0;
	for_each_populated_zone(zone) {
		*nr_areas += READ_ONCE(dynmemmap_zone_pool(zone)->nr_areas);
		nr_pages += zone_page_state(zone, NR_FREE_PAGES);
	}
	return nr_pages;
}

/*
 * Allocate up to @nr_pages pages, as from an interrupt.
 * Return: the last one, which leads to the others.
 */
static struct page *take_pages(unsigned long nr_pages, unsigned long *nr_taken)
{
	struct page *last = NULL;
	unsigned int nr_failures = 0;

	*nr_taken = 0;
	guard(irqsave)();
	while (*nr_taken < nr_pages && nr_failures < MAX_FAILURES) {
		struct page *page = alloc_pages_nolock(0, NUMA_NO_NODE, 0);

		if (!page) {
			nr_failures++;
			continue;
		}
		set_page_private(page, (unsigned long)last);
		last = page;
		(*nr_taken)++;
	}
	return last;
}

static void give_pages(struct page *last)
{
	while (last) {
		struct page *page = last;

		last = (struct page *)page_private(page);
		set_page_private(page, 0);
		__free_page(page);
	}
}

static void areas_are_lent_without_waiting(struct kunit *test)
{
	unsigned long nr_pages, nr_taken, nr_pooled, nr_left;
	struct page *last;

	if (!dynmemmap_enabled())
		kunit_skip(test, "boot with dynamic_memmap=on");
	nr_pages = count_free_pages(&nr_pooled);
	if (nr_pooled < 2 * NR_AREAS)
		kunit_skip(test, "not enough areas in the pools");
	nr_pages -= (nr_pooled - NR_AREAS) * DYNMEMMAP_AREA_NR_PAGES;

	last = take_pages(nr_pages, &nr_taken);
	count_free_pages(&nr_left);
	give_pages(last);
	KUNIT_EXPECT_EQ(test, nr_taken, nr_pages);
	kunit_info(test, "%lu areas left the pools for %lu pages", nr_pooled - nr_left, nr_taken);
	KUNIT_EXPECT_LE(test, nr_left, nr_pooled - NR_AREAS / 2);
}

static void locks_in_use_are_not_waited_for(struct kunit *test)
{
	struct dynmemmap_area *area = take_area(test);
	unsigned long nr_taken, nr_pooled, nr_left;
	struct page *last;

	count_free_pages(&nr_pooled);
	scoped_guard(raw_spinlock_irqsave, &dynmemmap_area_node(area)->lock) {
		/* More than the lists of this CPU hold. */
		last = take_pages(DYNMEMMAP_AREA_NR_PAGES, &nr_taken);
		count_free_pages(&nr_left);
	}
	give_pages(last);
	give_area(area);
	KUNIT_EXPECT_GT(test, nr_taken, 0);
	KUNIT_EXPECT_LE(test, nr_left, nr_pooled);
}

static struct kunit_case dynmemmap_buddy_cases[] = {
	KUNIT_CASE(lend_makes_a_free_block),
	KUNIT_CASE(lend_works_with_interrupts_off),
	KUNIT_CASE(order_10_takes_a_pair),
	KUNIT_CASE(areas_are_lent_without_waiting),
	KUNIT_CASE(locks_in_use_are_not_waited_for),
	{}
};

static struct kunit_suite dynmemmap_buddy_suite = {
	.name = "dynmemmap-buddy",
	.test_cases = dynmemmap_buddy_cases,
};

kunit_test_suite(dynmemmap_buddy_suite);
