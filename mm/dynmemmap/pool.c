// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pool: the free areas of a zone that the buddy allocator does not see; and the
 * cache, of those that were freed as HUGE. Knows nothing of what is mapped behind
 * them.
 */
#include "internal.h"

/**
 * dynmemmap_area_other() - the other half of the order-10 block
 * @area:	an area
 *
 * Context: any. Area pages of a section are an array of an even length.
 * Return: the area page of the buddy of @area.
 */
struct dynmemmap_area *dynmemmap_area_other(struct dynmemmap_area *area)
{
	return area->area_nr & 1 ? area - 1 : area + 1;
}

static bool makes_pair(struct dynmemmap_area *area)
{
	struct dynmemmap_area *other = dynmemmap_area_other(area);

	/* The owner of an area in another zone is not ours to look at. */
	return READ_ONCE(other->zone) == area->zone &&
	       READ_ONCE(other->owner) == DYNMEMMAP_POOL;
}

/**
 * dynmemmap_pool_init() - make an empty pool
 * @pool:	the pool
 *
 * Context: any; the caller has the pool to itself.
 */
void dynmemmap_pool_init(struct dynmemmap_pool *pool)
{
	INIT_LIST_HEAD(&pool->areas);
	INIT_LIST_HEAD(&pool->cached);
	INIT_LIST_HEAD(&pool->parts);
	memset(pool->tails, 0, sizeof(pool->tails));
	pool->nr_areas = 0;
	pool->nr_cached = 0;
	pool->nr_pairs = 0;
	pool->nr_lent = 0;
	pool->nr_lent_seen = 0;
	pool->nr_drains_due = 0;
	pool->nr_excess_seen = 0;
	pool->compact_pfn = DYNMEMMAP_COMPACT_DONE;
	pool->nr_scattered_left = 0;
	pool->nr_lent_compacted = 0;
	pool->nr_in_use_compacted = ULONG_MAX;
	pool->nr_compacted = 0;
	pool->compact_retry = 0;
	pool->compact_retry_delay = 0;
}

static void pool_add(struct dynmemmap_pool *pool, struct dynmemmap_area *area,
		     struct list_head *after)
{
	if (DYNMEMMAP_WARN_ON(!dynmemmap_area_set_owner(area, DYNMEMMAP_POOL)))
		return;
	list_add(&area->pool_list, after);
	WRITE_ONCE(pool->nr_areas, pool->nr_areas + 1);
	if (makes_pair(area))
		WRITE_ONCE(pool->nr_pairs, pool->nr_pairs + 1);
}

/**
 * dynmemmap_pool_add() - an area becomes free memory of the pool
 * @pool:	the pool
 * @area:	an area that is MOVING, IDLE or SPLIT
 *
 * Context: any; zone->lock held.
 */
void dynmemmap_pool_add(struct dynmemmap_pool *pool, struct dynmemmap_area *area)
{
	pool_add(pool, area, &pool->areas);
}

/**
 * dynmemmap_pool_add_last() - the same, for an area to be used last of all
 * @pool:	the pool
 * @area:	an area that is MOVING, IDLE or SPLIT
 *
 * Context: any; zone->lock held.
 */
void dynmemmap_pool_add_last(struct dynmemmap_pool *pool, struct dynmemmap_area *area)
{
	pool_add(pool, area, pool->areas.prev);
}

/**
 * dynmemmap_pool_move_last() - have an area used last of all
 * @pool:	the pool
 * @area:	an area of it
 *
 * Context: any; zone->lock held.
 */
void dynmemmap_pool_move_last(struct dynmemmap_pool *pool, struct dynmemmap_area *area)
{
	list_move_tail(&area->pool_list, &pool->areas);
}

/**
 * dynmemmap_pool_remove() - take an area out of the pool
 * @pool:	the pool
 * @area:	an area of it; is MOVING afterwards, and the caller's
 *
 * Context: any; zone->lock held.
 */
void dynmemmap_pool_remove(struct dynmemmap_pool *pool, struct dynmemmap_area *area)
{
	if (DYNMEMMAP_WARN_ON(!dynmemmap_area_set_owner(area, DYNMEMMAP_MOVING)))
		return;
	list_del_init(&area->pool_list);
	WRITE_ONCE(pool->nr_areas, pool->nr_areas - 1);
	if (makes_pair(area))
		WRITE_ONCE(pool->nr_pairs, pool->nr_pairs - 1);
}

/**
 * dynmemmap_pool_first() - the area to use next
 * @pool:	the pool
 *
 * Context: any; zone->lock held.
 * Return: the area added last, which is the likeliest to be cached, or NULL.
 */
struct dynmemmap_area *dynmemmap_pool_first(struct dynmemmap_pool *pool)
{
	return list_first_entry_or_null(&pool->areas, struct dynmemmap_area, pool_list);
}

/**
 * dynmemmap_pool_first_of_pair() - an area that is in the pool with its buddy
 * @pool:	the pool
 *
 * Context: any; zone->lock held. Looks at every area in the worst case.
 * Return: the area, or NULL if there is none.
 */
struct dynmemmap_area *dynmemmap_pool_first_of_pair(struct dynmemmap_pool *pool)
{
	struct dynmemmap_area *area;

	if (!pool->nr_pairs)
		return NULL;
	list_for_each_entry(area, &pool->areas, pool_list)
		if (makes_pair(area))
			return area;
	return NULL;
}

/**
 * dynmemmap_cache_add() - an area is freed and stays as it is
 * @pool:	the pool of its zone
 * @area:	an area that is MOVING, HUGE or SPLIT
 *
 * Only a HUGE one can be used again as it is, so another is put last.
 *
 * Context: any; zone->lock held.
 */
void dynmemmap_cache_add(struct dynmemmap_pool *pool, struct dynmemmap_area *area)
{
	bool is_huge = READ_ONCE(area->state) == DYNMEMMAP_HUGE;

	if (DYNMEMMAP_WARN_ON(!dynmemmap_area_set_owner(area, DYNMEMMAP_CACHE)))
		return;
	list_add(&area->pool_list, is_huge ? &pool->cached : pool->cached.prev);
	WRITE_ONCE(pool->nr_cached, pool->nr_cached + 1);
}

/**
 * dynmemmap_cache_remove() - take an area out of the cache
 * @pool:	the pool of its zone
 * @area:	an area of the cache; is MOVING afterwards, and the caller's
 *
 * Context: any; zone->lock held.
 */
void dynmemmap_cache_remove(struct dynmemmap_pool *pool, struct dynmemmap_area *area)
{
	if (DYNMEMMAP_WARN_ON(!dynmemmap_area_set_owner(area, DYNMEMMAP_MOVING)))
		return;
	list_del_init(&area->pool_list);
	WRITE_ONCE(pool->nr_cached, pool->nr_cached - 1);
}

/**
 * dynmemmap_cache_first() - the area to use next for a huge folio
 * @pool:	the pool
 *
 * Context: any; zone->lock held.
 * Return: the area freed last, or NULL if none is HUGE.
 */
struct dynmemmap_area *dynmemmap_cache_first(struct dynmemmap_pool *pool)
{
	struct dynmemmap_area *area;

	area = list_first_entry_or_null(&pool->cached, struct dynmemmap_area, pool_list);
	return area && READ_ONCE(area->state) == DYNMEMMAP_HUGE ? area : NULL;
}

/**
 * dynmemmap_cache_last() - the area to make free memory next
 * @pool:	the pool
 *
 * Context: any; zone->lock held.
 * Return: the area that is in the cache longest, or NULL if that has to stay for now,
 * because TLBs still lead to its shared tail, or there is none.
 */
struct dynmemmap_area *dynmemmap_cache_last(struct dynmemmap_pool *pool)
{
	struct dynmemmap_area *area;

	list_for_each_entry_reverse(area, &pool->cached, pool_list)
		if (!(READ_ONCE(area->marks) & DYNMEMMAP_MARKS_STALE))
			return area;
	return NULL;
}
