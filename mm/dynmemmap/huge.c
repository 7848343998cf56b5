// SPDX-License-Identifier: GPL-2.0-only
/*
 * HUGE areas: a huge folio needs the struct pages of its first vmemmap page, and of
 * the others only that they are tails. It comes out of the pool so, and is populated
 * when somebody is about to write to a tail: when the folio is split, or mapped by
 * PTEs.
 *
 * Freeing happens in contexts where no TLB can be flushed. So what is freed as HUGE
 * goes to the cache of its zone, stays mapped, and serves the next huge folio; what
 * is too much there becomes IDLE by a worker, or by an allocation that finds no other
 * memory and may sleep.
 */
#include <linux/mm.h>
#include <linux/page-isolation.h>
#include <linux/sched/clock.h>

#include "core.h"
#include "../internal.h"
#include "../page_alloc.h"

/* Areas of the cache that are made free memory of at once. */
#define LEND_AREAS	4

static_assert(DYNMEMMAP_HUGE_ORDER == DYNMEMMAP_AREA_ORDER);
static_assert(sizeof(struct folio) == sizeof(struct page) << DYNMEMMAP_HUGE_PREP_ORDER);

static void area_use(struct dynmemmap_area *area)
{
	struct page *page = dynmemmap_area_page(area, 0);

	lockdep_assert_held(&area->zone->lock);
	dynmemmap_set_owner(area, DYNMEMMAP_KERNEL);
	if (get_pageblock_migratetype(page) != MIGRATE_MOVABLE)
		init_pageblock_migratetype(page, MIGRATE_MOVABLE, false);
}

static struct page *zone_use_cached(struct zone *zone)
{
	struct dynmemmap_pool *pool = dynmemmap_zone_pool(zone);
	struct dynmemmap_area *area;

	if (!READ_ONCE(pool->nr_cached))
		return NULL;
	guard(spinlock_irqsave)(&zone->lock);
	area = dynmemmap_cache_first(pool);
	if (!area)
		return NULL;
	dynmemmap_cache_remove(pool, area);
	area_use(area);
	return dynmemmap_area_page(area, 0);
}

static struct page *zone_use_pooled(struct zone *zone)
{
	struct dynmemmap_area *area = dynmemmap_pool_take(zone);
	u64 start = local_clock();

	if (!area)
		return NULL;
	if (READ_ONCE(area->state) != DYNMEMMAP_IDLE || !dynmemmap_populate_huge(area, "huge")) {
		/* A repaired read has populated it: good enough for the free lists. */
		dynmemmap_area_lend(area, "allocation");
		return NULL;
	}
	dynmemmap_area_prepare_free(area);
	scoped_guard(spinlock_irqsave, &zone->lock)
		area_use(area);
	dynmemmap_note_lend(area, "huge", start);
	return dynmemmap_area_page(area, 0);
}

struct page *__dynmemmap_huge_alloc(struct zone *zone)
{
	/* Tails are alike only where they hold a mask, and not their head's address. */
	if (!compound_info_has_mask())
		return NULL;
	return zone_use_cached(zone) ?: zone_use_pooled(zone);
}

void __dynmemmap_huge_found(struct page *page)
{
	struct dynmemmap_area *area = dynmemmap_area_of(page_to_pfn(page));

	if (area && READ_ONCE(area->state) == DYNMEMMAP_SPLIT && compound_info_has_mask())
		dynmemmap_apart_add(area);
}

bool __dynmemmap_page_is_huge(const struct page *page)
{
	const struct dynmemmap_area *area = dynmemmap_area_of(page_to_pfn(page));

	return area && READ_ONCE(area->state) == DYNMEMMAP_HUGE;
}

bool __dynmemmap_page_is_shared(const struct page *page)
{
	const struct dynmemmap_area *area = dynmemmap_area_of(page_to_pfn(page));

	return area && dynmemmap_area_shared(area) & dynmemmap_vmemmap_pages(page_to_pfn(page), 1);
}

/* Has it all its struct pages, on every CPU? Then it has them until it is free. */
static bool area_is_whole(const struct dynmemmap_area *area)
{
	return READ_ONCE(area->state) == DYNMEMMAP_SPLIT &&
	       !(READ_ONCE(area->marks) & DYNMEMMAP_MARKS_STALE);
}

/* Take an area that was freed as HUGE out of the hands of the allocator. */
static bool zone_cache(struct zone *zone, struct dynmemmap_area *area)
{
	struct dynmemmap_pool *pool = dynmemmap_zone_pool(zone);
	struct dynmemmap_node *node = dynmemmap_area_node(area);

	guard(spinlock_irqsave)(&zone->lock);
	/* Or somebody without a reference populates it now. */
	scoped_guard(raw_spinlock, &node->lock) {
		if (area_is_whole(area))
			return false;
		dynmemmap_set_owner(area, DYNMEMMAP_MOVING);
	}
	dynmemmap_cache_add(pool, area);
	if (pool->nr_cached > READ_ONCE(dynmemmap_keep_areas))
		dynmemmap_worker_kick(node);
	return true;
}

/**
 * dynmemmap_prepare_tails() - make tails that were shared those of a free block
 * @page:	its first page, prepared by __free_pages_prepare(), with what that has left
 *		out in frames of its own now
 * @order:	its order
 *
 * Context: any; the caller has the block to itself.
 */
void dynmemmap_prepare_tails(struct page *page, unsigned int order)
{
	struct page *tail = page + BIT(DYNMEMMAP_HUGE_PREP_ORDER);

	for (; tail < page + BIT(order); tail++) {
		/* Some may have been exclusive before they were those of a part. */
		tail->flags.f &= ~PAGE_FLAGS_CHECK_AT_PREP;
		tail->mapping = NULL;
		clear_compound_head(tail);
	}
}

bool __dynmemmap_huge_free(struct zone *zone, struct page *page, unsigned int order)
{
	struct dynmemmap_area *area = dynmemmap_area_of(page_to_pfn(page));

	if (!area || order > DYNMEMMAP_AREA_ORDER || !IS_ALIGNED(page_to_pfn(page), BIT(order)))
		return false;
	if (order < DYNMEMMAP_AREA_ORDER ? dynmemmap_part_free(area, zone, page, order) :
					   !area_is_whole(area) && zone_cache(zone, area))
		return true;
	/*
	 * Somebody who had no reference has populated the area after
	 * __free_pages_prepare() had seen that its tails are shared: prepare the rest.
	 */
	if (PageTail(page + BIT(DYNMEMMAP_HUGE_PREP_ORDER)))
		dynmemmap_prepare_tails(page, order);
	return false;
}

/**
 * dynmemmap_cache_is_large() - is there more in the caches than is worth keeping?
 * @node:	the node
 *
 * Some areas may come and go at once; the worker sees to the rest when it passes. Of
 * parts none is kept.
 *
 * Context: any, takes no lock.
 * Return: true if dynmemmap_trim() is due.
 */
bool dynmemmap_cache_is_large(struct dynmemmap_node *node)
{
	unsigned int zid;

	for (zid = 0; zid < MAX_NR_ZONES; zid++)
		if (READ_ONCE(node->pools[zid].nr_cached) > 2 * READ_ONCE(dynmemmap_keep_areas) ||
		    !list_empty(&node->pools[zid].parts))
			return true;
	return false;
}

/**
 * dynmemmap_cache_take() - take areas out of a cache, to make free memory of them
 * @zone:	the zone
 * @nr_wanted:	how many at most
 * @areas:	where to put them, by pool_list; MOVING, and the caller's
 *
 * Context: any but NMI; takes zone->lock.
 * Return: how many.
 */
unsigned long dynmemmap_cache_take(struct zone *zone, unsigned long nr_wanted,
				   struct list_head *areas)
{
	struct dynmemmap_pool *pool = dynmemmap_zone_pool(zone);
	struct dynmemmap_area *area;
	unsigned long nr_taken;

	guard(spinlock_irqsave)(&zone->lock);
	for (nr_taken = 0; nr_taken < nr_wanted; nr_taken++) {
		area = dynmemmap_cache_last(pool);
		if (!area)
			break;
		dynmemmap_cache_remove(pool, area);
		list_add(&area->pool_list, areas);
	}
	return nr_taken;
}

/**
 * dynmemmap_cache_take_area() - take a particular area out of its cache
 * @area:	any area
 *
 * Context: any but NMI; takes zone->lock.
 * Return: true if it was there and could leave, and is MOVING and the caller's now.
 */
bool dynmemmap_cache_take_area(struct dynmemmap_area *area)
{
	struct zone *zone = READ_ONCE(area->zone);

	if (!zone || READ_ONCE(area->owner) != DYNMEMMAP_CACHE)
		return false;
	guard(spinlock_irqsave)(&zone->lock);
	if (area->zone != zone || READ_ONCE(area->owner) != DYNMEMMAP_CACHE ||
	    READ_ONCE(area->marks) & DYNMEMMAP_MARKS_STALE)
		return false;
	dynmemmap_cache_remove(dynmemmap_zone_pool(zone), area);
	return true;
}

/* Where the pool has something again, the next area has frames for its struct pages. */
static void area_pool_or_cache(struct dynmemmap_area *area, const char *reason)
{
	u64 start = local_clock();
	LIST_HEAD(areas);

	if (dynmemmap_unpopulate_below_table(area, reason)) {
		dynmemmap_note_take_back(area, reason, start);
		list_add(&area->pool_list, &areas);
		dynmemmap_pool_give(&areas);
		return;
	}
	guard(spinlock_irqsave)(&area->zone->lock);
	dynmemmap_cache_add(dynmemmap_zone_pool(area->zone), area);
}

/**
 * dynmemmap_cache_populate() - make free struct pages of what an area has in the cache
 * @area:	an area that was in the cache, is MOVING, and the caller's
 * @reason:	for the trace
 *
 * In place: no page table goes, for which a caller among the allocations might have
 * to wait for a lock that its own callers hold.
 *
 * Context: process context, interrupts enabled; neither zone->lock nor
 * dynmemmap_node.lock held.
 * Return: true if the area is SPLIT, false if stock and pools are empty.
 */
bool dynmemmap_cache_populate(struct dynmemmap_area *area, const char *reason)
{
	struct page *page = dynmemmap_area_page(area, 0);

	if (READ_ONCE(area->state) == DYNMEMMAP_HUGE &&
	    !dynmemmap_populate_free(area, DYNMEMMAP_ALL_VMEMMAP_PAGES, reason))
		return false;
	dynmemmap_prepare_tails(page, DYNMEMMAP_AREA_ORDER);
	return true;
}

/**
 * dynmemmap_cache_lend() - make free memory of an area of the cache, and lend it
 * @area:	as for dynmemmap_cache_populate()
 * @reason:	for the trace
 *
 * Context: as dynmemmap_cache_populate(); takes zone->lock.
 * Return: true if the area was lent; false if there is no memory for its struct pages,
 * and it is in cache or pool.
 */
bool dynmemmap_cache_lend(struct dynmemmap_area *area, const char *reason)
{
	u64 start = local_clock();

	if (!dynmemmap_cache_populate(area, reason)) {
		area_pool_or_cache(area, reason);
		return false;
	}
	/* As if it had been in the pool in between. */
	dynmemmap_note_take_back(area, reason, start);
	return dynmemmap_area_lend(area, reason);
}

/**
 * dynmemmap_cache_lend_some() - lend areas of the cache of a zone
 * @zone:	the zone
 * @reason:	for the trace
 *
 * Context: process context, interrupts enabled; takes zone->lock.
 * Return: true if any was lent.
 */
bool dynmemmap_cache_lend_some(struct zone *zone, const char *reason)
{
	struct dynmemmap_area *area, *next;
	LIST_HEAD(areas);
	bool lent = false;

	dynmemmap_cache_take(zone, LEND_AREAS, &areas);
	list_for_each_entry_safe(area, next, &areas, pool_list) {
		list_del_init(&area->pool_list);
		lent |= dynmemmap_cache_lend(area, reason);
	}
	return lent;
}

bool __dynmemmap_recycle(struct zone *zone, gfp_t gfp)
{
	const struct dynmemmap_pool *pool = dynmemmap_zone_pool(zone);

	if (!READ_ONCE(pool->nr_cached) && list_empty(&pool->parts))
		return false;
	if (gfpflags_allow_blocking(gfp) &&
	    (dynmemmap_parts_lend(zone) || dynmemmap_cache_lend_some(zone, "recycle")))
		return true;
	dynmemmap_worker_kick(dynmemmap_nodes[zone_to_nid(zone)]);
	return false;
}

/*
 * Return: true if the tails of a folio can be written to; false if there is no
 * memory, and nothing has changed.
 */
static bool folio_populate(struct folio *folio, gfp_t gfp)
{
	struct dynmemmap_area *area = dynmemmap_area_of(folio_pfn(folio));

	if (folio_order(folio) != DYNMEMMAP_AREA_ORDER)
		return dynmemmap_populate_folio_tails(folio, gfp, "split");
	return !area || dynmemmap_populate_tails(area, gfp, "split");
}

bool __dynmemmap_folio_populate(struct folio *folio, gfp_t gfp)
{
	/* Those of whom memory is reclaimed may not use all that is kept for it. */
	return folio_populate(folio, (gfp & GFP_RECLAIM_MASK) | __GFP_NOMEMALLOC);
}

void __dynmemmap_folio_populate_nofail(struct folio *folio)
{
	/*
	 * Not out of memory: out of all that is kept for when that happens. What
	 * the page tables lead to would be lost.
	 */
	if (!folio_populate(folio, DYNMEMMAP_GFP_NOFAIL))
		panic("dynmemmap: no memory for the struct pages of a huge page\n");
}

/*
 * The folio that a PMD maps, with a reference, if its area is HUGE.
 * Return: or NULL; -EAGAIN if it is being migrated, and may be HUGE where it goes.
 */
static struct folio *pmd_huge_folio_get(struct vm_area_struct *vma, pmd_t *pmd)
{
	struct folio *folio = NULL;
	spinlock_t *ptl = pmd_lock(vma->vm_mm, pmd);

	if (pmd_is_migration_entry(*pmd)) {
		folio = ERR_PTR(-EAGAIN);
	} else if (pmd_present(*pmd) && pmd_trans_huge(*pmd) && !is_huge_zero_pmd(*pmd) &&
	    __dynmemmap_page_is_huge(pmd_page(*pmd))) {
		folio = pmd_folio(*pmd);
		folio_get(folio);
	}
	spin_unlock(ptl);
	return folio;
}

/*
 * Another folio may be there when one is populated: until there is none to populate.
 * @waits: nobody who migrates it waits for the caller.
 */
static bool pmd_populate_folio(struct vm_area_struct *vma, pmd_t *pmd, gfp_t gfp, bool waits)
{
	bool populated = true;

	while (populated) {
		struct folio *folio = pmd_huge_folio_get(vma, pmd);

		if (IS_ERR(folio) && waits) {
			pmd_migration_entry_wait(vma->vm_mm, pmd);
			continue;
		}
		if (IS_ERR_OR_NULL(folio))
			break;
		populated = folio_populate(folio, gfp);
		folio_put(folio);
	}
	return populated;
}

void __dynmemmap_pmd_populate(struct vm_area_struct *vma, pmd_t *pmd)
{
	const bool reclaims = current->flags & PF_MEMALLOC;

	/* The folio that is migrated may be the caller's. */
	pmd_populate_folio(vma, pmd, reclaims ? DYNMEMMAP_GFP_NOFAIL : GFP_KERNEL | __GFP_NOFAIL,
			   false);
}

bool __dynmemmap_vma_populate(struct vm_area_struct *vma, unsigned long addr)
{
	pmd_t *pmd;

	if (IS_ALIGNED(addr, PMD_SIZE))
		return true;
	/* No page fault may have another huge page there until it is cut. */
	vma_start_write(vma);
	pmd = mm_find_pmd(vma->vm_mm, addr);
	return !pmd || pmd_populate_folio(vma, pmd, GFP_KERNEL, true);
}
