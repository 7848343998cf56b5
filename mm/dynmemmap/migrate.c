// SPDX-License-Identifier: GPL-2.0-only
/*
 * Migration of frames: the struct pages in them, or the page table of struct pages, move to
 * another frame, and stay where they are for all who use them.
 *
 * Each area that is nearly free has struct pages, in frames that keep other areas from
 * becoming free, which have struct pages as well: without this, some areas would be in
 * use for each other only.
 */
#include <linux/mm.h>

#include "core.h"
#include "../internal.h"

/* Frames that are isolated under one lock and unmapped by one TLB flush. */
#define MIGRATE_BATCH_FRAMES	32U

/*
 * From isolating frames until they are replaced: no two threads have the same one. Memory is
 * freed under it.
 */
DEFINE_MUTEX(dynmemmap_migrate_mutex);

/* Frames that are being migrated out of an area. */
struct migration {
	struct page *frames[MIGRATE_BATCH_FRAMES];
	unsigned int nr_frames;
	struct dynmemmap_area *lowest, *highest;
};

/* May it be a frame in use, and one that can be read? */
static bool page_may_be_frame(struct page *page)
{
	return page_ref_count(page) == 1 && !page_has_type(page) && !PageCompound(page) &&
	       !PageLRU(page) && !PageHWPoison(page) && !page_private(page);
}

/**
 * dynmemmap_frame_is_movable() - can a page be emptied by dynmemmap_frames_migrate()?
 * @page:	any page that has a struct page
 *
 * Context: any; dynmemmap_node.lock not held. The answer is a snapshot.
 * Return: true if it holds struct pages of somebody's, or is a page table for them.
 */
bool dynmemmap_frame_is_movable(struct page *page)
{
	const int nid = page_to_nid(page);

	if (!page_may_be_frame(page))
		return false;
	guard(raw_spinlock_irqsave)(&dynmemmap_nodes[nid]->lock);
	return dynmemmap_vmemmap_user(page, nid) || dynmemmap_vmemmap_table_user(page, nid);
}

/* The same for a page of an area: of a donor, one that it has given to the stock. */
static bool area_may_have_frame(const struct dynmemmap_area *area, struct page *page)
{
	if (READ_ONCE(area->owner) == DYNMEMMAP_STOCK)
		return dynmemmap_frame_donor(page) == &area->donor && !PageHWPoison(page);
	return page_may_be_frame(page);
}

/* Those that hold struct pages. */
static unsigned int area_count_frames(struct dynmemmap_area *area)
{
	unsigned int i, nr_frames = 0;

	for (i = 0; i < DYNMEMMAP_AREA_NR_PAGES; i++) {
		struct page *page = dynmemmap_area_page(area, i);

		if (!area_may_have_frame(area, page))
			continue;
		guard(raw_spinlock_irqsave)(&dynmemmap_area_node(area)->lock);
		nr_frames += !!dynmemmap_vmemmap_user(page, area->nid);
	}
	return nr_frames;
}

static void migration_add(struct migration *migration, struct page *frame,
			  struct dynmemmap_area *user)
{
	if (!migration->nr_frames || user->area_nr < migration->lowest->area_nr)
		migration->lowest = user;
	if (!migration->nr_frames || user->area_nr > migration->highest->area_nr)
		migration->highest = user;
	migration->frames[migration->nr_frames++] = frame;
}

/* Isolate up to @nr_frames frames of an area. */
static void area_isolate_frames(struct dynmemmap_area *area, unsigned int nr_frames,
				struct migration *migration)
{
	unsigned int i;

	guard(raw_spinlock_irqsave)(&dynmemmap_area_node(area)->lock);
	/* Nobody holds it; to be repaired, a read would need the lock. */
	if (area->state == DYNMEMMAP_IDLE)
		return;
	for (i = 0; i < DYNMEMMAP_AREA_NR_PAGES && migration->nr_frames < nr_frames; i++) {
		struct page *page = dynmemmap_area_page(area, i);
		struct dynmemmap_area *user;

		if (!area_may_have_frame(area, page))
			continue;
		user = dynmemmap_vmemmap_isolate_frame(page, area->nid);
		if (user)
			migration_add(migration, page, user);
	}
}

/* An area that holds its own struct pages would not become free any more. */
static struct page *target_outside(struct list_head *targets, struct dynmemmap_area *area)
{
	struct page *target;

	list_for_each_entry(target, targets, lru)
		if (dynmemmap_area_of(page_to_pfn(target)) != area && !PageHWPoison(target))
			return target;
	return NULL;
}

/*
 * Move the struct pages in an isolated frame into one of @targets, and put the frame on the
 * list @emptied.
 * Return: true if nobody has used them meanwhile, and there was a target; otherwise the
 * frame stays.
 */
static bool frame_replace(struct dynmemmap_node *node, struct page *frame,
			  struct list_head *targets, struct list_head *emptied)
{
	struct dynmemmap_area *user;
	struct page *target;

	guard(raw_spinlock_irqsave)(&node->lock);
	user = dynmemmap_vmemmap_user(frame, node->nid);
	if (!user)
		return false;
	target = target_outside(targets, user);
	if (!target) {
		dynmemmap_keep_frame(page_folio(frame)->index);
		return false;
	}
	/* When it is in use, it may be on a list of somebody else. */
	list_del(&target->lru);
	if (dynmemmap_vmemmap_replace_frame(frame, target, node->nid)) {
		list_add(&frame->lru, emptied);
		return true;
	}
	list_add(&target->lru, targets);
	return false;
}

/*
 * Frames of an area that have been replaced: they become free memory, or go back to the
 * donor that the area is. Then the stock has got others, which are in use.
 */
static void area_free_frames(struct dynmemmap_area *area, struct list_head *frames)
{
	struct dynmemmap_stock *stock = &dynmemmap_area_node(area)->stock;
	struct page *frame, *next;

	if (READ_ONCE(area->owner) != DYNMEMMAP_STOCK) {
		dynmemmap_frames_free(frames);
		return;
	}
	guard(raw_spinlock_irqsave)(&dynmemmap_area_node(area)->lock);
	list_for_each_entry_safe(frame, next, frames, lru) {
		list_del(&frame->lru);
		dynmemmap_stock_put(stock, frame);
		dynmemmap_stock_add_used(stock, 1);
	}
}

/*
 * Move the struct pages in up to @nr_frames frames of an area to as many @targets; those that
 * are needed leave that list.
 * Return: how many frames were migrated.
 */
static unsigned int area_migrate_some(struct dynmemmap_area *area, unsigned int nr_frames,
				      struct list_head *targets)
{
	struct dynmemmap_node *node = dynmemmap_area_node(area);
	struct migration migration = {};
	unsigned int i, nr_migrated = 0;
	LIST_HEAD(emptied);

	area_isolate_frames(area, nr_frames, &migration);
	if (!migration.nr_frames)
		return 0;
	dynmemmap_vmemmap_flush(migration.lowest, migration.highest, false);
	for (i = 0; i < migration.nr_frames; i++)
		nr_migrated += frame_replace(node, migration.frames[i], targets, &emptied);
	area_free_frames(area, &emptied);
	count_vm_events(DYNMEMMAP_MIGRATE, nr_migrated);
	return nr_migrated;
}

/*
 * Have some of @targets be the page tables that are in an area, and put those on the list
 * @emptied.
 * Return: false if there are more of them than targets.
 */
static bool area_move_tables(struct dynmemmap_area *area, struct list_head *targets,
			     struct list_head *emptied)
{
	unsigned int i;

	guard(raw_spinlock_irqsave)(&dynmemmap_area_node(area)->lock);
	/* As in area_isolate_frames(). */
	if (area->state == DYNMEMMAP_IDLE)
		return true;
	for (i = 0; i < DYNMEMMAP_AREA_NR_PAGES; i++) {
		struct page *page = dynmemmap_area_page(area, i), *target;
		struct dynmemmap_area *user;

		if (!area_may_have_frame(area, page))
			continue;
		user = dynmemmap_vmemmap_table_user(page, area->nid);
		if (!user)
			continue;
		target = target_outside(targets, area);
		if (!target)
			return false;
		/* As in frame_replace(). */
		list_del(&target->lru);
		dynmemmap_vmemmap_move_table(user, target);
		list_add(&page->lru, emptied);
	}
	return true;
}

/* Return: true if no page table that can be moved was left in the area. */
static bool area_migrate_tables(struct dynmemmap_area *area, struct list_head *targets)
{
	LIST_HEAD(emptied);
	bool all_moved;

	/* Who ends a migration changes a page table without the lock. */
	lockdep_assert_held(&dynmemmap_migrate_mutex);
	dynmemmap_vmemmap_move_begin();
	all_moved = area_move_tables(area, targets, &emptied);
	dynmemmap_vmemmap_move_end(!list_empty(&emptied));
	count_vm_events(DYNMEMMAP_MIGRATE, list_count_nodes(&emptied));
	area_free_frames(area, &emptied);
	return all_moved;
}

/**
 * dynmemmap_frames_migrate() - migrate what frames of an area hold to other areas
 * @area:	an area in use, whose section the caller keeps; or a donor, while
 *		dynmemmap_take_back_mutex is held
 * @targets:	frames of the same node that nobody uses, by page->lru; those that are needed
 *		leave that list
 *
 * For a moment, nobody can use the struct pages in them. Who tries to keeps the frame where
 * it is. Page tables of struct pages move as well; nobody has to notice that.
 *
 * Context: process context, may sleep; no locks of the allocator held, and CPUs do not come
 * online: the TLB of one might miss the flush.
 * Return: true if no frame in use that can be moved was left.
 */
bool dynmemmap_frames_migrate(struct dynmemmap_area *area, struct list_head *targets)
{
	unsigned int nr_left = area_count_frames(area), nr_migrated;

	lockdep_assert_cpus_held();
	if (nr_left && list_empty(targets))
		return false;
	guard(mutex)(&dynmemmap_migrate_mutex);
	for (; nr_left; nr_left -= nr_migrated) {
		nr_migrated = area_migrate_some(area, min(nr_left, MIGRATE_BATCH_FRAMES),
						targets);
		if (!nr_migrated)
			return false;
	}
	return area_migrate_tables(area, targets);
}

/**
 * dynmemmap_frames_renew() - replace the free frames of a node's stock by others
 * @node:	the node
 * @targets:	as for dynmemmap_frames_migrate()
 *
 * But not those that were bought for a range that is in use, see dynmemmap_range_get().
 *
 * Context: process context, may sleep; dynmemmap_take_back_mutex not held.
 */
void dynmemmap_frames_renew(struct dynmemmap_node *node, struct list_head *targets)
{
	unsigned int nr_wanted = READ_ONCE(node->nr_reserve), nr_fresh = 0;
	LIST_HEAD(frames);

	scoped_guard(mutex, &dynmemmap_take_back_mutex) {
		if (!dynmemmap_may_take_back())
			return;
		for (; nr_fresh < nr_wanted && !list_empty(targets); nr_fresh++)
			list_move(targets->next, &frames);
		if (nr_fresh == nr_wanted) {
			guard(raw_spinlock_irqsave)(&node->lock);
			dynmemmap_stock_renew(&node->stock, &frames, nr_fresh);
		}
	}
	dynmemmap_frames_free(&frames);
}
