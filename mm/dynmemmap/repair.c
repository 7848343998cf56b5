// SPDX-License-Identifier: GPL-2.0-only
/*
 * The safety net: a stray access to struct pages that do not exist.
 *
 * Code that looks at page frames it does not hold can always lose the race with
 * an area that leaves the buddy allocator. Its read is repaired: the area gets
 * its struct pages, which say that the memory is free, and keeps them until the
 * worker takes them away. An attempt to get a reference is a read, too, because it
 * fails then. A write is a bug in the kernel, and is not repaired.
 */
#include <linux/extable.h>
#include <linux/hardirq.h>
#include <linux/sched/clock.h>
#include <trace/events/dynmemmap.h>

#include "core.h"

/**
 * dynmemmap_link_add() - put an area into a list of a node
 * @area:	any area
 * @link:	&dynmemmap_node.warm_nr or .apart_nr, or the like on a stack
 *
 * Areas are linked by their numbers: there is no room for more, and no section can go
 * unnoticed.
 *
 * Context: dynmemmap_node.lock of the node of @area held.
 * Return: false if it is in a list already, or its section is gone.
 */
bool dynmemmap_link_add(struct dynmemmap_area *area, u32 *link)
{
	lockdep_assert_held(&dynmemmap_area_node(area)->lock);
	if (area->marks & DYNMEMMAP_MARK_WARM || !dynmemmap_area_exists(area))
		return false;
	WRITE_ONCE(area->marks, area->marks | DYNMEMMAP_MARK_WARM);
	area->next_warm_nr = *link;
	WRITE_ONCE(*link, area->area_nr + 1);
	return true;
}

static struct dynmemmap_area *area_by_link(u32 warm_nr)
{
	return dynmemmap_area_of((warm_nr - 1UL) << DYNMEMMAP_AREA_ORDER);
}

/**
 * dynmemmap_link_remove() - take the first area out of a list
 * @link:	as for dynmemmap_link_add()
 *
 * Its mark stays, and keeps it out of all lists until it is removed.
 *
 * Context: dynmemmap_node.lock of the node of the areas held.
 * Return: the area, or NULL if there is none.
 */
struct dynmemmap_area *dynmemmap_link_remove(u32 *link)
{
	struct dynmemmap_area *area;

	if (!*link)
		return NULL;
	area = area_by_link(*link);
	WRITE_ONCE(*link, area->next_warm_nr);
	return area;
}

/**
 * dynmemmap_repairs_add() - have an area unpopulated later
 * @area:	a populated area that is in its pool, or will be, or of a device
 *
 * Context: any but NMI; dynmemmap_node.lock not held.
 */
void dynmemmap_repairs_add(struct dynmemmap_area *area)
{
	struct dynmemmap_node *node = dynmemmap_area_node(area);

	guard(raw_spinlock_irqsave)(&node->lock);
	dynmemmap_link_add(area, &node->warm_nr);
}

static struct dynmemmap_area *node_remove_warm(struct dynmemmap_node *node)
{
	struct dynmemmap_area *area;

	guard(raw_spinlock_irqsave)(&node->lock);
	area = dynmemmap_link_remove(&node->warm_nr);
	/* Others become MOVING, or stay where they are; those are used meanwhile. */
	if (area && area->owner != DYNMEMMAP_DEVICE)
		WRITE_ONCE(area->marks, area->marks & ~DYNMEMMAP_MARK_WARM);
	return area;
}

/* Take the areas of a section out of a list. */
static void link_forget(u32 *link, struct dynmemmap_area *areas)
{
	while (*link) {
		struct dynmemmap_area *area = area_by_link(*link);

		if (area >= areas && area < areas + DYNMEMMAP_SECTION_NR_AREAS) {
			*link = area->next_warm_nr;
			WRITE_ONCE(area->marks, area->marks & ~DYNMEMMAP_MARK_WARM);
		} else {
			link = &area->next_warm_nr;
		}
	}
}

/**
 * dynmemmap_repairs_forget() - a section goes: its areas leave all lists
 * @node:	its node
 * @areas:	its area pages
 *
 * Context: dynmemmap_node.lock held.
 */
void dynmemmap_repairs_forget(struct dynmemmap_node *node, struct dynmemmap_area *areas)
{
	lockdep_assert_held(&node->lock);
	link_forget(&node->warm_nr, areas);
	link_forget(&node->apart_nr, areas);
}

/**
 * dynmemmap_repairs_undo() - unpopulate what repaired reads have populated
 * @node:	the node
 *
 * And what the last user of device memory has left. Areas in use meanwhile may have
 * become SPLIT, and could not be in two lists; those that cannot be unpopulated yet are
 * kept for the next time.
 *
 * Context: process context; no range in use, see dynmemmap_range_get().
 */
void dynmemmap_repairs_undo(struct dynmemmap_node *node)
{
	struct dynmemmap_area *area;
	LIST_HEAD(areas);
	LIST_HEAD(device);
	LIST_HEAD(kept);

	while ((area = node_remove_warm(node))) {
		if (READ_ONCE(area->owner) == DYNMEMMAP_DEVICE) {
			list_add(&area->pool_list, &device);
			continue;
		}
		if (!dynmemmap_pool_take_area(area)) {
			dynmemmap_apart_add(area);
			continue;
		}
		list_add(&area->pool_list, &areas);
		if (READ_ONCE(area->state) == DYNMEMMAP_SPLIT)
			dynmemmap_unpopulate_area(area, "repair");
		if (READ_ONCE(area->state) == DYNMEMMAP_SPLIT)
			list_move(&area->pool_list, &kept);
		dynmemmap_pool_give(&areas);
	}
	dynmemmap_device_take_back(&device);
	list_for_each_entry(area, &kept, pool_list)
		dynmemmap_repairs_add(area);
	dynmemmap_pool_give_last(&kept);
}

static void count_repair(struct dynmemmap_node *node, bool write)
{
	atomic_long_inc(&node->nr_repairs[write ? DYNMEMMAP_REPAIR_WRITE :
						  DYNMEMMAP_REPAIR_READ]);
	count_vm_event(write ? DYNMEMMAP_REPAIR_WRITES : DYNMEMMAP_REPAIR_READS);
}

/**
 * dynmemmap_repair() - repair a page fault in the vmemmap
 * @address:	the address that was accessed
 * @write:	was it a write?
 * @present:	was there an entry that forbade it?
 * @ip:		the instruction that faulted
 *
 * Context: the page fault handler, interrupts off, any lock but
 * dynmemmap_node.lock held.
 * Return: true if the access is worth another try.
 */
bool dynmemmap_repair(unsigned long address, bool write, bool present, unsigned long ip)
{
	struct dynmemmap_area *area = dynmemmap_address_area(address);
	struct page *frames[DYNMEMMAP_POPULATE_NR_FRAMES];
	struct dynmemmap_node *node;
	u64 start = local_clock();

	if (!area)
		return false;
	/* Who has had it populated meanwhile need not be who faulted. */
	if (present)
		return write && dynmemmap_vmemmap_is_writable(address);
	if (dynmemmap_vmemmap_is_mapped(address))
		return true;
	/* Who reads with a fixup is prepared to be told that nothing is there. */
	if (in_nmi() || search_exception_tables(ip))
		return false;

	node = dynmemmap_area_node(area);
	if (write) {
		count_repair(node, true);
		return false;
	}
	if (dynmemmap_frames_try_take(node, frames, DYNMEMMAP_ALL_VMEMMAP_PAGES, 0)) {
		dynmemmap_populate_with(area, frames, "repair", start);
	} else if (!READ_ONCE(area->zone) || !dynmemmap_self_host(area)) {
		/* Offline memory may not be there, to be written to. */
		if (!dynmemmap_vmemmap_is_mapped(address))
			return false;
	}

	dynmemmap_repairs_add(area);
	count_repair(node, false);
	WRITE_ONCE(node->repaired_ip, ip);
	dynmemmap_worker_kick(node);
	trace_dynmemmap_repair(area->area_nr, area->nid, false, ip, local_clock() - start);
	return true;
}

/**
 * dynmemmap_repair_tail() - repair a write to a shared tail
 * @address:	the address that was to be written
 * @ip:		the instruction that faulted; not one that only tried a reference to an old
 *		folio, and would have written nothing
 *
 * Somebody has missed to call dynmemmap_folio_populate(), and this may be too late
 * next time: with interrupts off it is an oops.
 *
 * Context: the page fault handler, interrupts enabled, as they were.
 * Return: true if the write is worth another try.
 */
bool dynmemmap_repair_tail(unsigned long address, unsigned long ip)
{
	struct dynmemmap_area *area = dynmemmap_address_area(address);
	u64 start = local_clock();

	if (!area || !dynmemmap_area_shared(area))
		return false;
	/* Nor can it be mended if nobody uses the area. */
	if (!dynmemmap_populate_tails(area, DYNMEMMAP_GFP_NOFAIL, "repair") ||
	    dynmemmap_area_shared(area))
		return false;

	count_repair(dynmemmap_area_node(area), true);
	WARN_ONCE(1, "dynmemmap: repaired a write to a shared tail by %pS\n", (void *)ip);
	trace_dynmemmap_repair(area->area_nr, area->nid, true, ip, local_clock() - start);
	return true;
}
