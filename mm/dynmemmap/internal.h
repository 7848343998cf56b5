/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Dynamic memmap: types, states, and the calls between its files.
 *
 * Terms
 *   area		2 MiB of physical memory, aligned.
 *   area page		the permanent descriptor of an area, as large as a
 *			struct page; 64 of them describe one section.
 *   vmemmap page	one of the 8 virtual pages that hold the struct pages of
 *			an area.
 *   frame		a page frame that stands, or can stand, behind a vmemmap
 *			page, or is the page table of a section's vmemmap.
 *   donor		an area that gives its frames to the stock; other frames are
 *			single pages.
 *   stock		the frames of a node that are free to be used.
 *   pool		the free areas of a zone that the buddy allocator does
 *			not see.
 *   cache		the areas of a zone that were freed as HUGE and are kept so,
 *			for the next huge folio.
 *
 * Lock order, outermost first
 *   cpu_hotplug_lock		no CPU misses a flush while frames move
 *   mem_hotplug_lock		sections, and with them areas, come and go
 *   dynmemmap_range_mutex	(range.c) ranges begin, or compaction has an area
 *   dynmemmap_take_back_mutex	(range.c) areas leave the buddy allocator
 *   dynmemmap_migrate_mutex	(migrate.c) frames move; not with the one above
 *   dynmemmap_device_mutex	(device.c) struct pages of devices are taken away
 *     zone->lock		pool and cache membership, area owner
 *       dynmemmap_node.lock	area state, page tables of the vmemmap, stock
 *
 * dynmemmap_node.lock is raw and a leaf: it is taken in the page fault handler,
 * where any other lock may be held already.
 */
#ifndef _MM_DYNMEMMAP_INTERNAL_H
#define _MM_DYNMEMMAP_INTERNAL_H

#include "kernel_deps.h"

#define DYNMEMMAP_AREA_ORDER		9
#define DYNMEMMAP_AREA_NR_PAGES		BIT(DYNMEMMAP_AREA_ORDER)
/* The smallest folio that has a vmemmap page of nothing but tails. */
#define DYNMEMMAP_PART_MIN_ORDER	7
/* The largest folio, of 512 areas: a hugetlb page of 1 GiB. */
#define DYNMEMMAP_MAX_ORDER		18
#define DYNMEMMAP_MAX_NR_AREAS		BIT(DYNMEMMAP_MAX_ORDER - DYNMEMMAP_AREA_ORDER)
/* Frames behind the struct pages of one area: 512 * 64 bytes. */
#define DYNMEMMAP_AREA_NR_FRAMES	8
/*
 * Frames to have at hand when an area is populated: the last one is for the page
 * table that the vmemmap of its section may not have yet.
 */
#define DYNMEMMAP_POPULATE_NR_FRAMES	9
#define DYNMEMMAP_TABLE_FRAME		8
/* A bit for each vmemmap page of an area. */
#define DYNMEMMAP_ALL_VMEMMAP_PAGES	0xff
/* Free frames that a node keeps, for lending in atomic context and for repairs. */
#define DYNMEMMAP_RESERVE_MIN_FRAMES	(12 * DYNMEMMAP_AREA_NR_FRAMES)
#define DYNMEMMAP_RESERVE_MAX_FRAMES	(128 * DYNMEMMAP_AREA_NR_FRAMES)
/* The last of them are for those who cannot fail, and for repairs. */
#define DYNMEMMAP_RESERVE_NOFAIL_FRAMES	(4 * DYNMEMMAP_AREA_NR_FRAMES)
#define DYNMEMMAP_SECTION_NR_AREAS	(PAGES_PER_SECTION / DYNMEMMAP_AREA_NR_PAGES)

/**
 * enum dynmemmap_state - what is mapped behind the vmemmap pages of an area
 * @DYNMEMMAP_IDLE:	nothing. Nobody may touch the struct pages.
 * @DYNMEMMAP_HUGE:	the first is private, the others are a shared read-only
 *			tail. One compound page covers the area, or did. If that
 *			begins in another area, none is private.
 * @DYNMEMMAP_SPLIT:	private frames, writable and initialised. Of device memory
 *			perhaps only some, see dynmemmap_area.mapped. In memory in use,
 *			vmemmap pages that hold only tails of a large folio may be a
 *			shared read-only tail.
 *
 * Written by dynmemmap_area_set_state() under dynmemmap_node.lock.
 */
enum dynmemmap_state {
	DYNMEMMAP_IDLE,
	DYNMEMMAP_HUGE,
	DYNMEMMAP_SPLIT,
	/* private: */
	DYNMEMMAP_NR_STATES,
};

/**
 * enum dynmemmap_owner - who has the memory of an area
 * @DYNMEMMAP_KERNEL:	the buddy allocator, or whoever allocated from it, or
 *			firmware. Always SPLIT or HUGE.
 * @DYNMEMMAP_POOL:	the pool of its zone; free. IDLE, or SPLIT after a
 *			repaired read.
 * @DYNMEMMAP_MOVING:	one thread, between two of the others; nobody, and no zone,
 *			while the memory is offline. Any state.
 * @DYNMEMMAP_STOCK:	the stock, as a donor. Always SPLIT: the first eight
 *			frames of such an area hold its own struct pages.
 * @DYNMEMMAP_DEVICE:	a device driver; no zone's free memory. IDLE while nobody
 *			uses the struct pages; HUGE while one entry maps all of it.
 * @DYNMEMMAP_CACHE:	the cache of its zone; freed, but not counted as free, like
 *			pages on a list of a CPU. HUGE, or SPLIT if it was being
 *			populated when it was freed.
 *
 * Written by dynmemmap_area_set_owner(): into and out of MOVING under
 * zone->lock, except for STOCK and DEVICE, which only a thread that has the area
 * to itself gives or takes.
 */
enum dynmemmap_owner {
	DYNMEMMAP_KERNEL,
	DYNMEMMAP_POOL,
	DYNMEMMAP_MOVING,
	DYNMEMMAP_STOCK,
	DYNMEMMAP_DEVICE,
	DYNMEMMAP_CACHE,
	/* private: */
	DYNMEMMAP_NR_OWNERS,
};

/*
 * dynmemmap_area.flags; changed by the one who has the area when it is populated,
 * and under dynmemmap_node.lock when it is IDLE.
 */
/* The memory was never prepared as a free page's is: see dynmemmap_area_prepare_free(). */
#define DYNMEMMAP_AREA_RAW		0x01
/* Boot only: holds reserved memory or a hole, needs its struct pages. */
#define DYNMEMMAP_AREA_BOOT_USED	0x02

/*
 * dynmemmap_area.marks; changed under dynmemmap_node.lock, read without.
 */
/* In the list of dynmemmap_node.warm_nr, or that of .apart_nr. */
#define DYNMEMMAP_MARK_WARM		0x01
/* The device has mapped a part of it, and may do so again; it keeps its struct pages. */
#define DYNMEMMAP_MARK_MADE		0x02
/* Its folio is of no file, see dynmemmap_device_detach(); until its next use. */
#define DYNMEMMAP_MARK_DETACHED		0x04
/*
 * How many have populated tails of it, and not flushed yet, so that TLBs may still lead to
 * the shared tail; seven at the most. Until they have, the area cannot leave the kernel
 * and the cache.
 */
#define DYNMEMMAP_MARKS_STALE		0xf0
#define DYNMEMMAP_MARKS_ONE_STALE	0x10

/**
 * struct dynmemmap_donor - an area whose frames the stock uses
 * @list:	in dynmemmap_stock.donors; dynmemmap_node.lock
 * @free_frames: frames that hold nothing, by page->lru; dynmemmap_node.lock
 * @nr_free:	how many; dynmemmap_node.lock
 * @nr_frames:	frames in all; constant
 */
struct dynmemmap_donor {
	struct list_head list;
	struct list_head free_frames;
	u32 nr_free;
	u32 nr_frames;
};

struct dev_pagemap;

/* The donor that a frame of the stock belongs to, or NULL. */
static inline struct dynmemmap_donor *dynmemmap_frame_donor(const struct page *frame)
{
	return (struct dynmemmap_donor *)page_private(frame);
}

/**
 * struct dynmemmap_area - the permanent struct page of an area
 * @pool_list:	in dynmemmap_pool.areas or .cached, or in the private list of whoever
 *		moves the area; zone->lock while the owner is POOL or CACHE
 * @pgmap:	while the owner is DEVICE: what its struct pages point to; constant
 * @nr_users:	while the owner is DEVICE: who needs the struct pages; goes from 0
 *		to 1 under dynmemmap_device_mutex
 * @donor:	while the owner is STOCK
 * @zone:	the zone that all its pages are online in, NULL if there is no such;
 *		zone->lock, changes only while the owner is KERNEL, or when it comes
 *		online and has gone offline, under dynmemmap_node.lock
 * @area_nr:	pfn of its first page / 512; constant
 * @nid:	node whose stock it uses; constant while its section exists
 * @state:	enum dynmemmap_state
 * @owner:	enum dynmemmap_owner
 * @flags:	DYNMEMMAP_AREA_*
 * @marks:	DYNMEMMAP_MARK_*
 * @nr_mapped:	in the first area of a section: areas of it that have something
 *		mapped, and share one page table; dynmemmap_node.lock
 * @mapped:	a bit for each vmemmap page that has a frame of its own;
 *		dynmemmap_node.lock, read without for a snapshot
 * @next_warm_nr: link of that list: 0, or the number of the next area plus one;
 *		dynmemmap_node.lock
 */
struct dynmemmap_area {
	union {
		struct {
			struct list_head pool_list;
			struct dev_pagemap *pgmap;
			atomic_long_t nr_users;
		};
		struct dynmemmap_donor donor;
	};
	struct zone *zone;
	u32 area_nr;
	u16 nid;
	u8 state;
	u8 owner;
	u8 flags;
	u8 marks;
	u8 nr_mapped;
	u8 mapped;
	u32 next_warm_nr;
} __aligned(64);

static_assert(sizeof(struct dynmemmap_area) == 64);

static inline unsigned long dynmemmap_area_pfn(const struct dynmemmap_area *area)
{
	return (unsigned long)area->area_nr << DYNMEMMAP_AREA_ORDER;
}

/**
 * struct dynmemmap_pool - the free areas of one zone
 * @areas:	by pool_list; zone->lock
 * @cached:	the cache, by pool_list, freed last first; zone->lock
 * @parts:	freed blocks of less than an area whose tails are shared, by page->lru;
 *		zone->lock
 * @tails:	the frame that stands behind the tails of all folios of one order, by
 *		that minus DYNMEMMAP_PART_MIN_ORDER; once it is set, constant; set under
 *		dynmemmap_node.lock
 * @nr_areas:	how many; zone->lock, read without for a snapshot
 * @nr_cached:	how many are in the cache; as @nr_areas
 * @nr_pairs:	pairs of them that make an order-10 block; as @nr_areas
 * @nr_lent:	areas lent since boot; zone->lock
 * @nr_lent_seen: @nr_lent when the worker last passed; the worker
 * @nr_drains_due: passes that are to drain the lists of the CPUs; the worker
 * @nr_excess_seen: blocks over the threshold when it last passed; the worker
 * @compact_pfn: where compaction goes on, or DYNMEMMAP_COMPACT_DONE; the worker
 * @nr_scattered_left: what the last compaction has left, in areas; the worker
 * @nr_lent_compacted: @nr_lent when that was over; the worker
 * @nr_in_use_compacted: areas outside the pool when it began; the worker
 * @nr_compacted: areas that it has emptied; the worker
 * @compact_retry: when to try again what it has left, in jiffies; the worker
 * @compact_retry_delay: how long that is after it was over, in jiffies; the worker
 */
struct dynmemmap_pool {
	struct list_head areas;
	struct list_head cached;
	struct list_head parts;
	struct page *tails[DYNMEMMAP_MAX_ORDER - DYNMEMMAP_PART_MIN_ORDER + 1];
	unsigned long nr_areas;
	unsigned long nr_cached;
	unsigned long nr_pairs;
	unsigned long nr_lent;
	unsigned long nr_lent_seen;
	unsigned long nr_drains_due;
	unsigned long nr_excess_seen;
	unsigned long compact_pfn;
	unsigned long nr_scattered_left;
	unsigned long nr_lent_compacted;
	unsigned long nr_in_use_compacted;
	unsigned long nr_compacted;
	unsigned long compact_retry;
	unsigned long compact_retry_delay;
};

/* dynmemmap_pool.compact_pfn: every area has been looked at. */
#define DYNMEMMAP_COMPACT_DONE	ULONG_MAX

/* Donors are kept by how many of their frames are free, 64 to a bucket. */
#define DYNMEMMAP_DONOR_NR_BUCKETS	9

/**
 * struct dynmemmap_stock - the frames of one node
 * @singles:	free frames that have no donor, by page->lru
 * @donors:	bucket 0: no frame free; bucket i: up to 64 * i free
 * @nr_singles_free: free frames on @singles
 * @nr_free:	free frames in all
 * @nr_frames:	frames, free or in use, of donors and single ones
 *
 * All under dynmemmap_node.lock; the counts may be read without for a snapshot.
 */
struct dynmemmap_stock {
	struct list_head singles;
	struct list_head donors[DYNMEMMAP_DONOR_NR_BUCKETS];
	unsigned long nr_singles_free;
	unsigned long nr_free;
	unsigned long nr_frames;
};

extern bool dynmemmap_broken;

/*
 * An invariant does not hold: say so once, and stop taking areas back, which
 * nobody depends on. Evaluates to the condition.
 */
#define DYNMEMMAP_WARN_ON(condition)				\
	({							\
		const bool __broken = WARN_ON_ONCE(condition);	\
								\
		if (unlikely(__broken))				\
			WRITE_ONCE(dynmemmap_broken, true);	\
		__broken;					\
	})

/* area.c: states and owners */
void dynmemmap_area_init(struct dynmemmap_area *area, u32 area_nr, int nid);
bool dynmemmap_area_may_be(enum dynmemmap_state state, enum dynmemmap_owner owner);
bool dynmemmap_area_set_state(struct dynmemmap_area *area, enum dynmemmap_state state,
			      atomic_long_t *nr_areas);
bool dynmemmap_area_set_owner(struct dynmemmap_area *area, enum dynmemmap_owner owner);

/* stock.c: frames */
void dynmemmap_stock_init(struct dynmemmap_stock *stock);
void dynmemmap_donor_init(struct dynmemmap_donor *donor, struct page *first,
			  unsigned int nr_frames);
void dynmemmap_stock_add(struct dynmemmap_stock *stock, struct dynmemmap_donor *donor);
bool dynmemmap_stock_take(struct dynmemmap_stock *stock, unsigned int nr_frames,
			  unsigned int nr_left, struct page **frames);
void dynmemmap_stock_put(struct dynmemmap_stock *stock, struct page *frame);
void dynmemmap_stock_add_single(struct dynmemmap_stock *stock, struct page *frame);
void dynmemmap_stock_add_used(struct dynmemmap_stock *stock, unsigned long nr_frames);
void dynmemmap_stock_renew(struct dynmemmap_stock *stock, struct list_head *fresh,
			   unsigned int nr_fresh);
struct page *dynmemmap_stock_remove_single(struct dynmemmap_stock *stock,
					   unsigned long nr_reserve);
struct dynmemmap_donor *dynmemmap_stock_remove_empty(struct dynmemmap_stock *stock,
						     unsigned long nr_reserve);

/* pool.c: free areas */
void dynmemmap_pool_init(struct dynmemmap_pool *pool);
void dynmemmap_pool_add(struct dynmemmap_pool *pool, struct dynmemmap_area *area);
void dynmemmap_pool_add_last(struct dynmemmap_pool *pool, struct dynmemmap_area *area);
void dynmemmap_pool_move_last(struct dynmemmap_pool *pool, struct dynmemmap_area *area);
void dynmemmap_pool_remove(struct dynmemmap_pool *pool, struct dynmemmap_area *area);
struct dynmemmap_area *dynmemmap_pool_first(struct dynmemmap_pool *pool);
struct dynmemmap_area *dynmemmap_pool_first_of_pair(struct dynmemmap_pool *pool);
void dynmemmap_cache_add(struct dynmemmap_pool *pool, struct dynmemmap_area *area);
void dynmemmap_cache_remove(struct dynmemmap_pool *pool, struct dynmemmap_area *area);
struct dynmemmap_area *dynmemmap_cache_first(struct dynmemmap_pool *pool);
struct dynmemmap_area *dynmemmap_cache_last(struct dynmemmap_pool *pool);
struct dynmemmap_area *dynmemmap_area_other(struct dynmemmap_area *area);

/* policy.c: decisions on plain numbers */
unsigned long dynmemmap_policy_reserve(unsigned long nr_reserve, bool ran_low);
unsigned long dynmemmap_policy_excess(unsigned long nr_blocks, unsigned long nr_keep);
bool dynmemmap_policy_was_burst(unsigned long nr_more, unsigned long nr_in_use);
bool dynmemmap_policy_compact(unsigned long nr_scattered, unsigned long nr_left,
			      unsigned long nr_in_use);
unsigned long dynmemmap_policy_take_back(unsigned long nr_excess, unsigned long nr_excess_seen,
					 bool lent_since, unsigned long nr_areas_zone);

#endif /* _MM_DYNMEMMAP_INTERNAL_H */
