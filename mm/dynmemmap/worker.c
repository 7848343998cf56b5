// SPDX-License-Identifier: GPL-2.0-only
/*
 * The worker of a node: takes free areas back from the buddy allocator, aged and
 * in batches.
 */
#include <linux/mm.h>
#include <linux/sched/clock.h>

#include "core.h"
#include "../internal.h"
#include "../page_alloc.h"
#include "../page_reporting.h"

/* No pass looks at more free blocks: 32 GiB, or twice that. It holds zone->lock. */
#define LOOK_MAX_BLOCKS		16384
/* How often to look whether free memory has become scattered. */
#define WATCH_INTERVAL		(10 * HZ)
/* Passes that drain the lists of the CPUs after memory was lent or became free. */
#define DRAIN_PASSES		3

/* Whole free areas left to the buddy allocator in every zone. */
unsigned int dynmemmap_keep_areas = 4;
/* How long an area has to be free before it is taken back, at least. */
unsigned int dynmemmap_take_back_delay_ms = 1000;

/* The host gets memory that is free before it has no struct pages, if it wants that. */
static bool block_is_reported(const struct page *page, unsigned int order)
{
#ifdef CONFIG_PAGE_REPORTING
	return !page_reporting_is_due(order) || PageReported(page);
#else
	return true;
#endif
}

/*
 * May a free block be taken back? Not if it has a static memmap, or lies in a section
 * that begins on another node, whose stock it would use.
 */
static bool block_may_leave(const struct zone *zone, const struct page *page,
			    unsigned int order)
{
	struct dynmemmap_area *area = dynmemmap_area_of(page_to_pfn(page));

	lockdep_assert_held(&zone->lock);
	return area && area->nid == zone_to_nid(zone) && block_is_reported(page, order);
}

/* The same, and there is none in it that has failed: that takes long once any page has. */
static bool block_can_leave(const struct zone *zone, const struct page *page,
			    unsigned int order)
{
	return block_may_leave(zone, page, order) && !dynmemmap_block_has_poison(page, order);
}

/*
 * Isolate a free block of whole areas for taking back.
 * Return: how many areas; 0 if the zone's watermark says that it has to stay.
 */
static unsigned long block_isolate(struct zone *zone, struct page *page, unsigned int order,
				   struct list_head *areas)
{
	unsigned long pfn = page_to_pfn(page);
	unsigned long end_pfn = pfn + (1UL << order);

	lockdep_assert_held(&zone->lock);
	if (!__isolate_free_page(page, order))
		return 0;
	for (; pfn < end_pfn; pfn += DYNMEMMAP_AREA_NR_PAGES) {
		struct dynmemmap_area *area = dynmemmap_area_of(pfn);

		/* Memory can come back online in another zone. */
		WRITE_ONCE(area->zone, zone);
		dynmemmap_set_owner(area, DYNMEMMAP_MOVING);
		list_add(&area->pool_list, areas);
	}
	return 1UL << (order - DYNMEMMAP_AREA_ORDER);
}

/*
 * Isolate whole free areas of one migratetype, oldest first, for taking back; @nr_looks
 * blocks may be looked at.
 */
static unsigned long freelist_isolate(struct zone *zone, unsigned int order, unsigned int mt,
				      unsigned long nr_wanted, unsigned long *nr_looks,
				      struct list_head *areas)
{
	struct list_head *free_list = &zone->free_area[order].free_list[mt];
	unsigned long nr_isolated = 0;
	struct page *page, *next;

	lockdep_assert_held(&zone->lock);
	list_for_each_entry_safe_reverse(page, next, free_list, buddy_list) {
		unsigned long nr_areas;

		if (nr_isolated >= nr_wanted || !*nr_looks)
			break;
		--*nr_looks;
		if (!block_can_leave(zone, page, order))
			continue;
		nr_areas = block_isolate(zone, page, order, areas);
		if (!nr_areas)
			break;
		nr_isolated += nr_areas;
	}
	return nr_isolated;
}

static unsigned long zone_isolate(struct zone *zone, unsigned long nr_wanted,
				  struct list_head *areas)
{
	unsigned long nr_isolated = 0, nr_looks = LOOK_MAX_BLOCKS;
	unsigned int order, mt;

	guard(spinlock_irqsave)(&zone->lock);
	for (order = DYNMEMMAP_AREA_ORDER; order < NR_PAGE_ORDERS; order++)
		for (mt = 0; mt < MIGRATE_PCPTYPES && nr_isolated < nr_wanted && nr_looks; mt++)
			nr_isolated += freelist_isolate(zone, order, mt, nr_wanted - nr_isolated,
							&nr_looks, areas);
	return nr_isolated;
}

/* Whole free areas in the free lists that may leave, among those that are isolated first. */
static unsigned long zone_count_areas(struct zone *zone)
{
	unsigned long nr_areas = 0, nr_looks = LOOK_MAX_BLOCKS;
	unsigned int order, mt;
	struct page *page;

	guard(spinlock_irqsave)(&zone->lock);
	for (order = DYNMEMMAP_AREA_ORDER; order < NR_PAGE_ORDERS; order++)
		for (mt = 0; mt < MIGRATE_PCPTYPES; mt++)
			list_for_each_entry_reverse(page, &zone->free_area[order].free_list[mt],
						    buddy_list) {
				if (!nr_looks--)
					return nr_areas;
				if (block_may_leave(zone, page, order))
					nr_areas += 1UL << (order - DYNMEMMAP_AREA_ORDER);
			}
	return nr_areas;
}

/* Move isolated areas into the pool; @start is when isolating them began. */
static void areas_take_back(struct list_head *areas, const char *reason, u64 start)
{
	struct dynmemmap_area *area;

	dynmemmap_unpopulate(areas, reason);
	list_for_each_entry(area, areas, pool_list)
		dynmemmap_note_take_back(area, reason, start);
	dynmemmap_pool_give(areas);
}

/*
 * Take back up to @nr_wanted areas, one batch.
 * Return: how many were.
 */
static unsigned long zone_take_back(struct zone *zone, unsigned long nr_wanted)
{
	LIST_HEAD(areas);
	unsigned long nr_isolated;
	u64 start = local_clock();

	guard(mutex)(&dynmemmap_take_back_mutex);
	if (!dynmemmap_may_take_back())
		return 0;

	nr_isolated = zone_isolate(zone, min(nr_wanted, DYNMEMMAP_TAKE_BACK_BATCH_AREAS),
				   &areas);
	areas_take_back(&areas, "free", start);
	return nr_isolated;
}

/* Return: the page frame to go on with. */
static unsigned long range_isolate(struct zone *zone, unsigned long pfn, unsigned long end_pfn,
				   struct list_head *areas, unsigned long *nr_isolated)
{
	guard(spinlock_irqsave)(&zone->lock);
	while (pfn < end_pfn && *nr_isolated < DYNMEMMAP_TAKE_BACK_BATCH_AREAS) {
		struct page *page = pfn_to_online_page(pfn);
		unsigned int order = DYNMEMMAP_AREA_ORDER;

		if (page && PageBuddy(page) && buddy_order(page) >= order) {
			order = buddy_order(page);
			if (block_can_leave(zone, page, order))
				*nr_isolated += block_isolate(zone, page, order, areas);
		}
		pfn += 1UL << order;
	}
	return pfn;
}

void __dynmemmap_take_back_range(struct zone *zone, unsigned long start_pfn,
				 unsigned long nr_pages)
{
	unsigned long pfn = start_pfn, end_pfn = start_pfn + nr_pages;

	guard(mutex)(&dynmemmap_take_back_mutex);
	while (pfn < end_pfn && dynmemmap_may_take_back()) {
		LIST_HEAD(areas);
		unsigned long nr_isolated = 0;
		u64 start = local_clock();

		pfn = range_isolate(zone, pfn, end_pfn, &areas, &nr_isolated);
		areas_take_back(&areas, "online", start);
		cond_resched();
	}
}

/* Free pages on the lists of the CPUs, in areas; a snapshot. */
static unsigned long zone_count_pcp(struct zone *zone)
{
	unsigned long nr_pages = 0;
	int cpu;

	for_each_online_cpu(cpu)
		nr_pages += READ_ONCE(per_cpu_ptr(zone->per_cpu_pageset, cpu)->count);
	return nr_pages >> DYNMEMMAP_AREA_ORDER;
}

/*
 * Pages on the lists of the CPUs, up to an eighth of the zone, keep the areas
 * around them from being whole: get them when a burst is over. That takes some
 * passes, because what ends after it frees some more. Get them too when there
 * are many, however they came there.
 * Return: true if that was done, and there may be more to take back.
 */
static bool zone_drain(struct zone *zone)
{
	struct dynmemmap_pool *pool = dynmemmap_zone_pool(zone);

	if (dynmemmap_policy_was_burst(zone_count_pcp(zone), dynmemmap_zone_nr_in_use(zone)))
		pool->nr_drains_due = max(pool->nr_drains_due, 1UL);
	if (!pool->nr_drains_due)
		return false;
	pool->nr_drains_due--;
	drain_all_pages(zone);
	return true;
}

/*
 * One pass over a zone.
 * Return: true if another is due.
 */
static bool zone_balance(struct zone *zone)
{
	struct dynmemmap_pool *pool = dynmemmap_zone_pool(zone);
	unsigned long nr_areas_zone = zone_managed_pages(zone) >> DYNMEMMAP_AREA_ORDER;
	unsigned long nr_lent = READ_ONCE(pool->nr_lent);
	bool lent_since = nr_lent != pool->nr_lent_seen, changed = lent_since;
	unsigned long nr_excess, nr_wanted, nr_taken;

	pool->nr_lent_seen = nr_lent;
	if (!lent_since) {
		changed = zone_drain(zone);
		if (dynmemmap_compact(zone)) {
			changed = true;
			/* Not what compaction has lent to itself. */
			pool->nr_lent_seen = READ_ONCE(pool->nr_lent);
			/* Free pages of what it has emptied. */
			pool->nr_drains_due = max(pool->nr_drains_due, 1UL);
		}
	}

	nr_excess = dynmemmap_policy_excess(zone_count_areas(zone),
					    READ_ONCE(dynmemmap_keep_areas));
	if (lent_since || (nr_excess > pool->nr_excess_seen &&
			   dynmemmap_policy_was_burst(nr_excess - pool->nr_excess_seen,
						      dynmemmap_zone_nr_in_use(zone))))
		pool->nr_drains_due = DRAIN_PASSES;
	nr_wanted = dynmemmap_policy_take_back(nr_excess, pool->nr_excess_seen, lent_since,
					       nr_areas_zone);
	while (nr_wanted) {
		nr_taken = zone_take_back(zone, nr_wanted);
		if (!nr_taken) {
			/* The watermark wants it to stay: no pass can change that. */
			nr_excess = 0;
			break;
		}
		nr_excess -= min(nr_excess, nr_taken);
		nr_wanted -= min(nr_wanted, nr_taken);
		changed = true;
		cond_resched();
	}
	pool->nr_excess_seen = nr_excess;
	return nr_excess || changed;
}

static unsigned long worker_delay(void)
{
	return msecs_to_jiffies(READ_ONCE(dynmemmap_take_back_delay_ms));
}

/**
 * dynmemmap_worker_rearm() - have the worker pass after the delay as it is now
 * @node:	the node
 *
 * Context: process context.
 */
void dynmemmap_worker_rearm(struct dynmemmap_node *node)
{
	mod_delayed_work(system_dfl_wq, &node->work, worker_delay());
}

/**
 * dynmemmap_kick() - start what is due
 * @work:	embedded in the node
 *
 * Context: irq_work, because what calls dynmemmap_worker_kick() may hold locks
 * of the allocator, of the workqueues or of printk().
 */
void dynmemmap_kick(struct irq_work *work)
{
	struct dynmemmap_node *node = container_of(work, struct dynmemmap_node, kick_work);
	unsigned long repaired_ip = READ_ONCE(node->repaired_ip);

	if (repaired_ip)
		pr_notice_once("repaired a read of a struct page by %pS\n", (void *)repaired_ip);
	if (dynmemmap_stock_is_low(node))
		queue_work(system_highpri_wq, &node->refill_work);
	if (dynmemmap_cache_is_large(node))
		queue_work(system_highpri_wq, &node->trim_work);
	queue_delayed_work(system_dfl_wq, &node->work, worker_delay());
}

/**
 * dynmemmap_worker_kick() - refill the stock soon if it is low; balance later
 * @node:	the node
 *
 * Context: any but NMI.
 */
void dynmemmap_worker_kick(struct dynmemmap_node *node)
{
	if (READ_ONCE(dynmemmap_ready))
		irq_work_queue(&node->kick_work);
}

/*
 * One batch of what is too much in the cache of a zone, into the pool; while nothing
 * may enter that, into the free lists.
 * Return: true if there may be more.
 */
static bool zone_trim_some(struct zone *zone)
{
	unsigned long nr_cached = READ_ONCE(dynmemmap_zone_pool(zone)->nr_cached);
	unsigned long nr_excess = dynmemmap_policy_excess(nr_cached,
							  READ_ONCE(dynmemmap_keep_areas));
	LIST_HEAD(areas);
	u64 start = local_clock();
	unsigned long nr_taken;

	if (!nr_excess)
		return false;
	guard(mutex)(&dynmemmap_take_back_mutex);
	if (!dynmemmap_may_take_back())
		return dynmemmap_cache_lend_some(zone, "recycle");
	nr_taken = dynmemmap_cache_take(zone, min(nr_excess, DYNMEMMAP_TAKE_BACK_BATCH_AREAS),
					&areas);
	areas_take_back(&areas, "cache", start);
	return nr_taken;
}

/* Leave no more than as many areas as are left to the buddy allocator. */
static void zone_trim(struct zone *zone)
{
	while (zone_trim_some(zone))
		cond_resched();
}

/**
 * dynmemmap_take_back_all() - take back at once what the worker of a node would by and by
 * @node:	the node
 *
 * Context: process context, may sleep; dynmemmap_take_back_mutex not held.
 */
void dynmemmap_take_back_all(struct dynmemmap_node *node)
{
	struct zone *zone, *zones = NODE_DATA(node->nid)->node_zones;

	drain_all_pages(NULL);
	for (zone = zones; zone < zones + MAX_NR_ZONES; zone++) {
		if (!populated_zone(zone))
			continue;
		zone_trim(zone);
		while (zone_take_back(zone, DYNMEMMAP_TAKE_BACK_BATCH_AREAS))
			cond_resched();
	}
}

/**
 * dynmemmap_trim() - make what waits in a node for its struct pages free memory
 * @work:	embedded in the node
 *
 * Context: workqueue.
 */
void dynmemmap_trim(struct work_struct *work)
{
	struct dynmemmap_node *node = container_of(work, struct dynmemmap_node, trim_work);
	struct zone *zone, *zones = NODE_DATA(node->nid)->node_zones;

	for (zone = zones; zone < zones + MAX_NR_ZONES; zone++) {
		if (!populated_zone(zone))
			continue;
		dynmemmap_parts_lend(zone);
		zone_trim(zone);
	}
}

/**
 * dynmemmap_worker() - balance pool, buddy allocator and stock of a node
 * @work:	embedded in the node
 *
 * Context: workqueue. Runs again by itself while there is something to do.
 */
void dynmemmap_worker(struct work_struct *work)
{
	struct dynmemmap_node *node = container_of(to_delayed_work(work),
						   struct dynmemmap_node, work);
	struct zone *zone, *zones = NODE_DATA(node->nid)->node_zones;
	bool again = false;

	/* Who stops taking back starts the workers again. */
	scoped_guard(mutex, &dynmemmap_take_back_mutex) {
		if (!dynmemmap_may_take_back())
			return;
	}
	for (zone = zones; zone < zones + MAX_NR_ZONES; zone++) {
		if (!populated_zone(zone))
			continue;
		zone_trim(zone);
		again |= zone_balance(zone);
	}
	scoped_guard(mutex, &dynmemmap_take_back_mutex) {
		if (!dynmemmap_may_take_back())
			break;
		dynmemmap_repairs_undo(node);
		again |= dynmemmap_stock_drain(node);
	}
	if (again)
		dynmemmap_worker_kick(node);
}

/**
 * dynmemmap_watch() - look for what nobody says
 * @work:	embedded in the node
 *
 * That much memory is free, but scattered, because it became free page by page: starts
 * the worker. That a huge folio is not mapped by PTEs any more, or memory of a device not
 * pinned.
 *
 * Context: workqueue. Runs again by itself, when the CPU is awake anyway.
 */
void dynmemmap_watch(struct work_struct *work)
{
	struct dynmemmap_node *node = container_of(to_delayed_work(work),
						   struct dynmemmap_node, watch_work);
	struct zone *zone, *zones = NODE_DATA(node->nid)->node_zones;

	for (zone = zones; zone < zones + MAX_NR_ZONES; zone++)
		if (populated_zone(zone) && dynmemmap_zone_is_scattered(zone))
			dynmemmap_worker_kick(node);
	if (READ_ONCE(node->warm_nr))
		dynmemmap_worker_kick(node);
	dynmemmap_make_whole(node);
	queue_delayed_work(system_dfl_wq, &node->watch_work, WATCH_INTERVAL);
}

void __dynmemmap_free_notify(struct zone *zone)
{
	struct dynmemmap_node *node = dynmemmap_nodes[zone_to_nid(zone)];

	if (!delayed_work_pending(&node->work))
		dynmemmap_worker_kick(node);
}

void __dynmemmap_pcp_notify(struct zone *zone, unsigned long nr_pages)
{
	if (dynmemmap_policy_was_burst(nr_pages >> DYNMEMMAP_AREA_ORDER,
				       dynmemmap_zone_nr_in_use(zone)))
		__dynmemmap_free_notify(zone);
}
