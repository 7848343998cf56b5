/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Dynamic memmap: what only the files that run in the kernel share.
 */
#ifndef _MM_DYNMEMMAP_CORE_H
#define _MM_DYNMEMMAP_CORE_H

#include <linux/dynmemmap.h>
#include <linux/irq_work.h>
#include <linux/workqueue.h>

#include "internal.h"

enum dynmemmap_repair {
	DYNMEMMAP_REPAIR_READ,
	DYNMEMMAP_REPAIR_WRITE,
	DYNMEMMAP_NR_REPAIRS,
};

/**
 * struct dynmemmap_node - what a NUMA node has
 * @lock:	state and page tables of the node's areas, and @stock
 * @stock:	its frames
 * @pools:	by zone index; each under the lock of its zone
 * @nr_areas:	by state; changed under @lock, read without
 * @nr_reserve:	free frames that the stock should have; set by the refill work and
 *		by the worker, who may overtake each other
 * @nr_own_frames: frames in which donor areas host their own struct pages
 * @nr_tables:	page tables of the vmemmap and arrays of area pages, in pages
 * @nr_repairs:	by kind; any context
 * @warm_nr:	areas populated by repaired reads: 0, or the number of the first
 *		plus one; @lock
 * @apart_nr:	areas in use whose huge folio has got its tails; as @warm_nr
 * @repaired_ip: the instruction whose read was repaired last
 * @kick_work:	starts @work and @refill_work from any context
 * @work:	the worker: takes areas back, drains the stock
 * @refill_work: refills the stock
 * @trim_work:	makes what is too much in the caches free memory
 * @watch_work:	starts @work from time to time, if nothing else does
 * @nid:	the node; constant
 */
struct dynmemmap_node {
	raw_spinlock_t lock;
	struct dynmemmap_stock stock;
	struct dynmemmap_pool pools[MAX_NR_ZONES];
	atomic_long_t nr_areas[DYNMEMMAP_NR_STATES];
	atomic_long_t nr_repairs[DYNMEMMAP_NR_REPAIRS];
	u32 warm_nr;
	u32 apart_nr;
	unsigned long repaired_ip;
	struct irq_work kick_work;
	unsigned long nr_reserve;
	atomic_long_t nr_own_frames;
	atomic_long_t nr_tables;
	struct delayed_work work;
	struct work_struct refill_work;
	struct work_struct trim_work;
	struct delayed_work watch_work;
	int nid;
};

/* For those who cannot fail: all of the zones' reserves, and of the stock's. */
#define DYNMEMMAP_GFP_NOFAIL		(GFP_ATOMIC | __GFP_MEMALLOC)

/* Areas that are isolated under one lock and unmapped by one TLB flush: 64 MiB. */
#define DYNMEMMAP_TAKE_BACK_BATCH_AREAS	32UL

extern struct dynmemmap_node *dynmemmap_nodes[MAX_NUMNODES];
extern bool dynmemmap_ready;
extern unsigned int dynmemmap_keep_areas;
extern unsigned int dynmemmap_take_back_delay_ms;

static inline struct dynmemmap_node *dynmemmap_area_node(const struct dynmemmap_area *area)
{
	return dynmemmap_nodes[area->nid];
}

static inline struct dynmemmap_pool *dynmemmap_zone_pool(const struct zone *zone)
{
	return &dynmemmap_nodes[zone_to_nid(zone)]->pools[zone_idx(zone)];
}

/**
 * dynmemmap_area_page() - one of an area's struct pages
 * @area:	an area
 * @nr:		which, counted in pages from the first
 *
 * Context: any. Only the address: nothing may be there.
 * Return: the struct page of that page frame.
 */
static inline struct page *dynmemmap_area_page(const struct dynmemmap_area *area, unsigned int nr)
{
	return pfn_to_page(dynmemmap_area_pfn(area) + nr);
}

/**
 * dynmemmap_area_page_zone() - whose pages an area's struct pages say they are
 * @area:	an area
 *
 * Context: any; the caller keeps the owner of @area from changing.
 * Return: the zone, or NULL if the memory is offline.
 */
static inline struct zone *dynmemmap_area_page_zone(const struct dynmemmap_area *area)
{
#ifdef CONFIG_ZONE_DEVICE
	if (READ_ONCE(area->owner) == DYNMEMMAP_DEVICE)
		return &NODE_DATA(area->nid)->node_zones[ZONE_DEVICE];
#endif
	return READ_ONCE(area->zone);
}

/**
 * dynmemmap_zone_nr_in_use() - how much memory of a zone has its struct pages
 * @zone:	the zone
 *
 * Context: any; the answer is a snapshot.
 * Return: areas outside the pool.
 */
static inline unsigned long dynmemmap_zone_nr_in_use(const struct zone *zone)
{
	return (zone_managed_pages(zone) >> DYNMEMMAP_AREA_ORDER) -
	       READ_ONCE(dynmemmap_zone_pool(zone)->nr_areas);
}

/**
 * dynmemmap_area_of() - the area page of a page frame
 * @pfn:	any page frame number
 *
 * Context: any. Area pages are never freed.
 * Return: the area page, or NULL if the section of @pfn is not managed.
 */
static inline struct dynmemmap_area *dynmemmap_area_of(unsigned long pfn)
{
	struct dynmemmap_area *areas;
	struct mem_section *ms;

	if (pfn_to_section_nr(pfn) >= NR_MEM_SECTIONS)
		return NULL;
	ms = __pfn_to_section(pfn);
	if (!ms)
		return NULL;
	/* Pairs with smp_store_release() in __dynmemmap_section_add(). */
	areas = READ_ONCE(ms->areas);
	if (!areas)
		return NULL;
	return &areas[(pfn >> DYNMEMMAP_AREA_ORDER) % DYNMEMMAP_SECTION_NR_AREAS];
}

/**
 * dynmemmap_address_area() - the area page of what lies at an address in the vmemmap
 * @address:	any address from VMEMMAP_START on
 *
 * Context: any.
 * Return: the area page, or NULL if no managed section has its struct pages there.
 */
static inline struct dynmemmap_area *dynmemmap_address_area(unsigned long address)
{
	return dynmemmap_area_of(page_to_pfn((struct page *)
					     ALIGN_DOWN(address, sizeof(struct page))));
}

/**
 * dynmemmap_block_has_poison() - is a page of a block known to be bad?
 * @page:	its first page
 * @order:	its order
 *
 * Nothing but the struct pages remembers that.
 *
 * Context: any; the block has its struct pages.
 * Return: true if it is.
 */
static inline bool dynmemmap_block_has_poison(const struct page *page, unsigned int order)
{
#ifdef CONFIG_MEMORY_FAILURE
	const struct page *end = page + BIT(order);

	if (unlikely(atomic_long_read(&num_poisoned_pages)))
		for (; page < end; page++)
			if (PageHWPoison(page))
				return true;
#endif
	return false;
}

/**
 * dynmemmap_vmemmap_pages() - which vmemmap pages of an area hold struct pages
 * @pfn:	first page frame
 * @nr_pages:	how many page frames; all in one area
 *
 * Context: any.
 * Return: a bit each.
 */
static inline u8 dynmemmap_vmemmap_pages(unsigned long pfn, unsigned long nr_pages)
{
	const unsigned long nr_each = DYNMEMMAP_AREA_NR_PAGES / DYNMEMMAP_AREA_NR_FRAMES;
	unsigned long first = pfn % DYNMEMMAP_AREA_NR_PAGES;

	return GENMASK((first + nr_pages - 1) / nr_each, first / nr_each);
}

/**
 * dynmemmap_area_shared() - which vmemmap pages of an area are shared tails?
 * @area:	an area
 *
 * Context: any; stable under dynmemmap_node.lock of the node of @area.
 * Return: a bit each; none if the area is not one in use with few struct pages.
 */
static inline u8 dynmemmap_area_shared(const struct dynmemmap_area *area)
{
	switch (READ_ONCE(area->state)) {
	case DYNMEMMAP_HUGE:
		return ~READ_ONCE(area->mapped);
	case DYNMEMMAP_SPLIT:
		/* What device memory lacks is not there. */
		if (READ_ONCE(area->owner) == DYNMEMMAP_KERNEL)
			return ~READ_ONCE(area->mapped);
		fallthrough;
	default:
		return 0;
	}
}

/**
 * dynmemmap_area_exists() - is the section of an area still there?
 * @area:	the area
 *
 * Context: any; stable under dynmemmap_node.lock of the node of @area.
 * Return: true until dynmemmap_section_remove().
 */
static inline bool dynmemmap_area_exists(const struct dynmemmap_area *area)
{
	return dynmemmap_area_of(dynmemmap_area_pfn(area)) == area;
}

/* vmemmap.c */
void dynmemmap_vmemmap_fill(const struct dynmemmap_area *area, struct page **frames);
void dynmemmap_vmemmap_fill_tail(struct zone *zone, unsigned int order, struct page *frame);
void dynmemmap_vmemmap_fill_huge(const struct dynmemmap_area *area, struct page *frame,
				 const struct page *tail);
bool dynmemmap_vmemmap_needs_table(const struct dynmemmap_area *area);
void dynmemmap_vmemmap_map(struct dynmemmap_area *area, struct page **frames);
void dynmemmap_vmemmap_map_tails(struct dynmemmap_area *area, const struct page *tail, u8 shared,
				 struct page **frames);
void dynmemmap_vmemmap_tails(const struct dynmemmap_area *area, struct page **tails);
void dynmemmap_vmemmap_unmap(struct dynmemmap_area *area, struct page **frames);
void dynmemmap_vmemmap_flush(const struct dynmemmap_area *first,
			     const struct dynmemmap_area *last, bool tables);
bool dynmemmap_vmemmap_is_mapped(unsigned long address);
bool dynmemmap_vmemmap_is_writable(unsigned long address);
void dynmemmap_vmemmap_note(const struct dynmemmap_area *area, struct page **frames);
struct dynmemmap_area *dynmemmap_vmemmap_user(struct page *page, int nid);
struct dynmemmap_area *dynmemmap_vmemmap_isolate_frame(struct page *frame, int nid);
bool dynmemmap_vmemmap_replace_frame(struct page *frame, struct page *target, int nid);
struct dynmemmap_area *dynmemmap_vmemmap_table_user(struct page *page, int nid);
void dynmemmap_vmemmap_move_begin(void);
void dynmemmap_vmemmap_move_table(struct dynmemmap_area *area, struct page *target);
void dynmemmap_vmemmap_move_end(bool moved);
bool dynmemmap_vmemmap_is_self_hosted(const struct dynmemmap_area *area);
bool dynmemmap_vmemmap_hosts_table(const struct dynmemmap_area *area);
bool dynmemmap_vmemmap_table_is_shared(struct dynmemmap_area *area);
bool dynmemmap_vmemmap_tables(unsigned long section_nr, int nid, void *(*alloc_table)(int nid));

/* populate.c */
void dynmemmap_populate_with(struct dynmemmap_area *area, struct page **frames,
			     const char *reason, u64 start);
void dynmemmap_populate_locked(struct dynmemmap_area *area, struct page **frames,
			       const char *reason);
bool dynmemmap_populate(struct dynmemmap_area *area, const char *reason);
bool dynmemmap_populate_some(struct dynmemmap_area *area, u8 wanted, const char *reason);
bool dynmemmap_populate_huge(struct dynmemmap_area *area, const char *reason);
bool dynmemmap_populate_tails(struct dynmemmap_area *area, gfp_t gfp, const char *reason);
bool dynmemmap_folio_has_own_tails(struct folio *folio);
bool dynmemmap_populate_folio_tails(struct folio *folio, gfp_t gfp, const char *reason);
bool dynmemmap_folio_may_share_tails(struct folio *folio);
bool dynmemmap_unpopulate_folio_tails(struct folio *folio, const char *reason);
bool dynmemmap_populate_free(struct dynmemmap_area *area, u8 wanted, const char *reason);
void dynmemmap_unpopulate(struct list_head *areas, const char *reason);
bool dynmemmap_unpopulate_below_table(struct dynmemmap_area *area, const char *reason);
bool dynmemmap_unpopulate_area(struct dynmemmap_area *area, const char *reason);
bool dynmemmap_self_host(struct dynmemmap_area *area);
bool dynmemmap_self_host_locked(struct dynmemmap_area *area);
void dynmemmap_set_state(struct dynmemmap_area *area, enum dynmemmap_state state);
void dynmemmap_set_owner(struct dynmemmap_area *area, enum dynmemmap_owner owner);

/* fail.c */
#ifdef CONFIG_DYNAMIC_MEMMAP_FAULT_INJECTION
bool dynmemmap_should_fail(void);
#else
static inline bool dynmemmap_should_fail(void) { return false; }
#endif

/* supply.c */
bool dynmemmap_frames_try_take(struct dynmemmap_node *node, struct page **frames, u8 wanted,
			       unsigned int nr_left);
bool dynmemmap_frames_take(struct dynmemmap_node *node, struct page **frames, u8 wanted);
bool dynmemmap_frames_take_locked(struct dynmemmap_node *node, struct zone *zone,
				  struct page **frames);
void dynmemmap_frames_put(struct dynmemmap_node *node, struct page **frames,
			  unsigned int nr_frames);
void dynmemmap_frames_put_locked(struct dynmemmap_node *node, struct page **frames,
				 unsigned int nr_frames);
bool dynmemmap_frames_buy(struct dynmemmap_node *node, struct page **frames, u8 wanted,
			  gfp_t gfp);
bool dynmemmap_stock_is_low(struct dynmemmap_node *node);
bool dynmemmap_stock_provide(struct dynmemmap_node *node, unsigned long nr_areas, gfp_t gfp);
void dynmemmap_stock_provide_singles(struct dynmemmap_node *node);
void dynmemmap_stock_refill(struct work_struct *work);
bool dynmemmap_stock_drain(struct dynmemmap_node *node);
bool dynmemmap_frames_alloc(struct dynmemmap_node *node, unsigned int order,
			    struct list_head *frames);
void dynmemmap_frames_free(struct list_head *frames);

/* buddy.c */
struct dynmemmap_area *dynmemmap_pool_take(struct zone *zone);
bool dynmemmap_pool_take_area(struct dynmemmap_area *area);
struct dynmemmap_area *dynmemmap_pool_take_populated(struct dynmemmap_node *node,
						     struct zone *zone, struct page **frames,
						     const char *reason);
void dynmemmap_pool_remove_free(struct zone *zone, struct dynmemmap_area *area);
void dynmemmap_pool_give(struct list_head *areas);
void dynmemmap_pool_give_last(struct list_head *areas);
void dynmemmap_area_prepare_use(struct dynmemmap_area *area);
void dynmemmap_area_prepare_free(struct dynmemmap_area *area);
void dynmemmap_area_allocate(struct dynmemmap_area *area);
void dynmemmap_note_lend(struct dynmemmap_area *area, const char *reason, u64 start);
void dynmemmap_note_take_back(struct dynmemmap_area *area, const char *reason, u64 start);
bool dynmemmap_area_lend(struct dynmemmap_area *area, const char *reason);

/* huge.c */
bool dynmemmap_cache_take_area(struct dynmemmap_area *area);
unsigned long dynmemmap_cache_take(struct zone *zone, unsigned long nr_wanted,
				   struct list_head *areas);
bool dynmemmap_cache_populate(struct dynmemmap_area *area, const char *reason);
bool dynmemmap_cache_lend(struct dynmemmap_area *area, const char *reason);
bool dynmemmap_cache_lend_some(struct zone *zone, const char *reason);
void dynmemmap_prepare_tails(struct page *page, unsigned int order);
bool dynmemmap_cache_is_large(struct dynmemmap_node *node);

/* device.c */
#ifdef CONFIG_ZONE_DEVICE
void dynmemmap_device_show(struct dynmemmap_area *area);
bool dynmemmap_device_is_shown(const struct dynmemmap_area *area);
int dynmemmap_device_base_refs(const struct dynmemmap_area *area);
void dynmemmap_device_take_back(struct list_head *areas);
bool dynmemmap_device_is_used(struct dynmemmap_area *area);
#else
static inline void dynmemmap_device_show(struct dynmemmap_area *area) { }

static inline bool dynmemmap_device_is_shown(const struct dynmemmap_area *area)
{
	return true;
}

static inline int dynmemmap_device_base_refs(const struct dynmemmap_area *area)
{
	return 0;
}

static inline void dynmemmap_device_take_back(struct list_head *areas) { }
static inline bool dynmemmap_device_is_used(struct dynmemmap_area *area) { return false; }
#endif

/* range.c */
extern struct mutex dynmemmap_take_back_mutex;
bool dynmemmap_may_take_back(void);
struct dynmemmap_area *dynmemmap_next_area(unsigned long *pfn, unsigned long end_pfn);
bool dynmemmap_area_is_shown(struct dynmemmap_area *area);
bool dynmemmap_compact_begin(void);
void dynmemmap_compact_end(void);
bool dynmemmap_ram_get(void);

/* worker.c */
void dynmemmap_take_back_all(struct dynmemmap_node *node);
void dynmemmap_kick(struct irq_work *work);
void dynmemmap_worker_kick(struct dynmemmap_node *node);
void dynmemmap_worker_rearm(struct dynmemmap_node *node);
void dynmemmap_worker(struct work_struct *work);
void dynmemmap_trim(struct work_struct *work);
void dynmemmap_watch(struct work_struct *work);

/* migrate.c, compact.c */
#ifdef CONFIG_MEMORY_ISOLATION
extern struct mutex dynmemmap_migrate_mutex;
bool dynmemmap_frame_is_movable(struct page *page);
bool dynmemmap_frames_migrate(struct dynmemmap_area *area, struct list_head *targets);
void dynmemmap_frames_renew(struct dynmemmap_node *node, struct list_head *targets);
bool dynmemmap_compact(struct zone *zone);
bool dynmemmap_zone_is_scattered(struct zone *zone);
#else
static inline bool dynmemmap_frames_migrate(struct dynmemmap_area *area,
					    struct list_head *targets)
{
	return false;
}

static inline bool dynmemmap_compact(struct zone *zone) { return false; }
static inline bool dynmemmap_zone_is_scattered(struct zone *zone) { return false; }
#endif

/* parts.c */
bool dynmemmap_part_free(struct dynmemmap_area *area, struct zone *zone, struct page *page,
			 unsigned int order);
bool dynmemmap_parts_lend(struct zone *zone);

/* whole.c */
void dynmemmap_apart_add(struct dynmemmap_area *area);
void dynmemmap_make_whole(struct dynmemmap_node *node);

/* repair.c */
bool dynmemmap_link_add(struct dynmemmap_area *area, u32 *link);
struct dynmemmap_area *dynmemmap_link_remove(u32 *link);
void dynmemmap_repairs_add(struct dynmemmap_area *area);
void dynmemmap_repairs_undo(struct dynmemmap_node *node);
void dynmemmap_repairs_forget(struct dynmemmap_node *node, struct dynmemmap_area *areas);

/* boot.c */
void *dynmemmap_boot_table(int nid);
void *dynmemmap_runtime_table(int nid);

/* sysfs.c */
int dynmemmap_sysfs_init(void);

#endif /* _MM_DYNMEMMAP_CORE_H */
