// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of what needs a kernel: page tables, struct pages, and faults, on areas of
 * the running machine.
 *
 * States, stock, pool and decisions are tested in user space.
 */
#include <linux/mm.h>
#include <trace/events/dynmemmap.h>

#include "areas.h"

static void expect_free_pages(struct kunit *test, struct dynmemmap_area *area)
{
	unsigned int i;

	for (i = 0; i < DYNMEMMAP_AREA_NR_PAGES; i++) {
		struct page *page = dynmemmap_area_page(area, i);

		KUNIT_EXPECT_EQ(test, page_ref_count(page), 0);
		KUNIT_EXPECT_EQ(test, page_to_pfn(page), dynmemmap_area_pfn(area) + i);
		KUNIT_EXPECT_PTR_EQ(test, page_zone(page), area->zone);
		KUNIT_EXPECT_EQ(test, page_to_nid(page), zone_to_nid(area->zone));
		KUNIT_EXPECT_FALSE(test, PageCompound(page));
		KUNIT_EXPECT_FALSE(test, PageBuddy(page));
		KUNIT_EXPECT_FALSE(test, PageReserved(page));
		KUNIT_EXPECT_FALSE(test, page_has_type(page));
		KUNIT_EXPECT_PTR_EQ(test, page_address(page),
				    __va(PFN_PHYS(dynmemmap_area_pfn(area) + i)));
	}
}

static bool area_is_mapped(struct dynmemmap_area *area)
{
	unsigned long addr = (unsigned long)dynmemmap_area_page(area, 0);
	unsigned int i, nr_mapped = 0;

	for (i = 0; i < DYNMEMMAP_AREA_NR_FRAMES; i++)
		nr_mapped += dynmemmap_vmemmap_is_mapped(addr + i * PAGE_SIZE);
	return nr_mapped == DYNMEMMAP_AREA_NR_FRAMES;
}

static void pool_area_has_no_struct_pages(struct kunit *test)
{
	struct dynmemmap_area *area = take_area(test);

	KUNIT_EXPECT_EQ(test, area->state, DYNMEMMAP_IDLE);
	KUNIT_EXPECT_FALSE(test, area_is_mapped(area));
	KUNIT_EXPECT_TRUE(test, dynmemmap_pfn_in_pool(dynmemmap_area_pfn(area)));
	KUNIT_EXPECT_FALSE(test, pfn_valid(dynmemmap_area_pfn(area)));
	KUNIT_EXPECT_NULL(test, pfn_to_online_page(dynmemmap_area_pfn(area)));
	KUNIT_EXPECT_PTR_EQ(test, dynmemmap_pool_zone(dynmemmap_area_pfn(area)), area->zone);
	give_area(area);
}

static void populate_makes_free_pages(struct kunit *test)
{
	struct dynmemmap_area *area = take_area(test);

	KUNIT_ASSERT_TRUE(test, dynmemmap_populate(area, "test"));
	KUNIT_EXPECT_EQ(test, area->state, DYNMEMMAP_SPLIT);
	KUNIT_EXPECT_TRUE(test, area_is_mapped(area));
	KUNIT_EXPECT_FALSE(test, dynmemmap_vmemmap_is_self_hosted(area));
	expect_free_pages(test, area);
	give_area(area);
}

static void unpopulate_returns_the_frames(struct kunit *test)
{
	struct dynmemmap_area *area = take_area(test);
	struct dynmemmap_node *node = dynmemmap_area_node(area);
	struct page *frames[DYNMEMMAP_POPULATE_NR_FRAMES];
	unsigned long flags;
	bool unmapped;

	KUNIT_ASSERT_TRUE(test, dynmemmap_populate(area, "test"));
	raw_spin_lock_irqsave(&node->lock, flags);
	dynmemmap_vmemmap_unmap(area, frames);
	dynmemmap_set_state(area, DYNMEMMAP_IDLE);
	unmapped = !area_is_mapped(area);
	dynmemmap_vmemmap_map(area, frames);
	dynmemmap_set_state(area, DYNMEMMAP_SPLIT);
	raw_spin_unlock_irqrestore(&node->lock, flags);
	KUNIT_EXPECT_TRUE(test, unmapped);
	expect_free_pages(test, area);
	give_area(area);
	KUNIT_EXPECT_FALSE(test, area_is_mapped(area));
}

static void self_host_uses_the_area_itself(struct kunit *test)
{
	struct dynmemmap_area *area = take_area(test);
	void *memory = __va(PFN_PHYS(dynmemmap_area_pfn(area)));

	KUNIT_ASSERT_TRUE(test, dynmemmap_self_host(area));
	KUNIT_EXPECT_TRUE(test, area->flags & DYNMEMMAP_AREA_RAW);
	expect_free_pages(test, area);
	KUNIT_EXPECT_EQ(test, memcmp(dynmemmap_area_page(area, 0), memory,
				     DYNMEMMAP_AREA_NR_FRAMES * PAGE_SIZE), 0);
	KUNIT_EXPECT_FALSE(test, dynmemmap_area_lend(area, "test"));
	KUNIT_ASSERT_TRUE(test, dynmemmap_pool_take_area(area));
	give_area(area);
}

static void table_goes_with_the_last_area(struct kunit *test)
{
	struct dynmemmap_area *areas = take_section(test);

	KUNIT_EXPECT_TRUE(test, dynmemmap_vmemmap_needs_table(&areas[0]));
	KUNIT_EXPECT_TRUE(test, dynmemmap_populate(&areas[0], "test"));
	KUNIT_EXPECT_FALSE(test, dynmemmap_vmemmap_needs_table(&areas[1]));
	KUNIT_EXPECT_FALSE(test, dynmemmap_vmemmap_hosts_table(&areas[0]));
	KUNIT_EXPECT_TRUE(test, dynmemmap_populate(&areas[1], "test"));
	KUNIT_EXPECT_TRUE(test, dynmemmap_unpopulate_below_table(&areas[0], "test"));
	KUNIT_EXPECT_FALSE(test, dynmemmap_vmemmap_needs_table(&areas[0]));
	expect_free_pages(test, &areas[1]);
	KUNIT_EXPECT_FALSE(test, dynmemmap_unpopulate_below_table(&areas[1], "test"));
	expect_free_pages(test, &areas[1]);
	dynmemmap_unpopulate_area(&areas[1], "test");
	KUNIT_EXPECT_TRUE(test, dynmemmap_vmemmap_needs_table(&areas[0]));
	give_section(areas);
}

/* All frames that are free; others may donate some meanwhile. */
static void take_all_frames(struct dynmemmap_node *node, struct list_head *frames)
{
	struct page *frame;

	guard(raw_spinlock_irqsave)(&node->lock);
	while (dynmemmap_stock_take(&node->stock, 1, 0, &frame))
		list_add(&frame->lru, frames);
}

static void give_all_frames(struct dynmemmap_node *node, struct list_head *frames)
{
	struct page *frame;

	while (!list_empty(frames)) {
		frame = list_first_entry(frames, struct page, lru);
		list_del(&frame->lru);
		dynmemmap_frames_put(node, &frame, 1);
	}
}

static void area_keeps_the_table_of_others(struct kunit *test)
{
	struct dynmemmap_area *areas = take_section(test);
	struct dynmemmap_node *node = dynmemmap_area_node(areas);
	LIST_HEAD(unpopulated);
	LIST_HEAD(frames);

	take_all_frames(node, &frames);
	KUNIT_EXPECT_TRUE(test, dynmemmap_self_host(&areas[0]));
	give_all_frames(node, &frames);
	if (!dynmemmap_vmemmap_hosts_table(&areas[0])) {
		give_section(areas);
		kunit_skip(test, "somebody has refilled the stock");
	}
	KUNIT_EXPECT_TRUE(test, dynmemmap_populate(&areas[1], "test"));
	list_add(&areas[0].pool_list, &unpopulated);
	dynmemmap_unpopulate(&unpopulated, "test");
	KUNIT_EXPECT_EQ(test, areas[0].state, DYNMEMMAP_SPLIT);
	expect_free_pages(test, &areas[0]);
	dynmemmap_unpopulate_area(&areas[1], "test");
	dynmemmap_unpopulate(&unpopulated, "test");
	KUNIT_EXPECT_EQ(test, areas[0].state, DYNMEMMAP_IDLE);
	KUNIT_EXPECT_TRUE(test, dynmemmap_vmemmap_needs_table(&areas[0]));
	list_del(&areas[0].pool_list);
	give_section(areas);
}

static void stray_read_is_repaired(struct kunit *test)
{
	struct dynmemmap_area *area = take_area(test);
	struct dynmemmap_node *node = dynmemmap_area_node(area);
	long nr_reads = atomic_long_read(&node->nr_repairs[DYNMEMMAP_REPAIR_READ]);

	KUNIT_ASSERT_EQ(test, area->state, DYNMEMMAP_IDLE);
	KUNIT_EXPECT_EQ(test, page_ref_count(dynmemmap_area_page(area, 77)), 0);
	KUNIT_EXPECT_EQ(test, area->state, DYNMEMMAP_SPLIT);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&node->nr_repairs[DYNMEMMAP_REPAIR_READ]),
			nr_reads + 1);
	expect_free_pages(test, area);
	give_area(area);
}

/* Who tries to get a reference to a folio that was there a moment ago is told so. */
static void late_reference_is_refused(struct kunit *test)
{
	struct dynmemmap_area *area = take_area(test);
	struct dynmemmap_node *node = dynmemmap_area_node(area);
	long nr_reads = atomic_long_read(&node->nr_repairs[DYNMEMMAP_REPAIR_READ]);
	struct page *page = dynmemmap_area_page(area, 78);

	KUNIT_ASSERT_EQ(test, area->state, DYNMEMMAP_IDLE);
	/* As folio_try_get() does when it has seen one reference. */
	KUNIT_EXPECT_EQ(test, atomic_cmpxchg(&page->_refcount, 1, 2), 0);
	KUNIT_EXPECT_EQ(test, area->state, DYNMEMMAP_SPLIT);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&node->nr_repairs[DYNMEMMAP_REPAIR_READ]),
			nr_reads + 1);
	expect_free_pages(test, area);
	give_area(area);
}

static void nofault_read_is_refused(struct kunit *test)
{
	struct dynmemmap_area *area = take_area(test);
	const void *page = dynmemmap_area_page(area, 0);
	unsigned long word;

	KUNIT_EXPECT_EQ(test, copy_from_kernel_nofault(&word, page, sizeof(word)), -EFAULT);
	KUNIT_EXPECT_EQ(test, area->state, DYNMEMMAP_IDLE);
	give_area(area);
}

/* Also if it was in the list of areas in the pool when it was used. */
static void huge_folio_is_looked_at_later(struct kunit *test)
{
	struct folio *folio = take_folio(test);
	struct dynmemmap_area *area = dynmemmap_area_of(folio_pfn(folio));
	struct dynmemmap_node *node = dynmemmap_area_node(area);

	dynmemmap_repairs_add(area);
	KUNIT_EXPECT_TRUE(test, dynmemmap_folio_populate(folio, GFP_KERNEL));
	scoped_guard(mutex, &dynmemmap_take_back_mutex)
		dynmemmap_repairs_undo(node);
	KUNIT_EXPECT_TRUE(test, area->marks & DYNMEMMAP_MARK_WARM);
	/* And again, as long as nobody has mapped it. */
	dynmemmap_make_whole(node);
	KUNIT_EXPECT_TRUE(test, area->marks & DYNMEMMAP_MARK_WARM);
	folio_put(folio);
}

/* Frames other than its first that stand behind the struct pages of a folio. */
static unsigned int nr_other_frames(struct folio *folio)
{
	unsigned long first = (unsigned long)&folio->page;
	unsigned int i, nr_frames = 0;

	for (i = 2; i < DYNMEMMAP_AREA_NR_FRAMES; i++)
		nr_frames += pte_pfn(ptep_get(virt_to_kpte(first + i * PAGE_SIZE))) !=
			     pte_pfn(ptep_get(virt_to_kpte(first + PAGE_SIZE)));
	return nr_frames;
}

static void huge_folio_shares_its_tails(struct kunit *test)
{
	struct folio *folio = take_folio(test);
	struct dynmemmap_area *area = dynmemmap_area_of(folio_pfn(folio));

	KUNIT_EXPECT_EQ(test, area->owner, DYNMEMMAP_KERNEL);
	KUNIT_EXPECT_EQ(test, area->mapped, 1);
	KUNIT_EXPECT_EQ(test, nr_other_frames(folio), 0);
	KUNIT_EXPECT_FALSE(test, pte_write(ptep_get(virt_to_kpte((unsigned long)
								 folio_page(folio, 64)))));
	KUNIT_EXPECT_TRUE(test, pfn_valid(folio_pfn(folio) + 100));
	expect_folio(test, folio, DYNMEMMAP_AREA_ORDER);
	folio_put(folio);
}

static void populated_huge_folio_can_be_written(struct kunit *test)
{
	struct folio *folio = take_folio(test);
	struct dynmemmap_area *area = dynmemmap_area_of(folio_pfn(folio));
	unsigned int i;

	KUNIT_EXPECT_TRUE(test, dynmemmap_folio_populate(folio, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, area->state, DYNMEMMAP_SPLIT);
	KUNIT_EXPECT_EQ(test, area->mapped, DYNMEMMAP_ALL_VMEMMAP_PAGES);
	KUNIT_EXPECT_EQ(test, area->marks & DYNMEMMAP_MARKS_STALE, 0);
	KUNIT_EXPECT_EQ(test, nr_other_frames(folio), DYNMEMMAP_AREA_NR_FRAMES - 2);
	expect_folio(test, folio, DYNMEMMAP_AREA_ORDER);
	for (i = 4; i < DYNMEMMAP_AREA_NR_PAGES; i++)
		set_page_private(folio_page(folio, i), i);
	for (i = 4; i < DYNMEMMAP_AREA_NR_PAGES; i++) {
		KUNIT_EXPECT_EQ(test, page_private(folio_page(folio, i)), i);
		set_page_private(folio_page(folio, i), 0);
	}
	folio_put(folio);
	KUNIT_EXPECT_EQ(test, area->state, DYNMEMMAP_SPLIT);
}

static void freed_huge_folio_can_become_idle(struct kunit *test)
{
	struct folio *folio = take_folio(test);
	struct dynmemmap_area *area = dynmemmap_area_of(folio_pfn(folio));

	folio_put(folio);
	KUNIT_ASSERT_TRUE(test, dynmemmap_cache_take_area(area));
	KUNIT_EXPECT_EQ(test, area->state, DYNMEMMAP_HUGE);
	KUNIT_EXPECT_FALSE(test, pfn_valid(dynmemmap_area_pfn(area)));
	give_area(area);
	KUNIT_EXPECT_FALSE(test, area_is_mapped(area));
	KUNIT_EXPECT_EQ(test, area->state, DYNMEMMAP_IDLE);
}

static void freed_huge_folio_can_be_lent(struct kunit *test)
{
	struct folio *folio = take_folio(test);
	struct dynmemmap_area *area = dynmemmap_area_of(folio_pfn(folio));

	folio_put(folio);
	KUNIT_ASSERT_TRUE(test, dynmemmap_cache_take_area(area));
	KUNIT_ASSERT_TRUE(test, dynmemmap_cache_populate(area, "test"));
	KUNIT_EXPECT_EQ(test, area->state, DYNMEMMAP_SPLIT);
	expect_free_pages(test, area);
	give_area(area);
}

/* Who tries to get a reference to a small folio that was there changes nothing. */
static void late_reference_to_a_tail_is_refused(struct kunit *test)
{
	struct folio *folio = take_folio(test);
	struct dynmemmap_area *area = dynmemmap_area_of(folio_pfn(folio));
	struct page *tail = folio_page(folio, 200);
	unsigned long flags;
	int found;

	/* As GUP-fast does. */
	local_irq_save(flags);
	found = atomic_cmpxchg(&tail->_refcount, 1, 2);
	local_irq_restore(flags);
	KUNIT_EXPECT_EQ(test, found, 0);
	KUNIT_EXPECT_EQ(test, cmpxchg(&tail->private, 5UL, 6UL), 0);
	KUNIT_EXPECT_EQ(test, area->state, DYNMEMMAP_HUGE);
	folio_put(folio);
	KUNIT_EXPECT_EQ(test, area->owner, DYNMEMMAP_CACHE);
	KUNIT_EXPECT_EQ(test, atomic_cmpxchg(&tail->_refcount, 1, 2), 0);
	KUNIT_EXPECT_EQ(test, area->state, DYNMEMMAP_HUGE);
}

/* Freed while somebody without a reference waits for the TLBs. */
static void stale_folio_waits_in_the_cache(struct kunit *test)
{
	struct folio *folio = take_folio(test);
	struct dynmemmap_area *area = dynmemmap_area_of(folio_pfn(folio));

	KUNIT_EXPECT_TRUE(test, dynmemmap_folio_populate(folio, GFP_KERNEL));
	mark(area, DYNMEMMAP_MARKS_ONE_STALE, true);
	folio_put(folio);
	KUNIT_EXPECT_EQ(test, area->owner, DYNMEMMAP_CACHE);
	KUNIT_EXPECT_FALSE(test, dynmemmap_cache_take_area(area));
	mark(area, DYNMEMMAP_MARKS_ONE_STALE, false);
	KUNIT_ASSERT_TRUE(test, dynmemmap_cache_take_area(area));
	give_area(area);
	KUNIT_EXPECT_EQ(test, area->state, DYNMEMMAP_IDLE);
}

static bool share_tails(struct folio *folio)
{
	guard(mutex)(&dynmemmap_take_back_mutex);
	return dynmemmap_may_take_back() && dynmemmap_unpopulate_folio_tails(folio, "test");
}

static void whole_folio_gives_its_tails_back(struct kunit *test)
{
	struct folio *folio = take_folio(test);
	struct dynmemmap_area *area = dynmemmap_area_of(folio_pfn(folio));

	KUNIT_EXPECT_FALSE(test, share_tails(folio));
	KUNIT_EXPECT_TRUE(test, dynmemmap_folio_populate(folio, GFP_KERNEL));
	KUNIT_EXPECT_TRUE(test, share_tails(folio));
	KUNIT_EXPECT_EQ(test, area->state, DYNMEMMAP_HUGE);
	KUNIT_EXPECT_EQ(test, area->mapped, 1);
	KUNIT_EXPECT_EQ(test, nr_other_frames(folio), 0);
	expect_folio(test, folio, DYNMEMMAP_AREA_ORDER);
	folio_put(folio);
	KUNIT_EXPECT_EQ(test, area->state, DYNMEMMAP_HUGE);
}

/* A folio of half an area that shares its tails. */
static struct folio *take_part(struct kunit *test, u8 *shared)
{
	struct dynmemmap_area *area;
	struct folio *folio;

	if (!dynmemmap_enabled() || !compound_info_has_mask())
		kunit_skip(test, "no two tails are alike");
	folio = folio_alloc(GFP_KERNEL | __GFP_NORETRY, DYNMEMMAP_AREA_ORDER - 1);
	if (!folio)
		kunit_skip(test, "no large page");
	area = dynmemmap_area_of(folio_pfn(folio));
	if (!area || !share_tails(folio)) {
		folio_put(folio);
		kunit_skip(test, "no large page with a dynamic memmap");
	}
	*shared = dynmemmap_vmemmap_pages(folio_pfn(folio), folio_nr_pages(folio)) &
		  ~dynmemmap_vmemmap_pages(folio_pfn(folio), 1);
	return folio;
}

/* Would a page of a folio be marked as exclusive if it were of a process? */
static bool part_can_be_exclusive(struct folio *folio)
{
	bool can;

	folio->mapping = (struct address_space *)FOLIO_MAPPING_ANON;
	can = !dynmemmap_part_is_shared(folio);
	folio->mapping = NULL;
	return can;
}

static void part_shares_its_tails(struct kunit *test)
{
	u8 shared;
	struct folio *folio = take_part(test, &shared);
	struct dynmemmap_area *area = dynmemmap_area_of(folio_pfn(folio));
	unsigned int i;

	KUNIT_EXPECT_EQ(test, area->state, DYNMEMMAP_SPLIT);
	KUNIT_EXPECT_EQ(test, dynmemmap_area_shared(area), shared);
	KUNIT_EXPECT_EQ(test, part_can_be_exclusive(folio),
			!IS_ENABLED(CONFIG_NO_PAGE_MAPCOUNT));
	KUNIT_EXPECT_FALSE(test, dynmemmap_part_is_shared(folio));
	expect_folio(test, folio, DYNMEMMAP_AREA_ORDER - 1);

	KUNIT_EXPECT_TRUE(test, dynmemmap_populate_folio_tails(folio, GFP_KERNEL, "test"));
	KUNIT_EXPECT_EQ(test, area->mapped, DYNMEMMAP_ALL_VMEMMAP_PAGES);
	KUNIT_EXPECT_EQ(test, area->marks & DYNMEMMAP_MARKS_STALE, 0);
	KUNIT_EXPECT_TRUE(test, part_can_be_exclusive(folio));
	expect_folio(test, folio, DYNMEMMAP_AREA_ORDER - 1);
	for (i = BIT(DYNMEMMAP_HUGE_PREP_ORDER); i < folio_nr_pages(folio); i++) {
		set_page_private(folio_page(folio, i), i);
		KUNIT_EXPECT_EQ(test, page_private(folio_page(folio, i)), i);
		set_page_private(folio_page(folio, i), 0);
	}
	folio_put(folio);
}

static void freed_part_gets_its_tails(struct kunit *test)
{
	u8 shared;
	struct folio *folio = take_part(test, &shared);
	struct dynmemmap_area *area = dynmemmap_area_of(folio_pfn(folio));
	struct dynmemmap_node *node = dynmemmap_area_node(area);
	struct zone *zone = folio_zone(folio);

	if (DYNMEMMAP_SHARED_MIN_ORDER > DYNMEMMAP_PART_MIN_ORDER) {
		dynmemmap_populate_folio_tails(folio, GFP_KERNEL, "test");
		folio_put(folio);
		kunit_skip(test, "parts share tails only with NO_PAGE_MAPCOUNT");
	}
	folio_put(folio);
	/* The worker may have taken it already. */
	dynmemmap_parts_lend(zone);
	irq_work_sync(&node->kick_work);
	flush_work(&node->trim_work);
	KUNIT_EXPECT_EQ(test, dynmemmap_area_shared(area), 0);
	KUNIT_EXPECT_TRUE(test, list_empty(&dynmemmap_zone_pool(zone)->parts));
}

/* More folios than it is for: it has to be filled meanwhile. */
#define NR_NOFAIL	(DYNMEMMAP_RESERVE_NOFAIL_FRAMES / (DYNMEMMAP_AREA_NR_FRAMES - 1) + 2)

/* Leave in the stock only what is kept for those who cannot fail. */
static unsigned int stock_empty(struct dynmemmap_node *node, struct page **frames,
				unsigned int nr_max)
{
	unsigned int nr = 0;

	while (nr < nr_max &&
	       dynmemmap_frames_try_take(node, frames + nr * DYNMEMMAP_POPULATE_NR_FRAMES,
					 DYNMEMMAP_ALL_VMEMMAP_PAGES,
					 DYNMEMMAP_RESERVE_NOFAIL_FRAMES))
		nr++;
	return nr;
}

/* In place of that of a page table. */
static DEFINE_SPINLOCK(test_lock);

/* As when a PMD is split whose folio was populated too late, or not at all. */
static void reserve_serves_who_cannot_fail(struct kunit *test)
{
	const unsigned int nr_max = 4096;
	struct folio *folios[NR_NOFAIL];
	struct dynmemmap_node *node;
	struct page **frames;
	unsigned int i, nr;

	for (i = 0; i < NR_NOFAIL; i++)
		folios[i] = take_folio(test);
	node = dynmemmap_area_node(dynmemmap_area_of(folio_pfn(folios[0])));
	frames = kunit_kcalloc(test, nr_max * DYNMEMMAP_POPULATE_NR_FRAMES, sizeof(*frames),
			       GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, frames);
	nr = stock_empty(node, frames, nr_max);
	KUNIT_EXPECT_LT(test, nr, nr_max);

	spin_lock(&test_lock);
	for (i = 0; i < NR_NOFAIL; i++)
		__dynmemmap_folio_populate_nofail(folios[i]);
	spin_unlock(&test_lock);

	while (nr--)
		dynmemmap_frames_put(node, frames + nr * DYNMEMMAP_POPULATE_NR_FRAMES,
				     DYNMEMMAP_POPULATE_NR_FRAMES);
	for (i = 0; i < NR_NOFAIL; i++) {
		KUNIT_EXPECT_EQ(test, dynmemmap_area_of(folio_pfn(folios[i]))->state,
				DYNMEMMAP_SPLIT);
		expect_folio(test, folios[i], DYNMEMMAP_AREA_ORDER);
		folio_put(folios[i]);
	}
}

static struct kunit_case dynmemmap_cases[] = {
	KUNIT_CASE(pool_area_has_no_struct_pages),
	KUNIT_CASE(populate_makes_free_pages),
	KUNIT_CASE(unpopulate_returns_the_frames),
	KUNIT_CASE(self_host_uses_the_area_itself),
	KUNIT_CASE(table_goes_with_the_last_area),
	KUNIT_CASE(area_keeps_the_table_of_others),
	KUNIT_CASE(stray_read_is_repaired),
	KUNIT_CASE(late_reference_is_refused),
	KUNIT_CASE(nofault_read_is_refused),
	KUNIT_CASE(huge_folio_shares_its_tails),
	KUNIT_CASE(populated_huge_folio_can_be_written),
	KUNIT_CASE(freed_huge_folio_can_become_idle),
	KUNIT_CASE(freed_huge_folio_can_be_lent),
	KUNIT_CASE(late_reference_to_a_tail_is_refused),
	KUNIT_CASE(stale_folio_waits_in_the_cache),
	KUNIT_CASE(whole_folio_gives_its_tails_back),
	KUNIT_CASE(huge_folio_is_looked_at_later),
	KUNIT_CASE(part_shares_its_tails),
	KUNIT_CASE(freed_part_gets_its_tails),
	KUNIT_CASE(reserve_serves_who_cannot_fail),
	{}
};

static struct kunit_suite dynmemmap_suite = {
	.name = "dynmemmap",
	.test_cases = dynmemmap_cases,
};

kunit_test_suite(dynmemmap_suite);
