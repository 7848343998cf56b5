/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Dynamic memmap: struct pages that exist only while somebody needs them.
 *
 * The calls that the rest of the kernel makes. Each is a static-key no-op while
 * the feature is off and an empty inline when it is not built.
 * See Documentation/mm/dynmemmap.rst.
 */
#ifndef _LINUX_DYNMEMMAP_H
#define _LINUX_DYNMEMMAP_H

#include <linux/cleanup.h>
#include <linux/dynmemmap_pfn.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/types.h>
#include <linux/uio.h>

struct bio_vec;
struct dev_pagemap;
struct dynmemmap_area;
struct page;
struct pt_regs;
struct vm_fault;
struct zone;

#ifdef CONFIG_DYNAMIC_MEMMAP

/*
 * Free blocks below this order merge without a question. From it on the buddy is
 * in another area: ask dynmemmap_pfn_in_pool() before looking at its struct page.
 * MAX_PAGE_ORDER while the feature is off; constant after boot. A variable and
 * not a static key, because comparing with it costs as much as with a constant.
 */
extern unsigned int dynmemmap_merge_order;
/*
 * Order of the huge pages that the lists of the CPUs keep: none while the feature is
 * on, which has a cache for them. A variable for the same reason.
 */
extern unsigned int dynmemmap_pcp_huge_order;

unsigned long __dynmemmap_alloc_prepare(struct zone *zone, unsigned int order,
					unsigned long nr_blocks);

/**
 * dynmemmap_alloc_prepare() - have a whole free area in the buddy allocator
 * @zone: the zone about to be allocated from
 * @order: order of the allocation
 * @nr_blocks: how many blocks of @order are wanted
 *
 * Keeps the free lists stocked, so that an allocation finds a whole free block
 * to claim and does not break up the blocks of another migratetype while the
 * pool is full of memory.
 *
 * Context: any but NMI; takes zone->lock, so it must not be held.
 * Return: how many blocks can be had so; at least one, at most @nr_blocks.
 */
static inline unsigned long dynmemmap_alloc_prepare(struct zone *zone, unsigned int order,
						    unsigned long nr_blocks)
{
	if (!dynmemmap_enabled())
		return nr_blocks;
	return __dynmemmap_alloc_prepare(zone, order, nr_blocks);
}

void __dynmemmap_alloc_prepare_nolock(struct zone *zone, unsigned int order);

/**
 * dynmemmap_alloc_prepare_nolock() - the same for who must not wait for any lock
 * @zone: the zone about to be allocated from
 * @order: order of the allocation
 *
 * Context: any; zone->lock held. Does nothing if another lock that it needs is taken.
 */
static inline void dynmemmap_alloc_prepare_nolock(struct zone *zone, unsigned int order)
{
	if (dynmemmap_enabled())
		__dynmemmap_alloc_prepare_nolock(zone, order);
}

bool __dynmemmap_lend(struct zone *zone, unsigned int order);

/**
 * dynmemmap_lend() - give pool memory to the buddy allocator
 * @zone: the zone whose free lists could not serve an allocation
 * @order: order of that allocation
 *
 * Context: any but NMI; takes zone->lock, so it must not be held.
 * Return: true if memory was lent and the allocation is worth another try.
 */
static inline bool dynmemmap_lend(struct zone *zone, unsigned int order)
{
	return dynmemmap_enabled() && __dynmemmap_lend(zone, order);
}

bool __dynmemmap_can_lend(struct zone *zone, unsigned int order);

/**
 * dynmemmap_can_lend() - could the pool serve an allocation?
 * @zone: the zone whose free lists have no block of @order
 * @order: order of the allocation
 *
 * Context: any, takes no lock; the answer is a snapshot.
 * Return: true if dynmemmap_lend() would find an area.
 */
static inline bool dynmemmap_can_lend(struct zone *zone, unsigned int order)
{
	return dynmemmap_enabled() && __dynmemmap_can_lend(zone, order);
}

/* Order of the folios that a HUGE area serves. */
#define DYNMEMMAP_HUGE_ORDER		(PMD_SHIFT - PAGE_SHIFT)
/*
 * Order of the smallest folios whose tails may be shared: those that a huge one was split
 * into, if nobody counts the mappings of each page.
 */
#define DYNMEMMAP_SHARED_MIN_ORDER	\
	(IS_ENABLED(CONFIG_NO_PAGE_MAPCOUNT) ? 7 : DYNMEMMAP_HUGE_ORDER)
/* As an order: the struct pages that struct folio covers. All others are mere tails. */
#define DYNMEMMAP_HUGE_PREP_ORDER	2

/* Only movable compound pages may be HUGE: others may do with their tails as they like. */
static inline bool dynmemmap_may_be_huge(unsigned int order, gfp_t gfp)
{
	return order == DYNMEMMAP_HUGE_ORDER &&
	       (gfp & (__GFP_COMP | __GFP_MOVABLE)) == (__GFP_COMP | __GFP_MOVABLE);
}

struct page *__dynmemmap_huge_alloc(struct zone *zone);

/**
 * dynmemmap_huge_alloc() - allocate a huge folio with few struct pages
 * @zone: the zone
 * @order: order of the allocation
 * @gfp: what is asked for
 *
 * Context: any but NMI; takes zone->lock. The zone's watermark has been checked.
 * Return: the first page, as the free lists would give it, or NULL.
 */
static inline struct page *dynmemmap_huge_alloc(struct zone *zone, unsigned int order, gfp_t gfp)
{
	if (!dynmemmap_enabled() || !dynmemmap_may_be_huge(order, gfp))
		return NULL;
	return __dynmemmap_huge_alloc(zone);
}

void __dynmemmap_huge_found(struct page *page);

/**
 * dynmemmap_huge_found() - a huge folio has been allocated
 * @page: its head page
 * @order: order of the allocation
 * @gfp: as for dynmemmap_huge_alloc()
 *
 * If it came from the free lists, or compaction has made it, it has all its struct pages, and
 * does not need them: they go if it lasts.
 *
 * Context: any but NMI.
 */
static inline void dynmemmap_huge_found(struct page *page, unsigned int order, gfp_t gfp)
{
	if (dynmemmap_enabled() && dynmemmap_may_be_huge(order, gfp))
		__dynmemmap_huge_found(page);
}

bool __dynmemmap_huge_free(struct zone *zone, struct page *page, unsigned int order);

/**
 * dynmemmap_huge_free() - a block is freed: keep it if it has few struct pages
 * @zone: its zone
 * @page: its first page, prepared by __free_pages_prepare()
 * @order: its order
 *
 * Context: any but NMI; takes zone->lock.
 * Return: true if it is taken; false if it is for the free lists.
 */
static inline bool dynmemmap_huge_free(struct zone *zone, struct page *page, unsigned int order)
{
	return dynmemmap_enabled() && order >= DYNMEMMAP_SHARED_MIN_ORDER &&
	       __dynmemmap_huge_free(zone, page, order);
}

bool __dynmemmap_page_is_huge(const struct page *page);
bool __dynmemmap_page_is_shared(const struct page *page);

/**
 * dynmemmap_prep_order() - how many struct pages of a block have to be prepared
 * @page: its first page
 * @order: its order
 *
 * For when a block becomes a compound page, and when it ceases to be one.
 *
 * Context: any; the caller has the block to itself.
 * Return: the order of their number: @order, or less if all others are tails already,
 * and stay so.
 */
static inline unsigned int dynmemmap_prep_order(const struct page *page, unsigned int order)
{
	if (dynmemmap_enabled() && order >= DYNMEMMAP_SHARED_MIN_ORDER &&
	    order <= DYNMEMMAP_HUGE_ORDER && __dynmemmap_page_is_shared(page + BIT(order) - 1))
		order = DYNMEMMAP_HUGE_PREP_ORDER;
	/* So that the compiler makes the same loop of it as without us. */
	OPTIMIZER_HIDE_VAR(order);
	return order;
}

bool __dynmemmap_recycle(struct zone *zone, gfp_t gfp);

/**
 * dynmemmap_recycle() - make free memory of areas that wait for the next huge folio
 * @zone: the zone that could not serve an allocation
 * @gfp: of that allocation
 *
 * Context: as @gfp says; takes zone->lock.
 * Return: true if there is more free memory, and the allocation is worth another try.
 */
static inline bool dynmemmap_recycle(struct zone *zone, gfp_t gfp)
{
	return dynmemmap_enabled() && __dynmemmap_recycle(zone, gfp);
}

bool __dynmemmap_folio_populate(struct folio *folio, gfp_t gfp);
bool __dynmemmap_folio_unpopulate(struct folio *folio);
void __dynmemmap_folio_populate_nofail(struct folio *folio);
void __dynmemmap_pmd_populate(struct vm_area_struct *vma, pmd_t *pmd);
bool __dynmemmap_vma_populate(struct vm_area_struct *vma, unsigned long addr);

/**
 * dynmemmap_folio_populate() - have the tails of a folio in memory of their own
 * @folio: a folio that is about to be split, or freed in parts
 * @gfp: how hard to try when nothing is kept ready; __GFP_HIGH for those by whom
 *	memory is freed
 *
 * Context: interrupts enabled, zone->lock not held, and as @gfp says. The caller has a
 * reference to @folio.
 * Return: true if its tails can be written; false if there is no memory.
 */
static inline bool dynmemmap_folio_populate(struct folio *folio, gfp_t gfp)
{
	return !dynmemmap_enabled() || folio_order(folio) < DYNMEMMAP_SHARED_MIN_ORDER ||
	       __dynmemmap_folio_populate(folio, gfp);
}

void __dynmemmap_split_end(struct folio *folio, const struct folio *end);

/**
 * dynmemmap_split_end() - a folio has been split
 * @folio: the first of the folios that it has become
 * @end: the folio after the last
 * @order: its order before
 *
 * Context: process context, interrupts enabled; the folios are locked and not mapped, and
 * the caller has a reference to each.
 */
static inline void dynmemmap_split_end(struct folio *folio, const struct folio *end,
				       unsigned int order)
{
	if (dynmemmap_enabled() && order > DYNMEMMAP_SHARED_MIN_ORDER &&
	    order <= DYNMEMMAP_HUGE_ORDER)
		__dynmemmap_split_end(folio, end);
}

bool __dynmemmap_part_is_shared(struct folio *folio);

/**
 * dynmemmap_part_is_shared() - can a page of a part not be marked as exclusive?
 * @folio: any folio that somebody maps, or is about to map
 *
 * The parts that a folio of a process is split into share tails. Their pages are mapped as
 * if there had been a child that has them, too, until somebody writes to one.
 *
 * Context: any. No part shares tails again while it is mapped.
 * Return: true if it is such a part.
 */
static inline bool dynmemmap_part_is_shared(struct folio *folio)
{
	return dynmemmap_enabled() && folio_order(folio) >= DYNMEMMAP_SHARED_MIN_ORDER &&
	       folio_order(folio) < DYNMEMMAP_HUGE_ORDER && folio_test_anon(folio) &&
	       __dynmemmap_part_is_shared(folio);
}

bool dynmemmap_wp_populate(struct vm_fault *vmf, struct folio *folio);

/**
 * dynmemmap_folio_unpopulate() - let a folio share its tails with others
 * @folio: a folio of hugetlb that nobody has a reference to
 *
 * Context: process context, may sleep.
 * Return: true if it does more than before; false if that is off, or cannot be now.
 */
static inline bool dynmemmap_folio_unpopulate(struct folio *folio)
{
	return dynmemmap_enabled() && folio_order(folio) >= DYNMEMMAP_HUGE_ORDER &&
	       __dynmemmap_folio_unpopulate(folio);
}

/**
 * dynmemmap_folio_cache() - a folio is about to enter the page cache
 * @folio: a folio of a file
 * @gfp: of the caller
 *
 * Every mapping of it by PTEs writes to its tails if they count their mappings, and
 * page faults do not know about a lack of memory so late.
 *
 * Context: as dynmemmap_folio_populate().
 * Return: true if it can; false if there is no memory.
 */
static inline bool dynmemmap_folio_cache(struct folio *folio, gfp_t gfp)
{
	return IS_ENABLED(CONFIG_NO_PAGE_MAPCOUNT) || folio_test_hugetlb(folio) ||
	       dynmemmap_folio_populate(folio, gfp);
}

/**
 * dynmemmap_folio_migrate() - a folio is about to take another's place
 * @dst: the new folio
 * @src: the old one, unmapped
 *
 * Context: as dynmemmap_folio_populate(), with GFP_NOWAIT.
 * Return: true if it can, in page tables of PTEs too if @src was there; false if there
 * is no memory.
 */
static inline bool dynmemmap_folio_migrate(struct folio *dst, struct folio *src)
{
	return !dynmemmap_enabled() || folio_order(dst) != DYNMEMMAP_HUGE_ORDER ||
	       __dynmemmap_page_is_huge(&src->page) ||
	       dynmemmap_folio_populate(dst, GFP_NOWAIT);
}

/**
 * dynmemmap_folio_map() - a part of a folio is about to be mapped by PTEs
 * @folio: a large folio
 *
 * Its tails are written then: they count their mappings, or at least say whether
 * they are exclusive. Cannot fail, and has all reserves; so whoever can fail, or
 * sleep, has populated the folio before.
 *
 * Context: interrupts enabled, zone->lock not held; page table lock held.
 */
static inline void dynmemmap_folio_map(struct folio *folio)
{
	if (dynmemmap_enabled() && folio_order(folio) == DYNMEMMAP_HUGE_ORDER &&
	    (IS_ENABLED(CONFIG_PAGE_MAPCOUNT) || folio_test_anon(folio)))
		__dynmemmap_folio_populate_nofail(folio);
}

/**
 * dynmemmap_pmd_populate() - a PMD is about to be split
 * @vma: the VMA
 * @pmd: its PMD, whatever it is
 *
 * Context: process context, may sleep; may be called by memory reclaim, and does not
 * sleep then.
 */
static inline void dynmemmap_pmd_populate(struct vm_area_struct *vma, pmd_t *pmd)
{
	if (dynmemmap_enabled() && vma_is_anonymous(vma))
		__dynmemmap_pmd_populate(vma, pmd);
}

/**
 * dynmemmap_vma_populate() - a VMA is about to be cut
 * @vma: the VMA
 * @addr: where
 *
 * Context: process context, may sleep; mmap_lock held for writing. Locks the VMA for
 * writing.
 * Return: true if a huge page there can be split; false if there is no memory.
 */
static inline bool dynmemmap_vma_populate(struct vm_area_struct *vma, unsigned long addr)
{
	return !dynmemmap_enabled() || !vma_is_anonymous(vma) ||
	       __dynmemmap_vma_populate(vma, addr);
}

void __dynmemmap_free_notify(struct zone *zone);

/**
 * dynmemmap_free_notify() - a block was added to the free lists
 * @zone: its zone
 * @order: its order
 *
 * Context: zone->lock held, interrupts off.
 */
static inline void dynmemmap_free_notify(struct zone *zone, unsigned int order)
{
	if (dynmemmap_enabled() && unlikely(order >= dynmemmap_merge_order))
		__dynmemmap_free_notify(zone);
}

void __dynmemmap_pcp_notify(struct zone *zone, unsigned long nr_pages);

/**
 * dynmemmap_pcp_notify() - pages lie on the lists of a CPU
 * @zone: their zone
 * @nr_pages: how many pages
 *
 * Called from time to time: what is freed to these lists is not seen by
 * dynmemmap_free_notify().
 *
 * Context: process context.
 */
static inline void dynmemmap_pcp_notify(struct zone *zone, unsigned long nr_pages)
{
	if (dynmemmap_enabled())
		__dynmemmap_pcp_notify(zone, nr_pages);
}

struct zone *__dynmemmap_pool_zone(unsigned long pfn);

/**
 * dynmemmap_pool_zone() - the zone whose pool holds a page frame
 * @pfn:	any page frame number
 *
 * For code that asks which zone or node free memory belongs to, and finds no
 * struct page to ask.
 *
 * Context: any, takes no lock; see dynmemmap_pfn_in_pool().
 * Return: the zone, or NULL where dynmemmap_pfn_in_pool() is false.
 */
static inline struct zone *dynmemmap_pool_zone(unsigned long pfn)
{
	return dynmemmap_enabled() ? __dynmemmap_pool_zone(pfn) : NULL;
}

struct zone *__dynmemmap_area_zone(unsigned long pfn);

/**
 * dynmemmap_area_zone() - the zone of an area
 * @pfn:	any page frame number
 *
 * Context: any, takes no lock.
 * Return: the zone that all its pages are online in, or NULL if there is no such, or
 * no area.
 */
static inline struct zone *dynmemmap_area_zone(unsigned long pfn)
{
	return dynmemmap_enabled() ? __dynmemmap_area_zone(pfn) : NULL;
}

/**
 * DOC: What a struct page can be asked
 *
 * The vmemmap is one linear array, whatever stands behind it. So all that only computes
 * with addresses looks at no struct page, and holds for every page frame in every state,
 * even where there is none: pfn_to_page(), page_to_pfn(), page + n, folio_page(),
 * folio_page_idx(), virt_to_page(), page_address(), kmap_local_page(), page_to_phys()
 * (which with CONFIG_DEBUG_VIRTUAL warns where pfn_valid() says no), scatterlists and
 * bio_vecs of any length and offset, and walking through these page by page.
 *
 * All else needs struct pages that exist, as those do of a folio to which the caller has
 * a reference. How many of them are in memory of their own then makes no difference:
 *
 * * of a head, page_size(), compound_order() and folio_size() tell how large the folio is;
 * * of a tail, PageTail(), compound_head(), page_folio(), page_zone(), page_to_nid() and
 *   page_ref_count(), which is 0, are right;
 * * a tail does not know how large its folio is: page_size() is PAGE_SIZE and
 *   compound_order() 0, as on any kernel. Ask folio_size() of page_folio().
 *
 * Nothing can be kept in a tail for which dynmemmap_pfn_order() does not say 0: its flags,
 * mapping, private data and counts are those of the tails of all folios of that order in
 * the zone, and cannot be written. Who needs them for himself calls
 * dynmemmap_folio_populate().
 */

int __dynmemmap_pfn_order(unsigned long pfn);

/**
 * dynmemmap_pfn_order() - how finely is a page frame described now?
 * @pfn: any page frame number
 *
 * All page frames of the aligned block of this order that @pfn is in are described as
 * one, and get the same answer:
 *
 * * 9: an area of 2 MiB. It is described by its area page only, and there are no struct
 *   pages (IDLE); or by the head of one folio, all others being mere tails (HUGE). That
 *   head is in another area if the folio is larger than one.
 * * 6: 256 KiB of an area of device memory that have no struct pages, while others of
 *   the same area have; or 256 KiB that are mere tails of a folio smaller than its area.
 * * 0: a struct page for each page frame (SPLIT), whatever folios they make. So is all
 *   memory with a static memmap, online or not, and all memory while the feature is off.
 *
 * It does not say whether anybody may look at these struct pages: pfn_valid() does, and
 * pfn_to_online_page().
 *
 * Context: any, takes no lock; the answer is a snapshot. Nothing is populated.
 * Return: the order; -ENXIO if there is no memory, or memory with a dynamic memmap that is
 * offline.
 */
static inline int dynmemmap_pfn_order(unsigned long pfn)
{
	if (dynmemmap_enabled())
		return __dynmemmap_pfn_order(pfn);
	return pfn_valid(pfn) ? 0 : -ENXIO;
}

unsigned long __dynmemmap_pool_blocks(struct zone *zone, unsigned int order);

/**
 * dynmemmap_pool_blocks() - free blocks that the free lists do not show
 * @zone:	the zone
 * @order:	order of the blocks
 *
 * Context: any, takes no lock; the answer is a snapshot.
 * Return: blocks of exactly @order in the pool of @zone.
 */
static inline unsigned long dynmemmap_pool_blocks(struct zone *zone, unsigned int order)
{
	return dynmemmap_enabled() ? __dynmemmap_pool_blocks(zone, order) : 0;
}

void __dynmemmap_range_get(unsigned long start_pfn, unsigned long end_pfn);
void __dynmemmap_range_put(void);

/**
 * dynmemmap_range_get() - have struct pages for a range of page frames
 * @start_pfn: first page frame
 * @end_pfn: one past the last
 *
 * Lends every pool area that the range touches, and keeps areas from being
 * taken back until dynmemmap_range_put(). For code that works on page frames
 * that it did not allocate: isolation, offlining, memory failure.
 *
 * Context: process context, may sleep. Gets nest.
 * Return: true, for DEFINE_CLASS() to remember whether there is a put to do.
 */
static inline bool dynmemmap_range_get(unsigned long start_pfn, unsigned long end_pfn)
{
	if (!dynmemmap_enabled())
		return false;
	__dynmemmap_range_get(start_pfn, end_pfn);
	return true;
}

/**
 * dynmemmap_range_put() - end what dynmemmap_range_get() began
 * @held: what it returned
 *
 * Context: process context, may sleep.
 */
static inline void dynmemmap_range_put(bool held)
{
	if (held)
		__dynmemmap_range_put();
}

bool __dynmemmap_range_is_lent(unsigned long start_pfn, unsigned long end_pfn);

/**
 * dynmemmap_range_is_lent() - did dynmemmap_range_get() get all struct pages?
 * @start_pfn: first page frame
 * @end_pfn: one past the last
 *
 * Context: between dynmemmap_range_get() and dynmemmap_range_put().
 * Return: true if every page frame has one; false if there was no memory.
 */
static inline bool dynmemmap_range_is_lent(unsigned long start_pfn, unsigned long end_pfn)
{
	return !dynmemmap_enabled() || __dynmemmap_range_is_lent(start_pfn, end_pfn);
}

struct page *__dynmemmap_section_add(unsigned long pfn, int nid);

/**
 * dynmemmap_section_add() - a section is added: lay out its vmemmap
 * @pfn: its first page frame
 * @nr_pages: pages that are added
 * @nid: its node
 * @special: has it a memmap of another kind, an altmap or a pgmap?
 *
 * Context: memory hotplug lock held for writing.
 * Return: where its struct pages will be; NULL if the caller has to make a static
 * memmap, because the feature is off, this is no whole section of ordinary
 * memory, or there is no memory for page tables.
 */
static inline struct page *dynmemmap_section_add(unsigned long pfn, unsigned long nr_pages,
						 int nid, bool special)
{
	if (!dynmemmap_enabled() || nr_pages != PAGES_PER_SECTION || special)
		return NULL;
	return __dynmemmap_section_add(pfn, nid);
}

bool dynmemmap_section_remove(unsigned long pfn);

void __dynmemmap_offline_prepare(unsigned long start_pfn, unsigned long end_pfn);

/**
 * dynmemmap_offline_get() - dynmemmap_range_get() for memory that is to go offline
 * @start_pfn: first page frame
 * @end_pfn: one past the last
 *
 * Before that, struct pages of other memory that lie there move out of it, if they can.
 *
 * Context: memory hotplug lock held for writing.
 * Return: as dynmemmap_range_get().
 */
static inline bool dynmemmap_offline_get(unsigned long start_pfn, unsigned long end_pfn)
{
	if (dynmemmap_enabled())
		__dynmemmap_offline_prepare(start_pfn, end_pfn);
	return dynmemmap_range_get(start_pfn, end_pfn);
}

int __dynmemmap_offline_start(unsigned long start_pfn, unsigned long nr_pages);

/**
 * dynmemmap_offline_start() - can a block of memory go offline?
 * @start_pfn: its first page frame
 * @nr_pages: its pages
 *
 * Offlining could not move struct pages of other memory, and would try for ever.
 *
 * Context: between dynmemmap_offline_get() and dynmemmap_range_put() of it.
 * Return: 0; -ENOMEM if there was no memory for its struct pages, -EBUSY if it holds those
 * of other memory.
 */
static inline int dynmemmap_offline_start(unsigned long start_pfn, unsigned long nr_pages)
{
	return dynmemmap_enabled() ? __dynmemmap_offline_start(start_pfn, nr_pages) : 0;
}

int __dynmemmap_online_start(struct zone *zone, unsigned long start_pfn, unsigned long nr_pages,
			     void (*callback)(struct page *page, unsigned int order));
void __dynmemmap_online_allow(void (*callback)(struct page *page, unsigned int order));
int __dynmemmap_online_populate(unsigned long start_pfn, unsigned long nr_pages);
void __dynmemmap_online_give(unsigned long start_pfn, unsigned long nr_pages);
void __dynmemmap_take_back_range(struct zone *zone, unsigned long start_pfn,
				 unsigned long nr_pages);
void __dynmemmap_offline_end(unsigned long start_pfn, unsigned long nr_pages);

/**
 * dynmemmap_online_start() - a block of memory is about to go online
 * @zone: the zone that it will be in
 * @start_pfn: its first page frame
 * @nr_pages: its pages
 * @callback: decides page by page what becomes free memory
 *
 * Context: memory hotplug lock held for writing.
 * Return: 0 if all areas have struct pages that need some; -ENOMEM with nothing
 * changed.
 */
static inline int dynmemmap_online_start(struct zone *zone, unsigned long start_pfn,
					 unsigned long nr_pages,
					 void (*callback)(struct page *page, unsigned int order))
{
	if (!dynmemmap_enabled())
		return 0;
	return __dynmemmap_online_start(zone, start_pfn, nr_pages, callback);
}

/**
 * dynmemmap_online_allow() - a callback need not be asked about what has no struct pages
 * @callback: its owner calls dynmemmap_online_populate() for all that is not to become
 *	free memory
 *
 * Context: any.
 */
static inline void dynmemmap_online_allow(void (*callback)(struct page *page,
							   unsigned int order))
{
	if (dynmemmap_enabled())
		__dynmemmap_online_allow(callback);
}

/**
 * dynmemmap_online_populate() - have the struct pages of a part of a block, to be asked
 * @start_pfn: its first page frame
 * @nr_pages: its pages; whole areas
 *
 * Context: a notifier of MEM_GOING_ONLINE.
 * Return: 0 if they are there, as those of memory that is not online yet; -ENOMEM if
 * the block cannot go online.
 */
static inline int dynmemmap_online_populate(unsigned long start_pfn, unsigned long nr_pages)
{
	if (!dynmemmap_enabled())
		return 0;
	return __dynmemmap_online_populate(start_pfn, nr_pages);
}

/**
 * dynmemmap_online_give() - areas of a block without struct pages become free memory
 * @start_pfn: first page frame of the block
 * @nr_pages: its pages
 *
 * Context: memory hotplug lock held for writing; all other pages of the block are
 * isolated.
 */
static inline void dynmemmap_online_give(unsigned long start_pfn, unsigned long nr_pages)
{
	if (dynmemmap_enabled())
		__dynmemmap_online_give(start_pfn, nr_pages);
}

/**
 * dynmemmap_take_back_range() - take back what is free in a range, at once
 * @zone: its zone
 * @start_pfn: its first page frame
 * @nr_pages: its pages
 *
 * For memory that has just come online and was never used.
 *
 * Context: process context, may sleep.
 */
static inline void dynmemmap_take_back_range(struct zone *zone, unsigned long start_pfn,
					     unsigned long nr_pages)
{
	if (dynmemmap_enabled())
		__dynmemmap_take_back_range(zone, start_pfn, nr_pages);
}

/**
 * dynmemmap_offline_end() - a block of memory is offline: it needs no struct pages
 * @start_pfn: its first page frame
 * @nr_pages: its pages
 *
 * Context: memory hotplug lock held for writing.
 */
static inline void dynmemmap_offline_end(unsigned long start_pfn, unsigned long nr_pages)
{
	if (dynmemmap_enabled())
		__dynmemmap_offline_end(start_pfn, nr_pages);
}

bool __dynmemmap_device_init(unsigned long pfn, struct dev_pagemap *pgmap);
struct dynmemmap_area *__dynmemmap_device_get(unsigned long pfn, unsigned long nr_pages,
					      gfp_t gfp);
void __dynmemmap_device_put_area(struct dynmemmap_area *area);
void __dynmemmap_device_hold(unsigned long pfn);
void __dynmemmap_device_put(unsigned long pfn);
bool __dynmemmap_device_detach(struct folio *folio);
bool __dynmemmap_device_attach(struct folio *folio, unsigned int order);
bool __dynmemmap_device_make(unsigned long pfn, unsigned int order, gfp_t gfp);
bool __dynmemmap_device_make_range(unsigned long pfn, unsigned long nr_pages);
struct zone *__dynmemmap_device_zone(unsigned long pfn);

/**
 * dynmemmap_device_init() - can device memory do without struct pages for now?
 * @pfn: any page frame of memory that nobody uses yet
 * @pgmap: what its struct pages will point to
 *
 * Context: process context.
 * Return: true if @pfn begins a section whose struct pages are made on demand; false
 * if the caller has to initialise that of @pfn.
 */
static inline bool dynmemmap_device_init(unsigned long pfn, struct dev_pagemap *pgmap)
{
	return dynmemmap_enabled() && IS_ALIGNED(pfn, PAGES_PER_SECTION) &&
	       __dynmemmap_device_init(pfn, pgmap);
}

/**
 * dynmemmap_device_get() - have struct pages for page frames of device memory
 * @pfn: the first page frame
 * @nr_pages: how many; all in one area
 * @gfp: how hard to try
 *
 * Who wants a part of a huge page that no file has any more, but somebody has pinned, waits
 * a moment, and has to let go of all locks and try again if that was not enough.
 *
 * Context: process context, may sleep.
 * Return: the area, which keeps them until dynmemmap_device_put_area(); NULL if they
 * are there anyway; ERR_PTR(-ENOMEM) if there is no memory for them, ERR_PTR(-EBUSY) as
 * long as somebody has pinned a huge page whose users are gone, and of which a part is
 * wanted, ERR_PTR(-EINTR) if the one who waits for that is killed.
 */
static inline struct dynmemmap_area *dynmemmap_device_get(unsigned long pfn,
							  unsigned long nr_pages, gfp_t gfp)
{
	return dynmemmap_enabled() ? __dynmemmap_device_get(pfn, nr_pages, gfp) : NULL;
}

/**
 * dynmemmap_device_put_area() - one who needed struct pages does not any more
 * @area: what dynmemmap_device_get() returned
 *
 * Context: any but NMI.
 */
static inline void dynmemmap_device_put_area(struct dynmemmap_area *area)
{
	if (!IS_ERR_OR_NULL(area))
		__dynmemmap_device_put_area(area);
}

/**
 * dynmemmap_device_hold() - keep the struct pages that somebody has got
 * @pfn: any page frame, while somebody keeps those of its area
 *
 * Context: any. Ends with dynmemmap_device_put().
 */
static inline void dynmemmap_device_hold(unsigned long pfn)
{
	if (dynmemmap_enabled())
		__dynmemmap_device_hold(pfn);
}

/**
 * dynmemmap_device_put() - one who held struct pages does not any more
 * @pfn: what dynmemmap_device_hold() got, or another page frame of its area
 *
 * Context: any but NMI.
 */
static inline void dynmemmap_device_put(unsigned long pfn)
{
	if (dynmemmap_enabled())
		__dynmemmap_device_put(pfn);
}

/**
 * dynmemmap_device_detach() - no file has a folio any more
 * @folio: a folio of a device
 *
 * Those who have pinned a page of a huge one are led to its head: it stays what it is,
 * without a mapping, until they are done.
 *
 * Context: any but NMI. Ends what dynmemmap_device_hold() began, unless it returns false.
 * Return: true if it is one that is pinned; false if the caller has to take it apart.
 */
static inline bool dynmemmap_device_detach(struct folio *folio)
{
	return dynmemmap_enabled() && __dynmemmap_device_detach(folio);
}

/**
 * dynmemmap_device_attach() - a file has a folio again that none had any more
 * @folio: what the first of its page frames belongs to now
 * @order: the order of the folio that is wanted
 *
 * Context: any but NMI; between dynmemmap_device_hold() and dynmemmap_device_put().
 * Return: true if @folio is one that dynmemmap_device_detach() has left, and can be used as
 * it is; false if the caller has to make the folio.
 */
static inline bool dynmemmap_device_attach(struct folio *folio, unsigned int order)
{
	return dynmemmap_enabled() && __dynmemmap_device_attach(folio, order);
}

/**
 * dynmemmap_device_make() - have the struct pages of what a device maps by itself
 * @pfn: the first page frame of a folio
 * @order: its order, the same for all of the device: 0, or that of a huge page
 * @gfp: how hard to try
 *
 * They stay until the memory is removed.
 *
 * Context: as @gfp says, and sleeps.
 * Return: true if the folio is there; false if there is no memory for it.
 */
static inline bool dynmemmap_device_make(unsigned long pfn, unsigned int order, gfp_t gfp)
{
	return !dynmemmap_enabled() || __dynmemmap_device_make(pfn, order, gfp);
}

/**
 * dynmemmap_device_make_range() - have the struct pages of device memory, for good
 * @pfn: the first page frame
 * @nr_pages: how many; nobody uses them as huge pages
 *
 * For who takes all of a device for himself. They stay until the memory is removed.
 *
 * Context: process context, may sleep.
 * Return: true if they are there; false if there is no memory for all of them, and those of
 * whole areas that it has made can go again.
 */
static inline bool dynmemmap_device_make_range(unsigned long pfn, unsigned long nr_pages)
{
	return !dynmemmap_enabled() || __dynmemmap_device_make_range(pfn, nr_pages);
}

/**
 * dynmemmap_device_zone() - the zone of device memory
 * @pfn: any page frame
 *
 * Context: any, takes no lock.
 * Return: the zone; NULL if @pfn is not memory whose struct pages are made on demand.
 */
static inline struct zone *dynmemmap_device_zone(unsigned long pfn)
{
	return dynmemmap_enabled() ? __dynmemmap_device_zone(pfn) : NULL;
}

size_t __dynmemmap_extract_bvec(struct iov_iter *iter, struct bio_vec *bv,
				unsigned short nr_vecs, size_t max_size,
				iov_iter_extraction_t extraction);

/**
 * dynmemmap_extract_bvec() - pin what one huge page table entry maps for I/O
 * @iter: where the memory is; advanced by what is returned
 * @bv: the bio_vecs made until now; the next one is filled in
 * @nr_vecs: how many they are
 * @max_size: bytes that are wanted at most
 * @extraction: as for iov_iter_extract_bvecs()
 *
 * Its bio_vec begins at the head of the folio, bv_offset may be beyond PAGE_SIZE. Has
 * one pin for each page that the bio_vec touches, as the pages of a bio have.
 *
 * Context: process context; takes no lock and does not sleep or fault.
 * Return: bytes; 0 if it cannot be done this way, and nothing has been changed.
 */
static inline size_t dynmemmap_extract_bvec(struct iov_iter *iter, struct bio_vec *bv,
					    unsigned short nr_vecs, size_t max_size,
					    iov_iter_extraction_t extraction)
{
	if (!dynmemmap_enabled() || !user_backed_iter(iter))
		return 0;
	return __dynmemmap_extract_bvec(iter, bv, nr_vecs, max_size, extraction);
}

/**
 * dynmemmap_page_to_head() - call a page by the head of its folio
 * @page: the page, of which the caller has a reference; changed into the head
 * @offset: an offset in the page; changed into the one in the folio
 *
 * For who puts together what is adjacent: pages of one folio are that if their heads
 * and offsets say so, and no pointers to 4 KiB pages have to be compared.
 *
 * Context: any.
 */
static inline void dynmemmap_page_to_head(struct page **page, size_t *offset)
{
	struct folio *folio;

	if (!dynmemmap_enabled())
		return;
	folio = page_folio(*page);
	*offset += folio_page_idx(folio, *page) * PAGE_SIZE;
	*page = &folio->page;
}

struct page **__dynmemmap_pin_folios(unsigned long start, size_t size, int *nr_folios,
				     unsigned int *folio_shift, unsigned long *first_idx);

/**
 * dynmemmap_pin_folios() - pin the huge folios of a buffer, for long
 * @start: where it begins, in the current process
 * @size: bytes
 * @nr_folios: how many folios it has
 * @folio_shift: how large each is
 * @first_idx: the page of the first one with which the buffer begins
 *
 * Does not get what pin_user_pages_fast() with FOLL_WRITE and FOLL_LONGTERM would have
 * to fault in, to move or to refuse. Each folio has one pin.
 *
 * Context: process context, may sleep; does not fault.
 * Return: the heads, for kvfree(); NULL if it cannot be done this way, and nothing is
 * pinned.
 */
static inline struct page **dynmemmap_pin_folios(unsigned long start, size_t size, int *nr_folios,
						 unsigned int *folio_shift,
						 unsigned long *first_idx)
{
	if (!dynmemmap_enabled())
		return NULL;
	return __dynmemmap_pin_folios(start, size, nr_folios, folio_shift, first_idx);
}

/* Boot, in the order in which the calls are made. */
struct page *dynmemmap_boot_section(unsigned long section_nr, int nid);
void dynmemmap_boot_map(void);
void dynmemmap_boot_map_late(void);
bool dynmemmap_boot_free(unsigned long pfn, unsigned int order);

/**
 * dynmemmap_private_page() - a struct page that can be written where others cannot help
 * @page: a struct page that exists
 *
 * For a machine check, in which no other CPU can be told of a change to the vmemmap.
 *
 * Context: any.
 * Return: @page; or the head of its folio, if it may be a tail shared with others.
 */
static inline struct page *dynmemmap_private_page(struct page *page)
{
	return dynmemmap_enabled() && __dynmemmap_page_is_shared(page) ? compound_head(page) : page;
}

bool dynmemmap_repair(unsigned long address, bool write, bool present,
		      unsigned long ip);
bool dynmemmap_repair_tail(unsigned long address, unsigned long ip);
bool dynmemmap_keep_frame(unsigned long address);

#else /* !CONFIG_DYNAMIC_MEMMAP */

#define dynmemmap_merge_order MAX_PAGE_ORDER
#define dynmemmap_pcp_huge_order HPAGE_PMD_ORDER

static inline unsigned long dynmemmap_alloc_prepare(struct zone *zone, unsigned int order,
						    unsigned long nr_blocks)
{
	return nr_blocks;
}

static inline void dynmemmap_alloc_prepare_nolock(struct zone *zone, unsigned int order) { }

static inline bool dynmemmap_lend(struct zone *zone, unsigned int order) { return false; }

static inline bool dynmemmap_can_lend(struct zone *zone, unsigned int order) { return false; }

static inline struct page *dynmemmap_huge_alloc(struct zone *zone, unsigned int order, gfp_t gfp)
{
	return NULL;
}

static inline bool dynmemmap_huge_free(struct zone *zone, struct page *page, unsigned int order)
{
	return false;
}

static inline unsigned int dynmemmap_prep_order(const struct page *page, unsigned int order)
{
	return order;
}

static inline bool dynmemmap_recycle(struct zone *zone, gfp_t gfp) { return false; }
static inline void dynmemmap_huge_found(struct page *page, unsigned int order, gfp_t gfp) { }

static inline bool dynmemmap_folio_populate(struct folio *folio, gfp_t gfp) { return true; }

static inline bool dynmemmap_folio_unpopulate(struct folio *folio) { return false; }

static inline void dynmemmap_split_end(struct folio *folio, const struct folio *end,
				       unsigned int order)
{
}

static inline bool dynmemmap_part_is_shared(struct folio *folio) { return false; }

static inline bool dynmemmap_wp_populate(struct vm_fault *vmf, struct folio *folio)
{
	return true;
}

static inline bool dynmemmap_folio_cache(struct folio *folio, gfp_t gfp) { return true; }

static inline bool dynmemmap_folio_migrate(struct folio *dst, struct folio *src) { return true; }

static inline void dynmemmap_folio_map(struct folio *folio) { }

static inline void dynmemmap_pmd_populate(struct vm_area_struct *vma, pmd_t *pmd) { }

static inline bool dynmemmap_vma_populate(struct vm_area_struct *vma, unsigned long addr)
{
	return true;
}

static inline void dynmemmap_free_notify(struct zone *zone, unsigned int order) { }

static inline void dynmemmap_pcp_notify(struct zone *zone, unsigned long nr_pages) { }

static inline struct zone *dynmemmap_pool_zone(unsigned long pfn) { return NULL; }

static inline struct zone *dynmemmap_area_zone(unsigned long pfn) { return NULL; }

static inline int dynmemmap_pfn_order(unsigned long pfn) { return pfn_valid(pfn) ? 0 : -ENXIO; }

static inline unsigned long dynmemmap_pool_blocks(struct zone *zone, unsigned int order)
{
	return 0;
}

static inline bool dynmemmap_range_get(unsigned long start_pfn, unsigned long end_pfn)
{
	return false;
}

static inline void dynmemmap_range_put(bool held) { }

static inline struct page *dynmemmap_boot_section(unsigned long section_nr, int nid)
{
	return NULL;
}

static inline void dynmemmap_boot_map(void) { }

static inline void dynmemmap_boot_map_late(void) { }

static inline bool dynmemmap_boot_free(unsigned long pfn, unsigned int order)
{
	return false;
}

static inline bool dynmemmap_range_is_lent(unsigned long start_pfn, unsigned long end_pfn)
{
	return true;
}

static inline struct page *dynmemmap_section_add(unsigned long pfn, unsigned long nr_pages,
						 int nid, bool special)
{
	return NULL;
}

static inline bool dynmemmap_section_remove(unsigned long pfn) { return false; }

static inline bool dynmemmap_offline_get(unsigned long start_pfn, unsigned long end_pfn)
{
	return false;
}

static inline int dynmemmap_offline_start(unsigned long start_pfn, unsigned long nr_pages)
{
	return 0;
}

static inline int dynmemmap_online_start(struct zone *zone, unsigned long start_pfn,
					 unsigned long nr_pages,
					 void (*callback)(struct page *page, unsigned int order))
{
	return 0;
}

static inline void dynmemmap_online_allow(void (*callback)(struct page *page,
							   unsigned int order))
{
}

static inline int dynmemmap_online_populate(unsigned long start_pfn, unsigned long nr_pages)
{
	return 0;
}

static inline void dynmemmap_online_give(unsigned long start_pfn, unsigned long nr_pages) { }

static inline void dynmemmap_take_back_range(struct zone *zone, unsigned long start_pfn,
					     unsigned long nr_pages)
{
}

static inline void dynmemmap_offline_end(unsigned long start_pfn, unsigned long nr_pages) { }
static inline bool dynmemmap_device_init(unsigned long pfn, struct dev_pagemap *pgmap)
{
	return false;
}

static inline struct dynmemmap_area *dynmemmap_device_get(unsigned long pfn,
							  unsigned long nr_pages, gfp_t gfp)
{
	return NULL;
}

static inline void dynmemmap_device_put_area(struct dynmemmap_area *area) { }

static inline void dynmemmap_device_hold(unsigned long pfn) { }

static inline void dynmemmap_device_put(unsigned long pfn) { }

static inline bool dynmemmap_device_detach(struct folio *folio) { return false; }

static inline bool dynmemmap_device_attach(struct folio *folio, unsigned int order)
{
	return false;
}

static inline bool dynmemmap_device_make(unsigned long pfn, unsigned int order, gfp_t gfp)
{
	return true;
}

static inline bool dynmemmap_device_make_range(unsigned long pfn, unsigned long nr_pages)
{
	return true;
}

static inline struct zone *dynmemmap_device_zone(unsigned long pfn) { return NULL; }

static inline size_t dynmemmap_extract_bvec(struct iov_iter *iter, struct bio_vec *bv,
					    unsigned short nr_vecs, size_t max_size,
					    iov_iter_extraction_t extraction)
{
	return 0;
}

static inline struct page **dynmemmap_pin_folios(unsigned long start, size_t size, int *nr_folios,
						 unsigned int *folio_shift,
						 unsigned long *first_idx)
{
	return NULL;
}

static inline void dynmemmap_page_to_head(struct page **page, size_t *offset) { }

static inline struct page *dynmemmap_private_page(struct page *page) { return page; }

static inline bool dynmemmap_repair(unsigned long address, bool write, bool present,
				    unsigned long ip)
{
	return false;
}

#endif /* CONFIG_DYNAMIC_MEMMAP */

/**
 * dynmemmap_online_zone() - the zone of a page frame that is online
 * @pfn:	any page frame number
 *
 * For code that wants to know whether memory is online, or in which zone, and not
 * its struct page: the answer does not change when the area comes or goes.
 *
 * Context: any, takes no lock; stable under the memory hotplug lock.
 * Return: the zone, or NULL if the page frame is not online.
 */
static inline struct zone *dynmemmap_online_zone(unsigned long pfn)
{
	struct zone *zone = dynmemmap_area_zone(pfn);
	struct page *page;

	if (zone)
		return zone;
	page = pfn_to_online_page(pfn);
	return page ? page_zone(page) : NULL;
}

/*
 * CLASS(dynmemmap_device, name)(pfn, nr_pages, gfp): IS_ERR(name), or the page frames
 * have struct pages until the end of the block.
 */
DEFINE_CLASS(dynmemmap_device, struct dynmemmap_area *, dynmemmap_device_put_area(_T),
	     dynmemmap_device_get(pfn, nr_pages, gfp),
	     unsigned long pfn, unsigned long nr_pages, gfp_t gfp)

/*
 * CLASS(dynmemmap_range, name)(start_pfn, end_pfn): the range has struct pages
 * until the end of the block.
 */
DEFINE_CLASS(dynmemmap_range, bool, dynmemmap_range_put(_T),
	     dynmemmap_range_get(start_pfn, end_pfn),
	     unsigned long start_pfn, unsigned long end_pfn)

/* The same for memory that is to go offline. */
DEFINE_CLASS(dynmemmap_offline, bool, dynmemmap_range_put(_T),
	     dynmemmap_offline_get(start_pfn, end_pfn),
	     unsigned long start_pfn, unsigned long end_pfn)

#endif /* _LINUX_DYNMEMMAP_H */
