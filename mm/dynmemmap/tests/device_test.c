// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of device.c: areas of device memory, whose struct pages come with their first
 * user, and go after their last.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/sched/task.h>

#include "areas.h"

static void device_area_has_what_is_used(struct kunit *test)
{
	struct dynmemmap_area *area = take_device_area(test);
	unsigned long pfn = dynmemmap_area_pfn(area);
	struct page *page = dynmemmap_area_page(area, 70);
	/* Who gives the worker something to do must not meet it. */
	CLASS(dynmemmap_range, range)(pfn, pfn);

	KUNIT_EXPECT_FALSE(test, pfn_valid(pfn + 70));

	use_device_area(test, area, 70, 1);
	KUNIT_EXPECT_EQ(test, area->mapped, BIT(1));
	KUNIT_EXPECT_TRUE(test, pfn_valid(pfn + 70));
	KUNIT_EXPECT_FALSE(test, pfn_valid(pfn));
	KUNIT_EXPECT_EQ(test, page_zonenum(page), ZONE_DEVICE);
	KUNIT_EXPECT_TRUE(test, PageReserved(page));
	KUNIT_EXPECT_PTR_EQ(test, page_pgmap(page), &test_pgmap);
	KUNIT_EXPECT_EQ(test, page_ref_count(page), 0);

	/* What is there already stays as it is. */
	set_page_private(page, 4711);
	use_device_area(test, area, 0, DYNMEMMAP_AREA_NR_PAGES);
	KUNIT_EXPECT_EQ(test, area->mapped, DYNMEMMAP_ALL_VMEMMAP_PAGES);
	KUNIT_EXPECT_EQ(test, page_private(page), 4711);

	dynmemmap_device_hold(pfn);
	dynmemmap_device_put(pfn);
	dynmemmap_device_put(pfn);
	KUNIT_EXPECT_FALSE(test, area_gives_up(area));
	dynmemmap_device_put(pfn + 70);
	set_page_count(page, 1);
	KUNIT_EXPECT_FALSE(test, area_gives_up(area));
	set_page_count(page, 0);
	KUNIT_EXPECT_TRUE(test, area_gives_up(area));
	give_device_area(area);
}

static void expect_device_page(struct kunit *test, struct page *page)
{
	KUNIT_EXPECT_FALSE(test, PageCompound(page));
	KUNIT_EXPECT_PTR_EQ(test, page_pgmap(page), &test_pgmap);
	KUNIT_EXPECT_EQ(test, page_zonenum(page), ZONE_DEVICE);
	KUNIT_EXPECT_TRUE(test, PageReserved(page));
}

static void device_area_is_huge(struct kunit *test)
{
	struct dynmemmap_area *area = take_device_area(test);
	unsigned long pfn = dynmemmap_area_pfn(area);
	struct page *last = dynmemmap_area_page(area, DYNMEMMAP_AREA_NR_PAGES - 1);
	struct folio *folio;
	/* As above. */
	CLASS(dynmemmap_range, range)(pfn, pfn);

	use_device_area(test, area, 0, DYNMEMMAP_AREA_NR_PAGES);
	KUNIT_EXPECT_EQ(test, area->state, DYNMEMMAP_HUGE);
	KUNIT_EXPECT_EQ(test, area->mapped, BIT(0));
	folio = device_folio_init(area);
	KUNIT_EXPECT_PTR_EQ(test, page_folio(last), folio);
	KUNIT_EXPECT_PTR_EQ(test, page_pgmap(last), &test_pgmap);
	KUNIT_EXPECT_EQ(test, page_zonenum(last), ZONE_DEVICE);
	KUNIT_EXPECT_EQ(test, page_size(&folio->page), PMD_SIZE);

	/* A user of one page of it has the tails for himself; the folio stays whole. */
	use_device_area(test, area, 511, 1);
	KUNIT_EXPECT_EQ(test, area->state, DYNMEMMAP_SPLIT);
	KUNIT_EXPECT_PTR_EQ(test, page_folio(last), folio);
	set_page_private(last, 4711);
	KUNIT_EXPECT_EQ(test, page_private(last), 4711);
	set_page_private(last, 0);
	dynmemmap_device_put(pfn + 511);
	dax_folio_reset_order(folio);
	dynmemmap_device_put(pfn);
	expect_device_page(test, last);
	KUNIT_EXPECT_TRUE(test, area_gives_up(area));
	give_device_area(area);
}

static void device_area_changes_its_kind(struct kunit *test)
{
	struct dynmemmap_area *area = take_device_area(test);
	unsigned long pfn = dynmemmap_area_pfn(area);
	/* As above. */
	CLASS(dynmemmap_range, range)(pfn, pfn);

	/* Used as a whole, and before the worker passes for one page. */
	use_device_area(test, area, 0, DYNMEMMAP_AREA_NR_PAGES);
	dax_folio_reset_order(device_folio_init(area));
	dynmemmap_device_put(pfn);
	KUNIT_EXPECT_EQ(test, area->state, DYNMEMMAP_HUGE);
	use_device_area(test, area, 10, 1);
	KUNIT_EXPECT_EQ(test, area->state, DYNMEMMAP_SPLIT);
	KUNIT_EXPECT_EQ(test, area->mapped, BIT(0));
	expect_device_page(test, dynmemmap_area_page(area, 10));
	dynmemmap_device_put(pfn + 10);

	/* And the other way round: who has a range keeps what is left from going. */
	use_device_area(test, area, 0, DYNMEMMAP_AREA_NR_PAGES);
	KUNIT_EXPECT_EQ(test, area->mapped, DYNMEMMAP_ALL_VMEMMAP_PAGES);
	dax_folio_reset_order(device_folio_init(area));
	dynmemmap_device_put(pfn);
	KUNIT_EXPECT_TRUE(test, area_gives_up(area));

	/* Who populates it while its user lets it go leaves tails behind. */
	use_device_area(test, area, 0, DYNMEMMAP_AREA_NR_PAGES);
	dax_folio_reset_order(device_folio_init(area));
	use_device_area(test, area, 100, 1);
	dynmemmap_device_put(pfn + 100);
	dynmemmap_device_put(pfn);
	KUNIT_EXPECT_EQ(test, area->state, DYNMEMMAP_SPLIT);
	use_device_area(test, area, 100, 1);
	expect_device_page(test, dynmemmap_area_page(area, 100));
	expect_device_page(test, dynmemmap_area_page(area, 511));
	dynmemmap_device_put(pfn + 100);
	KUNIT_EXPECT_TRUE(test, area_gives_up(area));
	give_device_area(area);
}

/* Who wants a page of a device's area, and has to wait for it. */
struct waiter {
	struct dynmemmap_area *area;
	struct dynmemmap_area *result;
	struct completion done;
	struct task_struct *task;
};

static struct dynmemmap_area *get_part(struct dynmemmap_area *area)
{
	return dynmemmap_device_get(dynmemmap_area_pfn(area) + 100, 1, GFP_KERNEL);
}

static int waiter_run(void *data)
{
	struct waiter *waiter = data;

	/* As a page fault that comes again. */
	do {
		waiter->result = get_part(waiter->area);
	} while (waiter->result == ERR_PTR(-EBUSY));
	complete(&waiter->done);
	return 0;
}

static void waiter_start(struct kunit *test, struct waiter *waiter, struct dynmemmap_area *area)
{
	waiter->area = area;
	init_completion(&waiter->done);
	waiter->task = kthread_create(waiter_run, waiter, "dynmemmap-test");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, waiter->task);
	get_task_struct(waiter->task);
	wake_up_process(waiter->task);
	while (!completion_done(&waiter->done) &&
	       READ_ONCE(waiter->task->__state) != TASK_UNINTERRUPTIBLE)
		fsleep(100);
	KUNIT_EXPECT_FALSE(test, completion_done(&waiter->done));
}

static void waiter_end(struct kunit *test, struct waiter *waiter)
{
	wait_for_completion(&waiter->done);
	put_task_struct(waiter->task);
	KUNIT_EXPECT_PTR_EQ(test, waiter->result, waiter->area);
}

/* And goes on to be. */
static void expect_busy(struct kunit *test, struct dynmemmap_area *area)
{
	KUNIT_EXPECT_PTR_EQ(test, get_part(area), ERR_PTR(-EBUSY));
}

/* A copy of shared blocks is made without waiting for who has pinned them. */
static void device_area_waits_for_pins(struct kunit *test)
{
	struct dynmemmap_area *area = take_device_area(test);
	unsigned long pfn = dynmemmap_area_pfn(area);
	struct page *last = dynmemmap_area_page(area, DYNMEMMAP_AREA_NR_PAGES - 1);
	struct waiter waiter;
	struct folio *folio;
	/* As above. */
	CLASS(dynmemmap_range, range)(pfn, pfn);

	use_device_area(test, area, 0, DYNMEMMAP_AREA_NR_PAGES);
	folio = device_folio_init(area);
	KUNIT_EXPECT_FALSE(test, dynmemmap_device_detach(folio));
	use_device_area(test, area, 0, DYNMEMMAP_AREA_NR_PAGES);
	folio_set_count(folio, 1);
	KUNIT_EXPECT_TRUE(test, dynmemmap_device_detach(folio));
	/* There is another user, and then none. */
	expect_busy(test, area);
	dynmemmap_device_put(pfn);
	KUNIT_EXPECT_FALSE(test, area_gives_up(area));
	expect_busy(test, area);
	/* An entry that maps all of it can have it as it is. */
	use_device_area(test, area, 0, DYNMEMMAP_AREA_NR_PAGES);
	KUNIT_EXPECT_FALSE(test, dynmemmap_device_attach(folio, 0));
	KUNIT_EXPECT_TRUE(test, dynmemmap_device_attach(folio, DYNMEMMAP_AREA_ORDER));
	KUNIT_EXPECT_FALSE(test, dynmemmap_device_attach(folio, DYNMEMMAP_AREA_ORDER));
	KUNIT_EXPECT_TRUE(test, dynmemmap_device_detach(folio));
	/* Who looks at all pages, because one has failed, sees them. */
	dynmemmap_device_show(area);
	KUNIT_EXPECT_TRUE(test, dynmemmap_device_is_shown(area));
	expect_busy(test, area);
	/* It goes where it came from, and who waits for that is told. */
	waiter_start(test, &waiter, area);
	KUNIT_EXPECT_PTR_EQ(test, page_folio(last), folio);
	KUNIT_EXPECT_EQ(test, folio_order(folio), DYNMEMMAP_AREA_ORDER);
	put_page(last);
	waiter_end(test, &waiter);

	expect_device_page(test, dynmemmap_area_page(area, 0));
	expect_device_page(test, dynmemmap_area_page(area, 100));
	dynmemmap_device_put(pfn + 100);
	KUNIT_EXPECT_TRUE(test, area_gives_up(area));
	give_device_area(area);
}

/* Also where it never is without a user, because the device has made a part of it. */
static void device_area_in_use_forgets_folios(struct kunit *test)
{
	struct dynmemmap_area *area = take_device_area(test);
	unsigned long pfn = dynmemmap_area_pfn(area);
	struct waiter waiter;
	struct folio *folio;
	/* As above. */
	CLASS(dynmemmap_range, range)(pfn, pfn);

	use_device_area(test, area, 0, DYNMEMMAP_AREA_NR_PAGES);
	mark(area, DYNMEMMAP_MARK_MADE, true);
	use_device_area(test, area, 0, DYNMEMMAP_AREA_NR_PAGES);
	folio = device_folio_init(area);
	folio_set_count(folio, 1);
	KUNIT_EXPECT_TRUE(test, dynmemmap_device_detach(folio));
	expect_busy(test, area);
	folio_set_count(folio, 0);
	/* Who is about to have it as it is. */
	use_device_area(test, area, 0, DYNMEMMAP_AREA_NR_PAGES);
	waiter_start(test, &waiter, area);
	dynmemmap_device_put(pfn);
	waiter_end(test, &waiter);

	expect_device_page(test, dynmemmap_area_page(area, 0));
	expect_device_page(test, dynmemmap_area_page(area, 100));
	expect_device_page(test, dynmemmap_area_page(area, 511));
	dynmemmap_device_put(pfn + 100);
	mark(area, DYNMEMMAP_MARK_MADE, false);
	dynmemmap_device_put(pfn);
	KUNIT_EXPECT_TRUE(test, area_gives_up(area));
	give_device_area(area);
}

static void device_keeps_what_it_has_made(struct kunit *test)
{
	struct dynmemmap_area *area = take_device_area(test);
	unsigned long pfn = dynmemmap_area_pfn(area);
	struct page *first = dynmemmap_area_page(area, 0), *last = first + 511;
	unsigned int i;
	/* As above. */
	CLASS(dynmemmap_range, range)(pfn, pfn);

	area->pgmap = &test_device_pgmap;
	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_TRUE(test, dynmemmap_device_make(pfn, DYNMEMMAP_AREA_ORDER,
							      GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, atomic_long_read(&area->nr_users), 1);
	KUNIT_EXPECT_EQ(test, area->state, DYNMEMMAP_HUGE);
	KUNIT_EXPECT_EQ(test, page_ref_count(first), 1);
	KUNIT_EXPECT_EQ(test, page_ref_count(last), 0);

	/* Who looks at all pages changes nothing. */
	dynmemmap_device_show(area);
	KUNIT_EXPECT_EQ(test, area->state, DYNMEMMAP_SPLIT);
	KUNIT_EXPECT_PTR_EQ(test, &page_folio(last)->page, first);
	KUNIT_EXPECT_EQ(test, folio_order(page_folio(last)), DYNMEMMAP_AREA_ORDER);
	KUNIT_EXPECT_FALSE(test, area_gives_up(area));

	mark(area, DYNMEMMAP_MARK_MADE, false);
	dynmemmap_device_put(pfn);
	KUNIT_EXPECT_TRUE(test, area_gives_up(area));
	give_device_area(area);
}

static void device_makes_single_pages(struct kunit *test)
{
	struct dynmemmap_area *area = take_device_area(test);
	unsigned long pfn = dynmemmap_area_pfn(area);
	struct page *page = dynmemmap_area_page(area, 70);
	/* As above. */
	CLASS(dynmemmap_range, range)(pfn, pfn);

	area->pgmap = &test_device_pgmap;
	KUNIT_EXPECT_TRUE(test, dynmemmap_device_make(pfn + 70, 0, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, area->mapped, BIT(1));
	KUNIT_EXPECT_EQ(test, page_ref_count(page), 1);
	KUNIT_EXPECT_PTR_EQ(test, page_pgmap(page), &test_device_pgmap);
	get_page(page);
	KUNIT_EXPECT_TRUE(test, dynmemmap_device_make(pfn + 200, 0, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, area->mapped, BIT(1) | BIT(3));
	KUNIT_EXPECT_EQ(test, atomic_long_read(&area->nr_users), 1);

	/* One reference is the device's, another somebody's. */
	mark(area, DYNMEMMAP_MARK_MADE, false);
	dynmemmap_device_put(pfn);
	KUNIT_EXPECT_FALSE(test, area_gives_up(area));
	page_ref_dec(page);
	KUNIT_EXPECT_TRUE(test, area_gives_up(area));
	give_device_area(area);
}

static struct kunit_case dynmemmap_device_cases[] = {
	KUNIT_CASE(device_area_has_what_is_used),
	KUNIT_CASE(device_area_is_huge),
	KUNIT_CASE(device_area_changes_its_kind),
	KUNIT_CASE(device_area_waits_for_pins),
	KUNIT_CASE(device_area_in_use_forgets_folios),
	KUNIT_CASE(device_keeps_what_it_has_made),
	KUNIT_CASE(device_makes_single_pages),
	{}
};

static struct kunit_suite dynmemmap_device_suite = {
	.name = "dynmemmap-device",
	.test_cases = dynmemmap_device_cases,
};

kunit_test_suite(dynmemmap_device_suite);
