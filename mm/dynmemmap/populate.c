// SPDX-License-Identifier: GPL-2.0-only
/*
 * Populate and unpopulate: the ways between IDLE, HUGE and SPLIT. Puts together
 * states, frames and page tables; does not decide when, and does not know the
 * buddy allocator.
 */
#include <linux/sched/clock.h>

#include "core.h"

#define CREATE_TRACE_POINTS
#include <trace/events/dynmemmap.h>

/**
 * dynmemmap_set_state() - change the state of an area
 * @area:	the area
 * @state:	a legal next state
 *
 * Context: any; dynmemmap_node.lock of the node of @area held.
 */
void dynmemmap_set_state(struct dynmemmap_area *area, enum dynmemmap_state state)
{
	struct dynmemmap_node *node = dynmemmap_area_node(area);

	lockdep_assert_held(&node->lock);
	DYNMEMMAP_WARN_ON(!dynmemmap_area_set_state(area, state, node->nr_areas));
}

/**
 * dynmemmap_set_owner() - change the owner of an area
 * @area:	the area
 * @owner:	a legal next owner
 *
 * Context: any; see enum dynmemmap_owner for the lock.
 */
void dynmemmap_set_owner(struct dynmemmap_area *area, enum dynmemmap_owner owner)
{
	DYNMEMMAP_WARN_ON(!dynmemmap_area_set_owner(area, owner));
}

/**
 * dynmemmap_populate_with() - give an area its struct pages, in given frames
 * @area:	an area in the pool, MOVING, or of a device
 * @frames:	DYNMEMMAP_POPULATE_NR_FRAMES frames of the stock, or NULL; those that
 *		are not needed go back there
 *
 * Context: any but NMI.
 * Return: true if something was mapped; false if a stray read was repaired meanwhile,
 * the area is HUGE now, or its section is gone.
 */
bool dynmemmap_populate_with(struct dynmemmap_area *area, struct page **frames)
{
	struct dynmemmap_node *node = dynmemmap_area_node(area);
	u8 mapped = 0;

	dynmemmap_vmemmap_fill(area, frames);
	scoped_guard(raw_spinlock_irqsave, &node->lock) {
		/*
		 * Its section may have gone, with the page tables; or a huge folio
		 * has the area that somebody has looked at without holding it.
		 */
		if (!dynmemmap_area_exists(area) || area->state == DYNMEMMAP_HUGE)
			break;
		mapped = area->mapped;
		dynmemmap_vmemmap_map(area, frames);
		mapped ^= area->mapped;
		if (area->state == DYNMEMMAP_IDLE)
			dynmemmap_set_state(area, DYNMEMMAP_SPLIT);
	}
	dynmemmap_frames_put(node, frames, DYNMEMMAP_POPULATE_NR_FRAMES);
	return mapped;
}

/**
 * dynmemmap_populate() - give an area its struct pages
 * @area:	an area in the pool, MOVING, or of a device
 * @reason:	for the trace
 *
 * Context: any but NMI; neither zone->lock nor dynmemmap_node.lock held, see
 * dynmemmap_frames_take().
 * Return: true if the area is SPLIT, false if stock and pools are empty.
 */
bool dynmemmap_populate(struct dynmemmap_area *area, const char *reason)
{
	return dynmemmap_populate_some(area, DYNMEMMAP_ALL_VMEMMAP_PAGES, reason);
}

/**
 * dynmemmap_populate_some() - give an area some of its struct pages
 * @area:	an area of a device
 * @wanted:	the vmemmap pages to populate, a bit each; others stay as they are
 * @reason:	for the trace
 *
 * Context: as dynmemmap_populate().
 * Return: true if the area is SPLIT and has them, false if stock and pools are empty.
 */
bool dynmemmap_populate_some(struct dynmemmap_area *area, u8 wanted, const char *reason)
{
	struct dynmemmap_node *node = dynmemmap_area_node(area);
	struct page *frames[DYNMEMMAP_POPULATE_NR_FRAMES];
	u64 start = local_clock();

	wanted &= ~READ_ONCE(area->mapped);
	if (!wanted)
		return true;
	if (!dynmemmap_frames_take(node, frames, wanted))
		return false;
	if (!dynmemmap_populate_with(area, frames))
		return true;

	count_vm_event(DYNMEMMAP_POPULATE);
	trace_dynmemmap_populate(area->area_nr, area->nid, reason, local_clock() - start);
	return true;
}

/*
 * The shared tail of the zone of an area, made when it is needed for the first time.
 * Return: NULL if stock and pools are empty.
 */
static struct page *area_tail(struct dynmemmap_area *area)
{
	struct zone *zone = dynmemmap_area_page_zone(area);
	struct dynmemmap_pool *pool = dynmemmap_zone_pool(zone);
	struct dynmemmap_node *node = dynmemmap_area_node(area);
	struct page *frames[DYNMEMMAP_POPULATE_NR_FRAMES];

	/* Pairs with the smp_store_release() below. */
	if (smp_load_acquire(&pool->tail))
		return pool->tail;
	if (!dynmemmap_frames_take(node, frames, BIT(0)))
		return NULL;
	dynmemmap_vmemmap_fill_tail(zone, frames[0]);
	scoped_guard(raw_spinlock_irqsave, &node->lock) {
		if (pool->tail)
			break;
		/* What it holds, before others use it. */
		smp_store_release(&pool->tail, frames[0]);
		frames[0] = NULL;
	}
	dynmemmap_frames_put(node, frames, DYNMEMMAP_POPULATE_NR_FRAMES);
	return pool->tail;
}

/**
 * dynmemmap_populate_huge() - give an area one vmemmap page, and the shared tail
 * @area:	an area that is MOVING, or of a device
 * @reason:	for the trace
 *
 * Context: as dynmemmap_populate().
 * Return: true if the area is HUGE; false if stock and pools are empty, or it has
 * been populated meanwhile.
 */
bool dynmemmap_populate_huge(struct dynmemmap_area *area, const char *reason)
{
	struct dynmemmap_node *node = dynmemmap_area_node(area);
	struct page *frames[DYNMEMMAP_POPULATE_NR_FRAMES], *tail = area_tail(area);
	u64 start = local_clock();

	if (!tail || !dynmemmap_frames_take(node, frames, BIT(0)))
		return false;
	dynmemmap_vmemmap_fill_huge(area, frames[0], tail);
	scoped_guard(raw_spinlock_irqsave, &node->lock) {
		if (!dynmemmap_area_exists(area) || area->state != DYNMEMMAP_IDLE)
			break;
		dynmemmap_vmemmap_map(area, frames);
		dynmemmap_vmemmap_map_tails(area, tail);
		dynmemmap_set_state(area, DYNMEMMAP_HUGE);
	}
	dynmemmap_frames_put(node, frames, DYNMEMMAP_POPULATE_NR_FRAMES);
	if (READ_ONCE(area->state) != DYNMEMMAP_HUGE)
		return false;
	count_vm_event(DYNMEMMAP_POPULATE);
	trace_dynmemmap_populate(area->area_nr, area->nid, reason, local_clock() - start);
	return true;
}

static void area_flush_tails(struct dynmemmap_area *area)
{
	/* With interrupts off other CPUs could not be told. */
	lockdep_assert_irqs_enabled();
	dynmemmap_vmemmap_flush(area, area, false);
}

/**
 * dynmemmap_populate_free() - give the tails of a free HUGE area their own frames
 * @area:	an area that is MOVING and HUGE
 * @reason:	for the trace
 *
 * They are those of a free area then, and tails of nothing; the struct pages in the
 * first vmemmap page stay as they are.
 *
 * Context: as dynmemmap_populate(), with interrupts enabled.
 * Return: true if the area is SPLIT, false if stock and pools are empty.
 */
bool dynmemmap_populate_free(struct dynmemmap_area *area, const char *reason)
{
	struct dynmemmap_node *node = dynmemmap_area_node(area);
	struct page *frames[DYNMEMMAP_POPULATE_NR_FRAMES];
	u64 start = local_clock();

	if (!dynmemmap_frames_take(node, frames, DYNMEMMAP_ALL_VMEMMAP_PAGES & ~BIT(0)))
		return false;
	dynmemmap_vmemmap_fill(area, frames);
	scoped_guard(raw_spinlock_irqsave, &node->lock) {
		dynmemmap_vmemmap_map(area, frames);
		dynmemmap_set_state(area, DYNMEMMAP_SPLIT);
	}
	dynmemmap_frames_put(node, frames, DYNMEMMAP_POPULATE_NR_FRAMES);
	area_flush_tails(area);
	count_vm_event(DYNMEMMAP_POPULATE);
	trace_dynmemmap_populate(area->area_nr, area->nid, reason, local_clock() - start);
	return true;
}

/* Frames that hold what the shared tail of a HUGE area holds. */
static bool area_copy_tails(struct dynmemmap_area *area, struct page **frames, gfp_t gfp)
{
	struct dynmemmap_pool *pool = dynmemmap_zone_pool(dynmemmap_area_page_zone(area));
	const struct page *tail = READ_ONCE(pool->tail);
	unsigned int i;

	if (!dynmemmap_frames_buy(dynmemmap_area_node(area), frames,
				  DYNMEMMAP_ALL_VMEMMAP_PAGES & ~BIT(0), gfp))
		return false;
	for (i = 1; i < DYNMEMMAP_AREA_NR_FRAMES; i++)
		copy_page(page_address(frames[i]), page_address(tail));
	return true;
}

static bool area_is_in_use(const struct dynmemmap_area *area)
{
	const u8 owner = READ_ONCE(area->owner);

	return owner == DYNMEMMAP_KERNEL || owner == DYNMEMMAP_DEVICE;
}

/*
 * Give a HUGE area in use frames for its tails.
 * Return: true if it is the caller's to flush, and to remove DYNMEMMAP_MARK_STALE.
 */
static bool area_map_tails(struct dynmemmap_area *area, struct page **frames)
{
	guard(raw_spinlock_irqsave)(&dynmemmap_area_node(area)->lock);
	if (area->state != DYNMEMMAP_HUGE || !area_is_in_use(area))
		return false;
	WRITE_ONCE(area->marks, area->marks | DYNMEMMAP_MARK_STALE);
	/* Pairs with smp_rmb() in dynmemmap_populate_tails(). */
	smp_wmb();
	dynmemmap_vmemmap_map(area, frames);
	/* Pairs with smp_load_acquire() in area_is_free(). */
	smp_wmb();
	dynmemmap_set_state(area, DYNMEMMAP_SPLIT);
	return true;
}

/**
 * dynmemmap_populate_tails() - give the tails of a HUGE area in use their own frames
 * @area:	an area that the caller keeps from being given back, or asks about again
 * @gfp:	how hard to try when stock and pools are empty
 * @reason:	for the trace
 *
 * They hold what the shared tail held, so who reads them sees no difference. Nobody
 * may write to them before no TLB remembers that: whoever wants to waits for a flush
 * of his own.
 *
 * Context: interrupts enabled; zone->lock and dynmemmap_node.lock not held; as @gfp
 * says.
 * Return: true if the tails can be written, or the area is not in use; false if there
 * is no memory, and nothing has changed.
 */
bool dynmemmap_populate_tails(struct dynmemmap_area *area, gfp_t gfp, const char *reason)
{
	struct dynmemmap_node *node = dynmemmap_area_node(area);
	u64 start = local_clock();

	if (READ_ONCE(area->state) == DYNMEMMAP_HUGE) {
		struct page *frames[DYNMEMMAP_POPULATE_NR_FRAMES];
		bool mapped;

		if (!area_copy_tails(area, frames, gfp))
			return false;
		mapped = area_map_tails(area, frames);
		dynmemmap_frames_put(node, frames, DYNMEMMAP_POPULATE_NR_FRAMES);
		if (mapped) {
			area_flush_tails(area);
			scoped_guard(raw_spinlock_irqsave, &node->lock)
				WRITE_ONCE(area->marks, area->marks & ~DYNMEMMAP_MARK_STALE);
			count_vm_event(DYNMEMMAP_POPULATE);
			trace_dynmemmap_populate(area->area_nr, area->nid, reason,
						 local_clock() - start);
			return true;
		}
	}
	/* Pairs with smp_wmb() in area_map_tails(). */
	smp_rmb();
	if (READ_ONCE(area->marks) & DYNMEMMAP_MARK_STALE)
		area_flush_tails(area);
	return true;
}

/*
 * A frame for the page table that self-hosting @area may need: of the stock, or,
 * when that is empty, the next one of the area.
 */
static struct page *self_host_table(struct dynmemmap_area *area)
{
	struct page *frame;

	if (!dynmemmap_vmemmap_needs_table(area))
		return NULL;
	if (dynmemmap_stock_take(&dynmemmap_area_node(area)->stock, 1, &frame))
		return frame;
	return dynmemmap_area_page(area, DYNMEMMAP_TABLE_FRAME);
}

/**
 * dynmemmap_self_host() - populate an area with frames of its own
 * @area:	an area that is in the pool or MOVING
 *
 * Needs no stock, so it works when nothing else does. The area can serve as a
 * donor then, or be unpopulated again; it must not be lent. It may have to host the
 * page table of its section too, see dynmemmap_vmemmap_hosts_table().
 *
 * Context: any but NMI.
 * Return: true if the first eight frames of @area hold its struct pages now,
 * false if it has been populated from the stock, or its section is gone.
 */
bool dynmemmap_self_host(struct dynmemmap_area *area)
{
	struct dynmemmap_node *node = dynmemmap_area_node(area);
	struct page *frames[DYNMEMMAP_POPULATE_NR_FRAMES];
	u64 start = local_clock();
	unsigned int i;

	for (i = 0; i < DYNMEMMAP_AREA_NR_FRAMES; i++)
		frames[i] = dynmemmap_area_page(area, i);

	/*
	 * Under the lock, unlike with frames of the stock: these may be written
	 * only while nobody can have populated the area and lent it.
	 */
	guard(raw_spinlock_irqsave)(&node->lock);
	if (!dynmemmap_area_exists(area))
		return false;
	if (area->state == DYNMEMMAP_IDLE) {
		dynmemmap_area_prepare_use(area);
		dynmemmap_vmemmap_fill(area, frames);
		frames[DYNMEMMAP_TABLE_FRAME] = self_host_table(area);
		dynmemmap_vmemmap_map(area, frames);
		dynmemmap_set_state(area, DYNMEMMAP_SPLIT);
		count_vm_event(DYNMEMMAP_POPULATE);
		trace_dynmemmap_populate(area->area_nr, area->nid, "self-host",
					 local_clock() - start);
	}
	return dynmemmap_vmemmap_is_self_hosted(area);
}

/*
 * Return: false if other areas need a page table that @area hosts, or somebody its
 * struct pages, or if a page table would go that is to stay.
 */
static bool area_unmap(struct dynmemmap_area *area, struct page **frames, bool keep_tables)
{
	guard(raw_spinlock_irqsave)(&dynmemmap_area_node(area)->lock);
	if (area->state == DYNMEMMAP_IDLE || dynmemmap_device_is_used(area))
		return false;
	if (dynmemmap_vmemmap_table_is_shared(area) ? dynmemmap_vmemmap_hosts_table(area) :
						      keep_tables)
		return false;
	dynmemmap_vmemmap_unmap(area, frames);
	dynmemmap_set_state(area, DYNMEMMAP_IDLE);
	return true;
}

/* What has been unmapped, and TLBs may still remember. */
struct unmapped {
	struct dynmemmap_area *lowest, *highest;
	struct list_head frames;
	unsigned int nr_areas;
	bool keep_tables;
	bool tables;
};

static void unmapped_add(struct unmapped *unmapped, struct dynmemmap_area *area)
{
	struct page *frames[DYNMEMMAP_POPULATE_NR_FRAMES];
	unsigned int i;

	if (!area_unmap(area, frames, unmapped->keep_tables))
		return;
	/* But for frames that are of the area itself. */
	for (i = 0; i < DYNMEMMAP_POPULATE_NR_FRAMES; i++)
		if (frames[i] && dynmemmap_area_of(page_to_pfn(frames[i])) != area)
			list_add(&frames[i]->lru, &unmapped->frames);
	unmapped->tables |= !!frames[DYNMEMMAP_TABLE_FRAME];
	if (!unmapped->nr_areas || area->area_nr < unmapped->lowest->area_nr)
		unmapped->lowest = area;
	if (!unmapped->nr_areas || area->area_nr > unmapped->highest->area_nr)
		unmapped->highest = area;
	unmapped->nr_areas++;
}

/* One flush, and the frames go back to the stock after it. */
static void unmapped_flush(struct unmapped *unmapped, const char *reason, u64 start)
{
	struct dynmemmap_node *node;
	struct page *frame, *next;

	if (!unmapped->nr_areas)
		return;
	node = dynmemmap_area_node(unmapped->lowest);
	dynmemmap_vmemmap_flush(unmapped->lowest, unmapped->highest, unmapped->tables);
	list_for_each_entry_safe(frame, next, &unmapped->frames, lru) {
		list_del(&frame->lru);
		dynmemmap_frames_put(node, &frame, 1);
	}
	count_vm_events(DYNMEMMAP_UNPOPULATE, unmapped->nr_areas);
	trace_dynmemmap_unpopulate(unmapped->lowest->area_nr, unmapped->highest->area_nr,
				   unmapped->nr_areas, node->nid, reason,
				   local_clock() - start);
}

/**
 * dynmemmap_unpopulate() - take the struct pages of areas away
 * @areas:	by pool_list, of one node; MOVING with every page free, or of a device;
 *		IDLE ones stay so
 * @reason:	for the trace
 *
 * Areas that host their own struct pages keep the frames. One that hosts the page
 * table of its section stays SPLIT while others need that, and one of a device as it
 * is while somebody uses it.
 *
 * Context: process context, may sleep.
 */
void dynmemmap_unpopulate(struct list_head *areas, const char *reason)
{
	struct unmapped unmapped = { .frames = LIST_HEAD_INIT(unmapped.frames) };
	struct dynmemmap_area *area;
	u64 start = local_clock();

	list_for_each_entry(area, areas, pool_list)
		unmapped_add(&unmapped, area);
	unmapped_flush(&unmapped, reason, start);
}

static bool area_unpopulate(struct dynmemmap_area *area, const char *reason, bool keep_tables)
{
	struct unmapped unmapped = {
		.frames = LIST_HEAD_INIT(unmapped.frames),
		.keep_tables = keep_tables,
	};
	u64 start = local_clock();

	unmapped_add(&unmapped, area);
	unmapped_flush(&unmapped, reason, start);
	return unmapped.nr_areas;
}

/**
 * dynmemmap_unpopulate_area() - take the struct pages of one area away
 * @area:	as for dynmemmap_unpopulate(), whoever uses its pool_list
 * @reason:	for the trace
 *
 * Context: process context, may sleep.
 * Return: true if it was populated, and is IDLE now.
 */
bool dynmemmap_unpopulate_area(struct dynmemmap_area *area, const char *reason)
{
	return area_unpopulate(area, reason, false);
}

/**
 * dynmemmap_unpopulate_below_table() - the same, unless a page table would go
 * @area:	as for dynmemmap_unpopulate_area()
 * @reason:	for the trace
 *
 * For who may not be able to wait until everybody has forgotten that.
 *
 * Context: as dynmemmap_unpopulate_area().
 * Return: true if the area was populated, and is IDLE now.
 */
bool dynmemmap_unpopulate_below_table(struct dynmemmap_area *area, const char *reason)
{
	return area_unpopulate(area, reason, true);
}
