// SPDX-License-Identifier: GPL-2.0-only
/*
 * How finely memory is described now: answers from the area pages alone. Looks at no
 * struct page, and changes nothing.
 */
#include <linux/log2.h>
#include <linux/mm.h>

#include "core.h"

/* As an order: the page frames whose struct pages are in one vmemmap page. */
#define VMEMMAP_PAGE_ORDER	ilog2(DYNMEMMAP_AREA_NR_PAGES / DYNMEMMAP_AREA_NR_FRAMES)

/* Nobody's, and in no zone; not on its way from one owner to the next. */
static bool area_is_offline(const struct dynmemmap_area *area)
{
	return READ_ONCE(area->owner) == DYNMEMMAP_MOVING && !READ_ONCE(area->zone);
}

int __dynmemmap_pfn_order(unsigned long pfn)
{
	const struct dynmemmap_area *area = dynmemmap_area_of(pfn);

	if (!area)
		return pfn_valid(pfn) ? 0 : -ENXIO;
	if (area_is_offline(area))
		return -ENXIO;
	/* In this order: all is mapped before HUGE becomes SPLIT. */
	if (smp_load_acquire(&area->state) != DYNMEMMAP_SPLIT)
		return DYNMEMMAP_AREA_ORDER;
	return READ_ONCE(area->mapped) & dynmemmap_vmemmap_pages(pfn, 1) ? 0 : VMEMMAP_PAGE_ORDER;
}
EXPORT_SYMBOL_GPL(__dynmemmap_pfn_order);
