// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of migrate.c: struct pages, and the page tables that map them, move to other
 * frames while they are used.
 */
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/mm.h>

#include "areas.h"

#define NR_WRITERS		2
#define NR_MIGRATIONS		1000
#define MAX_TRIES		20000

static unsigned long vmemmap_page(struct dynmemmap_area *area, unsigned int nr)
{
	return (unsigned long)dynmemmap_area_page(area, 0) + nr * PAGE_SIZE;
}

/* The frame behind one of an area's vmemmap pages. */
static struct page *frame_behind(struct dynmemmap_area *area, unsigned int nr)
{
	unsigned long addr = vmemmap_page(area, nr);

	/* So that it is not being migrated. */
	READ_ONCE(*(unsigned long *)addr);
	return pte_page(ptep_get(virt_to_kpte(addr)));
}

static bool is_present(struct dynmemmap_area *area, unsigned int nr)
{
	return pte_present(ptep_get(virt_to_kpte(vmemmap_page(area, nr))));
}

/* A populated area whose frames are single pages, which the test has to itself. */
static struct dynmemmap_area *take_populated_area(struct kunit *test)
{
	struct dynmemmap_area *area = take_area(test);
	unsigned int i;

	/* Single pages are used first. */
	dynmemmap_stock_refill(&dynmemmap_area_node(area)->refill_work);
	KUNIT_ASSERT_TRUE(test, dynmemmap_populate(area, "test"));
	for (i = 0; i < DYNMEMMAP_AREA_NR_FRAMES; i++) {
		if (!page_private(frame_behind(area, i)))
			continue;
		give_area(area);
		kunit_skip(test, "the stock has donors only");
	}
	return area;
}

static struct dynmemmap_area *isolate(struct page *frame)
{
	const int nid = page_to_nid(frame);

	guard(raw_spinlock_irqsave)(&dynmemmap_nodes[nid]->lock);
	return dynmemmap_vmemmap_isolate_frame(frame, nid);
}

static bool replace(struct page *frame, struct page *target)
{
	const int nid = page_to_nid(frame);

	guard(raw_spinlock_irqsave)(&dynmemmap_nodes[nid]->lock);
	return dynmemmap_vmemmap_replace_frame(frame, target, nid);
}

static struct page *take_target(struct kunit *test, struct dynmemmap_area *area)
{
	LIST_HEAD(frames);

	KUNIT_ASSERT_TRUE(test, dynmemmap_frames_alloc(dynmemmap_area_node(area), 0, &frames));
	return list_first_entry(&frames, struct page, lru);
}

static void give_frame(struct page *frame)
{
	LIST_HEAD(frames);

	list_add(&frame->lru, &frames);
	dynmemmap_frames_free(&frames);
}

static void struct_pages_move(struct kunit *test)
{
	struct dynmemmap_area *area = take_populated_area(test);
	struct page *page = dynmemmap_area_page(area, 200);
	struct page *frame = frame_behind(area, 3);
	struct page *target = take_target(test, area);

	guard(mutex)(&dynmemmap_migrate_mutex);
	set_page_private(page, 4711);
	KUNIT_EXPECT_TRUE(test, dynmemmap_frame_is_movable(frame));
	KUNIT_EXPECT_PTR_EQ(test, isolate(frame), area);
	dynmemmap_vmemmap_flush(area, area, false);
	KUNIT_EXPECT_FALSE(test, is_present(area, 3));
	KUNIT_EXPECT_TRUE(test, dynmemmap_vmemmap_is_mapped((unsigned long)page));
	KUNIT_EXPECT_TRUE(test, replace(frame, target));
	KUNIT_EXPECT_PTR_EQ(test, frame_behind(area, 3), target);
	KUNIT_EXPECT_EQ(test, page_private(page), 4711);
	KUNIT_EXPECT_FALSE(test, dynmemmap_frame_is_movable(frame));
	KUNIT_EXPECT_TRUE(test, dynmemmap_frame_is_movable(target));
	set_page_private(page, 0);
	give_frame(frame);
	give_area(area);
	KUNIT_EXPECT_FALSE(test, dynmemmap_frame_is_movable(target));
}

static struct page *table_of(struct dynmemmap_area *area)
{
	return pmd_page(*pmd_off_k(vmemmap_page(area, 0)));
}

/* Empty the area that holds the page table of another one. Return: true if that worked. */
static bool migrate_table_of(struct dynmemmap_area *area, struct list_head *targets)
{
	struct dynmemmap_area *host = dynmemmap_area_of(page_to_pfn(table_of(area)));

	if (READ_ONCE(host->owner) != DYNMEMMAP_KERNEL)
		return false;
	guard(cpus_read_lock)();
	return dynmemmap_frames_migrate(host, targets);
}

static void page_tables_move(struct kunit *test)
{
	struct dynmemmap_area *areas = take_section(test), *area = &areas[1];
	struct page *page = dynmemmap_area_page(area, 200), *table;
	struct list_head targets[2];
	unsigned int i, nr_tries = 100;

	dynmemmap_stock_refill(&dynmemmap_area_node(area)->refill_work);
	KUNIT_ASSERT_TRUE(test, dynmemmap_populate(area, "test"));
	for (i = 0; i < 2; i++) {
		INIT_LIST_HEAD(&targets[i]);
		KUNIT_ASSERT_TRUE(test, dynmemmap_frames_alloc(dynmemmap_area_node(area),
							       DYNMEMMAP_AREA_ORDER, &targets[i]));
	}
	table = table_of(area);
	KUNIT_EXPECT_TRUE(test, dynmemmap_frame_is_movable(table));
	set_page_private(page, 4711);
	/*
	 * As long as somebody uses struct pages that are there, too, it stays. Those of targets
	 * may be; they are not used while others are the targets.
	 */
	while (!migrate_table_of(area, &targets[nr_tries % 2]) && --nr_tries)
		cond_resched();
	KUNIT_EXPECT_PTR_NE(test, table_of(area), table);
	KUNIT_EXPECT_EQ(test, page_private(page), 4711);
	KUNIT_EXPECT_FALSE(test, dynmemmap_frame_is_movable(table));
	KUNIT_EXPECT_TRUE(test, dynmemmap_frame_is_movable(table_of(area)));
	set_page_private(page, 0);
	/* The new one is used from now on. */
	KUNIT_EXPECT_TRUE(test, dynmemmap_populate(&areas[2], "test"));
	KUNIT_EXPECT_EQ(test, page_ref_count(dynmemmap_area_page(&areas[2], 200)), 0);
	KUNIT_EXPECT_TRUE(test, dynmemmap_unpopulate_area(area, "test"));
	KUNIT_EXPECT_FALSE(test, dynmemmap_vmemmap_is_mapped(vmemmap_page(area, 3)));
	KUNIT_EXPECT_TRUE(test, dynmemmap_unpopulate_area(&areas[2], "test"));
	KUNIT_EXPECT_TRUE(test, dynmemmap_vmemmap_needs_table(area));
	for (i = 0; i < 2; i++)
		dynmemmap_frames_free(&targets[i]);
	give_section(areas);
}

static void read_page(struct page *page)
{
	READ_ONCE(page->private);
}

static void read_with_interrupts_off(struct page *page)
{
	guard(irqsave)();
	READ_ONCE(page->private);
}

static void read_with_all_locks(struct page *page)
{
	guard(raw_spinlock_irqsave)(&dynmemmap_nodes[page_to_nid(page)]->lock);
	READ_ONCE(page->private);
}

static void read_nofault(struct page *page)
{
	unsigned long private;

	copy_from_kernel_nofault(&private, &page->private, sizeof(private));
}

static void write_page(struct page *page)
{
	set_page_private(page, 4711);
}

static void get_page_unless_free(struct page *page)
{
	page_ref_add_unless_zero(page, 1);
}

static const struct use {
	const char *name;
	void (*use)(struct page *page);
} uses[] = {
	{ "read", read_page },
	{ "read with interrupts off", read_with_interrupts_off },
	{ "read with the node's lock held", read_with_all_locks },
	{ "read that may fail", read_nofault },
	{ "write", write_page },
	{ "reference that is refused", get_page_unless_free },
};

KUNIT_ARRAY_PARAM_DESC(use, uses, name);

static void who_uses_them_keeps_the_frame(struct kunit *test)
{
	const struct use *use = test->param_value;
	struct dynmemmap_area *area = take_populated_area(test);
	struct dynmemmap_node *node = dynmemmap_area_node(area);
	long nr_reads = atomic_long_read(&node->nr_repairs[DYNMEMMAP_REPAIR_READ]);
	struct page *page = dynmemmap_area_page(area, 200);
	struct page *frame = frame_behind(area, 3);
	struct page *target = take_target(test, area);

	guard(mutex)(&dynmemmap_migrate_mutex);
	set_page_private(page, 4711);
	KUNIT_EXPECT_PTR_EQ(test, isolate(frame), area);
	dynmemmap_vmemmap_flush(area, area, false);
	use->use(page);
	KUNIT_EXPECT_TRUE(test, is_present(area, 3));
	KUNIT_EXPECT_FALSE(test, replace(frame, target));
	KUNIT_EXPECT_PTR_EQ(test, frame_behind(area, 3), frame);
	KUNIT_EXPECT_EQ(test, page_private(page), 4711);
	KUNIT_EXPECT_EQ(test, page_ref_count(page), 0);
	/* It was no repair. */
	KUNIT_EXPECT_EQ(test, atomic_long_read(&node->nr_repairs[DYNMEMMAP_REPAIR_READ]),
			nr_reads);
	set_page_private(page, 0);
	give_frame(target);
	give_area(area);
}

static void area_can_go_meanwhile(struct kunit *test)
{
	struct dynmemmap_area *area = take_populated_area(test);
	struct page *frame = frame_behind(area, 3);
	struct page *target = take_target(test, area);

	guard(mutex)(&dynmemmap_migrate_mutex);
	KUNIT_EXPECT_PTR_EQ(test, isolate(frame), area);
	KUNIT_EXPECT_TRUE(test, dynmemmap_unpopulate_area(area, "test"));
	KUNIT_EXPECT_FALSE(test, replace(frame, target));
	KUNIT_EXPECT_FALSE(test, dynmemmap_vmemmap_is_mapped(vmemmap_page(area, 3)));
	KUNIT_EXPECT_EQ(test, area->state, DYNMEMMAP_IDLE);
	give_frame(target);
	give_area(area);
}

static void only_frames_in_use_are_movable(struct kunit *test)
{
	struct dynmemmap_area *area = take_populated_area(test);
	struct page *page = take_target(test, area);
	const unsigned long indices[] = {
		0, 1, ~0UL, PAGE_SIZE, vmemmap_page(area, 3), vmemmap_page(area, 3) + 64,
		vmemmap_page(area, DYNMEMMAP_AREA_NR_FRAMES), PAGE_OFFSET,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(indices); i++) {
		page_folio(page)->index = indices[i];
		KUNIT_EXPECT_FALSE(test, dynmemmap_frame_is_movable(page));
		KUNIT_EXPECT_NULL(test, isolate(page));
	}
	give_frame(page);
	give_area(area);
}

/* Who writes to every NR_WRITERS-th struct page of an area, as often as it can. */
struct writer {
	struct task_struct *task;
	struct dynmemmap_area *area;
	unsigned int first;
	unsigned long nr_rounds;
};

static int writer_run(void *data)
{
	struct writer *writer = data;
	unsigned int i;

	while (!kthread_should_stop()) {
		for (i = writer->first; i < DYNMEMMAP_AREA_NR_PAGES; i += NR_WRITERS) {
			struct page *page = dynmemmap_area_page(writer->area, i);

			set_page_private(page, page_private(page) + 1);
		}
		writer->nr_rounds++;
		usleep_range(100, 300);
	}
	return 0;
}

/*
 * Migrate what is in the area of each of an area's frames to one other area.
 * Return: how many of its frames moved.
 */
static unsigned int migrate_frames_of(struct dynmemmap_area *area)
{
	unsigned int i, nr_moved = 0;
	LIST_HEAD(targets);

	dynmemmap_frames_alloc(dynmemmap_area_node(area), DYNMEMMAP_AREA_ORDER, &targets);
	for (i = 0; i < DYNMEMMAP_AREA_NR_FRAMES; i++) {
		struct page *frame = frame_behind(area, i);
		struct dynmemmap_area *host = dynmemmap_area_of(page_to_pfn(frame));

		if (READ_ONCE(host->owner) == DYNMEMMAP_KERNEL) {
			guard(cpus_read_lock)();
			dynmemmap_frames_migrate(host, &targets);
		}
		nr_moved += frame_behind(area, i) != frame;
	}
	migrate_table_of(area, &targets);
	dynmemmap_frames_free(&targets);
	return nr_moved;
}

static void writers_lose_nothing(struct kunit *test)
{
	struct dynmemmap_area *area = take_populated_area(test);
	struct writer writers[NR_WRITERS] = {};
	unsigned int i, nr_tries, nr_moved = 0;

	for (i = 0; i < NR_WRITERS; i++) {
		writers[i].area = area;
		writers[i].first = i;
		writers[i].task = kthread_run(writer_run, &writers[i], "dynmemmap-test/%u", i);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, writers[i].task);
	}
	for (nr_tries = 0; nr_tries < MAX_TRIES && nr_moved < NR_MIGRATIONS; nr_tries++) {
		nr_moved += migrate_frames_of(area);
		cond_resched();
	}
	for (i = 0; i < NR_WRITERS; i++)
		kthread_stop(writers[i].task);

	kunit_info(test, "%u frames migrated in %u tries of eight, %lu rounds of writing",
		   nr_moved, nr_tries, writers[0].nr_rounds);
	KUNIT_EXPECT_GE(test, nr_moved, NR_MIGRATIONS);
	for (i = 0; i < DYNMEMMAP_AREA_NR_PAGES; i++) {
		struct page *page = dynmemmap_area_page(area, i);

		KUNIT_EXPECT_EQ(test, page_private(page), writers[i % NR_WRITERS].nr_rounds);
		set_page_private(page, 0);
	}
	give_area(area);
}

static struct kunit_case dynmemmap_migrate_cases[] = {
	KUNIT_CASE(struct_pages_move),
	KUNIT_CASE(page_tables_move),
	KUNIT_CASE_PARAM(who_uses_them_keeps_the_frame, use_gen_params),
	KUNIT_CASE(area_can_go_meanwhile),
	KUNIT_CASE(only_frames_in_use_are_movable),
	KUNIT_CASE(writers_lose_nothing),
	{}
};

static struct kunit_suite dynmemmap_migrate_suite = {
	.name = "dynmemmap-migrate",
	.test_cases = dynmemmap_migrate_cases,
};

kunit_test_suite(dynmemmap_migrate_suite);
