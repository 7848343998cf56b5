// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pool: the free areas of a zone that the buddy allocator does not see.
 * Knows nothing of what is mapped behind them.
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
	pool->nr_areas = 0;
	pool->nr_pairs = 0;
	pool->nr_lent = 0;
	pool->nr_lent_seen = 0;
	pool->nr_drains_due = 0;
	pool->nr_excess_seen = 0;
	pool->compact_pfn = DYNMEMMAP_COMPACT_DONE;
	pool->nr_scattered_left = 0;
	pool->nr_lent_compacted = 0;
	pool->nr_in_use_compacted = ULONG_MAX;
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
