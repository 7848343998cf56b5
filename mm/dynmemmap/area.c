// SPDX-License-Identifier: GPL-2.0-only
/*
 * The area pages: the state and the owner of every area, and which changes of
 * them are legal. Knows nothing of page tables, lists or the buddy allocator.
 */
#include "internal.h"

/* An invariant was found broken: nothing is taken back any more. */
bool dynmemmap_broken __read_mostly;

#define OWNER(name)	BIT(DYNMEMMAP_##name)

/* The owners that an area in a given state may have. */
static const u8 legal_owners[DYNMEMMAP_NR_STATES] = {
	[DYNMEMMAP_IDLE]	= OWNER(POOL) | OWNER(MOVING) | OWNER(DEVICE),
	[DYNMEMMAP_HUGE]	= OWNER(KERNEL) | OWNER(MOVING) | OWNER(DEVICE) |
				  OWNER(CACHE),
	[DYNMEMMAP_SPLIT]	= OWNER(KERNEL) | OWNER(POOL) | OWNER(MOVING) | OWNER(STOCK) |
				  OWNER(DEVICE) | OWNER(CACHE),
};

/* The owners that may follow a given one: every change goes through MOVING. */
static const u8 legal_next_owners[DYNMEMMAP_NR_OWNERS] = {
	[DYNMEMMAP_KERNEL]	= OWNER(MOVING),
	[DYNMEMMAP_POOL]	= OWNER(MOVING),
	[DYNMEMMAP_MOVING]	= OWNER(KERNEL) | OWNER(POOL) | OWNER(STOCK) | OWNER(DEVICE) |
				  OWNER(CACHE),
	[DYNMEMMAP_STOCK]	= OWNER(MOVING),
	[DYNMEMMAP_DEVICE]	= OWNER(MOVING),
	[DYNMEMMAP_CACHE]	= OWNER(MOVING),
};

/**
 * dynmemmap_area_init() - set up the area page of an area nobody has yet
 * @area:	the area page
 * @area_nr:	number of the area
 * @nid:	node whose stock the area uses
 *
 * The area is IDLE and MOVING: boot decides whose it becomes.
 *
 * Context: any; the caller has the area page to itself.
 */
void dynmemmap_area_init(struct dynmemmap_area *area, u32 area_nr, int nid)
{
	INIT_LIST_HEAD(&area->pool_list);
	area->zone = NULL;
	area->area_nr = area_nr;
	area->nid = nid;
	area->state = DYNMEMMAP_IDLE;
	area->owner = DYNMEMMAP_MOVING;
	area->flags = 0;
	area->marks = 0;
	area->nr_mapped = 0;
	area->mapped = 0;
	area->next_warm_nr = 0;
}

/**
 * dynmemmap_area_may_be() - can an area be in this state with this owner?
 * @state:	a state
 * @owner:	an owner
 *
 * Context: any.
 * Return: true if the combination is legal.
 */
bool dynmemmap_area_may_be(enum dynmemmap_state state, enum dynmemmap_owner owner)
{
	return state < DYNMEMMAP_NR_STATES && (legal_owners[state] & BIT(owner));
}

/**
 * dynmemmap_area_set_state() - record what is mapped behind an area
 * @area:	the area
 * @state:	its new state, another than the present one
 * @nr_areas:	areas by state, of the node of @area; kept in step
 *
 * Context: any; dynmemmap_node.lock of the node of @area held.
 * Return: false, with nothing changed, if the change is illegal.
 */
bool dynmemmap_area_set_state(struct dynmemmap_area *area, enum dynmemmap_state state,
			      atomic_long_t *nr_areas)
{
	if (state == area->state || !dynmemmap_area_may_be(state, READ_ONCE(area->owner)))
		return false;

	atomic_long_dec(&nr_areas[area->state]);
	atomic_long_inc(&nr_areas[state]);
	WRITE_ONCE(area->state, state);
	return true;
}

/**
 * dynmemmap_area_set_owner() - record who has the memory of an area
 * @area:	the area
 * @owner:	its new owner
 *
 * Context: any; see enum dynmemmap_owner for the lock.
 * Return: false, with nothing changed, if the change is illegal.
 */
bool dynmemmap_area_set_owner(struct dynmemmap_area *area, enum dynmemmap_owner owner)
{
	if (!(legal_next_owners[area->owner] & BIT(owner)))
		return false;
	if (!dynmemmap_area_may_be(READ_ONCE(area->state), owner))
		return false;

	WRITE_ONCE(area->owner, owner);
	return true;
}
