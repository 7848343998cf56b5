// SPDX-License-Identifier: GPL-2.0-only
/*
 * The border with the buddy allocator: what it asks, and lending areas to it.
 * The pool is counted in NR_FREE_PAGES, so watermarks, MemFree and the OOM
 * killer see its memory as what it is; an area that is MOVING is not counted.
 */
#include <linux/kasan.h>
#include <linux/mm.h>
#include <linux/page-isolation.h>
#include <linux/sched/clock.h>
#include <trace/events/dynmemmap.h>

#include "core.h"
#include "../internal.h"
#include "../page_alloc.h"

static void zone_account_free(struct zone *zone, long nr_areas)
{
	lockdep_assert_held(&zone->lock);
	__mod_zone_page_state(zone, NR_FREE_PAGES, nr_areas * (long)DYNMEMMAP_AREA_NR_PAGES);
	__mod_zone_page_state(zone, NR_FREE_PAGES_BLOCKS,
			      nr_areas * (long)DYNMEMMAP_AREA_NR_PAGES);
}

/**
 * dynmemmap_pool_remove_free() - take an area out of the free memory of its zone
 * @zone:	the zone
 * @area:	an area of its pool; is MOVING afterwards, and the caller's
 *
 * Context: any; zone->lock held.
 */
void dynmemmap_pool_remove_free(struct zone *zone, struct dynmemmap_area *area)
{
	dynmemmap_pool_remove(dynmemmap_zone_pool(zone), area);
	zone_account_free(zone, -1);
}

/**
 * dynmemmap_pool_take() - take an area out of the pool of a zone
 * @zone:	the zone
 *
 * Context: any but NMI; takes zone->lock.
 * Return: an area that is MOVING and the caller's, or NULL.
 */
struct dynmemmap_area *dynmemmap_pool_take(struct zone *zone)
{
	struct dynmemmap_area *area;

	if (!READ_ONCE(dynmemmap_zone_pool(zone)->nr_areas))
		return NULL;

	guard(spinlock_irqsave)(&zone->lock);
	area = dynmemmap_pool_first(dynmemmap_zone_pool(zone));
	if (area)
		dynmemmap_pool_remove_free(zone, area);
	return area;
}

/**
 * dynmemmap_pool_take_area() - take a particular area out of its pool
 * @area:	any area
 *
 * Context: any but NMI; takes zone->lock.
 * Return: true if it was in the pool, and is MOVING and the caller's now.
 */
bool dynmemmap_pool_take_area(struct dynmemmap_area *area)
{
	struct zone *zone = READ_ONCE(area->zone);

	if (!zone || READ_ONCE(area->owner) != DYNMEMMAP_POOL)
		return false;

	guard(spinlock_irqsave)(&zone->lock);
	/* It may have left, and have come back from another zone. */
	if (area->zone != zone || READ_ONCE(area->owner) != DYNMEMMAP_POOL)
		return false;
	dynmemmap_pool_remove_free(zone, area);
	return true;
}

typedef void (*pool_adder)(struct dynmemmap_pool *pool, struct dynmemmap_area *area);

static void area_give(struct dynmemmap_area *area, pool_adder add)
{
	guard(spinlock_irqsave)(&area->zone->lock);
	add(dynmemmap_zone_pool(area->zone), area);
	zone_account_free(area->zone, 1);
}

static void areas_give(struct list_head *areas, pool_adder add)
{
	struct dynmemmap_area *area, *next;

	list_for_each_entry_safe(area, next, areas, pool_list) {
		list_del(&area->pool_list);
		area_give(area, add);
	}
}

/* Not to be tried again before all others have been. */
static void area_give_back(struct dynmemmap_area *area)
{
	area_give(area, dynmemmap_pool_add_last);
}

/**
 * dynmemmap_pool_give() - put areas into the pools of their zones
 * @areas:	by pool_list; all MOVING, and free
 *
 * Context: any but NMI; takes zone->lock.
 */
void dynmemmap_pool_give(struct list_head *areas)
{
	areas_give(areas, dynmemmap_pool_add);
}

/**
 * dynmemmap_pool_give_last() - the same, for areas to be used last of all
 * @areas:	by pool_list; all MOVING, and free
 *
 * Context: any but NMI; takes zone->lock.
 */
void dynmemmap_pool_give_last(struct list_head *areas)
{
	areas_give(areas, dynmemmap_pool_add_last);
}

/**
 * dynmemmap_area_prepare_use() - make the memory of a free area fit for use
 * @area:	an area that is free
 *
 * What allocating the pages would do to the memory itself.
 *
 * Context: any but NMI.
 */
void dynmemmap_area_prepare_use(struct dynmemmap_area *area)
{
	struct page *page = dynmemmap_area_page(area, 0);

	if (area->flags & DYNMEMMAP_AREA_RAW)
		return;
	area->flags |= DYNMEMMAP_AREA_RAW;

	debug_pagealloc_map_pages(page, DYNMEMMAP_AREA_NR_PAGES);
	kernel_unpoison_pages(page, DYNMEMMAP_AREA_NR_PAGES);
	kasan_unpoison_pages(page, DYNMEMMAP_AREA_ORDER, false);
}

/**
 * dynmemmap_area_prepare_free() - make the memory of a free area as free as others
 * @area:	an area that is MOVING and populated
 *
 * What freeing the pages would have done to the memory of an area that has come
 * straight from memblock, or has been a donor. Kept for when it is lent, because
 * most of a large machine never is.
 *
 * Context: any but NMI.
 */
void dynmemmap_area_prepare_free(struct dynmemmap_area *area)
{
	struct page *page = dynmemmap_area_page(area, 0);

	if (!(area->flags & DYNMEMMAP_AREA_RAW))
		return;
	area->flags &= ~DYNMEMMAP_AREA_RAW;

	init_pageblock_migratetype(page, MIGRATE_MOVABLE, false);
	kernel_poison_pages(page, DYNMEMMAP_AREA_NR_PAGES);
	if (want_init_on_free())
		memset(kasan_reset_tag(page_address(page)), 0,
		       DYNMEMMAP_AREA_NR_PAGES * PAGE_SIZE);
	kasan_poison_pages(page, DYNMEMMAP_AREA_ORDER, false);
	debug_pagealloc_unmap_pages(page, DYNMEMMAP_AREA_NR_PAGES);
}

/**
 * dynmemmap_area_allocate() - make allocated unmovable pages of an area
 * @area:	an area that is MOVING and populated, and does not host its own struct pages
 *
 * They have no references yet, and can be freed one by one.
 *
 * Context: any; zone->lock held.
 */
void dynmemmap_area_allocate(struct dynmemmap_area *area)
{
	lockdep_assert_held(&area->zone->lock);
	dynmemmap_area_prepare_use(area);
	area->flags &= ~DYNMEMMAP_AREA_RAW;
	dynmemmap_set_owner(area, DYNMEMMAP_KERNEL);
	init_pageblock_migratetype(dynmemmap_area_page(area, 0), MIGRATE_UNMOVABLE, false);
}

/**
 * dynmemmap_note_lend() - an area has left the pool
 * @area:	the area
 * @reason:	for the trace
 * @start:	when that began
 *
 * Context: any.
 */
void dynmemmap_note_lend(struct dynmemmap_area *area, const char *reason, u64 start)
{
	count_vm_event(DYNMEMMAP_LEND);
	trace_dynmemmap_lend(area->area_nr, area->nid, reason, local_clock() - start);
}

/**
 * dynmemmap_note_take_back() - an area enters the pool
 * @area:	the area
 * @reason:	for the trace
 * @start:	when that began
 *
 * Context: any.
 */
void dynmemmap_note_take_back(struct dynmemmap_area *area, const char *reason, u64 start)
{
	count_vm_event(DYNMEMMAP_TAKE_BACK);
	trace_dynmemmap_take_back(area->area_nr, area->nid, reason, local_clock() - start);
}

/* A populated area that is MOVING becomes a free block of the buddy allocator. */
static void area_put_free(struct zone *zone, struct dynmemmap_area *area)
{
	struct dynmemmap_pool *pool = dynmemmap_zone_pool(zone);
	struct page *page = dynmemmap_area_page(area, 0);

	dynmemmap_set_owner(area, DYNMEMMAP_KERNEL);
	__putback_isolated_page(page, DYNMEMMAP_AREA_ORDER, get_pageblock_migratetype(page));
	WRITE_ONCE(pool->nr_lent, pool->nr_lent + 1);
}

/**
 * dynmemmap_area_lend() - give an area to the buddy allocator
 * @area:	an area that is MOVING
 * @reason:	for the trace
 *
 * An area that hosts its own struct pages, because a read was repaired while
 * the stock was empty, goes back to the pool instead.
 *
 * Context: any but NMI; takes zone->lock.
 * Return: true if the area was lent.
 */
bool dynmemmap_area_lend(struct dynmemmap_area *area, const char *reason)
{
	struct zone *zone = area->zone;
	u64 start = local_clock();

	if (!dynmemmap_populate(area, reason) || dynmemmap_vmemmap_is_self_hosted(area)) {
		area_give_back(area);
		return false;
	}
	dynmemmap_area_prepare_free(area);

	scoped_guard(spinlock_irqsave, &zone->lock)
		area_put_free(zone, area);
	__dynmemmap_free_notify(zone);
	dynmemmap_note_lend(area, reason, start);
	return true;
}

/* Take two areas out of the pool that together are an order-10 block. */
static bool pool_take_pair(struct zone *zone, struct dynmemmap_area **pair)
{
	struct dynmemmap_pool *pool = dynmemmap_zone_pool(zone);

	guard(spinlock_irqsave)(&zone->lock);
	pair[0] = dynmemmap_pool_first_of_pair(pool);
	if (!pair[0])
		return false;
	pair[1] = dynmemmap_area_other(pair[0]);
	dynmemmap_pool_remove_free(zone, pair[0]);
	dynmemmap_pool_remove_free(zone, pair[1]);
	return true;
}

static bool zone_lend_pair(struct zone *zone)
{
	struct dynmemmap_area *pair[2];
	bool lent;

	if (!pool_take_pair(zone, pair))
		return false;
	lent = dynmemmap_area_lend(pair[0], "pair");
	return dynmemmap_area_lend(pair[1], "pair") && lent;
}

static bool zone_lend(struct zone *zone)
{
	unsigned long nr_areas = READ_ONCE(dynmemmap_zone_pool(zone)->nr_areas);
	struct dynmemmap_area *area;

	/* One that hosts its own struct pages goes back to the end of the pool. */
	while (nr_areas--) {
		area = dynmemmap_pool_take(zone);
		if (!area)
			return false;
		if (dynmemmap_area_lend(area, "allocation"))
			return true;
	}
	return false;
}

static bool zone_has_block(struct zone *zone, unsigned int min_order)
{
	unsigned int order, mt;

	for (order = min_order; order < NR_PAGE_ORDERS; order++)
		for (mt = 0; mt < MIGRATE_PCPTYPES; mt++)
			if (!list_empty(&zone->free_area[order].free_list[mt]))
				return true;
	return false;
}

bool __dynmemmap_can_lend(struct zone *zone, unsigned int order)
{
	struct dynmemmap_pool *pool = dynmemmap_zone_pool(zone);

	if (order <= DYNMEMMAP_AREA_ORDER)
		return READ_ONCE(pool->nr_areas);
	return order == DYNMEMMAP_AREA_ORDER + 1 && READ_ONCE(pool->nr_pairs);
}

bool __dynmemmap_lend(struct zone *zone, unsigned int order)
{
	if (!__dynmemmap_can_lend(zone, order))
		return false;
	if (order > DYNMEMMAP_AREA_ORDER)
		return zone_lend_pair(zone);
	return zone_lend(zone);
}

unsigned long __dynmemmap_alloc_prepare(struct zone *zone, unsigned int order,
					unsigned long nr_blocks)
{
	if (!READ_ONCE(dynmemmap_zone_pool(zone)->nr_areas))
		return nr_blocks;
	if (!zone_has_block(zone, max_t(unsigned int, order, DYNMEMMAP_AREA_ORDER)))
		__dynmemmap_lend(zone, order);
	/* One area holds no more. */
	return min(nr_blocks, max(DYNMEMMAP_AREA_NR_PAGES >> order, 1UL));
}

/**
 * dynmemmap_pool_take_populated() - take an area out of the pool of a zone, with struct pages
 * @node:	the node of the zone
 * @zone:	the zone
 * @frames:	DYNMEMMAP_POPULATE_NR_FRAMES frames of the node's stock; what is not used goes
 *		back there
 * @reason:	for the trace
 *
 * An area that hosts its own struct pages is of no use, and goes to the end of the pool.
 *
 * Context: any; zone->lock and dynmemmap_node.lock held.
 * Return: an area that is MOVING and the caller's, or NULL.
 */
struct dynmemmap_area *dynmemmap_pool_take_populated(struct dynmemmap_node *node,
						     struct zone *zone, struct page **frames,
						     const char *reason)
{
	struct dynmemmap_pool *pool = dynmemmap_zone_pool(zone);
	struct dynmemmap_area *area = dynmemmap_pool_first(pool);

	if (area)
		dynmemmap_populate_locked(area, frames, reason);
	dynmemmap_frames_put_locked(node, frames, DYNMEMMAP_POPULATE_NR_FRAMES);
	if (!area)
		return NULL;
	if (dynmemmap_vmemmap_is_self_hosted(area)) {
		dynmemmap_pool_move_last(pool, area);
		return NULL;
	}
	dynmemmap_pool_remove_free(zone, area);
	return area;
}

/* Whoever has the lock may be the one that was interrupted. */
static struct dynmemmap_area *pool_try_take_populated(struct zone *zone)
{
	struct dynmemmap_node *node = dynmemmap_nodes[zone_to_nid(zone)];
	struct page *frames[DYNMEMMAP_POPULATE_NR_FRAMES];
	struct dynmemmap_area *area = NULL;
	unsigned long flags;

	if (!raw_spin_trylock_irqsave(&node->lock, flags))
		return NULL;
	if (dynmemmap_frames_take_locked(node, zone, frames))
		area = dynmemmap_pool_take_populated(node, zone, frames, "allocation");
	raw_spin_unlock_irqrestore(&node->lock, flags);
	return area;
}

void __dynmemmap_alloc_prepare_nolock(struct zone *zone, unsigned int order)
{
	struct dynmemmap_area *area;
	u64 start = local_clock();

	lockdep_assert_held(&zone->lock);
	if (!dynmemmap_zone_pool(zone)->nr_areas || order > DYNMEMMAP_AREA_ORDER ||
	    zone_has_block(zone, DYNMEMMAP_AREA_ORDER))
		return;
	area = pool_try_take_populated(zone);
	if (!area)
		return;
	dynmemmap_area_prepare_free(area);
	area_put_free(zone, area);
	__dynmemmap_free_notify(zone);
	dynmemmap_note_lend(area, "allocation", start);
}

unsigned long __dynmemmap_pool_blocks(struct zone *zone, unsigned int order)
{
	if (order != DYNMEMMAP_AREA_ORDER)
		return 0;
	return READ_ONCE(dynmemmap_zone_pool(zone)->nr_areas);
}

/* Are the struct pages around a page frame not to be looked at? */
static bool area_is_free(const struct dynmemmap_area *area, unsigned long pfn)
{
	switch (READ_ONCE(area->owner)) {
	case DYNMEMMAP_POOL:
	case DYNMEMMAP_MOVING:
	case DYNMEMMAP_CACHE:
		return true;
	case DYNMEMMAP_DEVICE:
		/* In this order: all is mapped before HUGE becomes SPLIT. */
		return smp_load_acquire(&area->state) != DYNMEMMAP_HUGE &&
		       !(READ_ONCE(area->mapped) & dynmemmap_vmemmap_pages(pfn, 1));
	default:
		return false;
	}
}

struct zone *__dynmemmap_pool_zone(unsigned long pfn)
{
	struct dynmemmap_area *area = dynmemmap_area_of(pfn);

	return area && area_is_free(area, pfn) ? READ_ONCE(area->zone) : NULL;
}
EXPORT_SYMBOL_GPL(__dynmemmap_pool_zone);

struct zone *__dynmemmap_area_zone(unsigned long pfn)
{
	struct dynmemmap_area *area = dynmemmap_area_of(pfn);

	return area ? READ_ONCE(area->zone) : NULL;
}
EXPORT_SYMBOL_GPL(__dynmemmap_area_zone);

bool __dynmemmap_pfn_in_pool(unsigned long pfn)
{
	struct dynmemmap_area *area = dynmemmap_area_of(pfn);

	return area && area_is_free(area, pfn);
}
EXPORT_SYMBOL_GPL(__dynmemmap_pfn_in_pool);
