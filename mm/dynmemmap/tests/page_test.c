// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of what struct pages can be asked (see linux/dynmemmap.h): the answers
 * are the same in every state of an area of every kind, and nobody looks at a struct
 * page that is not there, or that cannot be written.
 */
#include <linux/bio.h>
#include <linux/bvec.h>
#include <linux/log2.h>
#include <linux/scatterlist.h>
#include <asm/sections.h>

#include "areas.h"

/* Pages whose struct pages are in one vmemmap page. */
#define VMEMMAP_PAGE_NR_PAGES	(DYNMEMMAP_AREA_NR_PAGES / DYNMEMMAP_AREA_NR_FRAMES)

/* Reads and writes of struct pages that were not there, or not to be written. */
static unsigned long nr_repairs(void)
{
	unsigned long nr = 0;
	unsigned int nid, kind;

	for_each_online_node(nid)
		for (kind = 0; dynmemmap_nodes[nid] && kind < DYNMEMMAP_NR_REPAIRS; kind++)
			nr += atomic_long_read(&dynmemmap_nodes[nid]->nr_repairs[kind]);
	return nr;
}

static int remember_repairs(struct kunit *test)
{
	test->priv = (void *)nr_repairs();
	return 0;
}

static void expect_no_repairs(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, nr_repairs(), (unsigned long)test->priv);
}

static void expect_kmapped(struct kunit *test, struct page *page, void *address)
{
	void *mapped = kmap_local_page(page);

	KUNIT_EXPECT_PTR_EQ(test, mapped, address);
	kunmap_local(mapped);
}

/* What is computed, and looks at no struct page. */
static void expect_addresses(struct kunit *test, struct page *first, unsigned int nr_pages)
{
	unsigned long pfn = page_to_pfn(first);
	void *address = __va(PFN_PHYS(pfn));
	unsigned int i;

	for (i = 0; i < nr_pages; i++, pfn++, address += PAGE_SIZE) {
		struct page *page = first + i;

		KUNIT_EXPECT_EQ(test, page_to_pfn(page), pfn);
		KUNIT_EXPECT_PTR_EQ(test, pfn_to_page(pfn), page);
		KUNIT_EXPECT_PTR_EQ(test, virt_to_page(address), page);
		KUNIT_EXPECT_PTR_EQ(test, virt_to_page(address + PAGE_SIZE - 1), page);
		KUNIT_EXPECT_PTR_EQ(test, page_address(page), address);
		expect_kmapped(test, page, address);
		/* That option has it ask whether the page frame is valid. */
		if (!IS_ENABLED(CONFIG_DEBUG_VIRTUAL) || pfn_valid(pfn))
			KUNIT_EXPECT_EQ(test, page_to_phys(page), PFN_PHYS(pfn));
	}
}

/* Begins and ends within pages, and beyond the first page if there are many. */
static unsigned int odd_offset(unsigned int nr_pages)
{
	return (nr_pages > 4 ? 3 * PAGE_SIZE : 0) + 512;
}

static unsigned int odd_size(unsigned int nr_pages)
{
	return nr_pages * PAGE_SIZE - odd_offset(nr_pages) - 1024;
}

static void expect_scatterlist(struct kunit *test, struct page *first, unsigned int nr_pages)
{
	unsigned int offset = odd_offset(nr_pages), size = odd_size(nr_pages), done = 0;
	unsigned int i = offset / PAGE_SIZE;
	struct sg_mapping_iter mapping;
	struct sg_page_iter page;
	struct scatterlist sg;

	sg_init_table(&sg, 1);
	sg_set_page(&sg, first, size, offset);
	KUNIT_EXPECT_PTR_EQ(test, sg_page(&sg), first);

	for_each_sg_page(&sg, &page, 1, i)
		KUNIT_EXPECT_PTR_EQ(test, sg_page_iter_page(&page), first + i++);
	KUNIT_EXPECT_EQ(test, i, DIV_ROUND_UP(offset + size, PAGE_SIZE));

	sg_miter_start(&mapping, &sg, 1, SG_MITER_FROM_SG | SG_MITER_LOCAL);
	for (; sg_miter_next(&mapping); done += mapping.length)
		KUNIT_EXPECT_PTR_EQ(test, mapping.addr, page_address(first) + offset + done);
	sg_miter_stop(&mapping);
	KUNIT_EXPECT_EQ(test, done, size);
}

static void bio_of(struct bio *bio, struct bio_vec *bv, struct page *first, unsigned int nr_pages)
{
	bvec_set_page(bv, first, odd_size(nr_pages), odd_offset(nr_pages));
	*bio = (struct bio) {
		.bi_io_vec = bv, .bi_vcnt = 1, .bi_max_vecs = 1, .bi_iter.bi_size = bv->bv_len,
	};
}

static void expect_segment(struct kunit *test, struct bio_vec *segment, struct page *first,
			   unsigned int offset)
{
	void *mapped = bvec_kmap_local(segment);

	KUNIT_EXPECT_PTR_EQ(test, segment->bv_page, first + offset / PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, segment->bv_offset, offset_in_page(offset));
	KUNIT_EXPECT_LE(test, segment->bv_offset + segment->bv_len, PAGE_SIZE);
	KUNIT_EXPECT_PTR_EQ(test, mapped, page_address(first) + offset);
	kunmap_local(mapped);
}

static void expect_bio(struct kunit *test, struct page *first, unsigned int nr_pages)
{
	const unsigned int start = odd_offset(nr_pages), end = start + odd_size(nr_pages);
	struct bio_vec table, bv, *segment;
	struct bvec_iter_all all;
	struct bvec_iter iter;
	unsigned int offset, nr = 0;
	struct bio bio;

	bio_of(&bio, &table, first, nr_pages);
	bio_for_each_bvec(bv, &bio, iter) {
		KUNIT_EXPECT_PTR_EQ(test, bv.bv_page, first);
		KUNIT_EXPECT_EQ(test, bv.bv_offset, start);
		KUNIT_EXPECT_EQ(test, bv.bv_len, end - start);
		nr++;
	}
	KUNIT_EXPECT_EQ(test, nr, 1);

	offset = start;
	bio_for_each_segment(bv, &bio, iter) {
		expect_segment(test, &bv, first, offset);
		offset += bv.bv_len;
	}
	KUNIT_EXPECT_EQ(test, offset, end);

	offset = start;
	bio_for_each_segment_all(segment, &bio, all) {
		expect_segment(test, segment, first, offset);
		offset += segment->bv_len;
	}
	KUNIT_EXPECT_EQ(test, offset, end);

	/* What is left of a bio of which half is done. */
	offset = start + (end - start) / 2;
	bio_advance_iter(&bio, &bio.bi_iter, offset - start);
	bio_for_each_segment(bv, &bio, iter) {
		expect_segment(test, &bv, first, offset);
		offset += bv.bv_len;
	}
	KUNIT_EXPECT_EQ(test, offset, end);
}

/* All that holds for page frames without looking at their struct pages. */
static void expect_computed(struct kunit *test, struct page *first, unsigned int nr_pages)
{
	expect_addresses(test, first, nr_pages);
	expect_scatterlist(test, first, nr_pages);
	expect_bio(test, first, nr_pages);
	/* The same, beginning at a page in the middle. */
	if (nr_pages > 1) {
		expect_scatterlist(test, first + nr_pages / 2, nr_pages / 2);
		expect_bio(test, first + nr_pages / 2, nr_pages / 2);
	}
}

/* What a bio that begins at the head, or at a tail, says of the folio. */
static void expect_bio_folio(struct kunit *test, struct folio *folio, unsigned int first)
{
	const unsigned int nr_pages = folio_nr_pages(folio) - first;
	struct folio_iter fi;
	struct bio_vec table;
	unsigned int nr = 0;
	struct bio bio;

	bio_of(&bio, &table, folio_page(folio, first), nr_pages);
	bio_for_each_folio_all(fi, &bio) {
		KUNIT_EXPECT_PTR_EQ(test, fi.folio, folio);
		KUNIT_EXPECT_EQ(test, fi.offset, first * PAGE_SIZE + odd_offset(nr_pages));
		KUNIT_EXPECT_EQ(test, fi.length, odd_size(nr_pages));
		nr++;
	}
	KUNIT_EXPECT_EQ(test, nr, 1);
}

static void expect_all_of_folio(struct kunit *test, struct folio *folio, unsigned int order)
{
	expect_folio(test, folio, order);
	expect_computed(test, &folio->page, BIT(order));
	expect_bio_folio(test, folio, 0);
	expect_bio_folio(test, folio, BIT(order) / 2);
}

/* Every page holds what was written to it, whoever leads there. */
static void expect_contents(struct kunit *test, struct folio *folio)
{
	const unsigned int nr_pages = folio_nr_pages(folio);
	struct bio_vec table, bv;
	struct bvec_iter iter;
	struct bio bio;
	unsigned int i;

	for (i = 0; i < nr_pages; i++) {
		u64 *page = kmap_local_folio(folio, i * PAGE_SIZE);

		memset64(page, i, PAGE_SIZE / sizeof(*page));
		kunmap_local(page);
	}
	i = odd_offset(nr_pages) / PAGE_SIZE;
	bio_of(&bio, &table, &folio->page, nr_pages);
	bio_for_each_segment(bv, &bio, iter) {
		u64 *words = bvec_kmap_local(&bv);

		KUNIT_EXPECT_EQ(test, words[0], i);
		KUNIT_EXPECT_EQ(test, words[bv.bv_len / sizeof(*words) - 1], i);
		kunmap_local(words);
		i++;
	}
}

/* How finely page frames are described; asking changes nothing. */
static void expect_order(struct kunit *test, unsigned long pfn, unsigned long nr_pages, int order)
{
	const struct dynmemmap_area *area = dynmemmap_area_of(pfn);
	unsigned long end_pfn = pfn + nr_pages;
	u8 state, mapped;

	KUNIT_ASSERT_NOT_NULL(test, area);
	state = area->state;
	mapped = area->mapped;
	for (; pfn < end_pfn; pfn++)
		KUNIT_EXPECT_EQ(test, dynmemmap_pfn_order(pfn), order);
	KUNIT_EXPECT_EQ(test, area->state, state);
	KUNIT_EXPECT_EQ(test, area->mapped, mapped);
}

static void expect_area_order(struct kunit *test, const struct dynmemmap_area *area, int order)
{
	expect_order(test, dynmemmap_area_pfn(area), DYNMEMMAP_AREA_NR_PAGES, order);
}

static void idle_area_has_addresses(struct kunit *test)
{
	struct dynmemmap_area *area = take_area(test);

	KUNIT_ASSERT_EQ(test, area->state, DYNMEMMAP_IDLE);
	expect_area_order(test, area, DYNMEMMAP_AREA_ORDER);
	expect_computed(test, dynmemmap_area_page(area, 0), DYNMEMMAP_AREA_NR_PAGES);
	KUNIT_EXPECT_EQ(test, area->state, DYNMEMMAP_IDLE);
	give_area(area);
}

/* What goes on in the next area, whatever is there, is one range of page frames. */
static void ranges_cross_borders(struct kunit *test)
{
	struct dynmemmap_area *area = take_area(test);
	struct page *first = dynmemmap_area_page(area, 0);

	expect_computed(test, first - 8, 16);
	expect_computed(test, first + DYNMEMMAP_AREA_NR_PAGES - 8, 16);
	KUNIT_EXPECT_EQ(test, area->state, DYNMEMMAP_IDLE);
	KUNIT_ASSERT_TRUE(test, dynmemmap_populate(area, "test"));
	expect_computed(test, first - 8, 16);
	expect_computed(test, first + DYNMEMMAP_AREA_NR_PAGES - 8, 16);
	give_area(area);
}

static void free_pages_are_single(struct kunit *test)
{
	struct dynmemmap_area *area = take_area(test);
	unsigned int i;

	KUNIT_ASSERT_TRUE(test, dynmemmap_populate(area, "test"));
	expect_area_order(test, area, 0);
	for (i = 0; i < DYNMEMMAP_AREA_NR_PAGES; i++) {
		struct page *page = dynmemmap_area_page(area, i);

		KUNIT_EXPECT_EQ(test, page_size(page), PAGE_SIZE);
		KUNIT_EXPECT_PTR_EQ(test, compound_head(page), page);
		KUNIT_EXPECT_EQ(test, folio_size(page_folio(page)), PAGE_SIZE);
	}
	expect_computed(test, dynmemmap_area_page(area, 0), DYNMEMMAP_AREA_NR_PAGES);
	give_area(area);
}

static void donor_is_described_by_itself(struct kunit *test)
{
	struct dynmemmap_area *area = take_area(test);

	KUNIT_ASSERT_TRUE(test, dynmemmap_self_host(area));
	expect_area_order(test, area, 0);
	expect_computed(test, dynmemmap_area_page(area, 0), DYNMEMMAP_AREA_NR_PAGES);
	give_area(area);
}

/* Of memory that cannot be moved, which is SPLIT: any size that can be allocated. */
static void folio_of_any_order(struct kunit *test)
{
	const unsigned int order = *(const unsigned int *)test->param_value;
	struct folio *folio;

	if (!dynmemmap_enabled())
		kunit_skip(test, "boot with dynamic_memmap=on");
	folio = folio_alloc(GFP_KERNEL | __GFP_NOWARN, order);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	expect_order(test, folio_pfn(folio), BIT(order), 0);
	expect_all_of_folio(test, folio, order);
	expect_contents(test, folio);
	folio_put(folio);
}

static const unsigned int folio_orders[] = { 0, 1, 2, 3, 6, DYNMEMMAP_AREA_ORDER, MAX_PAGE_ORDER };

static void folio_order_describe(const unsigned int *order, char *description)
{
	snprintf(description, KUNIT_PARAM_DESC_SIZE, "order %u", *order);
}

KUNIT_ARRAY_PARAM(folio, folio_orders, folio_order_describe);

static bool share_tails(struct folio *folio)
{
	guard(mutex)(&dynmemmap_take_back_mutex);
	return dynmemmap_may_take_back() && dynmemmap_unpopulate_folio_tails(folio, "test");
}

/* As parts of a file's huge folio do, and a huge folio that is whole again. */
static void folio_shares_its_tails(struct kunit *test)
{
	const unsigned int order = *(const unsigned int *)test->param_value;
	const bool huge = order == DYNMEMMAP_AREA_ORDER;
	struct folio *folio;
	unsigned long pfn;

	if (!dynmemmap_enabled())
		kunit_skip(test, "boot with dynamic_memmap=on");
	if (!compound_info_has_mask())
		kunit_skip(test, "no two tails are alike");
	folio = folio_alloc(GFP_KERNEL | __GFP_NOWARN, order);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	pfn = folio_pfn(folio);
	KUNIT_EXPECT_TRUE(test, share_tails(folio));
	expect_order(test, pfn, VMEMMAP_PAGE_NR_PAGES, huge ? order : 0);
	expect_order(test, pfn + VMEMMAP_PAGE_NR_PAGES, BIT(order) - VMEMMAP_PAGE_NR_PAGES,
		     huge ? order : ilog2(VMEMMAP_PAGE_NR_PAGES));
	expect_all_of_folio(test, folio, order);
	expect_contents(test, folio);

	KUNIT_ASSERT_TRUE(test, __dynmemmap_folio_populate(folio, GFP_KERNEL));
	expect_order(test, pfn, BIT(order), 0);
	expect_all_of_folio(test, folio, order);
	folio_put(folio);
}

static const unsigned int sharing_orders[] = { DYNMEMMAP_PART_MIN_ORDER, 8, DYNMEMMAP_AREA_ORDER };

KUNIT_ARRAY_PARAM(sharing, sharing_orders, folio_order_describe);

static void huge_folio_answers_in_every_state(struct kunit *test)
{
	struct folio *folio = take_folio(test);
	struct dynmemmap_area *area = dynmemmap_area_of(folio_pfn(folio));

	expect_area_order(test, area, DYNMEMMAP_AREA_ORDER);
	expect_all_of_folio(test, folio, DYNMEMMAP_AREA_ORDER);
	expect_contents(test, folio);
	KUNIT_EXPECT_EQ(test, area->state, DYNMEMMAP_HUGE);

	KUNIT_ASSERT_TRUE(test, dynmemmap_folio_populate(folio, GFP_KERNEL));
	expect_area_order(test, area, 0);
	expect_all_of_folio(test, folio, DYNMEMMAP_AREA_ORDER);
	expect_contents(test, folio);
	folio_put(folio);
}

static void freed_huge_folio_has_addresses(struct kunit *test)
{
	struct folio *folio = take_folio(test);
	struct dynmemmap_area *area = dynmemmap_area_of(folio_pfn(folio));

	folio_put(folio);
	KUNIT_ASSERT_TRUE(test, dynmemmap_cache_take_area(area));
	expect_area_order(test, area, DYNMEMMAP_AREA_ORDER);
	expect_computed(test, dynmemmap_area_page(area, 0), DYNMEMMAP_AREA_NR_PAGES);
	KUNIT_EXPECT_EQ(test, area->state, DYNMEMMAP_HUGE);
	give_area(area);
}

static void what_is_not_there_is_not_described(struct kunit *test)
{
	struct dynmemmap_area *area = take_area(test);
	struct zone *zone = area->zone;

	KUNIT_EXPECT_EQ(test, dynmemmap_pfn_order(ULONG_MAX), -ENXIO);
	KUNIT_EXPECT_EQ(test, dynmemmap_pfn_order(section_nr_to_pfn(NR_MEM_SECTIONS)), -ENXIO);
	KUNIT_EXPECT_EQ(test, dynmemmap_pfn_order(section_nr_to_pfn(NR_MEM_SECTIONS) - 1), -ENXIO);

	/* As memory is that has gone offline. */
	WRITE_ONCE(area->zone, NULL);
	expect_area_order(test, area, -ENXIO);
	WRITE_ONCE(area->zone, zone);
	expect_area_order(test, area, DYNMEMMAP_AREA_ORDER);
	give_area(area);
}

#ifdef CONFIG_CONTIG_ALLOC
/* Larger than what the buddy allocator has, as those of hugetlb are: many areas, one head. */
static void gigantic_folio_answers_in_every_state(struct kunit *test)
{
	const unsigned int order = MAX_PAGE_ORDER + 2;
	const unsigned long nr_pages = BIT(order);
	unsigned long pfn;
	struct folio *folio;
	struct page *page;

	if (!dynmemmap_enabled())
		kunit_skip(test, "boot with dynamic_memmap=on");
	if (!compound_info_has_mask())
		kunit_skip(test, "no two tails are alike");
	page = alloc_contig_frozen_pages(nr_pages, GFP_KERNEL | __GFP_COMP | __GFP_NOWARN,
					 numa_node_id(), NULL);
	if (!page)
		kunit_skip(test, "no memory in one piece");
	folio = page_folio(page);
	pfn = page_to_pfn(page);
	expect_order(test, pfn, nr_pages, 0);
	expect_all_of_folio(test, folio, order);

	KUNIT_EXPECT_TRUE(test, dynmemmap_folio_unpopulate(folio));
	expect_order(test, pfn, nr_pages, DYNMEMMAP_AREA_ORDER);
	expect_all_of_folio(test, folio, order);
	expect_contents(test, folio);
	expect_order(test, pfn, nr_pages, DYNMEMMAP_AREA_ORDER);

	KUNIT_ASSERT_TRUE(test, dynmemmap_folio_populate(folio, GFP_KERNEL));
	expect_order(test, pfn, nr_pages, 0);
	expect_all_of_folio(test, folio, order);
	free_contig_frozen_range(pfn, nr_pages);
}
#endif

static void static_memmap_describes_each_page(struct kunit *test)
{
	struct page *kernel = pfn_to_page(PHYS_PFN(__pa_symbol(_text)));
	unsigned long section_nr;

	for_each_present_section_nr(0, section_nr) {
		unsigned long pfn = section_nr_to_pfn(section_nr);

		if (dynmemmap_area_of(pfn) || !pfn_valid(pfn))
			continue;
		KUNIT_EXPECT_EQ(test, dynmemmap_pfn_order(pfn), 0);
		expect_computed(test, pfn_to_page(pfn), 16);
	}
	/* The kernel itself, which boot has given its struct pages. */
	KUNIT_EXPECT_EQ(test, dynmemmap_pfn_order(page_to_pfn(kernel)), 0);
	expect_computed(test, kernel, 16);
}

#ifdef CONFIG_ZONE_DEVICE
static void device_area_is_described_in_parts(struct kunit *test)
{
	struct dynmemmap_area *area = take_device_area(test);
	unsigned long pfn = dynmemmap_area_pfn(area);
	struct page *first = dynmemmap_area_page(area, 0), *page = first + 70;
	/* Who gives the worker something to do must not meet it. */
	CLASS(dynmemmap_range, range)(pfn, pfn);

	expect_area_order(test, area, DYNMEMMAP_AREA_ORDER);
	expect_computed(test, first, DYNMEMMAP_AREA_NR_PAGES);
	KUNIT_EXPECT_EQ(test, area->state, DYNMEMMAP_IDLE);

	use_device_area(test, area, 70, 1);
	expect_order(test, pfn, VMEMMAP_PAGE_NR_PAGES, ilog2(VMEMMAP_PAGE_NR_PAGES));
	expect_order(test, pfn + VMEMMAP_PAGE_NR_PAGES, VMEMMAP_PAGE_NR_PAGES, 0);
	expect_order(test, pfn + 2 * VMEMMAP_PAGE_NR_PAGES, 6 * VMEMMAP_PAGE_NR_PAGES,
		     ilog2(VMEMMAP_PAGE_NR_PAGES));
	expect_folio(test, page_folio(page), 0);
	expect_computed(test, first, DYNMEMMAP_AREA_NR_PAGES);
	KUNIT_EXPECT_EQ(test, area->mapped, BIT(1));

	use_device_area(test, area, 0, DYNMEMMAP_AREA_NR_PAGES);
	expect_area_order(test, area, 0);
	dynmemmap_device_put(pfn);
	dynmemmap_device_put(pfn + 70);
	KUNIT_EXPECT_TRUE(test, area_gives_up(area));
	give_device_area(area);
}

/* As an entry of a file system with larger blocks would have it. */
static void device_folio_of_a_part_answers(struct kunit *test)
{
	const unsigned int order = DYNMEMMAP_AREA_ORDER - 1, nr_pages = BIT(order);
	struct dynmemmap_area *area = take_device_area(test);
	struct page *first = dynmemmap_area_page(area, nr_pages);
	unsigned long pfn = page_to_pfn(first);
	/* As above. */
	CLASS(dynmemmap_range, range)(pfn, pfn);

	use_device_area(test, area, nr_pages, nr_pages);
	prep_compound_page(first, order);
	expect_order(test, dynmemmap_area_pfn(area), nr_pages, ilog2(VMEMMAP_PAGE_NR_PAGES));
	expect_order(test, pfn, nr_pages, 0);
	expect_all_of_folio(test, page_folio(first), order);
	KUNIT_EXPECT_EQ(test, area->state, DYNMEMMAP_SPLIT);

	dax_folio_reset_order(page_folio(first));
	dynmemmap_device_put(pfn);
	KUNIT_EXPECT_TRUE(test, area_gives_up(area));
	give_device_area(area);
}

static void device_folio_answers_in_every_state(struct kunit *test)
{
	struct dynmemmap_area *area = take_device_area(test);
	unsigned long pfn = dynmemmap_area_pfn(area);
	struct folio *folio;
	/* As above. */
	CLASS(dynmemmap_range, range)(pfn, pfn);

	use_device_area(test, area, 0, DYNMEMMAP_AREA_NR_PAGES);
	folio = device_folio_init(area);
	expect_area_order(test, area, DYNMEMMAP_AREA_ORDER);
	expect_all_of_folio(test, folio, DYNMEMMAP_AREA_ORDER);
	KUNIT_EXPECT_EQ(test, area->state, DYNMEMMAP_HUGE);

	use_device_area(test, area, 511, 1);
	expect_area_order(test, area, 0);
	expect_all_of_folio(test, folio, DYNMEMMAP_AREA_ORDER);
	dynmemmap_device_put(pfn + 511);
	dax_folio_reset_order(folio);
	dynmemmap_device_put(pfn);
	KUNIT_EXPECT_TRUE(test, area_gives_up(area));
	give_device_area(area);
}

static void device_folio_that_stays_answers(struct kunit *test)
{
	struct dynmemmap_area *area = take_device_area(test);
	unsigned long pfn = dynmemmap_area_pfn(area);
	/* As above. */
	CLASS(dynmemmap_range, range)(pfn, pfn);

	area->pgmap = &test_device_pgmap;
	KUNIT_ASSERT_TRUE(test, dynmemmap_device_make(pfn, DYNMEMMAP_AREA_ORDER, GFP_KERNEL));
	expect_area_order(test, area, DYNMEMMAP_AREA_ORDER);
	expect_all_of_folio(test, page_folio(dynmemmap_area_page(area, 0)), DYNMEMMAP_AREA_ORDER);
	KUNIT_EXPECT_EQ(test, area->state, DYNMEMMAP_HUGE);

	mark(area, DYNMEMMAP_MARK_MADE, false);
	dynmemmap_device_put(pfn);
	KUNIT_EXPECT_TRUE(test, area_gives_up(area));
	give_device_area(area);
}
#endif

static struct kunit_case page_cases[] = {
	KUNIT_CASE(idle_area_has_addresses),
	KUNIT_CASE(ranges_cross_borders),
	KUNIT_CASE(free_pages_are_single),
	KUNIT_CASE(donor_is_described_by_itself),
	KUNIT_CASE_PARAM(folio_of_any_order, folio_gen_params),
	KUNIT_CASE_PARAM(folio_shares_its_tails, sharing_gen_params),
	KUNIT_CASE(huge_folio_answers_in_every_state),
	KUNIT_CASE(freed_huge_folio_has_addresses),
#ifdef CONFIG_CONTIG_ALLOC
	KUNIT_CASE(gigantic_folio_answers_in_every_state),
#endif
	KUNIT_CASE(what_is_not_there_is_not_described),
	KUNIT_CASE(static_memmap_describes_each_page),
#ifdef CONFIG_ZONE_DEVICE
	KUNIT_CASE(device_area_is_described_in_parts),
	KUNIT_CASE(device_folio_of_a_part_answers),
	KUNIT_CASE(device_folio_answers_in_every_state),
	KUNIT_CASE(device_folio_that_stays_answers),
#endif
	{}
};

static struct kunit_suite page_suite = {
	.name = "dynmemmap-page",
	.init = remember_repairs,
	.exit = expect_no_repairs,
	.test_cases = page_cases,
};

kunit_test_suite(page_suite);
