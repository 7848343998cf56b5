// SPDX-License-Identifier: GPL-2.0-only
/*
 * Supply: where the frames of the stock come from and where they go.
 *
 * The refill work takes single pages from the buddy allocator, ahead of need.
 * Where that is too slow, an area of the pool is cut into single pages. Where
 * not even the frames for that are left, an area becomes a donor: it hosts its
 * own struct pages, gives the other frames, and stays until it gets them all back.
 */
#include <linux/mm.h>
#include <linux/page-isolation.h>
#include <linux/page_owner.h>
#include <linux/pgalloc_tag.h>
#include <linux/sched/clock.h>

#include "core.h"
#include "../internal.h"

/* DYNMEMMAP_AREA_NR_FRAMES as an order. */
#define FRAMES_ORDER	3

/* With so few free frames left an area is cut: enough to do that, four times. */
#define CUT_BELOW_FRAMES \
	(DYNMEMMAP_RESERVE_NOFAIL_FRAMES + 4 * DYNMEMMAP_AREA_NR_FRAMES)

static_assert(1 << FRAMES_ORDER == DYNMEMMAP_AREA_NR_FRAMES);

/**
 * dynmemmap_frames_put() - return frames to the stock
 * @node:	the node whose stock they came from
 * @frames:	the frames; NULL for none
 * @nr_frames:	how many
 *
 * Context: any but NMI.
 */
void dynmemmap_frames_put(struct dynmemmap_node *node, struct page **frames,
			  unsigned int nr_frames)
{
	guard(raw_spinlock_irqsave)(&node->lock);
	dynmemmap_frames_put_locked(node, frames, nr_frames);
}

/**
 * dynmemmap_frames_put_locked() - the same for who has the lock already
 * @node:	as for dynmemmap_frames_put()
 * @frames:	as for dynmemmap_frames_put()
 * @nr_frames:	as for dynmemmap_frames_put()
 *
 * Context: any; dynmemmap_node.lock held.
 */
void dynmemmap_frames_put_locked(struct dynmemmap_node *node, struct page **frames,
				 unsigned int nr_frames)
{
	unsigned int i;

	lockdep_assert_held(&node->lock);
	for (i = 0; i < nr_frames; i++)
		if (frames[i])
			dynmemmap_stock_put(&node->stock, frames[i]);
}

/* Put frames in their places: one for each wanted vmemmap page, and the last one. */
static void frames_spread(struct page **frames, u8 wanted)
{
	unsigned int from = hweight8(wanted), i;

	frames[DYNMEMMAP_TABLE_FRAME] = frames[from];
	for (i = DYNMEMMAP_AREA_NR_FRAMES; i--;)
		frames[i] = wanted & BIT(i) ? frames[--from] : NULL;
}

/**
 * dynmemmap_frames_try_take() - take frames out of the stock, if it has them
 * @node:	the node of the area to populate
 * @frames:	where to put DYNMEMMAP_POPULATE_NR_FRAMES struct pages
 * @wanted:	the vmemmap pages to populate, a bit each; frames of others are NULL
 * @nr_left:	free frames that have to be left for others
 *
 * Context: any but NMI; dynmemmap_node.lock not held.
 * Return: true with all of them, false with none.
 */
bool dynmemmap_frames_try_take(struct dynmemmap_node *node, struct page **frames, u8 wanted,
			       unsigned int nr_left)
{
	bool taken;

	scoped_guard(raw_spinlock_irqsave, &node->lock)
		taken = dynmemmap_stock_take(&node->stock, hweight8(wanted) + 1, nr_left, frames);
	if (taken)
		frames_spread(frames, wanted);
	return taken;
}

/*
 * An area of the pool becomes a donor. Usually it hosts its own struct pages; one that a
 * repaired read has populated gives all its frames.
 */
static bool zone_donate_locked(struct dynmemmap_node *node, struct zone *zone)
{
	struct dynmemmap_area *area = dynmemmap_pool_first(dynmemmap_zone_pool(zone));
	u64 start = local_clock();
	unsigned int nr_own = 0;
	struct page *first;

	lockdep_assert_held(&node->lock);
	if (!area)
		return false;
	dynmemmap_pool_remove_free(zone, area);
	if (dynmemmap_self_host_locked(area))
		nr_own = DYNMEMMAP_AREA_NR_FRAMES + dynmemmap_vmemmap_hosts_table(area);
	dynmemmap_area_prepare_use(area);
	dynmemmap_set_owner(area, DYNMEMMAP_STOCK);

	first = dynmemmap_area_page(area, 0);
	/* Memory that has come online is still marked as isolated, and counted as that. */
	init_pageblock_migratetype(first, MIGRATE_UNMOVABLE, false);
	set_page_refcounted(first);
	dynmemmap_donor_init(&area->donor, first + nr_own, DYNMEMMAP_AREA_NR_PAGES - nr_own);
	atomic_long_add(nr_own, &node->nr_own_frames);
	memmap_pages_add(area->donor.nr_frames);
	dynmemmap_stock_add(&node->stock, &area->donor);
	dynmemmap_note_lend(area, "stock", start);
	return true;
}

/* All pages of an area that nobody else has join the stock. */
static void area_join_stock(struct dynmemmap_node *node, struct dynmemmap_area *area)
{
	struct page *page = dynmemmap_area_page(area, 0);
	struct page *end = page + DYNMEMMAP_AREA_NR_PAGES;

	lockdep_assert_held(&node->lock);
	memmap_pages_add(DYNMEMMAP_AREA_NR_PAGES);
	for (; page < end; page++) {
		/* It waits for no lock then, nor wakes anybody. */
		set_page_owner(page, 0, __GFP_HIGH | __GFP_NOWARN);
		clear_page_tag_ref(page);
		set_page_refcounted(page);
		dynmemmap_stock_add_single(&node->stock, page);
	}
}

/* An area of the pool becomes 512 allocated pages, all of them in the stock. */
static bool zone_cut_locked(struct dynmemmap_node *node, struct zone *zone)
{
	struct page *frames[DYNMEMMAP_POPULATE_NR_FRAMES];
	struct dynmemmap_area *area;
	u64 start = local_clock();

	if (!dynmemmap_stock_take(&node->stock, DYNMEMMAP_POPULATE_NR_FRAMES, 0, frames))
		return false;
	area = dynmemmap_pool_take_populated(node, zone, frames, "stock");
	if (!area)
		return false;
	dynmemmap_area_allocate(area);
	area_join_stock(node, area);
	dynmemmap_note_lend(area, "stock", start);
	return true;
}

typedef bool (*zone_supply)(struct dynmemmap_node *node, struct zone *zone);

static bool zone_supply_stock(struct dynmemmap_node *node, struct zone *zone, zone_supply supply)
{
	if (!READ_ONCE(dynmemmap_zone_pool(zone)->nr_areas))
		return false;
	guard(spinlock_irqsave)(&zone->lock);
	guard(raw_spinlock_irqsave)(&node->lock);
	return supply(node, zone);
}

/* What low zones keep for those who can use no other is kept from the stock, too. */
static bool zone_can_spare_area(struct zone *zone)
{
	return zone_watermark_ok(zone, DYNMEMMAP_AREA_ORDER, min_wmark_pages(zone), ZONE_NORMAL,
				 0);
}

/* From the highest zone that has unmovable memory, and has an area to spare. */
static bool node_supply(struct dynmemmap_node *node, zone_supply supply)
{
	struct zone *zones = NODE_DATA(node->nid)->node_zones;
	int zid;

	for (zid = ZONE_NORMAL; zid >= 0; zid--)
		if (zone_can_spare_area(&zones[zid]) &&
		    zone_supply_stock(node, &zones[zid], supply))
			return true;
	return false;
}

/*
 * Frames for movable memory are bought where its page tables have to be, too: those may be
 * one for each area in a pool. Is there no room for more than them?
 */
static bool tables_need_room(void)
{
	unsigned long nr_tables = 0, nr_free = 0;
	struct zone *zone;

	for_each_populated_zone(zone) {
		if (zone_idx(zone) <= ZONE_NORMAL)
			nr_free += max(zone_page_state(zone, NR_FREE_PAGES),
				       high_wmark_pages(zone)) - high_wmark_pages(zone);
		else
			nr_tables += READ_ONCE(dynmemmap_zone_pool(zone)->nr_areas);
	}
	return nr_free < nr_tables;
}

/*
 * Then have frames of movable memory itself.
 * Return: false if there is no need, or no area.
 */
static bool node_leave_room(struct dynmemmap_node *node)
{
	return tables_need_room() &&
	       zone_supply_stock(node, &NODE_DATA(node->nid)->node_zones[ZONE_MOVABLE],
				 zone_donate_locked);
}

/*
 * Frames in use should not be in ZONE_MOVABLE: when all that is free has been taken back, a
 * memory block goes offline only if what its donors still hold finds frames elsewhere. Nor
 * should they use up reserves; but running out of frames is worse.
 */
static bool node_donate(struct dynmemmap_node *node)
{
	struct zone *zones = NODE_DATA(node->nid)->node_zones;
	int zid;

	if (node_supply(node, zone_donate_locked))
		return true;
	for (zid = ZONE_MOVABLE; zid >= 0; zid--)
		if (zone_supply_stock(node, &zones[zid], zone_donate_locked))
			return true;
	return false;
}

/**
 * dynmemmap_stock_is_low() - is a refill due?
 * @node:	the node
 *
 * Context: any, takes no lock.
 * Return: true if few single frames are left, and donors do not make up for it.
 */
bool dynmemmap_stock_is_low(struct dynmemmap_node *node)
{
	return READ_ONCE(node->stock.nr_singles_free) < READ_ONCE(node->nr_reserve) / 2 &&
	       READ_ONCE(node->stock.nr_free) < 2 * READ_ONCE(node->nr_reserve);
}

/* Allocate a block of single pages that a stock can use. Return: false with none. */
static bool frames_alloc(struct dynmemmap_node *node, gfp_t gfp, unsigned int order,
			 struct list_head *frames)
{
	struct page *first = alloc_pages_node(node->nid, gfp | __GFP_NOWARN, order);
	unsigned int i;

	if (!first)
		return false;
	split_page(first, order);
	memmap_pages_add(1 << order);
	for (i = 0; i < 1U << order; i++) {
		set_page_private(first + i, 0);
		list_add_tail(&first[i].lru, frames);
	}
	return true;
}

static bool stock_buy_block(struct dynmemmap_node *node, gfp_t gfp, unsigned int order)
{
	struct page *frame, *next;
	LIST_HEAD(frames);

	if (!frames_alloc(node, gfp, order, &frames))
		return false;
	guard(raw_spinlock_irqsave)(&node->lock);
	list_for_each_entry_safe(frame, next, &frames, lru) {
		list_del(&frame->lru);
		dynmemmap_stock_add_single(&node->stock, frame);
	}
	return true;
}

/* The frames for one area, as one block where there is one. */
static bool stock_buy(struct dynmemmap_node *node, gfp_t gfp)
{
	return stock_buy_block(node, (gfp & ~__GFP_NOFAIL) | __GFP_NORETRY, FRAMES_ORDER) ||
	       stock_buy_block(node, gfp, 0);
}

/*
 * More frames for the stock, out of the allocator or, if that may not be used or has too few,
 * of the pool.
 */
static bool stock_extend(struct dynmemmap_node *node, gfp_t gfp)
{
	if (node_leave_room(node))
		return true;
	return (gfpflags_allow_blocking(gfp) &&
		stock_buy_block(node, (gfp & ~__GFP_NOFAIL) | __GFP_NORETRY, FRAMES_ORDER)) ||
	       node_donate(node);
}

/* Frames for one area. */
static bool frames_take(struct dynmemmap_node *node, struct page **frames, u8 wanted,
			unsigned int nr_left, gfp_t gfp)
{
	/* Others may use up what was added before we get at it; go on then. */
	while (!dynmemmap_frames_try_take(node, frames, wanted, nr_left)) {
		if (!stock_extend(node, gfp))
			return false;
	}
	if (dynmemmap_stock_is_low(node)) {
		dynmemmap_worker_kick(node);
		if (READ_ONCE(node->stock.nr_free) < CUT_BELOW_FRAMES && !node_leave_room(node))
			node_supply(node, zone_cut_locked);
	}
	return true;
}

/**
 * dynmemmap_frames_take_locked() - frames for one area, though nobody can be waited for
 * @node:	the node of the area
 * @zone:	a zone of that node, whose areas may fill the stock
 * @frames:	where to put DYNMEMMAP_POPULATE_NR_FRAMES struct pages
 *
 * Context: any; zone->lock and dynmemmap_node.lock held.
 * Return: true with all of them, false with none.
 */
bool dynmemmap_frames_take_locked(struct dynmemmap_node *node, struct zone *zone,
				  struct page **frames)
{
	const unsigned int nr_left = DYNMEMMAP_RESERVE_NOFAIL_FRAMES;
	struct dynmemmap_stock *stock = &node->stock;

	while (!dynmemmap_stock_take(stock, DYNMEMMAP_POPULATE_NR_FRAMES, nr_left, frames)) {
		if (!zone_donate_locked(node, zone))
			return false;
	}
	if (dynmemmap_stock_is_low(node)) {
		dynmemmap_worker_kick(node);
		/* One is for the caller. */
		if (stock->nr_free < CUT_BELOW_FRAMES &&
		    dynmemmap_zone_pool(zone)->nr_areas > 1 && zone_can_spare_area(zone))
			zone_cut_locked(node, zone);
	}
	return true;
}

/**
 * dynmemmap_frames_take() - take the frames that populating one area needs
 * @node:	the node of the area
 * @frames:	where to put DYNMEMMAP_POPULATE_NR_FRAMES struct pages
 * @wanted:	the vmemmap pages to populate, a bit each; frames of others are NULL
 *
 * Context: any but NMI; neither zone->lock nor dynmemmap_node.lock held. A page
 * fault cannot know that and uses dynmemmap_frames_try_take().
 * Return: true with all of them; false if the pools of the node are empty, and its
 * stock but for what is kept for those who cannot fail.
 */
bool dynmemmap_frames_take(struct dynmemmap_node *node, struct page **frames, u8 wanted)
{
	return !dynmemmap_should_fail() &&
	       frames_take(node, frames, wanted, DYNMEMMAP_RESERVE_NOFAIL_FRAMES, 0);
}

/**
 * dynmemmap_frames_buy() - take frames for one area, out of the allocator if need be
 * @node:	the node of the area
 * @frames:	where to put DYNMEMMAP_POPULATE_NR_FRAMES struct pages
 * @wanted:	the vmemmap pages to populate, a bit each; frames of others are NULL
 * @gfp:	how hard to try when stock and pools are empty; with __GFP_MEMALLOC, what
 *		is kept for those who cannot fail may be used
 *
 * Context: as dynmemmap_frames_take(), and as @gfp says.
 * Return: true with all of them, false with none.
 */
bool dynmemmap_frames_buy(struct dynmemmap_node *node, struct page **frames, u8 wanted,
			  gfp_t gfp)
{
	const unsigned int nr_left = gfp & __GFP_MEMALLOC ? 0 : DYNMEMMAP_RESERVE_NOFAIL_FRAMES;

	if (!(gfp & (__GFP_MEMALLOC | __GFP_NOFAIL)) && dynmemmap_should_fail())
		return false;
	while (!frames_take(node, frames, wanted, nr_left, gfp))
		if (!stock_buy(node, gfp))
			return false;
	return true;
}

/**
 * dynmemmap_stock_refill() - bring the single frames of a node up to the reserve
 * @work:	embedded in the node
 *
 * Context: workqueue.
 */
void dynmemmap_stock_refill(struct work_struct *work)
{
	struct dynmemmap_node *node = container_of(work, struct dynmemmap_node, refill_work);
	unsigned long nr_reserve = dynmemmap_policy_reserve(READ_ONCE(node->nr_reserve), true);

	WRITE_ONCE(node->nr_reserve, nr_reserve);
	while (READ_ONCE(node->stock.nr_singles_free) < nr_reserve) {
		if (node_leave_room(node))
			return;
		if (!stock_buy(node, GFP_KERNEL | __GFP_NORETRY))
			return;
	}
}

/**
 * dynmemmap_stock_provide() - have frames for areas that are about to be populated
 * @node:	the node of the areas
 * @nr_areas:	how many
 * @gfp:	how hard to try
 *
 * So that populating a range of areas makes no donors.
 *
 * Context: as @gfp says; neither zone->lock nor dynmemmap_node.lock held.
 * Return: true if there are as many frames, besides the reserve.
 */
bool dynmemmap_stock_provide(struct dynmemmap_node *node, unsigned long nr_areas, gfp_t gfp)
{
	unsigned long nr_wanted = READ_ONCE(node->nr_reserve) +
				  nr_areas * DYNMEMMAP_AREA_NR_FRAMES;

	while (READ_ONCE(node->stock.nr_free) < nr_wanted)
		if (!stock_buy(node, gfp))
			return false;
	return true;
}

/**
 * dynmemmap_stock_provide_singles() - have as many single frames as a stock always keeps
 * @node:	the node
 *
 * So that no donor has to be kept for that.
 *
 * Context: process context, may sleep; neither zone->lock nor dynmemmap_node.lock held.
 */
void dynmemmap_stock_provide_singles(struct dynmemmap_node *node)
{
	while (READ_ONCE(node->stock.nr_singles_free) < DYNMEMMAP_RESERVE_MIN_FRAMES)
		if (!stock_buy(node, GFP_KERNEL | __GFP_NORETRY))
			return;
}

static void frame_free(struct page *frame)
{
	if (PageReserved(frame)) {
		/* Of memblock, and never allocated, but counted as managed. */
		ClearPageReserved(frame);
		clear_page_tag_ref(frame);
		memmap_boot_pages_add(-1);
	} else {
		memmap_pages_add(-1);
	}
	__free_page(frame);
}

/**
 * dynmemmap_frames_free() - give pages back that are in no stock any more
 * @frames:	by page->lru
 *
 * Context: process context.
 */
void dynmemmap_frames_free(struct list_head *frames)
{
	struct page *frame, *next;

	list_for_each_entry_safe(frame, next, frames, lru) {
		list_del(&frame->lru);
		frame_free(frame);
	}
}

/**
 * dynmemmap_frames_alloc() - allocate pages that a stock can use, if that costs nothing
 * @node:	the node
 * @order:	of the block that they are to be
 * @frames:	where to put them, by page->lru
 *
 * Context: process context.
 * Return: true with all of them, false with none.
 */
bool dynmemmap_frames_alloc(struct dynmemmap_node *node, unsigned int order,
			    struct list_head *frames)
{
	return frames_alloc(node, (GFP_KERNEL & ~__GFP_RECLAIM) | __GFP_THISNODE, order, frames);
}

static void stock_sell(struct dynmemmap_node *node, unsigned long nr_reserve)
{
	struct page *frame;

	for (;;) {
		scoped_guard(raw_spinlock_irqsave, &node->lock)
			frame = dynmemmap_stock_remove_single(&node->stock, 2 * nr_reserve);
		if (!frame)
			return;
		frame_free(frame);
		cond_resched();
	}
}

/* Return: false if it has to stay in the stock for now. */
static bool donor_return_area(struct dynmemmap_donor *donor)
{
	struct dynmemmap_area *area = container_of(donor, struct dynmemmap_area, donor);
	struct page *page = dynmemmap_area_page(area, 0);
	u64 start = local_clock();
	LIST_HEAD(areas);

	/* It is given up: nobody is to have that page, and nothing else knows of it. */
	if (dynmemmap_block_has_poison(page, DYNMEMMAP_AREA_ORDER))
		return true;
	/* Who looks at all page frames may have a reference for a moment. */
	if (!page_ref_freeze(page, 1)) {
		guard(raw_spinlock_irqsave)(&dynmemmap_area_node(area)->lock);
		dynmemmap_stock_add(&dynmemmap_area_node(area)->stock, donor);
		return false;
	}
	dynmemmap_set_owner(area, DYNMEMMAP_MOVING);
	INIT_LIST_HEAD(&area->pool_list);
	list_add(&area->pool_list, &areas);
	memmap_pages_add(-donor->nr_frames);
	atomic_long_sub(DYNMEMMAP_AREA_NR_PAGES - donor->nr_frames,
			&dynmemmap_area_node(area)->nr_own_frames);
	dynmemmap_unpopulate(&areas, "stock");
	/* Others may need the page table that it hosts. */
	if (area->state == DYNMEMMAP_SPLIT)
		dynmemmap_repairs_add(area);
	dynmemmap_note_take_back(area, "stock", start);
	dynmemmap_pool_give_last(&areas);
	return true;
}

/**
 * dynmemmap_stock_drain() - give back what the stock of a node does not need
 * @node:	the node
 *
 * Context: process context, may sleep.
 * Return: true if it will need less when nothing happens until the next time.
 */
bool dynmemmap_stock_drain(struct dynmemmap_node *node)
{
	unsigned long nr_reserve = dynmemmap_policy_reserve(READ_ONCE(node->nr_reserve), false);
	struct dynmemmap_donor *donor;

	WRITE_ONCE(node->nr_reserve, nr_reserve);
	do {
		scoped_guard(raw_spinlock_irqsave, &node->lock)
			donor = dynmemmap_stock_remove_empty(&node->stock, nr_reserve);
	} while (donor && donor_return_area(donor));
	stock_sell(node, nr_reserve);
	return dynmemmap_policy_reserve(nr_reserve, false) < nr_reserve;
}
