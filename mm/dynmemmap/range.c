// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ranges: whoever looks at memory page frame by page frame gets one first, and finds all
 * struct pages until he puts it. Meanwhile nothing is taken back anywhere.
 */
#include <linux/mm.h>

#include "core.h"
#include "../internal.h"

/*
 * Areas enter the pool only under it, and only while nobody has a range
 * (dynmemmap_range_get()).
 */
DEFINE_MUTEX(dynmemmap_take_back_mutex);
/* Ranges in use; dynmemmap_take_back_mutex. */
static unsigned int nr_ranges;
/* Held to get a range, and while compaction has an area: that isolates memory, too. */
static DEFINE_MUTEX(dynmemmap_range_mutex);

/**
 * dynmemmap_may_take_back() - may struct pages be taken away now?
 *
 * Context: dynmemmap_take_back_mutex held; true until it is dropped.
 * Return: false while somebody has a range, or if an invariant was found broken.
 */
bool dynmemmap_may_take_back(void)
{
	lockdep_assert_held(&dynmemmap_take_back_mutex);
	return !nr_ranges && !READ_ONCE(dynmemmap_broken);
}

/**
 * dynmemmap_next_area() - go through the areas of a range
 * @pfn:	a page frame; afterwards, the first one behind the area that was found
 * @end_pfn:	one past the last page frame of the range
 *
 * Context: any.
 * Return: the area page of @pfn, or the next one of a section that is managed; NULL if there
 * is no more in the range.
 */
struct dynmemmap_area *dynmemmap_next_area(unsigned long *pfn, unsigned long end_pfn)
{
	/* There are none above, and the page frame number would wrap around. */
	end_pfn = min(end_pfn, section_nr_to_pfn(NR_MEM_SECTIONS));
	while (*pfn < end_pfn) {
		struct dynmemmap_area *area = dynmemmap_area_of(*pfn);

		*pfn = ALIGN_DOWN(*pfn, DYNMEMMAP_AREA_NR_PAGES) + DYNMEMMAP_AREA_NR_PAGES;
		if (area)
			return area;
	}
	return NULL;
}

/* Is it RAM some of whose struct pages do not exist? A snapshot. */
static bool area_lacks_pages(const struct dynmemmap_area *area)
{
	const u8 owner = READ_ONCE(area->owner);

	return owner == DYNMEMMAP_POOL ||
	       ((owner == DYNMEMMAP_CACHE || owner == DYNMEMMAP_KERNEL) &&
		dynmemmap_area_shared(area));
}

static void area_use_last(struct dynmemmap_area *area)
{
	struct zone *zone = READ_ONCE(area->zone);

	if (!zone)
		return;
	guard(spinlock_irqsave)(&zone->lock);
	if (area->zone == zone && READ_ONCE(area->owner) == DYNMEMMAP_POOL)
		dynmemmap_pool_move_last(dynmemmap_zone_pool(zone), area);
}

/*
 * Have frames for all of a range before any of it is lent, and from elsewhere, if there
 * is anything else: those in the range would keep it from being isolated.
 */
static void range_provide(unsigned long pfn, unsigned long end_pfn)
{
	struct dynmemmap_node *node = NULL;
	struct dynmemmap_area *area;
	unsigned long nr_areas = 0;

	while ((area = dynmemmap_next_area(&pfn, end_pfn))) {
		cond_resched();
		if (!area_lacks_pages(area))
			continue;
		area_use_last(area);
		if (node && node != dynmemmap_area_node(area)) {
			dynmemmap_stock_provide(node, nr_areas, GFP_NOWAIT);
			nr_areas = 0;
		}
		node = dynmemmap_area_node(area);
		nr_areas++;
	}
	if (node)
		dynmemmap_stock_provide(node, nr_areas, GFP_NOWAIT);
}

/* Return: true if the area was in pool or cache, and was lent if there was memory. */
static bool area_lend_for_range(struct dynmemmap_area *area)
{
	if (dynmemmap_cache_take_area(area))
		dynmemmap_cache_lend(area, "range");
	else if (dynmemmap_pool_take_area(area))
		dynmemmap_area_lend(area, "range");
	else
		return false;
	return true;
}

/**
 * dynmemmap_area_is_shown() - has an area in use all its struct pages?
 * @area:	any area
 *
 * One whose TLB flush is under way has not, because it may still enter the cache.
 *
 * Context: any but NMI; dynmemmap_node.lock not held. True as long as nobody takes struct
 * pages back: while a range is held, or dynmemmap_take_back_mutex.
 * Return: true if it has, and they can be written.
 */
bool dynmemmap_area_is_shown(struct dynmemmap_area *area)
{
	guard(raw_spinlock_irqsave)(&dynmemmap_area_node(area)->lock);
	return READ_ONCE(area->owner) == DYNMEMMAP_KERNEL && !dynmemmap_area_shared(area) &&
	       !(area->marks & DYNMEMMAP_MARKS_STALE);
}

/*
 * Somebody moves the area, which takes him microseconds; but he may have been
 * preempted by the caller.
 */
static void wait_for_mover(void)
{
	schedule_timeout_uninterruptible(1);
}

/*
 * Have all struct pages of an area, whoever has it. Nothing enters the pool now, and
 * nothing but HUGE areas the cache: after this there is none in the range.
 */
static void area_show(struct dynmemmap_area *area, bool devices)
{
	for (;; wait_for_mover()) {
		switch (READ_ONCE(area->owner)) {
		case DYNMEMMAP_DEVICE:
			if (devices)
				dynmemmap_device_show(area);
			return;
		case DYNMEMMAP_POOL:
		case DYNMEMMAP_CACHE:
			if (area_lend_for_range(area))
				return;
			break;
		case DYNMEMMAP_MOVING:
			if (!READ_ONCE(area->zone))
				return;
			break;
		case DYNMEMMAP_KERNEL:
			if (!dynmemmap_populate_tails(area, GFP_NOWAIT, "range") ||
			    dynmemmap_area_is_shown(area))
				return;
			break;
		default:
			return;
		}
	}
}

static void range_lend(unsigned long pfn, unsigned long end_pfn, bool devices)
{
	struct dynmemmap_area *area;
	struct zone *zone;

	range_provide(pfn, end_pfn);
	while ((area = dynmemmap_next_area(&pfn, end_pfn))) {
		area_show(area, devices);
		cond_resched();
	}
	/* Nobody finds them but on their lists. */
	for_each_populated_zone(zone)
		dynmemmap_parts_lend(zone);
}

static void range_hold(void)
{
	guard(mutex)(&dynmemmap_range_mutex);
	guard(mutex)(&dynmemmap_take_back_mutex);
	nr_ranges++;
}

/**
 * dynmemmap_compact_begin() - have compaction be the only one that isolates memory
 *
 * Context: process context, may sleep; dynmemmap_take_back_mutex not held.
 * Return: true if nobody has a range, and nobody gets one until dynmemmap_compact_end();
 * false if compaction has to give way.
 */
bool dynmemmap_compact_begin(void)
{
	bool may;

	mutex_lock(&dynmemmap_range_mutex);
	scoped_guard(mutex, &dynmemmap_take_back_mutex)
		may = dynmemmap_may_take_back();
	if (!may)
		mutex_unlock(&dynmemmap_range_mutex);
	return may;
}

/**
 * dynmemmap_compact_end() - end what dynmemmap_compact_begin() began
 *
 * Context: process context.
 */
void dynmemmap_compact_end(void)
{
	mutex_unlock(&dynmemmap_range_mutex);
}

void __dynmemmap_range_get(unsigned long start_pfn, unsigned long end_pfn)
{
	range_hold();
	range_lend(start_pfn, end_pfn, true);
}
EXPORT_SYMBOL_GPL(__dynmemmap_range_get);

/* Has an area that is in a range all its struct pages? */
static bool area_is_lent(struct dynmemmap_area *area, bool devices)
{
	/* Nothing is taken back now: somebody is just lending it. */
	while (READ_ONCE(area->zone) && READ_ONCE(area->owner) == DYNMEMMAP_MOVING)
		wait_for_mover();
	switch (READ_ONCE(area->owner)) {
	case DYNMEMMAP_KERNEL:
		return dynmemmap_area_is_shown(area);
	case DYNMEMMAP_DEVICE:
		return !devices || dynmemmap_device_is_shown(area);
	case DYNMEMMAP_STOCK:
		return true;
	default:
		/* Offline memory is nobody's to lend. */
		return !READ_ONCE(area->zone);
	}
}

static bool range_is_lent(unsigned long pfn, unsigned long end_pfn, bool devices)
{
	struct dynmemmap_area *area;

	while ((area = dynmemmap_next_area(&pfn, end_pfn)))
		if (!area_is_lent(area, devices))
			return false;
	return true;
}

bool __dynmemmap_range_is_lent(unsigned long start_pfn, unsigned long end_pfn)
{
	return range_is_lent(start_pfn, end_pfn, true);
}

/**
 * dynmemmap_ram_get() - have all struct pages of all RAM
 *
 * And none of devices, of which there may be more than RAM can hold. As
 * dynmemmap_range_get(), and ended by dynmemmap_range_put(), also if it fails.
 *
 * Context: process context, may sleep.
 * Return: true if there was memory for all of them.
 */
bool dynmemmap_ram_get(void)
{
	range_hold();
	range_lend(0, max_pfn, false);
	return range_is_lent(0, max_pfn, false);
}

void __dynmemmap_range_put(void)
{
	int nid;

	scoped_guard(mutex, &dynmemmap_take_back_mutex)
		nr_ranges--;
	for_each_online_node(nid)
		dynmemmap_worker_kick(dynmemmap_nodes[nid]);
}
EXPORT_SYMBOL_GPL(__dynmemmap_range_put);
