// SPDX-License-Identifier: GPL-2.0-only
/*
 * Compaction: what a burst leaves behind is a few pages here and there. Move them
 * together, so that the areas that they were in become free and can be taken back.
 *
 * The kernel's own compaction stops as soon as a free block of the order exists;
 * with a pool full of areas one always does.
 */
#include <linux/compaction.h>
#include <linux/gfp.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/page-isolation.h>

#include "core.h"

/* An area with more pages in use is not worth the work. */
#define COMPACT_MAX_USED_PAGES	(DYNMEMMAP_AREA_NR_PAGES / 2)
/* One pass looks at no more areas than these, and empties no more. */
#define COMPACT_SCAN_AREAS	4096
#define COMPACT_BATCH_AREAS	64

/*
 * Pages of an area that are in use and can, as far as one can tell, be moved.
 * Return: how many; more than COMPACT_MAX_USED_PAGES if one cannot be moved.
 */
static unsigned long area_count_movable(struct zone *zone, unsigned long pfn)
{
	const unsigned long unmovable = COMPACT_MAX_USED_PAGES + 1;
	unsigned long end_pfn = pfn + DYNMEMMAP_AREA_NR_PAGES;
	unsigned long step, nr_used = 0;

	/* So that the order of a free block is what it says. */
	guard(spinlock_irqsave)(&zone->lock);
	for (; pfn < end_pfn && nr_used <= COMPACT_MAX_USED_PAGES; pfn += step) {
		struct page *page = pfn_to_page(pfn);

		step = 1;
		if (page_is_unmovable(zone, page, PB_ISOLATE_MODE_OTHER, &step))
			return unmovable;
		if (!PageBuddy(page))
			nr_used += step;
	}
	return nr_used;
}

/* Is it worth while to empty the area that starts at @pfn? */
static bool area_is_nearly_free(struct zone *zone, unsigned long pfn)
{
	struct page *page = pfn_to_online_page(pfn);
	unsigned long nr_used;
	int mt;

	if (!page || page_zone(page) != zone || !dynmemmap_area_of(pfn))
		return false;
	/* A block reserved for somebody is not taken back. */
	mt = get_pageblock_migratetype(page);
	if (mt >= MIGRATE_PCPTYPES)
		return false;
	nr_used = area_count_movable(zone, pfn);
	return nr_used && nr_used <= COMPACT_MAX_USED_PAGES;
}

/*
 * What is in the area moves to free pages that there are, or stays: nothing is
 * reclaimed for its sake.
 */
static bool area_empty(unsigned long pfn)
{
	if (alloc_contig_range(pfn, pfn + DYNMEMMAP_AREA_NR_PAGES, ACR_FLAGS_NONE, __GFP_NOWARN))
		return false;
	free_contig_range(pfn, DYNMEMMAP_AREA_NR_PAGES);
	return true;
}

static bool zone_is_scattered(struct zone *zone)
{
	unsigned long nr_pool_areas = READ_ONCE(dynmemmap_zone_pool(zone)->nr_areas);
	unsigned long nr_scattered = zone_page_state(zone, NR_FREE_PAGES);

	/* Counts that are not folded yet may make the difference negative. */
	nr_scattered -= min(nr_scattered, zone_page_state(zone, NR_FREE_PAGES_BLOCKS));
	return dynmemmap_policy_compact(nr_scattered >> DYNMEMMAP_AREA_ORDER,
					(zone_managed_pages(zone) >> DYNMEMMAP_AREA_ORDER) -
					nr_pool_areas);
}

/**
 * dynmemmap_compact() - empty areas of a zone that are nearly free
 * @zone:	the zone
 *
 * One pass, which goes on at dynmemmap_pool.compact_pfn, where the one before
 * ended. The areas that become free are taken back as any others.
 *
 * Context: process context, may sleep; dynmemmap_take_back_mutex not held.
 * Return: true if another pass is due.
 */
bool dynmemmap_compact(struct zone *zone)
{
	struct dynmemmap_pool *pool = dynmemmap_zone_pool(zone);
	unsigned int nr_scanned = 0, nr_emptied = 0;
	unsigned long pfn = pool->compact_pfn, end_pfn;

	if (pfn == DYNMEMMAP_COMPACT_DONE)
		return false;
	if (!zone_is_scattered(zone)) {
		pool->compact_pfn = DYNMEMMAP_COMPACT_DONE;
		return false;
	}

	/* Sections may go, and their struct pages with them. */
	get_online_mems();
	pfn = ALIGN(max(pfn, zone->zone_start_pfn), DYNMEMMAP_AREA_NR_PAGES);
	end_pfn = ALIGN_DOWN(zone_end_pfn(zone), DYNMEMMAP_AREA_NR_PAGES);
	while (pfn < end_pfn && nr_scanned < COMPACT_SCAN_AREAS &&
	       nr_emptied < COMPACT_BATCH_AREAS) {
		if (!dynmemmap_pfn_in_pool(pfn)) {
			nr_scanned++;
			if (area_is_nearly_free(zone, pfn))
				nr_emptied += area_empty(pfn);
		}
		pfn += DYNMEMMAP_AREA_NR_PAGES;
		cond_resched();
	}
	put_online_mems();

	pool->compact_pfn = pfn < end_pfn ? pfn : DYNMEMMAP_COMPACT_DONE;
	count_vm_events(DYNMEMMAP_COMPACT, nr_emptied);
	return nr_emptied || pfn < end_pfn;
}
