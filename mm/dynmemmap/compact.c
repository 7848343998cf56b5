// SPDX-License-Identifier: GPL-2.0-only
/*
 * Compaction: what a burst leaves behind is a few pages here and there. Move them
 * together, so that the areas that they were in become free and can be taken back.
 *
 * The kernel's own compaction stops as soon as a free block of the order exists;
 * with a pool full of areas one always does. Here an area is isolated, as for
 * alloc_contig_range(), what is in it moves to free pages that there are, or
 * stays: nothing is reclaimed and nothing is waited for. Struct pages of other
 * areas, which nothing else moves, migrate as well.
 */
#include <linux/gfp.h>
#include <linux/memory_hotplug.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/page-isolation.h>
#include <linux/sched/mm.h>
#include <linux/swap.h>

#include "core.h"
#include "../internal.h"
#include "../page_alloc.h"

/* An area with more pages in use is not worth the work. */
#define COMPACT_MAX_USED_PAGES	(DYNMEMMAP_AREA_NR_PAGES / 2)
/* One pass looks at no more areas than these, and tries to empty no more. */
#define COMPACT_SCAN_AREAS	4096
#define COMPACT_BATCH_AREAS	64
/* How long what could not be moved is left alone, while nothing else changes. */
#define COMPACT_RETRY_MIN	(10 * HZ)
#define COMPACT_RETRY_MAX	(3600 * HZ)

/*
 * Can a page that is in use be moved, as far as one can tell without holding it?
 * Pages locked into memory could, but their owners do not want them to be.
 */
static bool page_is_movable(struct page *page)
{
	if (page_has_movable_ops(page))
		return true;
	/* The bit itself: who asks a folio has to hold it. */
	return PageLRU(page) && !PageHWPoison(page) &&
	       !test_bit(PG_unevictable, &compound_head(page)->flags.f);
}

/*
 * Pages of an area that are in use.
 * Return: how many; more than COMPACT_MAX_USED_PAGES if one cannot be moved.
 */
static unsigned long area_count_used(struct zone *zone, unsigned long pfn)
{
	unsigned long end_pfn = pfn + DYNMEMMAP_AREA_NR_PAGES;
	unsigned long step, nr_used = 0;

	/* So that the order of a free block is what it says. */
	guard(spinlock_irqsave)(&zone->lock);
	for (; pfn < end_pfn && nr_used <= COMPACT_MAX_USED_PAGES; pfn += step) {
		struct page *page = pfn_to_page(pfn);

		step = 1;
		if (PageBuddy(page)) {
			step = 1UL << buddy_order(page);
			continue;
		}
		nr_used++;
		/* Not those that are on their way, or on a list of a CPU. */
		if (!PageCompound(page) && !page_ref_count(page) && !page_has_type(page))
			continue;
		if (!page_is_movable(page) && !dynmemmap_frame_is_movable(page))
			return DYNMEMMAP_AREA_NR_PAGES;
	}
	return nr_used;
}

/* Is it worth while to empty the area that starts at @pfn? */
static bool area_is_nearly_free(struct zone *zone, unsigned long pfn)
{
	struct page *page = pfn_to_online_page(pfn);
	unsigned long nr_used;

	if (!page || page_zone(page) != zone || !dynmemmap_area_of(pfn))
		return false;
	/* A block reserved for somebody is not taken back. */
	if (get_pageblock_migratetype(page) >= MIGRATE_PCPTYPES)
		return false;
	nr_used = area_count_used(zone, pfn);
	return nr_used && nr_used <= COMPACT_MAX_USED_PAGES;
}

/*
 * Somewhere else on the same node, if that costs nothing; in no zone that may not be for it:
 * who uses it may want it below some address, or have it in place for ever.
 */
static struct folio *compact_target(struct folio *folio, unsigned long nid)
{
	gfp_t gfp = (GFP_HIGHUSER_MOVABLE & ~__GFP_RECLAIM) | __GFP_THISNODE | __GFP_NOWARN;
	enum zone_type zid = folio_zonenum(folio);

	if (zid < ZONE_MOVABLE)
		gfp &= ~__GFP_HIGHMEM;
	if (zid < ZONE_NORMAL)
		gfp |= zid == ZONE_NORMAL - 1 ? __GFP_DMA32 : __GFP_DMA;
	return __folio_alloc(gfp, folio_order(folio), nid, NULL);
}

/* Return: true if the folio is on the list now. */
static bool folio_collect(struct folio *folio, struct list_head *folios)
{
	return !folio_test_hugetlb(folio) && !folio_maybe_dma_pinned(folio) &&
	       isolate_folio_to_list(folio, folios);
}

/*
 * Collect what is in an area on a list.
 * Return: true if that is all that can be seen.
 */
static bool area_collect(unsigned long pfn, struct list_head *folios)
{
	unsigned long end_pfn = pfn + DYNMEMMAP_AREA_NR_PAGES;
	bool collected = true;

	for (; pfn < end_pfn; pfn++) {
		struct folio *folio = page_folio(pfn_to_page(pfn));

		if (!folio_try_get(folio))
			continue;
		/* It may have become part of another one before it was held. */
		if (page_folio(pfn_to_page(pfn)) == folio) {
			pfn = folio_pfn(folio) + folio_nr_pages(folio) - 1;
			if (!folio_collect(folio, folios))
				collected = false;
		}
		folio_put(folio);
	}
	return collected;
}

/*
 * Isolate an area in use that has all its struct pages. It keeps them until that ends: it is
 * not taken back, and no folio in it becomes HUGE.
 */
static bool area_isolate(unsigned long pfn)
{
	guard(mutex)(&dynmemmap_take_back_mutex);
	return dynmemmap_may_take_back() && dynmemmap_area_is_shown(dynmemmap_area_of(pfn)) &&
	       !start_isolate_page_range(pfn, pfn + DYNMEMMAP_AREA_NR_PAGES,
					 PB_ISOLATE_MODE_OTHER);
}

/*
 * Move what is in an area out of it, as far as that goes; struct pages to @targets.
 * Return: true if that was all.
 */
static bool area_empty(unsigned long pfn, struct list_head *targets)
{
	int nid = page_to_nid(pfn_to_page(pfn));
	LIST_HEAD(folios);
	unsigned int noio;
	bool emptied;

	if (!dynmemmap_frames_migrate(dynmemmap_area_of(pfn), targets))
		return false;
	/* Its free pages are not to be used for what moves out of it. */
	if (!area_isolate(pfn))
		return false;
	emptied = area_collect(pfn, &folios);
	/* Splitting a folio may reclaim; the I/O of that may need a range that waits for this. */
	noio = memalloc_noio_save();
	if (migrate_pages(&folios, compact_target, NULL, nid, MIGRATE_ASYNC, MR_COMPACTION, NULL))
		emptied = false;
	memalloc_noio_restore(noio);
	if (!list_empty(&folios))
		putback_movable_pages(&folios);
	undo_isolate_page_range(pfn, pfn + DYNMEMMAP_AREA_NR_PAGES);
	return emptied;
}

/*
 * Look at the area that starts at @pfn, and empty it if that is worth while.
 * Return: 1 if that was tried, or 0; -EBUSY while somebody has a range, or removes memory.
 */
static int area_compact(struct zone *zone, unsigned long pfn, struct list_head *targets)
{
	int tried = -EBUSY;

	/* Those that come online might miss a flush of what moves. */
	guard(cpus_read_lock)();
	/* Sections may go, and their struct pages with them; that may take for ever. */
	if (!try_get_online_mems())
		return -EBUSY;
	if (dynmemmap_compact_begin()) {
		tried = area_is_nearly_free(zone, pfn);
		if (tried && area_empty(pfn, targets)) {
			count_vm_event(DYNMEMMAP_COMPACT);
			dynmemmap_zone_pool(zone)->nr_compacted++;
		}
		dynmemmap_compact_end();
	}
	put_online_mems();
	return tried;
}

/* Free memory that is neither in the pool nor in whole free areas, in areas. */
static unsigned long zone_count_scattered(struct zone *zone)
{
	unsigned long nr_pages = zone_page_state(zone, NR_FREE_PAGES);

	/* Counts that are not folded yet may make the difference negative. */
	nr_pages -= min(nr_pages, zone_page_state(zone, NR_FREE_PAGES_BLOCKS));
	return nr_pages >> DYNMEMMAP_AREA_ORDER;
}

/**
 * dynmemmap_zone_is_scattered() - is so much memory of a zone free, but scattered?
 * @zone:	the zone
 *
 * Context: any; the answer is a snapshot.
 * Return: true if moving pages together is worth the work, as far as that is possible.
 */
bool dynmemmap_zone_is_scattered(struct zone *zone)
{
	return dynmemmap_policy_compact(zone_count_scattered(zone), 0,
					dynmemmap_zone_nr_in_use(zone));
}

/*
 * Is what could not be moved worth another look? It is after a burst, and again
 * when that has left the areas it was in. What compaction itself lends is not
 * counted, and less and less can leave: this comes to an end.
 */
static bool zone_has_changed(struct dynmemmap_pool *pool, unsigned long nr_in_use)
{
	unsigned long nr_lent = pool->nr_lent_seen - pool->nr_lent_compacted;
	unsigned long nr_left = pool->nr_in_use_compacted;

	nr_left -= min(nr_left, nr_in_use);
	if (!dynmemmap_policy_was_burst(max(nr_lent, nr_left), nr_in_use))
		return false;
	pool->nr_in_use_compacted = nr_in_use;
	return true;
}

/*
 * What could not be moved when it was tried last may have become free since, page by page,
 * or not be in use by I/O any more: look again, but less and less often.
 */
static void zone_set_retry(struct dynmemmap_pool *pool)
{
	unsigned long delay = pool->nr_compacted ? 0 : 2 * pool->compact_retry_delay;

	pool->compact_retry_delay = clamp(delay, COMPACT_RETRY_MIN, COMPACT_RETRY_MAX);
	pool->compact_retry = jiffies + pool->compact_retry_delay;
	pool->nr_compacted = 0;
}

/* Also while a scan goes on: enough may have been done. */
static bool zone_is_worth_compacting(struct zone *zone)
{
	struct dynmemmap_pool *pool = dynmemmap_zone_pool(zone);
	unsigned long nr_scattered = zone_count_scattered(zone);
	unsigned long nr_in_use = dynmemmap_zone_nr_in_use(zone);

	if (zone_has_changed(pool, nr_in_use) || time_after_eq(jiffies, pool->compact_retry))
		pool->nr_scattered_left = 0;
	pool->nr_scattered_left = min(pool->nr_scattered_left, nr_scattered);
	return dynmemmap_policy_compact(nr_scattered, pool->nr_scattered_left, nr_in_use);
}

/*
 * Empty areas from @pfn on that are nearly free, as far as one pass goes.
 * Return: the page frame to go on with, or DYNMEMMAP_COMPACT_DONE.
 */
static unsigned long zone_empty_areas(struct zone *zone, unsigned long pfn,
				      struct list_head *targets)
{
	unsigned long end_pfn = ALIGN_DOWN(zone_end_pfn(zone), DYNMEMMAP_AREA_NR_PAGES);
	unsigned int nr_scanned = 0, nr_tried = 0;
	int tried;

	pfn = ALIGN(max(pfn, zone->zone_start_pfn), DYNMEMMAP_AREA_NR_PAGES);
	for (; pfn < end_pfn; pfn += DYNMEMMAP_AREA_NR_PAGES) {
		if (nr_scanned == COMPACT_SCAN_AREAS || nr_tried == COMPACT_BATCH_AREAS)
			return pfn;
		cond_resched();
		if (dynmemmap_pfn_in_pool(pfn))
			continue;
		tried = area_compact(zone, pfn, targets);
		if (tried < 0)
			return pfn;
		nr_scanned++;
		nr_tried += tried;
	}
	return DYNMEMMAP_COMPACT_DONE;
}

/*
 * One pass, as zone_empty_areas(). The targets of struct pages are in one area: here and
 * there, they would keep others from becoming free.
 */
static unsigned long zone_compact(struct zone *zone, unsigned long pfn)
{
	struct dynmemmap_node *node = dynmemmap_nodes[zone_to_nid(zone)];
	LIST_HEAD(targets);

	/* Only what is on the LRU lists can be taken off them. */
	lru_add_drain_all();
	if (dynmemmap_frames_alloc(node, DYNMEMMAP_AREA_ORDER, &targets) && !pfn)
		dynmemmap_frames_renew(node, &targets);
	pfn = zone_empty_areas(zone, pfn, &targets);
	dynmemmap_frames_free(&targets);
	return pfn;
}

/**
 * dynmemmap_compact() - empty areas of a zone that are nearly free
 * @zone:	the zone
 *
 * One pass, which goes on where the one before ended. The areas that become free
 * are taken back as any others.
 *
 * Context: the worker; dynmemmap_take_back_mutex not held.
 * Return: true if areas may have become free, and another pass is due.
 */
bool dynmemmap_compact(struct zone *zone)
{
	struct dynmemmap_pool *pool = dynmemmap_zone_pool(zone);

	if (!zone_is_worth_compacting(zone)) {
		pool->compact_pfn = DYNMEMMAP_COMPACT_DONE;
		return false;
	}
	if (pool->compact_pfn == DYNMEMMAP_COMPACT_DONE)
		pool->compact_pfn = 0;

	pool->compact_pfn = zone_compact(zone, pool->compact_pfn);
	if (pool->compact_pfn == DYNMEMMAP_COMPACT_DONE) {
		pool->nr_scattered_left = zone_count_scattered(zone);
		pool->nr_lent_compacted = READ_ONCE(pool->nr_lent);
		zone_set_retry(pool);
	}
	return true;
}
