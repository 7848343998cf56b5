// SPDX-License-Identifier: GPL-2.0-only
/*
 * Device memory: persistent memory has no struct pages until a file system maps an
 * entry of a file there, and none again after the last entry of an area is gone. What
 * a device maps by itself, it keeps.
 *
 * Every such entry is a user of the area that it lies in; so is the device. Only memory
 * that its driver marks with PGMAP_ON_DEMAND, in whole sections, has areas.
 */
#include <linux/dax.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/wait_bit.h>

#include "core.h"
#include "../internal.h"

/* How long locks are held while somebody waits for a page to be unpinned. */
#define PINS_TIMEOUT	(HZ / 10)
/* How often to try while others take the frames; fault injection may do that every time. */
#define POPULATE_MAX_TRIES	100

/* Held while struct pages are taken away, and for the first user of an area. */
static DEFINE_MUTEX(dynmemmap_device_mutex);

static struct dynmemmap_area *device_area_of(unsigned long pfn)
{
	struct dynmemmap_area *area = dynmemmap_area_of(pfn);

	return area && READ_ONCE(area->owner) == DYNMEMMAP_DEVICE ? area : NULL;
}

bool __dynmemmap_device_init(unsigned long pfn, struct dev_pagemap *pgmap)
{
	struct dynmemmap_area *area = dynmemmap_area_of(pfn);
	unsigned int i;

	/* The areas of an early section are those of the RAM next to the device. */
	if (!area || early_section(__pfn_to_section(pfn)) ||
	    !(pgmap->flags & PGMAP_ON_DEMAND))
		return false;
	for (i = 0; i < DYNMEMMAP_SECTION_NR_AREAS; i++, area++) {
		/* What a repaired read has made is not of a device. */
		if (READ_ONCE(area->state) != DYNMEMMAP_IDLE)
			dynmemmap_unpopulate_area(area, "device");
		area->pgmap = pgmap;
		atomic_long_set(&area->nr_users, 0);
		dynmemmap_set_owner(area, DYNMEMMAP_DEVICE);
	}
	return true;
}

struct zone *__dynmemmap_device_zone(unsigned long pfn)
{
	struct dynmemmap_area *area = device_area_of(pfn);

	return area ? dynmemmap_area_page_zone(area) : NULL;
}

/* Its tails are those of a folio that was HUGE when it was used last. */
static bool area_has_old_tails(struct dynmemmap_area *area)
{
	return READ_ONCE(area->state) == DYNMEMMAP_SPLIT &&
	       READ_ONCE(area->mapped) == DYNMEMMAP_ALL_VMEMMAP_PAGES &&
	       PageTail(dynmemmap_area_page(area, BIT(DYNMEMMAP_HUGE_PREP_ORDER)));
}

/* As dax_folio_reset_order() has done with those before. */
static void area_reset_tails(struct dynmemmap_area *area)
{
	unsigned int i;

	for (i = BIT(DYNMEMMAP_HUGE_PREP_ORDER); i < DYNMEMMAP_AREA_NR_PAGES; i++) {
		struct page *page = dynmemmap_area_page(area, i);

		clear_compound_head(page);
		page->mapping = NULL;
		page_folio(page)->share = 0;
		page_folio(page)->pgmap = area->pgmap;
	}
}

/* Has it a folio that no file has any more, see __dynmemmap_device_detach()? */
static bool area_has_detached(const struct dynmemmap_area *area)
{
	return READ_ONCE(area->marks) & DYNMEMMAP_MARK_DETACHED;
}

/* Those who wait for it in area_wait_for_pins(). */
static void area_wake(struct dynmemmap_area *area)
{
	wake_up_var(dynmemmap_area_page(area, 0));
}

static void area_mark_detached(struct dynmemmap_area *area)
{
	guard(raw_spinlock_irqsave)(&dynmemmap_area_node(area)->lock);
	WRITE_ONCE(area->marks, area->marks | DYNMEMMAP_MARK_DETACHED);
}

static void area_unmark_detached(struct dynmemmap_area *area)
{
	scoped_guard(raw_spinlock_irqsave, &dynmemmap_area_node(area)->lock)
		WRITE_ONCE(area->marks, area->marks & ~DYNMEMMAP_MARK_DETACHED);
	area_wake(area);
}

/* Is it pinned? */
static bool area_is_pinned(const struct dynmemmap_area *area)
{
	return page_ref_count(dynmemmap_area_page(area, 0)) > dynmemmap_device_base_refs(area);
}

/*
 * A folio that was HUGE is gone. Who populates its tails at that moment may have copied
 * them before, and looks after that as well.
 */
static void area_end_huge(struct dynmemmap_area *area)
{
	/* Either the head is seen to be none any more, or the tails to be populated. */
	smp_mb();
	if (likely(!area_has_old_tails(area)) || PageHead(dynmemmap_area_page(area, 0)))
		return;
	guard(raw_spinlock_irqsave)(&dynmemmap_area_node(area)->lock);
	if (!(area->marks & DYNMEMMAP_MARKS_STALE) && area_has_old_tails(area))
		area_reset_tails(area);
}

/* Is the device a user, for good? */
static bool area_is_made(const struct dynmemmap_area *area)
{
	/* Pairs with smp_store_release() in area_make(). */
	return smp_load_acquire(&area->marks) & DYNMEMMAP_MARK_MADE;
}

#ifdef CONFIG_FS_DAX
static void area_reset_folio(struct dynmemmap_area *area)
{
	dax_folio_reset_order(page_folio(dynmemmap_area_page(area, 0)));
	area_end_huge(area);
}
#else
static void area_reset_folio(struct dynmemmap_area *area) { }
#endif

/*
 * Take a folio that no file has any more apart. Tails lead those who have pinned a page to
 * its head, whose reference is theirs: it stays as long as that is pinned. An entry that
 * maps all of it can have it as it is, see __dynmemmap_device_attach(): so any user but the
 * device may be about to.
 * Return: 0; -EBUSY if somebody has it.
 */
static int area_reset_detached(struct dynmemmap_area *area, bool huge)
{
	lockdep_assert_held(&dynmemmap_device_mutex);
	if (huge || !area_has_detached(area))
		return 0;
	if (area_is_pinned(area) || atomic_long_read(&area->nr_users) > area_is_made(area))
		return -EBUSY;
	area_reset_folio(area);
	area_unmark_detached(area);
	return 0;
}

/*
 * Take what entries that are gone have left of an area, as the worker would: not while
 * that has to stay for somebody with a range, nor if a page is pinned or bad.
 */
static void area_take_back(struct dynmemmap_area *area)
{
	/* Who has that mutex may be waiting for the other one. */
	if (!mutex_trylock(&dynmemmap_take_back_mutex))
		return;
	if (dynmemmap_may_take_back())
		dynmemmap_unpopulate_area(area, "device");
	mutex_unlock(&dynmemmap_take_back_mutex);
}

/*
 * Find an area that nobody uses fit for its next use: a HUGE one only for an entry that
 * maps all of it, and a SPLIT one for that only if need be.
 * Return: 0; -EBUSY if a folio of all of it is pinned, -ENOMEM.
 */
static int area_prepare_use(struct dynmemmap_area *area, bool huge)
{
	const u8 state = READ_ONCE(area->state);
	const bool was_huge = state == DYNMEMMAP_HUGE;

	lockdep_assert_held(&dynmemmap_device_mutex);
	if (state == DYNMEMMAP_IDLE || area_has_detached(area))
		return 0;
	if ((was_huge || area_has_old_tails(area)) && area_is_pinned(area))
		return -EBUSY;
	if (was_huge && huge)
		return 0;
	/* It stays populated if it is known to be bad. */
	if (was_huge && !dynmemmap_unpopulate_area(area, "device") &&
	    !dynmemmap_populate_tails(area, GFP_NOWAIT, "device"))
		return -ENOMEM;
	if (huge)
		area_take_back(area);
	if (area_has_old_tails(area))
		area_reset_tails(area);
	return 0;
}

static void area_unuse(struct dynmemmap_area *area)
{
	if (unlikely(atomic_long_dec_and_test(&area->nr_users))) {
		dynmemmap_repairs_add(area);
		dynmemmap_worker_kick(dynmemmap_area_node(area));
	}
	/* It may have been detached meanwhile. */
	if (unlikely(area_has_detached(area)))
		area_wake(area);
}

/*
 * As long as there is no user, the worker may take the struct pages. The first one
 * waits until no TLB remembers those that it has taken.
 */
static noinline int area_use_slow(struct dynmemmap_area *area, bool huge)
{
	int err;

	guard(mutex)(&dynmemmap_device_mutex);
	err = area_reset_detached(area, huge);
	if (!err && !atomic_long_read(&area->nr_users))
		err = area_prepare_use(area, huge);
	if (!err)
		atomic_long_inc(&area->nr_users);
	return err;
}

/* Return: 0; an error if it cannot be used now. */
static int area_use(struct dynmemmap_area *area, bool huge)
{
	if (likely(!area_has_detached(area) && atomic_long_inc_not_zero(&area->nr_users))) {
		/* Its last file may just be leaving. */
		if (likely(!area_has_detached(area)))
			return 0;
		area_unuse(area);
	}
	return area_use_slow(area, huge);
}

/* Is it in the way of whoever wants a part of the area? See area_use_slow(). */
static bool area_has_pinned(struct dynmemmap_area *area)
{
	guard(raw_spinlock_irqsave)(&dynmemmap_area_node(area)->lock);
	/* Without its first struct page it is not; and a read could not be repaired here. */
	if (!(area->mapped & BIT(0)))
		return false;
	if (area_has_detached(area))
		return area_is_pinned(area) ||
		       atomic_long_read(&area->nr_users) > area_is_made(area);
	return !atomic_long_read(&area->nr_users) && area_is_pinned(area);
}

/*
 * Whoever unpins the last page wakes the waiters, see free_zone_device_folio(). They hold
 * locks of the file system, which others may need before they can do that.
 * Return: 0; -EBUSY if it takes too long for that, -EINTR if the task is killed.
 */
static int area_wait_for_pins(struct dynmemmap_area *area)
{
	if (wait_var_event_timeout(dynmemmap_area_page(area, 0), !area_has_pinned(area),
				   PINS_TIMEOUT))
		return 0;
	return fatal_signal_pending(current) ? -EINTR : -EBUSY;
}

/*
 * Use an area, a part of which is wanted if it is not @huge: that has to wait for a huge page
 * that no file has any more, and whose reference is that of who has pinned a page.
 */
static int area_use_waiting(struct dynmemmap_area *area, bool huge)
{
	int err = area_use(area, huge);

	if (err == -EBUSY && !huge)
		err = area_wait_for_pins(area) ?: area_use(area, huge);
	return err;
}

/* Use an area that is a huge page of a file: it has what is wanted, and is not detached. */
static bool area_use_huge(struct dynmemmap_area *area)
{
	if (!atomic_long_inc_not_zero(&area->nr_users))
		return false;
	if (READ_ONCE(area->state) == DYNMEMMAP_HUGE &&
	    READ_ONCE(dynmemmap_area_page(area, 0)->mapping))
		return true;
	area_unuse(area);
	return false;
}

/* Has it what is @wanted, on every CPU? @huge as for area_populate(). */
static bool area_has(const struct dynmemmap_area *area, u8 wanted, bool huge)
{
	if (READ_ONCE(area->state) == DYNMEMMAP_HUGE)
		return huge;
	if (wanted & ~READ_ONCE(area->mapped))
		return false;
	/* Pairs with smp_wmb() in area_map_tails(). */
	smp_rmb();
	return !(READ_ONCE(area->marks) & DYNMEMMAP_MARKS_STALE);
}

/*
 * Have some of the struct pages of an area in use; all of them, and @huge, if one
 * entry maps all of it: then most may be tails that cannot be written.
 * Return: false if there is no memory.
 */
static noinline bool area_populate(struct dynmemmap_area *area, u8 wanted, bool huge, gfp_t gfp)
{
	unsigned int nr_tries;

	/* Others may use it, and populate it meanwhile as they need it. */
	for (nr_tries = 0; !area_has(area, wanted, huge); nr_tries++) {
		const u8 state = READ_ONCE(area->state);

		if (state == DYNMEMMAP_HUGE || READ_ONCE(area->marks) & DYNMEMMAP_MARKS_STALE) {
			if (!dynmemmap_populate_tails(area, gfp, "device"))
				return false;
			area_end_huge(area);
			return true;
		}
		/* The device goes; or there is no memory. */
		if (READ_ONCE(area->owner) != DYNMEMMAP_DEVICE ||
		    nr_tries == POPULATE_MAX_TRIES ||
		    !dynmemmap_stock_provide(dynmemmap_area_node(area), 1, gfp))
			return false;
		/* If others have taken the frames meanwhile, there are more. */
		if (!(huge && state == DYNMEMMAP_IDLE && dynmemmap_populate_huge(area, "device")))
			dynmemmap_populate_some(area, wanted, "device");
	}
	return true;
}

struct dynmemmap_area *__dynmemmap_device_get(unsigned long pfn, unsigned long nr_pages,
					      gfp_t gfp)
{
	const bool huge = nr_pages == DYNMEMMAP_AREA_NR_PAGES && compound_info_has_mask();
	struct dynmemmap_area *area = device_area_of(pfn);
	u8 wanted;
	int err;

	if (!area)
		return NULL;
	/* What most page faults find. */
	if (huge && area_use_huge(area))
		return area;
	err = area_use_waiting(area, huge);
	if (err)
		return ERR_PTR(err);
	wanted = dynmemmap_vmemmap_pages(pfn, nr_pages);
	if (likely(area_has(area, wanted, huge)) ||
	    area_populate(area, wanted, huge, gfp & GFP_RECLAIM_MASK))
		return area;
	area_unuse(area);
	return ERR_PTR(-ENOMEM);
}

void __dynmemmap_device_put_area(struct dynmemmap_area *area)
{
	area_unuse(area);
}

void __dynmemmap_device_hold(unsigned long pfn)
{
	struct dynmemmap_area *area = device_area_of(pfn);

	if (area)
		DYNMEMMAP_WARN_ON(!atomic_long_inc_not_zero(&area->nr_users));
}

void __dynmemmap_device_put(unsigned long pfn)
{
	struct dynmemmap_area *area = device_area_of(pfn);

	if (!area)
		return;
	area_end_huge(area);
	area_unuse(area);
}

bool __dynmemmap_device_detach(struct folio *folio)
{
	struct dynmemmap_area *area = device_area_of(folio_pfn(folio));

	if (!area || folio_order(folio) != DYNMEMMAP_AREA_ORDER || !area_is_pinned(area))
		return false;
	/* Who finds it without a file knows why. */
	area_mark_detached(area);
	WRITE_ONCE(folio->mapping, NULL);
	WRITE_ONCE(folio->share, 0);
	area_unuse(area);
	return true;
}

bool __dynmemmap_device_attach(struct folio *folio, unsigned int order)
{
	struct dynmemmap_area *area = device_area_of(folio_pfn(folio));

	if (!area || order != DYNMEMMAP_AREA_ORDER || !area_has_detached(area))
		return false;
	area_unmark_detached(area);
	return true;
}

/* As memremap_pages() leaves the struct pages of a folio that is a whole area. */
static void area_make_folio(struct dynmemmap_area *area)
{
	unsigned int i;

	if (READ_ONCE(area->state) == DYNMEMMAP_SPLIT)
		for (i = 1; i < DYNMEMMAP_AREA_NR_PAGES; i++)
			set_page_count(dynmemmap_area_page(area, i), 0);
	prep_compound_page(dynmemmap_area_page(area, 0), DYNMEMMAP_AREA_ORDER);
}

/* Return: true if the device had not used the area before, and is a user now. */
static bool area_make(struct dynmemmap_area *area, unsigned int order)
{
	guard(mutex)(&dynmemmap_device_mutex);
	if (area_is_made(area))
		return false;
	if (order)
		area_make_folio(area);
	guard(raw_spinlock_irqsave)(&dynmemmap_area_node(area)->lock);
	/* Pairs with smp_load_acquire() in area_is_made(). */
	smp_store_release(&area->marks, area->marks | DYNMEMMAP_MARK_MADE);
	return true;
}

bool __dynmemmap_device_make(unsigned long pfn, unsigned int order, gfp_t gfp)
{
	const u8 wanted = dynmemmap_vmemmap_pages(pfn, BIT(order));
	const bool huge = order && compound_info_has_mask();
	struct dynmemmap_area *area = device_area_of(pfn);
	bool populated;

	if (!area || (area_is_made(area) && area_has(area, wanted, huge)))
		return true;
	if (area_use(area, huge))
		return false;
	populated = area_populate(area, wanted, huge, gfp);
	if (!populated || !area_make(area, order))
		area_unuse(area);
	return populated;
}
EXPORT_SYMBOL_GPL(__dynmemmap_device_make);

/* Return: true if the device was a user of the area because it had made it. */
static bool area_unmake(struct dynmemmap_area *area)
{
	guard(mutex)(&dynmemmap_device_mutex);
	if (!area_is_made(area))
		return false;
	guard(raw_spinlock_irqsave)(&dynmemmap_area_node(area)->lock);
	WRITE_ONCE(area->marks, area->marks & ~DYNMEMMAP_MARK_MADE);
	return true;
}

/* The device does not use a range that it has made; others may use the areas at its ends. */
static void device_unmake_range(unsigned long pfn, unsigned long end_pfn)
{
	pfn = ALIGN(pfn, DYNMEMMAP_AREA_NR_PAGES);
	for (; pfn + DYNMEMMAP_AREA_NR_PAGES <= end_pfn; pfn += DYNMEMMAP_AREA_NR_PAGES) {
		struct dynmemmap_area *area = device_area_of(pfn);

		if (area && area_unmake(area))
			area_unuse(area);
		cond_resched();
	}
}

bool __dynmemmap_device_make_range(unsigned long pfn, unsigned long nr_pages)
{
	const unsigned long nr_each = DYNMEMMAP_AREA_NR_PAGES / DYNMEMMAP_AREA_NR_FRAMES;
	const unsigned long end_pfn = pfn + nr_pages;
	unsigned long new_pfn = pfn;

	for (; pfn < end_pfn; pfn = ALIGN_DOWN(pfn, nr_each) + nr_each) {
		const struct dynmemmap_area *area = device_area_of(pfn);

		/* What is there already may be in use: a table of dm may replace another. */
		if (area && IS_ALIGNED(pfn, DYNMEMMAP_AREA_NR_PAGES) && area_is_made(area))
			new_pfn = pfn + DYNMEMMAP_AREA_NR_PAGES;
		/* Nobody could be killed for what the device has. */
		if (!__dynmemmap_device_make(pfn, 0, GFP_KERNEL | __GFP_RETRY_MAYFAIL)) {
			device_unmake_range(new_pfn, end_pfn);
			return false;
		}
		cond_resched();
	}
	return true;
}
EXPORT_SYMBOL_GPL(__dynmemmap_device_make_range);

/**
 * dynmemmap_device_show() - have struct pages for somebody who holds a range
 * @area:	an area of a device
 *
 * The worker takes them back after the range has ended.
 *
 * Context: process context, may sleep; see dynmemmap_range_get().
 */
void dynmemmap_device_show(struct dynmemmap_area *area)
{
	if (!area_use(area, false)) {
		area_populate(area, DYNMEMMAP_ALL_VMEMMAP_PAGES, false, GFP_KERNEL);
		area_unuse(area);
		return;
	}
	/* A pinned folio that no file has stays as it is, with tails of its own. */
	if (!dynmemmap_stock_provide(dynmemmap_area_node(area), 1, GFP_KERNEL))
		return;
	guard(mutex)(&dynmemmap_device_mutex);
	if (READ_ONCE(area->state) == DYNMEMMAP_HUGE &&
	    dynmemmap_populate_tails(area, GFP_NOWAIT, "device"))
		area_end_huge(area);
}

/**
 * dynmemmap_device_is_shown() - could dynmemmap_device_show() do that?
 * @area:	an area of a device
 *
 * Context: as for dynmemmap_device_show().
 * Return: true if all struct pages exist, and can be written.
 */
bool dynmemmap_device_is_shown(const struct dynmemmap_area *area)
{
	return area_has(area, DYNMEMMAP_ALL_VMEMMAP_PAGES, false);
}

/* Its last user may add it again from here on; one that leaves nothing does not. */
static void area_end_warm(struct dynmemmap_area *area)
{
	scoped_guard(raw_spinlock_irqsave, &dynmemmap_area_node(area)->lock)
		WRITE_ONCE(area->marks, area->marks & ~DYNMEMMAP_MARK_WARM);
	/* One whose last user has left before that had no need to. */
	if (area->state != DYNMEMMAP_IDLE && !atomic_long_read(&area->nr_users))
		dynmemmap_repairs_add(area);
}

static void areas_take_back(struct list_head *areas)
{
	struct dynmemmap_area *area;

	guard(mutex)(&dynmemmap_device_mutex);
	dynmemmap_unpopulate(areas, "device");
	list_for_each_entry(area, areas, pool_list)
		area_end_warm(area);
}

/**
 * dynmemmap_device_take_back() - take the struct pages that nobody uses any more
 * @areas:	areas of devices that are marked as warm, by pool_list, of one node
 *
 * Areas with a page that is pinned or bad are kept for the next time. First users
 * wait for one batch at the most.
 *
 * Context: process context, may sleep; dynmemmap_take_back_mutex held.
 */
void dynmemmap_device_take_back(struct list_head *areas)
{
	while (!list_empty(areas)) {
		LIST_HEAD(batch);
		unsigned int i;

		for (i = 0; i < DYNMEMMAP_TAKE_BACK_BATCH_AREAS && !list_empty(areas); i++)
			list_move_tail(areas->next, &batch);
		areas_take_back(&batch);
		cond_resched();
	}
}

/**
 * dynmemmap_device_base_refs() - references to a page of a device that nobody uses
 * @area:	an area of a device
 *
 * Context: any.
 * Return: how many memremap_pages() gives it.
 */
int dynmemmap_device_base_refs(const struct dynmemmap_area *area)
{
	return area->pgmap->type == MEMORY_DEVICE_GENERIC;
}

/* A page that somebody has pinned, or that must be remembered to be bad. */
static bool area_has_busy_page(struct dynmemmap_area *area)
{
	const int base_refs = dynmemmap_device_base_refs(area);
	unsigned long pfn = dynmemmap_area_pfn(area);
	unsigned long end_pfn = pfn + DYNMEMMAP_AREA_NR_PAGES;

	for (; pfn < end_pfn; pfn++) {
		struct page *page = pfn_to_page(pfn);

		if (!(area->mapped & dynmemmap_vmemmap_pages(pfn, 1)))
			continue;
		if (page_ref_count(page) > base_refs || PageHWPoison(page))
			return true;
	}
	return false;
}

/**
 * dynmemmap_device_is_used() - do the struct pages of an area have to stay?
 * @area:	any populated area
 *
 * Context: dynmemmap_node.lock of the node of @area held.
 * Return: true if @area is of a device and somebody needs its struct pages.
 */
bool dynmemmap_device_is_used(struct dynmemmap_area *area)
{
	lockdep_assert_held(&dynmemmap_area_node(area)->lock);
	return area->owner == DYNMEMMAP_DEVICE &&
	       (atomic_long_read(&area->nr_users) || area_has_busy_page(area));
}
