// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that was present at boot goes away. Memory that is added later has a
 * static memmap, also where managed memory was before.
 */
#include "core.h"

static void area_release(struct dynmemmap_area *area)
{
	struct dynmemmap_node *node = dynmemmap_area_node(area);
	struct page *frames[DYNMEMMAP_AREA_NR_FRAMES];

	dynmemmap_set_owner(area, DYNMEMMAP_MOVING);
	scoped_guard(raw_spinlock_irqsave, &node->lock) {
		dynmemmap_vmemmap_unmap(area, frames);
		dynmemmap_set_state(area, DYNMEMMAP_IDLE);
		atomic_long_dec(&node->nr_areas[DYNMEMMAP_IDLE]);
	}
	dynmemmap_vmemmap_flush(area, area);
	dynmemmap_frames_put(node, frames, DYNMEMMAP_AREA_NR_FRAMES);
}

/**
 * dynmemmap_section_remove() - a section that was present at boot is removed
 * @pfn:	its first page frame
 *
 * The page tables of its vmemmap go, too; its area pages stay behind unused,
 * for whoever looks at them without a lock.
 *
 * Context: memory hotplug lock held; the section is offline, so that all of its
 * areas are SPLIT and nobody's.
 * Return: true if the section was managed and has been dealt with.
 */
bool dynmemmap_section_remove(unsigned long pfn)
{
	unsigned long start = (unsigned long)pfn_to_page(pfn);
	struct mem_section *ms = __pfn_to_section(pfn);
	struct dynmemmap_area *areas = ms->areas;
	unsigned int i;

	if (!areas)
		return false;

	for (i = 0; i < DYNMEMMAP_SECTION_NR_AREAS; i++)
		area_release(&areas[i]);
	WRITE_ONCE(ms->areas, NULL);
	vmemmap_free(start, start + PAGES_PER_SECTION * sizeof(struct page), NULL);
	return true;
}
