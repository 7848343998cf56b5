/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the KUnit tests share: areas of the running machine, in every state and of
 * every kind, that a test has to itself.
 */
#ifndef _MM_DYNMEMMAP_TESTS_AREAS_H
#define _MM_DYNMEMMAP_TESTS_AREAS_H

#include <kunit/test.h>
#include <linux/dax.h>
#include <linux/memremap.h>
#include <linux/mm.h>

#include "../core.h"

/**
 * take_area() - an area out of the pool of some zone, which the test has to itself
 * @test:	the test; skipped if there is none
 *
 * Return: an area that is MOVING.
 */
static inline struct dynmemmap_area *take_area(struct kunit *test)
{
	struct dynmemmap_area *area;
	struct zone *zone;

	if (!dynmemmap_enabled())
		kunit_skip(test, "boot with dynamic_memmap=on");
	for_each_populated_zone(zone) {
		area = dynmemmap_pool_take(zone);
		if (area)
			return area;
	}
	kunit_skip(test, "no area in any pool");
}

/**
 * give_area() - make an area IDLE, and give it to the pool
 * @area:	an area that is MOVING
 */
static inline void give_area(struct dynmemmap_area *area)
{
	LIST_HEAD(areas);

	list_add(&area->pool_list, &areas);
	dynmemmap_unpopulate(&areas, "test");
	dynmemmap_pool_give(&areas);
}

static inline bool take_areas(struct dynmemmap_area *areas, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (!dynmemmap_pool_take_area(&areas[i]))
			break;
	if (i == nr)
		return true;
	while (i)
		give_area(&areas[--i]);
	return false;
}

/**
 * take_section() - all areas of a section of which nothing is mapped
 * @test:	the test; skipped if there is none
 *
 * Any other that is populated would have a share in the page table.
 *
 * Return: the first of them; all are MOVING.
 */
static inline struct dynmemmap_area *take_section(struct kunit *test)
{
	struct dynmemmap_area *areas;
	unsigned long section_nr;

	if (!dynmemmap_enabled())
		kunit_skip(test, "boot with dynamic_memmap=on");
	for_each_present_section_nr(0, section_nr) {
		areas = __nr_to_section(section_nr)->areas;
		if (areas && dynmemmap_vmemmap_needs_table(areas) &&
		    take_areas(areas, DYNMEMMAP_SECTION_NR_AREAS))
			return areas;
	}
	kunit_skip(test, "no section of which nothing is mapped");
}

/**
 * give_section() - the end of take_section()
 * @areas:	what it returned
 */
static inline void give_section(struct dynmemmap_area *areas)
{
	unsigned int i;

	for (i = 0; i < DYNMEMMAP_SECTION_NR_AREAS; i++)
		give_area(&areas[i]);
}

/**
 * mark() - set or remove marks of an area
 * @area:	an area
 * @which:	DYNMEMMAP_MARK_*
 * @set:	set them?
 */
static inline void mark(struct dynmemmap_area *area, u8 which, bool set)
{
	guard(raw_spinlock_irqsave)(&dynmemmap_area_node(area)->lock);
	area->marks = set ? area->marks | which : area->marks & ~which;
}

/**
 * take_folio() - a huge folio, as the kernel allocates them for processes
 * @test:	the test; skipped if there is none
 *
 * Return: a folio whose area is HUGE.
 */
static inline struct folio *take_folio(struct kunit *test)
{
	struct folio *folio;

	if (!dynmemmap_enabled())
		kunit_skip(test, "boot with dynamic_memmap=on");
	folio = folio_alloc(GFP_TRANSHUGE | __GFP_NORETRY, DYNMEMMAP_AREA_ORDER);
	if (!folio)
		kunit_skip(test, "no huge page");
	if (dynmemmap_area_of(folio_pfn(folio))->state == DYNMEMMAP_HUGE)
		return folio;
	folio_put(folio);
	kunit_skip(test, "no huge page out of the pool");
}

/**
 * expect_folio() - all pages of a folio say what they are
 * @test:	the test
 * @folio:	a folio that is in use
 * @order:	its order
 */
static inline void expect_folio(struct kunit *test, struct folio *folio, unsigned int order)
{
	struct zone *zone = folio_zone(folio);
	unsigned int i;

	KUNIT_EXPECT_EQ(test, folio_size(folio), PAGE_SIZE << order);
	KUNIT_EXPECT_EQ(test, page_size(&folio->page), PAGE_SIZE << order);
	KUNIT_EXPECT_EQ(test, compound_order(&folio->page), order);
	KUNIT_EXPECT_PTR_EQ(test, compound_head(&folio->page), &folio->page);
	KUNIT_EXPECT_EQ(test, PageHead(&folio->page), order > 0);
	for (i = 1; i < BIT(order); i++) {
		struct page *page = folio_page(folio, i);

		KUNIT_EXPECT_TRUE(test, PageTail(page));
		KUNIT_EXPECT_PTR_EQ(test, compound_head(page), &folio->page);
		KUNIT_EXPECT_PTR_EQ(test, page_folio(page), folio);
		KUNIT_EXPECT_EQ(test, page_to_pfn(page), folio_pfn(folio) + i);
		KUNIT_EXPECT_EQ(test, folio_page_idx(folio, page), i);
		KUNIT_EXPECT_EQ(test, page_ref_count(page), 0);
		KUNIT_EXPECT_PTR_EQ(test, page_zone(page), zone);
		KUNIT_EXPECT_EQ(test, page_to_nid(page), zone_to_nid(zone));
		KUNIT_EXPECT_PTR_EQ(test, page_address(page),
				    folio_address(folio) + i * PAGE_SIZE);
		/* A tail does not know how large its folio is. */
		KUNIT_EXPECT_EQ(test, page_size(page), PAGE_SIZE);
		KUNIT_EXPECT_EQ(test, compound_order(page), 0);
	}
}

#ifdef CONFIG_ZONE_DEVICE
/* What the areas of take_device_area() belong to, as a device without a driver. */
static struct dev_pagemap test_pgmap = { .type = MEMORY_DEVICE_FS_DAX };
/* The same, of device-dax. */
static struct dev_pagemap test_device_pgmap __maybe_unused = { .type = MEMORY_DEVICE_GENERIC };

/**
 * take_device_area() - an area that belongs to a device
 * @test:	the test; skipped if there is none
 *
 * Return: an area that is DEVICE, IDLE, and has no users.
 */
static inline struct dynmemmap_area *take_device_area(struct kunit *test)
{
	struct dynmemmap_area *area;

	if (!compound_info_has_mask())
		kunit_skip(test, "no two tails are alike");
	area = take_area(test);
	area->pgmap = &test_pgmap;
	atomic_long_set(&area->nr_users, 0);
	dynmemmap_set_owner(area, DYNMEMMAP_DEVICE);
	return area;
}

/**
 * give_device_area() - the end of take_device_area()
 * @area:	what it returned; without users
 */
static inline void give_device_area(struct dynmemmap_area *area)
{
	dynmemmap_set_owner(area, DYNMEMMAP_MOVING);
	give_area(area);
}

/**
 * use_device_area() - have struct pages of some of its pages, as a page fault has
 * @test:	the test; it ends if there is no memory
 * @area:	an area of a device
 * @first:	the first page, counted from that of the area
 * @nr_pages:	how many
 */
static inline void use_device_area(struct kunit *test, struct dynmemmap_area *area,
				   unsigned int first, unsigned int nr_pages)
{
	KUNIT_ASSERT_PTR_EQ(test, dynmemmap_device_get(dynmemmap_area_pfn(area) + first, nr_pages,
						       GFP_KERNEL), area);
}

/**
 * device_folio_init() - make one folio of an area
 * @area:	an area that is used as a whole
 *
 * As the file system does with the pages of an entry that maps all of an area.
 *
 * Return: the folio.
 */
static inline struct folio *device_folio_init(struct dynmemmap_area *area)
{
	prep_compound_page(dynmemmap_area_page(area, 0), DYNMEMMAP_AREA_ORDER);
	return page_folio(dynmemmap_area_page(area, 0));
}

/**
 * area_gives_up() - try to take the struct pages of an area away
 * @area:	an area
 *
 * Return: true if they are gone.
 */
static inline bool area_gives_up(struct dynmemmap_area *area)
{
	LIST_HEAD(areas);

	list_add(&area->pool_list, &areas);
	dynmemmap_unpopulate(&areas, "test");
	return area->state == DYNMEMMAP_IDLE;
}
#endif /* CONFIG_ZONE_DEVICE */

#endif /* _MM_DYNMEMMAP_TESTS_AREAS_H */
