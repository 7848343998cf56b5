// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parts: when a huge folio is split, the largest folios that it becomes have vmemmap pages
 * of nothing but tails. They share these with others of their order, as huge folios do, if
 * pages do not count their mappings (NO_PAGE_MAPCOUNT).
 *
 * Of those of a process each page can be marked as exclusive, and that is written to its
 * struct page. So none of a part that shares its tails is: it is mapped read-only, as after
 * a fork whose child has gone. The first write finds that, and populates the part.
 *
 * When a part is freed, in a context where no TLB can be flushed, it waits on a list of
 * its zone until its tails have frames of their own. Only then is it free memory.
 */
#include <linux/mm.h>
#include <linux/page-isolation.h>

#include "core.h"
#include "../internal.h"
#include "../page_alloc.h"

/* The half that a page was not split out of is at one of the two ends. */
static bool has_parts(struct folio *folio, const struct folio *end)
{
	const struct folio *last = page_folio(folio_page(end, -1));

	return max(folio_order(folio), folio_order(last)) >= DYNMEMMAP_PART_MIN_ORDER;
}

void __dynmemmap_split_end(struct folio *folio, const struct folio *end)
{
	if (!compound_info_has_mask() || !has_parts(folio, end) ||
	    !mutex_trylock(&dynmemmap_take_back_mutex))
		return;
	if (dynmemmap_may_take_back())
		for (; folio != end; folio = folio_next(folio))
			if (folio_order(folio) >= DYNMEMMAP_PART_MIN_ORDER)
				dynmemmap_unpopulate_folio_tails(folio, "split");
	mutex_unlock(&dynmemmap_take_back_mutex);
}

bool __dynmemmap_part_is_shared(struct folio *folio)
{
	return !dynmemmap_folio_has_own_tails(folio);
}

/**
 * dynmemmap_wp_populate() - have a part in which a page will be marked as exclusive
 * @vmf:	the fault, of a page that is write-protected
 * @folio:	a part that shares its tails
 *
 * Context: process context; may sleep, with the page table lock let go of meanwhile.
 * Return: true if its tails can be written; false if the page table has changed, that
 * lock is not held any more, and the fault is to be taken once more.
 */
bool dynmemmap_wp_populate(struct vm_fault *vmf, struct folio *folio)
	__releases(vmf->ptl)
{
	bool same;

	/* It is not split, or another one, until its page table entry keeps it from that. */
	folio_get(folio);
	pte_unmap_unlock(vmf->pte, vmf->ptl);
	dynmemmap_populate_folio_tails(folio, GFP_KERNEL | __GFP_NOFAIL, "split");
	vmf->pte = pte_offset_map_lock(vmf->vma->vm_mm, vmf->pmd, vmf->address, &vmf->ptl);
	same = vmf->pte && pte_same(ptep_get(vmf->pte), vmf->orig_pte);
	if (vmf->pte && !same)
		pte_unmap_unlock(vmf->pte, vmf->ptl);
	folio_put(folio);
	return same;
}

/* Can the tails of a block not be written, by any CPU? */
static bool part_is_shared(struct dynmemmap_area *area, unsigned long pfn, unsigned int order)
{
	guard(raw_spinlock_irqsave)(&dynmemmap_area_node(area)->lock);
	return dynmemmap_area_shared(area) & dynmemmap_vmemmap_pages(pfn, BIT(order)) ||
	       area->marks & DYNMEMMAP_MARKS_STALE;
}

static void zone_add_part(struct zone *zone, struct page *page, unsigned int order)
{
	guard(spinlock_irqsave)(&zone->lock);
	set_page_private(page, order);
	list_add(&page->lru, &dynmemmap_zone_pool(zone)->parts);
}

/**
 * dynmemmap_part_free() - a block of less than an area is freed
 * @area:	its area
 * @zone:	its zone
 * @page:	its first page, prepared by __free_pages_prepare()
 * @order:	its order
 *
 * Context: any but NMI; takes zone->lock.
 * Return: true if it is taken; false if all its struct pages can be written.
 */
bool dynmemmap_part_free(struct dynmemmap_area *area, struct zone *zone, struct page *page,
			 unsigned int order)
{
	if (!part_is_shared(area, page_to_pfn(page), order))
		return false;
	zone_add_part(zone, page, order);
	dynmemmap_worker_kick(dynmemmap_area_node(area));
	return true;
}

static struct page *zone_remove_part(struct zone *zone, unsigned int *order)
{
	struct page *page;

	guard(spinlock_irqsave)(&zone->lock);
	page = list_first_entry_or_null(&dynmemmap_zone_pool(zone)->parts, struct page, lru);
	if (!page)
		return NULL;
	list_del(&page->lru);
	*order = page_private(page);
	set_page_private(page, 0);
	return page;
}

static bool part_lend(struct zone *zone, struct page *page, unsigned int order)
{
	const u8 pages = dynmemmap_vmemmap_pages(page_to_pfn(page), BIT(order));

	if (!dynmemmap_populate_free(dynmemmap_area_of(page_to_pfn(page)), pages, "split"))
		return false;
	dynmemmap_prepare_tails(page, order);
	guard(spinlock_irqsave)(&zone->lock);
	__putback_isolated_page(page, order, get_pageblock_migratetype(page));
	return true;
}

/**
 * dynmemmap_parts_lend() - make free memory of the parts that wait for that
 * @zone:	the zone
 *
 * Context: process context, interrupts enabled; takes zone->lock.
 * Return: true if there were any, and memory for their struct pages.
 */
bool dynmemmap_parts_lend(struct zone *zone)
{
	struct page *page;
	unsigned int order;
	bool lent = false;

	if (list_empty(&dynmemmap_zone_pool(zone)->parts))
		return false;
	while ((page = zone_remove_part(zone, &order))) {
		if (!part_lend(zone, page, order)) {
			zone_add_part(zone, page, order);
			break;
		}
		lent = true;
	}
	/* It may have made an area whole. */
	if (lent)
		dynmemmap_worker_kick(dynmemmap_nodes[zone_to_nid(zone)]);
	return lent;
}
