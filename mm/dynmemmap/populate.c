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

/* An area is not IDLE any more. */
static void note_populate(struct dynmemmap_area *area, const char *reason, u64 start)
{
	count_vm_event(DYNMEMMAP_POPULATE);
	trace_dynmemmap_populate(area->area_nr, area->nid, reason, local_clock() - start);
}

/* Tails of an area were shared with others, and are not any more. */
static void note_populate_tails(struct dynmemmap_area *area, const char *reason, u64 start)
{
	count_vm_event(DYNMEMMAP_POPULATE_TAILS);
	trace_dynmemmap_populate_tails(area->area_nr, area->nid, reason, local_clock() - start);
}

/* Return: true if it was IDLE. */
static bool area_map(struct dynmemmap_area *area, struct page **frames)
{
	bool was_idle = area->state == DYNMEMMAP_IDLE;

	dynmemmap_vmemmap_map(area, frames);
	if (was_idle)
		dynmemmap_set_state(area, DYNMEMMAP_SPLIT);
	return was_idle;
}

/**
 * dynmemmap_populate_with() - give an area its struct pages, in given frames
 * @area:	an area in the pool, MOVING, or of a device
 * @frames:	DYNMEMMAP_POPULATE_NR_FRAMES frames of the stock, or NULL; those that
 *		are not needed go back there
 * @reason:	for the trace
 * @start:	when that began
 *
 * Does nothing if a stray read was repaired meanwhile, the area is HUGE now, in another
 * zone, or its section is gone.
 *
 * Context: any but NMI.
 */
void dynmemmap_populate_with(struct dynmemmap_area *area, struct page **frames,
			     const char *reason, u64 start)
{
	const struct zone *zone = READ_ONCE(area->zone);
	struct dynmemmap_node *node = dynmemmap_area_node(area);
	bool was_idle = false;

	dynmemmap_vmemmap_note(area, frames);
	dynmemmap_vmemmap_fill(area, frames);
	scoped_guard(raw_spinlock_irqsave, &node->lock) {
		/*
		 * Its section may have gone, with the page tables, or has come online; or
		 * folios that share tails have the area that somebody has looked at without
		 * holding it.
		 */
		if (!dynmemmap_area_exists(area) || area->zone != zone ||
		    area->state == DYNMEMMAP_HUGE ||
		    (area->owner != DYNMEMMAP_DEVICE && area->state != DYNMEMMAP_IDLE))
			break;
		was_idle = area_map(area, frames);
	}
	dynmemmap_frames_put(node, frames, DYNMEMMAP_POPULATE_NR_FRAMES);
	if (was_idle)
		note_populate(area, reason, start);
}

/**
 * dynmemmap_populate_locked() - the same for who has the lock already
 * @area:	an area in the pool
 * @frames:	as for dynmemmap_populate_with(), but those not needed stay the caller's
 * @reason:	for the trace
 *
 * Context: any; dynmemmap_node.lock of the node of @area held, and zone->lock.
 */
void dynmemmap_populate_locked(struct dynmemmap_area *area, struct page **frames,
			       const char *reason)
{
	u64 start = local_clock();

	lockdep_assert_held(&dynmemmap_area_node(area)->lock);
	dynmemmap_vmemmap_note(area, frames);
	dynmemmap_vmemmap_fill(area, frames);
	if (area_map(area, frames))
		note_populate(area, reason, start);
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
	dynmemmap_populate_with(area, frames, reason, start);
	return true;
}

/*
 * The shared tail of folios of @order in the zone of an area, made when it is needed for
 * the first time.
 * Return: NULL if there is no frame for it now.
 */
static struct page *area_tail(struct dynmemmap_area *area, unsigned int order)
{
	struct zone *zone = dynmemmap_area_page_zone(area);
	struct page **tail = &dynmemmap_zone_pool(zone)->tails[order - DYNMEMMAP_PART_MIN_ORDER];
	struct dynmemmap_node *node = dynmemmap_area_node(area);
	struct page *frames[DYNMEMMAP_POPULATE_NR_FRAMES];

	/* Pairs with the smp_store_release() below. */
	if (smp_load_acquire(tail))
		return *tail;
	if (!dynmemmap_frames_take(node, frames, BIT(0)))
		return NULL;
	dynmemmap_vmemmap_fill_tail(zone, order, frames[0]);
	scoped_guard(raw_spinlock_irqsave, &node->lock) {
		/* It stays for ever, and memory that has a donor may have to go offline. */
		if (*tail || dynmemmap_frame_donor(frames[0]))
			break;
		/* What it holds, before others use it. */
		smp_store_release(tail, frames[0]);
		frames[0] = NULL;
	}
	dynmemmap_frames_put(node, frames, DYNMEMMAP_POPULATE_NR_FRAMES);
	return *tail;
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
	struct page *tail = area_tail(area, DYNMEMMAP_AREA_ORDER);
	struct page *frames[DYNMEMMAP_POPULATE_NR_FRAMES];
	bool populated = false;
	u64 start = local_clock();

	if (!tail || !dynmemmap_frames_take(node, frames, BIT(0)))
		return false;
	dynmemmap_vmemmap_note(area, frames);
	dynmemmap_vmemmap_fill_huge(area, frames[0], tail);
	scoped_guard(raw_spinlock_irqsave, &node->lock) {
		if (!dynmemmap_area_exists(area) || area->state != DYNMEMMAP_IDLE)
			break;
		dynmemmap_vmemmap_map(area, frames);
		dynmemmap_vmemmap_map_tails(area, tail,
					    DYNMEMMAP_ALL_VMEMMAP_PAGES & ~BIT(0), frames);
		dynmemmap_set_state(area, DYNMEMMAP_HUGE);
		populated = true;
	}
	dynmemmap_frames_put(node, frames, DYNMEMMAP_POPULATE_NR_FRAMES);
	if (populated)
		note_populate(area, reason, start);
	return populated;
}

static void flush_tails(struct dynmemmap_area *first, struct dynmemmap_area *last)
{
	/* With interrupts off other CPUs could not be told. */
	lockdep_assert_irqs_enabled();
	dynmemmap_vmemmap_flush(first, last, false);
}

static void area_flush_tails(struct dynmemmap_area *area)
{
	flush_tails(area, area);
}

/**
 * dynmemmap_populate_free() - give tails of a free block their own frames
 * @area:	an area that is MOVING and HUGE, or one in use with a block that is the
 *		caller's
 * @wanted:	the vmemmap pages of the block, a bit each
 * @reason:	for the trace
 *
 * They are those of a free area then, and tails of nothing; the struct pages in other
 * vmemmap pages stay as they are.
 *
 * Context: as dynmemmap_populate(), with interrupts enabled.
 * Return: true if they can be written; false if stock and pools are empty.
 */
bool dynmemmap_populate_free(struct dynmemmap_area *area, u8 wanted, const char *reason)
{
	struct dynmemmap_node *node = dynmemmap_area_node(area);
	struct page *frames[DYNMEMMAP_POPULATE_NR_FRAMES];
	u64 start = local_clock();

	wanted &= ~READ_ONCE(area->mapped);
	if (wanted) {
		if (!dynmemmap_frames_take(node, frames, wanted))
			return false;
		dynmemmap_vmemmap_note(area, frames);
		dynmemmap_vmemmap_fill(area, frames);
		scoped_guard(raw_spinlock_irqsave, &node->lock) {
			dynmemmap_vmemmap_map(area, frames);
			if (area->state == DYNMEMMAP_HUGE)
				dynmemmap_set_state(area, DYNMEMMAP_SPLIT);
		}
		dynmemmap_frames_put(node, frames, DYNMEMMAP_POPULATE_NR_FRAMES);
		note_populate_tails(area, reason, start);
	}
	/* Who else has just populated them may not have done so yet. */
	area_flush_tails(area);
	return true;
}

static bool area_is_in_use(const struct dynmemmap_area *area)
{
	const u8 owner = READ_ONCE(area->owner);

	return owner == DYNMEMMAP_KERNEL || owner == DYNMEMMAP_DEVICE;
}

/*
 * What is behind the shared tails of an area in use.
 * Return: which vmemmap pages those are.
 */
static u8 area_shared_tails(struct dynmemmap_area *area, struct page **tails)
{
	u8 shared;

	guard(raw_spinlock_irqsave)(&dynmemmap_area_node(area)->lock);
	shared = area_is_in_use(area) ? dynmemmap_area_shared(area) : 0;
	if (shared)
		dynmemmap_vmemmap_tails(area, tails);
	return shared;
}

/*
 * Give an area in use frames for its shared tails, that hold what @tails hold.
 * Return: true if it is the caller's to flush, and to count as stale no more.
 */
static bool area_map_tails(struct dynmemmap_area *area, struct page **frames,
			   struct page **tails)
{
	struct page *tails_now[DYNMEMMAP_AREA_NR_FRAMES];

	guard(raw_spinlock_irqsave)(&dynmemmap_area_node(area)->lock);
	if (!area_is_in_use(area) || !dynmemmap_area_shared(area))
		return false;
	dynmemmap_vmemmap_tails(area, tails_now);
	if (memcmp(tails, tails_now, sizeof(tails_now)))
		return false;
	WRITE_ONCE(area->marks, area->marks + DYNMEMMAP_MARKS_ONE_STALE);
	/* Pairs with smp_rmb() in dynmemmap_populate_tails(). */
	smp_wmb();
	dynmemmap_vmemmap_map(area, frames);
	/* Pairs with smp_load_acquire() in area_is_free(). */
	smp_wmb();
	if (area->state == DYNMEMMAP_HUGE)
		dynmemmap_set_state(area, DYNMEMMAP_SPLIT);
	return true;
}

/*
 * Give shared tails of an area in use frames of their own, with the same contents; those
 * in @wanted, if they are shared.
 * Return: 1 if that was done, and area_end_stale() is due after a flush; 0 if nothing
 * had to be done; -ENOMEM with nothing changed.
 */
static int area_unshare_tails(struct dynmemmap_area *area, u8 wanted, gfp_t gfp)
{
	struct dynmemmap_node *node = dynmemmap_area_node(area);
	struct page *frames[DYNMEMMAP_POPULATE_NR_FRAMES];
	struct page *tails[DYNMEMMAP_AREA_NR_FRAMES];
	bool mapped = false;
	unsigned int i;
	u8 shared;

	/* Others may do it, and use the area for other folios, meanwhile. */
	while (!mapped && (shared = area_shared_tails(area, tails) & wanted)) {
		if (!dynmemmap_frames_buy(node, frames, shared, gfp))
			return -ENOMEM;
		dynmemmap_vmemmap_note(area, frames);
		for (i = 0; i < DYNMEMMAP_AREA_NR_FRAMES; i++)
			if (frames[i])
				copy_page(page_address(frames[i]), page_address(tails[i]));
		mapped = area_map_tails(area, frames, tails);
		dynmemmap_frames_put(node, frames, DYNMEMMAP_POPULATE_NR_FRAMES);
	}
	return mapped;
}

/* No TLB leads to the shared tail any more. */
static void area_end_stale(struct dynmemmap_area *area, const char *reason, u64 start)
{
	scoped_guard(raw_spinlock_irqsave, &dynmemmap_area_node(area)->lock)
		WRITE_ONCE(area->marks, area->marks - DYNMEMMAP_MARKS_ONE_STALE);
	note_populate_tails(area, reason, start);
}

/**
 * dynmemmap_populate_tails() - give the shared tails of an area in use their own frames
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
	u64 start = local_clock();

	if (dynmemmap_area_shared(area)) {
		const int unshared = area_unshare_tails(area, DYNMEMMAP_ALL_VMEMMAP_PAGES, gfp);

		if (unshared < 0)
			return false;
		if (unshared) {
			area_flush_tails(area);
			area_end_stale(area, reason, start);
			dynmemmap_apart_add(area);
			return true;
		}
	}
	/* Pairs with smp_wmb() in area_map_tails(). */
	smp_rmb();
	if (READ_ONCE(area->marks) & DYNMEMMAP_MARKS_STALE)
		area_flush_tails(area);
	return true;
}

/*
 * One of the areas of a folio, or NULL: one that has a static memmap, or uses the stock of
 * another node, never is HUGE.
 */
static struct dynmemmap_area *folio_area(struct folio *folio, unsigned int nr)
{
	const unsigned long pfn = folio_pfn(folio) + nr * DYNMEMMAP_AREA_NR_PAGES;
	struct dynmemmap_area *area = dynmemmap_area_of(pfn);
	struct zone *zone = area ? READ_ONCE(area->zone) : NULL;

	return zone && zone_to_nid(zone) == area->nid ? area : NULL;
}

/* All that is known of a folio is in the first of its vmemmap pages. */
static u8 folio_tail_pages(struct folio *folio, const struct dynmemmap_area *area)
{
	unsigned long pfn = folio_pfn(folio);

	if (pfn < dynmemmap_area_pfn(area))
		return DYNMEMMAP_ALL_VMEMMAP_PAGES;
	return dynmemmap_vmemmap_pages(pfn, min(folio_nr_pages(folio), DYNMEMMAP_AREA_NR_PAGES)) &
	       ~dynmemmap_vmemmap_pages(pfn, 1);
}

static unsigned int folio_nr_areas(struct folio *folio)
{
	return DIV_ROUND_UP(folio_nr_pages(folio), DYNMEMMAP_AREA_NR_PAGES);
}

/**
 * dynmemmap_folio_has_own_tails() - can all tails of a folio be written, by every CPU?
 * @folio:	a folio of DYNMEMMAP_PART_MIN_ORDER or more
 *
 * Context: any, takes no lock; the caller has a reference, or maps it.
 * Return: true if they can.
 */
bool dynmemmap_folio_has_own_tails(struct folio *folio)
{
	unsigned int i;

	for (i = 0; i < folio_nr_areas(folio); i++) {
		struct dynmemmap_area *area = folio_area(folio, i);

		if (!area)
			continue;
		if (dynmemmap_area_shared(area) & folio_tail_pages(folio, area))
			return false;
		/* Pairs with smp_wmb() in area_map_tails(). */
		smp_rmb();
		if (READ_ONCE(area->marks) & DYNMEMMAP_MARKS_STALE)
			return false;
	}
	return true;
}

/**
 * dynmemmap_populate_folio_tails() - give all tails of a folio their own frames
 * @folio:	a folio of DYNMEMMAP_PART_MIN_ORDER or more
 * @gfp:	how hard to try
 * @reason:	for the trace
 *
 * As dynmemmap_populate_tails() for each area, with one flush.
 *
 * Context: as dynmemmap_populate_tails().
 * Return: true if all tails can be written; false if there is no memory, and perhaps
 * some can.
 */
bool dynmemmap_populate_folio_tails(struct folio *folio, gfp_t gfp, const char *reason)
{
	const unsigned int nr_areas = folio_nr_areas(folio);
	struct dynmemmap_area *area, *first = NULL, *last = NULL;
	DECLARE_BITMAP(mapped, DYNMEMMAP_MAX_NR_AREAS) = {};
	u64 start = local_clock();
	int unshared = 0;
	unsigned int i;

	if (dynmemmap_folio_has_own_tails(folio))
		return true;
	area = folio_area(folio, 0);
	if (area && nr_areas > 1 &&
	    !dynmemmap_stock_provide(dynmemmap_area_node(area), nr_areas, gfp))
		return false;
	for (i = 0; i < nr_areas && unshared >= 0; i++) {
		area = folio_area(folio, i);
		if (!area)
			continue;
		unshared = area_unshare_tails(area, folio_tail_pages(folio, area), gfp);
		first = first ?: area;
		last = area;
		if (unshared > 0)
			__set_bit(i, mapped);
	}
	/* Of those, too, that others have just populated. */
	if (first)
		flush_tails(first, last);
	for_each_set_bit(i, mapped, nr_areas)
		area_end_stale(folio_area(folio, i), reason, start);
	return unshared >= 0;
}

/*
 * A frame for the page table that self-hosting @area may need: of the stock, or,
 * when that is empty, the next one of the area.
 */
static struct page *self_host_table(struct dynmemmap_area *area)
{
	struct page *frames[DYNMEMMAP_POPULATE_NR_FRAMES] = {};
	struct page **table = &frames[DYNMEMMAP_TABLE_FRAME];

	if (!dynmemmap_vmemmap_needs_table(area))
		return NULL;
	if (!dynmemmap_stock_take(&dynmemmap_area_node(area)->stock, 1, 0, table))
		return dynmemmap_area_page(area, DYNMEMMAP_TABLE_FRAME);
	dynmemmap_vmemmap_note(area, frames);
	return *table;
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
	guard(raw_spinlock_irqsave)(&dynmemmap_area_node(area)->lock);
	return dynmemmap_self_host_locked(area);
}

/**
 * dynmemmap_self_host_locked() - the same for who has the lock already
 * @area:	as for dynmemmap_self_host()
 *
 * Context: any; dynmemmap_node.lock of the node of @area held.
 * Return: as dynmemmap_self_host().
 */
bool dynmemmap_self_host_locked(struct dynmemmap_area *area)
{
	struct page *frames[DYNMEMMAP_POPULATE_NR_FRAMES];
	u64 start = local_clock();
	unsigned int i;

	for (i = 0; i < DYNMEMMAP_AREA_NR_FRAMES; i++)
		frames[i] = dynmemmap_area_page(area, i);

	/*
	 * Under the lock, unlike with frames of the stock: these may be written
	 * only while nobody can have populated the area and lent it.
	 */
	lockdep_assert_held(&dynmemmap_area_node(area)->lock);
	if (!dynmemmap_area_exists(area))
		return false;
	if (area->state == DYNMEMMAP_IDLE) {
		dynmemmap_area_prepare_use(area);
		dynmemmap_vmemmap_fill(area, frames);
		frames[DYNMEMMAP_TABLE_FRAME] = self_host_table(area);
		dynmemmap_vmemmap_map(area, frames);
		dynmemmap_set_state(area, DYNMEMMAP_SPLIT);
		note_populate(area, "self-host", start);
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
	/* There is no folio any more. */
	WRITE_ONCE(area->marks, area->marks & ~DYNMEMMAP_MARK_DETACHED);
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

static void unmapped_add_frames(struct unmapped *unmapped, struct dynmemmap_area *area,
				struct page **frames)
{
	unsigned int i;

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

static void unmapped_add(struct unmapped *unmapped, struct dynmemmap_area *area,
			 const char *reason)
{
	struct page *frames[DYNMEMMAP_POPULATE_NR_FRAMES];
	u64 start = local_clock();

	if (!area_unmap(area, frames, unmapped->keep_tables))
		return;
	unmapped_add_frames(unmapped, area, frames);
	count_vm_event(DYNMEMMAP_UNPOPULATE);
	trace_dynmemmap_unpopulate(area->area_nr, area->nid, reason, local_clock() - start);
}

/* One flush, and the frames go back to the stock after it. */
static void unmapped_flush(struct unmapped *unmapped)
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

	list_for_each_entry(area, areas, pool_list)
		unmapped_add(&unmapped, area, reason);
	unmapped_flush(&unmapped);
}

static bool area_unpopulate(struct dynmemmap_area *area, const char *reason, bool keep_tables)
{
	struct unmapped unmapped = {
		.frames = LIST_HEAD_INIT(unmapped.frames),
		.keep_tables = keep_tables,
	};

	unmapped_add(&unmapped, area, reason);
	unmapped_flush(&unmapped);
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

/*
 * Put the shared tail behind vmemmap pages of an area.
 * Return: false if they have no frames of their own, or others are about to write to
 * them; nothing has changed then.
 */
static bool area_share_tails(struct dynmemmap_area *area, const struct page *tail, u8 shared,
			     unsigned int order, struct page **frames)
{
	guard(raw_spinlock_irqsave)(&dynmemmap_area_node(area)->lock);
	if (area->state != DYNMEMMAP_SPLIT || area->owner != DYNMEMMAP_KERNEL ||
	    shared & ~area->mapped || area->marks & DYNMEMMAP_MARKS_STALE)
		return false;
	dynmemmap_vmemmap_map_tails(area, tail, shared, frames);
	frames[DYNMEMMAP_TABLE_FRAME] = NULL;
	if (order >= DYNMEMMAP_AREA_ORDER)
		dynmemmap_set_state(area, DYNMEMMAP_HUGE);
	return true;
}

/**
 * dynmemmap_folio_may_share_tails() - may nothing be written to a folio's tails, for now?
 * @folio:	a folio of DYNMEMMAP_PART_MIN_ORDER or more
 *
 * What is freed as HUGE goes to the cache, and from there to whoever wants memory: what
 * is kept for CMA, or isolated, must not. Larger folios are populated before they are
 * freed, and smaller ones go back to where they came from. Of a bad page nothing but its
 * struct page knows.
 *
 * Context: any; the folio has its struct pages. dynmemmap_take_back_mutex is held, under
 * which memory with struct pages is isolated, or a range comes before that.
 * Return: false if its tails have to stay.
 */
bool dynmemmap_folio_may_share_tails(struct folio *folio)
{
	const unsigned int order = folio_order(folio);

	lockdep_assert_held(&dynmemmap_take_back_mutex);
	if (order == DYNMEMMAP_AREA_ORDER &&
	    get_pageblock_migratetype(&folio->page) >= MIGRATE_PCPTYPES)
		return false;
	return !dynmemmap_block_has_poison(&folio->page, order);
}

/**
 * dynmemmap_unpopulate_folio_tails() - take the frames of a folio's tails away
 * @folio:	a folio of DYNMEMMAP_PART_MIN_ORDER or more to whose tails nobody can write
 *		now; they hold nothing that those of others do not, unless a page is bad
 * @reason:	for the trace
 *
 * Context: any with interrupts enabled; dynmemmap_take_back_mutex held, and
 * dynmemmap_may_take_back().
 * Return: true if any were taken.
 */
bool dynmemmap_unpopulate_folio_tails(struct folio *folio, const char *reason)
{
	struct unmapped unmapped = { .frames = LIST_HEAD_INIT(unmapped.frames) };
	const unsigned int order = folio_order(folio);
	struct page *frames[DYNMEMMAP_POPULATE_NR_FRAMES];
	unsigned int i;

	lockdep_assert_held(&dynmemmap_take_back_mutex);
	lockdep_assert_irqs_enabled();
	if (!dynmemmap_folio_may_share_tails(folio))
		return false;
	for (i = 0; i < folio_nr_areas(folio); i++) {
		struct dynmemmap_area *area = folio_area(folio, i);
		const struct page *tail = area ? area_tail(area, order) : NULL;
		u64 start = local_clock();

		if (!tail || !area_share_tails(area, tail, folio_tail_pages(folio, area), order,
					       frames))
			continue;
		unmapped_add_frames(&unmapped, area, frames);
		count_vm_event(DYNMEMMAP_UNPOPULATE_TAILS);
		trace_dynmemmap_unpopulate_tails(area->area_nr, area->nid, reason,
						 local_clock() - start);
	}
	unmapped_flush(&unmapped);
	return unmapped.nr_areas;
}
