// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory hotplug: sections come and go, and memory blocks go online and offline.
 *
 * A section that is added gets area pages. When a block of memory goes online, its
 * areas go straight to the pool, except for those that somebody wants to see struct
 * pages of. An area of a block that is offline is MOVING and IDLE, in no zone, and
 * counts as being in the pool, so that nobody looks at it. Before a block goes offline,
 * what donors in it hold moves to frames elsewhere.
 *
 * All of this runs under the memory hotplug lock, held for writing.
 */
#include <linux/kasan.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/sched/clock.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "core.h"
#include "../internal.h"
#include "../mm_init.h"

/* What is called for page frames that go online, and does without struct pages. */
static online_page_callback_t allowed_callback;

/*
 * The area pages of every section that ever had some, by section number. They are
 * never freed, for whoever looks at them without a lock, and used again when the
 * section comes back.
 */
static DEFINE_XARRAY(section_areas);

static struct dynmemmap_area *section_get_areas(unsigned long section_nr, int nid)
{
	struct dynmemmap_area *areas = xa_load(&section_areas, section_nr);

	if (areas)
		return areas;
	areas = dynmemmap_runtime_table(nid);
	if (areas && xa_err(xa_store(&section_areas, section_nr, areas, GFP_KERNEL))) {
		free_page((unsigned long)areas);
		atomic_long_dec(&dynmemmap_nodes[nid]->nr_tables);
		return NULL;
	}
	return areas;
}

static void section_init_areas(struct dynmemmap_area *areas, unsigned long section_nr, int nid)
{
	unsigned int i;

	for (i = 0; i < DYNMEMMAP_SECTION_NR_AREAS; i++)
		dynmemmap_area_init(&areas[i], section_nr * DYNMEMMAP_SECTION_NR_AREAS + i, nid);
	atomic_long_add(DYNMEMMAP_SECTION_NR_AREAS,
			&dynmemmap_nodes[nid]->nr_areas[DYNMEMMAP_IDLE]);
}

struct page *__dynmemmap_section_add(unsigned long pfn, int nid)
{
	unsigned long section_nr = pfn_to_section_nr(pfn);
	struct dynmemmap_area *areas = section_get_areas(section_nr, nid);

	/* What tables have been made are used by the static memmap instead. */
	if (!areas || !dynmemmap_vmemmap_tables(section_nr, nid, dynmemmap_runtime_table))
		return NULL;
	section_init_areas(areas, section_nr, nid);
	/* Pairs with the address dependency in dynmemmap_area_of(). */
	smp_store_release(&__nr_to_section(section_nr)->areas, areas);
	return pfn_to_page(pfn);
}

/* Who repairs a read of offline memory makes struct pages for a zone, or for none. */
static void area_set_zone(struct dynmemmap_area *area, struct zone *zone)
{
	guard(raw_spinlock_irqsave)(&dynmemmap_area_node(area)->lock);
	WRITE_ONCE(area->zone, zone);
}

/* Take away the struct pages of a section that is nobody's memory any more. */
static void section_release(struct dynmemmap_area *areas)
{
	struct dynmemmap_area *area;
	LIST_HEAD(list);

	for (area = areas; area < areas + DYNMEMMAP_SECTION_NR_AREAS; area++) {
		if (area->owner == DYNMEMMAP_KERNEL || area->owner == DYNMEMMAP_DEVICE)
			dynmemmap_set_owner(area, DYNMEMMAP_MOVING);
		area_set_zone(area, NULL);
		list_add(&area->pool_list, &list);
	}
	dynmemmap_unpopulate(&list, "offline");
}

/**
 * dynmemmap_section_remove() - a section is removed
 * @pfn:	its first page frame
 *
 * Context: memory hotplug lock held for writing; the section is offline.
 * Return: true if the section was managed, and its memmap is gone.
 */
bool dynmemmap_section_remove(unsigned long pfn)
{
	unsigned long section_nr = pfn_to_section_nr(pfn);
	struct mem_section *ms = __nr_to_section(section_nr);
	struct dynmemmap_area *areas = ms->areas;
	struct dynmemmap_node *node;

	if (!areas)
		return false;
	node = dynmemmap_area_node(areas);

	/* From here on no repair populates one of them. */
	scoped_guard(raw_spinlock_irqsave, &node->lock) {
		dynmemmap_repairs_forget(node, areas);
		WRITE_ONCE(ms->areas, NULL);
	}
	section_release(areas);
	atomic_long_sub(DYNMEMMAP_SECTION_NR_AREAS, &node->nr_areas[DYNMEMMAP_IDLE]);
	/* Those of boot memory are kept here from now on, too: they have no other place. */
	if (!xa_load(&section_areas, section_nr))
		xa_store(&section_areas, section_nr, areas, GFP_KERNEL | __GFP_NOFAIL);
	return true;
}

void __dynmemmap_online_allow(online_page_callback_t callback)
{
	WRITE_ONCE(allowed_callback, callback);
}
EXPORT_SYMBOL_GPL(__dynmemmap_online_allow);

/*
 * Can an area of a block go online without struct pages? The first chunk answers for
 * the block when somebody asks for its zone. One whose struct pages were read while it
 * was offline has them, and they say that it is in another zone.
 */
static bool area_goes_to_pool(struct dynmemmap_area *area, unsigned long block_pfn)
{
	return dynmemmap_area_pfn(area) >= block_pfn + MAX_ORDER_NR_PAGES &&
	       READ_ONCE(area->state) == DYNMEMMAP_IDLE;
}

static bool area_populate_online(struct dynmemmap_area *area)
{
	if (READ_ONCE(area->state) != DYNMEMMAP_SPLIT &&
	    !(dynmemmap_stock_provide(dynmemmap_area_node(area), 1,
				      GFP_KERNEL | __GFP_RETRY_MAYFAIL) &&
	      dynmemmap_populate(area, "online")))
		return false;
	/* Somebody has read its struct pages while the stock was empty. */
	if (dynmemmap_vmemmap_is_self_hosted(area))
		return false;
	dynmemmap_set_owner(area, DYNMEMMAP_KERNEL);
	return true;
}

int __dynmemmap_online_start(struct zone *zone, unsigned long start_pfn, unsigned long nr_pages,
			     online_page_callback_t callback)
{
	/* Any other wants to see all struct pages. */
	const bool may_go = callback == generic_online_page ||
			    callback == READ_ONCE(allowed_callback);
	unsigned long pfn;

	for (pfn = start_pfn; pfn < start_pfn + nr_pages; pfn += DYNMEMMAP_AREA_NR_PAGES) {
		struct dynmemmap_area *area = dynmemmap_area_of(pfn);

		if (!area)
			continue;
		area_set_zone(area, zone);
		if (may_go && area_goes_to_pool(area, start_pfn))
			continue;
		if (!area_populate_online(area)) {
			__dynmemmap_offline_end(start_pfn, nr_pages);
			return -ENOMEM;
		}
	}
	return 0;
}

int __dynmemmap_online_populate(unsigned long start_pfn, unsigned long nr_pages)
{
	unsigned long pfn;

	for (pfn = start_pfn; pfn < start_pfn + nr_pages; pfn += DYNMEMMAP_AREA_NR_PAGES) {
		struct dynmemmap_area *area = dynmemmap_area_of(pfn);

		if (!area || area->owner != DYNMEMMAP_MOVING)
			continue;
		if (!area_populate_online(area))
			return -ENOMEM;
		/* As move_pfn_range_to_zone() does, which is over. */
		memmap_init_range(DYNMEMMAP_AREA_NR_PAGES, zone_to_nid(area->zone),
				  zone_idx(area->zone), pfn, 0, MEMINIT_HOTPLUG, NULL,
				  MIGRATE_MOVABLE, true);
	}
	return 0;
}
EXPORT_SYMBOL_GPL(__dynmemmap_online_populate);

static void area_online(struct dynmemmap_area *area, struct list_head *areas)
{
	struct page *page = dynmemmap_area_page(area, 0);
	struct zone *zone = area->zone;
	u64 start = local_clock();

	/* As memory is that memblock hands over, and as no free page is. */
	debug_pagealloc_map_pages(page, DYNMEMMAP_AREA_NR_PAGES);
	kasan_unpoison_pages(page, DYNMEMMAP_AREA_ORDER, false);
	area->flags |= DYNMEMMAP_AREA_RAW;
	list_add(&area->pool_list, areas);
	dynmemmap_note_take_back(area, "online", start);
	atomic_long_add(DYNMEMMAP_AREA_NR_PAGES, &zone->managed_pages);
	totalram_pages_add(DYNMEMMAP_AREA_NR_PAGES);
	/* Its pageblock is counted as isolated, and is not looked at to end that. */
	guard(spinlock_irqsave)(&zone->lock);
	zone->nr_isolate_pageblock--;
}

void __dynmemmap_online_give(unsigned long start_pfn, unsigned long nr_pages)
{
	LIST_HEAD(areas);
	unsigned long pfn;

	/* All others are isolated yet, so MOVING means that the area is ours. */
	for (pfn = start_pfn; pfn < start_pfn + nr_pages; pfn += DYNMEMMAP_AREA_NR_PAGES) {
		struct dynmemmap_area *area = dynmemmap_area_of(pfn);

		if (area && area->owner == DYNMEMMAP_MOVING)
			area_online(area, &areas);
	}
	dynmemmap_pool_give_last(&areas);
}

/* The first donor in a range; NULL if there is none. */
static struct dynmemmap_area *range_donor(unsigned long pfn, unsigned long end_pfn)
{
	struct dynmemmap_area *area;

	while ((area = dynmemmap_next_area(&pfn, end_pfn)))
		if (READ_ONCE(area->owner) == DYNMEMMAP_STOCK)
			break;
	return area;
}

/* Have what an area still holds as a donor move to frames elsewhere, if there are any. */
static void donor_migrate(struct dynmemmap_area *area)
{
	const struct dynmemmap_donor *donor = &area->donor;
	LIST_HEAD(targets);
	unsigned int nr_used;

	for (nr_used = donor->nr_frames - READ_ONCE(donor->nr_free); nr_used; nr_used--)
		if (!dynmemmap_frames_alloc(dynmemmap_area_node(area), 0, &targets))
			break;
	dynmemmap_frames_migrate(area, &targets);
	dynmemmap_frames_free(&targets);
}

void __dynmemmap_offline_prepare(unsigned long start_pfn, unsigned long end_pfn)
{
	struct dynmemmap_area *donor = range_donor(start_pfn, end_pfn);
	struct dynmemmap_node *node;

	if (!donor)
		return;
	node = dynmemmap_area_node(donor);
	/* Most of what it holds may be struct pages of memory that has just become free. */
	dynmemmap_take_back_all(node);
	dynmemmap_stock_provide_singles(node);
	guard(mutex)(&dynmemmap_take_back_mutex);
	if (!dynmemmap_may_take_back())
		return;
	while ((donor = range_donor(start_pfn, end_pfn))) {
		start_pfn = dynmemmap_area_pfn(donor) + DYNMEMMAP_AREA_NR_PAGES;
		donor_migrate(donor);
	}
	while (dynmemmap_stock_drain(node))
		;
}

int __dynmemmap_offline_start(unsigned long start_pfn, unsigned long nr_pages)
{
	const unsigned long end_pfn = start_pfn + nr_pages;

	if (!__dynmemmap_range_is_lent(start_pfn, end_pfn))
		return -ENOMEM;
	return range_donor(start_pfn, end_pfn) ? -EBUSY : 0;
}

void __dynmemmap_offline_end(unsigned long start_pfn, unsigned long nr_pages)
{
	unsigned long end_pfn = SECTION_ALIGN_DOWN(start_pfn + nr_pages), pfn;
	/* The worker may be looking at areas of a device. */
	CLASS(dynmemmap_range, range)(start_pfn, start_pfn);

	/* Where device memory begins or ends inside a section, that is not its own. */
	for (pfn = SECTION_ALIGN_UP(start_pfn); pfn < end_pfn; pfn += PAGES_PER_SECTION) {
		struct dynmemmap_area *areas = __pfn_to_section(pfn)->areas;

		if (areas)
			section_release(areas);
		cond_resched();
	}
}
