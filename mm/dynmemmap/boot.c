// SPDX-License-Identifier: GPL-2.0-only
/*
 * Boot: lay out area pages and page tables, populate the areas that hold
 * something, hand the others from memblock to the pool.
 *
 * In the order of calls: dynmemmap_boot_section() for every section,
 * dynmemmap_boot_map() when all are known, dynmemmap_boot_map_late() before
 * memblock hands over, dynmemmap_boot_free() for what it hands over,
 * dynmemmap_init().
 */
#define pr_fmt(fmt) "dynmemmap: " fmt

#include <linux/efi.h>
#include <linux/init.h>
#include <linux/kexec_handover.h>
#include <linux/memblock.h>
#include <linux/page-isolation.h>
#include <linux/sizes.h>
#include <linux/suspend.h>
#include <xen/xen.h>
#include <asm/dma.h>

#include "core.h"
#include "../internal.h"
#include "../mm_init.h"
#include "../page_alloc.h"

/* Frames over what boot itself needs, for the first areas that are lent. */
#define BOOT_SPARE_NR_FRAMES	(2 * DYNMEMMAP_RESERVE_MIN_FRAMES)

/* 64 MiB: for 4 GiB of memory that is reserved. */
#define BOOT_CHUNK_MAX_FRAMES	(SZ_64M / PAGE_SIZE)

DEFINE_STATIC_KEY_MAYBE(CONFIG_DYNAMIC_MEMMAP_DEFAULT_ON, dynmemmap_key);
EXPORT_SYMBOL_GPL(dynmemmap_key);

unsigned int dynmemmap_merge_order __ro_after_init =
	IS_ENABLED(CONFIG_DYNAMIC_MEMMAP_DEFAULT_ON) ? DYNMEMMAP_AREA_ORDER : MAX_PAGE_ORDER;
unsigned int dynmemmap_pcp_huge_order __ro_after_init =
	IS_ENABLED(CONFIG_DYNAMIC_MEMMAP_DEFAULT_ON) ? UINT_MAX : DYNMEMMAP_HUGE_ORDER;

struct dynmemmap_node *dynmemmap_nodes[MAX_NUMNODES] __ro_after_init;
/* The worker may run. */
bool dynmemmap_ready __read_mostly;

/* A block of memblock memory that frames are cut from, until the stock has them. */
struct boot_chunk {
	struct boot_chunk *next;
	unsigned long pfn;
	unsigned long nr_frames;
	unsigned long nr_used;
	int nid;
};

static struct boot_chunk *boot_chunks;
/* Areas that boot has populated: their event is counted when counters do count. */
static unsigned long nr_boot_populated __initdata;

static void __init set_enabled(bool on)
{
	dynmemmap_merge_order = on ? DYNMEMMAP_AREA_ORDER : MAX_PAGE_ORDER;
	dynmemmap_pcp_huge_order = on ? UINT_MAX : DYNMEMMAP_HUGE_ORDER;
	if (on)
		static_branch_enable(&dynmemmap_key);
	else
		static_branch_disable(&dynmemmap_key);
}

static int __init dynamic_memmap_param(char *value)
{
	const bool on = value && !strcmp(value, "on");

	if (!on && (!value || strcmp(value, "off")))
		pr_err("dynamic_memmap=%s is neither 'on' nor 'off': off\n", value ?: "");
	set_enabled(on);
	return 0;
}
early_param("dynamic_memmap", dynamic_memmap_param);

static void *__init boot_alloc(size_t size, int nid)
{
	return memblock_alloc_try_nid(size, PAGE_SIZE, __pa(MAX_DMA_ADDRESS),
				      MEMBLOCK_ALLOC_ACCESSIBLE, nid);
}

static struct dynmemmap_node *__init boot_node(int nid)
{
	struct dynmemmap_node *node = dynmemmap_nodes[nid];
	unsigned int zid;

	if (node)
		return node;
	node = boot_alloc(sizeof(*node), nid);
	if (!node)
		panic("dynmemmap: no memory for node %d\n", nid);

	raw_spin_lock_init(&node->lock);
	dynmemmap_stock_init(&node->stock);
	for (zid = 0; zid < MAX_NR_ZONES; zid++)
		dynmemmap_pool_init(&node->pools[zid]);
	INIT_DELAYED_WORK(&node->work, dynmemmap_worker);
	INIT_DEFERRABLE_WORK(&node->watch_work, dynmemmap_watch);
	INIT_WORK(&node->refill_work, dynmemmap_stock_refill);
	INIT_WORK(&node->trim_work, dynmemmap_trim);
	node->nr_reserve = DYNMEMMAP_RESERVE_MIN_FRAMES;
	/*
	 * Lazy, so that the next tick finds it. The interrupt of any other would be
	 * lost where it is pending while hibernation copies memory, and with it every
	 * later irq_work of the CPU.
	 */
	node->kick_work = IRQ_WORK_INIT_LAZY(dynmemmap_kick);
	node->nid = nid;
	dynmemmap_nodes[nid] = node;
	return node;
}

/**
 * dynmemmap_boot_table() - a zeroed page for a page table of the vmemmap
 * @nid:	node to take it from
 *
 * Panics if there is none, as boot does for every memmap.
 *
 * Context: boot, before the buddy allocator.
 * Return: the page.
 */
void *__init dynmemmap_boot_table(int nid)
{
	void *table = boot_alloc(PAGE_SIZE, nid);

	if (!table)
		panic("dynmemmap: no memory for page tables on node %d\n", nid);
	atomic_long_inc(&boot_node(nid)->nr_tables);
	return table;
}

/**
 * dynmemmap_runtime_table() - the same, later
 * @nid:	node to take it from, if it has any
 *
 * Context: process context, may sleep.
 * Return: the page, or NULL.
 */
void *dynmemmap_runtime_table(int nid)
{
	struct page *page = alloc_pages_node(nid, GFP_KERNEL | __GFP_ZERO, 0);

	if (!page)
		return NULL;
	atomic_long_inc(&dynmemmap_nodes[nid]->nr_tables);
	return page_address(page);
}

/* Return: what the feature cannot live with in this boot, or NULL. */
static const char *__init boot_obstacle(void)
{
	/* Memory that has to be accepted first is kept in lists by its struct pages. */
	if (IS_ENABLED(CONFIG_UNACCEPTED_MEMORY) && efi.unaccepted != EFI_INVALID_TABLE_ADDR)
		return "the firmware leaves memory unaccepted";
	/* What is handed over gets its struct pages before it is known to be reserved. */
	if (is_kho_boot())
		return "the kernel before this one has handed memory over";
	/* Every change of a page table would have to be the hypervisor's. */
	if (xen_pv_domain())
		return "page tables belong to the hypervisor";
	return NULL;
}

/**
 * dynmemmap_boot_section() - manage a section
 * @section_nr:	a section that is present at boot
 * @nid:	its node
 *
 * Makes area pages, and the upper page tables of the vmemmap.
 *
 * Context: boot, from sparse_init().
 * Return: where the struct pages of the section will be, or NULL if the feature
 * is off and the caller has to allocate them.
 */
struct page *__init dynmemmap_boot_section(unsigned long section_nr, int nid)
{
	struct mem_section *ms = __nr_to_section(section_nr);
	struct dynmemmap_node *node;
	const char *obstacle;
	unsigned int i;

	if (!dynmemmap_enabled())
		return NULL;
	obstacle = boot_obstacle();
	if (obstacle) {
		pr_notice("off: %s\n", obstacle);
		set_enabled(false);
		return NULL;
	}

	BUILD_BUG_ON(pageblock_order != DYNMEMMAP_AREA_ORDER);
	BUILD_BUG_ON(DYNMEMMAP_SECTION_NR_AREAS * sizeof(struct dynmemmap_area) != PAGE_SIZE);
	BUILD_BUG_ON(DYNMEMMAP_AREA_NR_PAGES * sizeof(struct page) !=
		     DYNMEMMAP_AREA_NR_FRAMES * PAGE_SIZE);

	node = boot_node(nid);
	ms->areas = dynmemmap_boot_table(nid);
	dynmemmap_vmemmap_tables(section_nr, nid, dynmemmap_boot_table);
	for (i = 0; i < DYNMEMMAP_SECTION_NR_AREAS; i++)
		dynmemmap_area_init(&ms->areas[i],
				    section_nr * DYNMEMMAP_SECTION_NR_AREAS + i, nid);
	atomic_long_add(DYNMEMMAP_SECTION_NR_AREAS, &node->nr_areas[DYNMEMMAP_IDLE]);
	return pfn_to_page(section_nr_to_pfn(section_nr));
}

/* The managed area after @area, or the first of all if that is NULL. */
static struct dynmemmap_area *__init boot_next_area(const struct dynmemmap_area *area)
{
	unsigned long area_nr = area ? area->area_nr + 1UL : 0;
	unsigned long section_nr = area_nr / DYNMEMMAP_SECTION_NR_AREAS;
	unsigned int i = area_nr % DYNMEMMAP_SECTION_NR_AREAS;

	for (; section_nr <= __highest_present_section_nr; section_nr++, i = 0) {
		struct mem_section *ms = __nr_to_section(section_nr);

		if (ms && ms->areas)
			return &ms->areas[i];
	}
	return NULL;
}

static struct zone *__init boot_zone(int nid, unsigned long pfn)
{
	struct zone *zones = NODE_DATA(nid)->node_zones;
	unsigned int zid;

	for (zid = 0; zid < MAX_NR_ZONES; zid++)
		if (zone_spans_pfn(&zones[zid], pfn) &&
		    zone_spans_pfn(&zones[zid], pfn + DYNMEMMAP_AREA_NR_PAGES - 1))
			return &zones[zid];
	return NULL;
}

/* An area that is memory from end to end, in one zone, can do without. */
static void __init boot_mark_memory(void)
{
	unsigned long start_pfn, end_pfn, pfn;
	int i, nid;

	for_each_mem_pfn_range(i, MAX_NUMNODES, &start_pfn, &end_pfn, &nid) {
		pfn = ALIGN(start_pfn, DYNMEMMAP_AREA_NR_PAGES);
		for (; pfn + DYNMEMMAP_AREA_NR_PAGES <= end_pfn; pfn += DYNMEMMAP_AREA_NR_PAGES) {
			struct dynmemmap_area *area = dynmemmap_area_of(pfn);

			if (!area)
				continue;
			area->zone = boot_zone(nid, pfn);
			if (area->zone && area->nid == nid)
				area->flags &= ~DYNMEMMAP_AREA_BOOT_USED;
		}
	}
}

static void __init boot_mark_used(phys_addr_t start, phys_addr_t size)
{
	unsigned long pfn = ALIGN_DOWN(PHYS_PFN(start), DYNMEMMAP_AREA_NR_PAGES);

	for (; PFN_PHYS(pfn) < start + size; pfn += DYNMEMMAP_AREA_NR_PAGES) {
		struct dynmemmap_area *area = dynmemmap_area_of(pfn);

		if (area)
			area->flags |= DYNMEMMAP_AREA_BOOT_USED;
	}
}

static void __init boot_mark_reserved(void)
{
	struct memblock_region *region;

	for_each_mem_region(region)
		if (memblock_is_nomap(region))
			boot_mark_used(region->base, region->size);
	for_each_reserved_mem_region(region)
		boot_mark_used(region->base, region->size);
}

static bool __init boot_needs_map(const struct dynmemmap_area *area)
{
	return area->state == DYNMEMMAP_IDLE && (area->flags & DYNMEMMAP_AREA_BOOT_USED);
}

/* Frames for what of a node is to be mapped: of vmemmap pages and page tables. */
static unsigned long __init boot_count_frames(int nid)
{
	unsigned long nr_frames = 0, section_nr, last_section_nr = ULONG_MAX;
	struct dynmemmap_area *area = NULL;

	while ((area = boot_next_area(area))) {
		if (area->nid != nid || !boot_needs_map(area))
			continue;
		nr_frames += DYNMEMMAP_AREA_NR_FRAMES;
		section_nr = pfn_to_section_nr(dynmemmap_area_pfn(area));
		if (section_nr != last_section_nr && dynmemmap_vmemmap_needs_table(area))
			nr_frames++;
		last_section_nr = section_nr;
	}
	return nr_frames;
}

static void __init boot_add_chunk(int nid, unsigned long nr_frames)
{
	struct boot_chunk *chunk = memblock_alloc_or_panic(sizeof(*chunk), SMP_CACHE_BYTES);
	/* Aligned, so that it touches as few areas as it can. */
	size_t size = nr_frames * PAGE_SIZE;
	size_t align = min_t(size_t, roundup_pow_of_two(size), PMD_SIZE);
	/* Page by page it may become free memory, which kmemleak must not scan. */
	void *memory = memblock_alloc_try_nid_raw(size, align, __pa(MAX_DMA_ADDRESS),
						  MEMBLOCK_ALLOC_NOLEAKTRACE, nid);

	if (!memory)
		panic("dynmemmap: no memory for %lu frames on node %d\n", nr_frames, nid);
	chunk->pfn = PHYS_PFN(__pa(memory));
	chunk->nr_frames = nr_frames;
	chunk->nid = nid;
	chunk->next = boot_chunks;
	boot_chunks = chunk;
	memmap_boot_pages_add(nr_frames);
}

/* No larger than need be in one piece: hugetlb pages may have taken most memory. */
static void __init boot_add_chunks(int nid, unsigned long nr_frames)
{
	unsigned long nr;

	for (; nr_frames; nr_frames -= nr) {
		nr = min(nr_frames, BOOT_CHUNK_MAX_FRAMES);
		boot_add_chunk(nid, nr);
	}
}

static bool __init boot_take_frames(const struct dynmemmap_area *area, struct page **frames)
{
	unsigned int nr_frames = DYNMEMMAP_AREA_NR_FRAMES + dynmemmap_vmemmap_needs_table(area);
	struct boot_chunk *chunk;
	unsigned int i;

	for (chunk = boot_chunks; chunk; chunk = chunk->next) {
		if (chunk->nid != area->nid || chunk->nr_frames - chunk->nr_used < nr_frames)
			continue;
		for (i = 0; i < nr_frames; i++)
			frames[i] = pfn_to_page(chunk->pfn + chunk->nr_used++);
		return true;
	}
	return false;
}

/* The struct pages are left to memmap_init_range(), unless that is over: @fill. */
static void __init boot_map_area(struct dynmemmap_area *area, struct page **frames, bool fill)
{
	struct dynmemmap_node *node = dynmemmap_area_node(area);
	unsigned long pfn = dynmemmap_area_pfn(area);
	unsigned int i;

	scoped_guard(raw_spinlock_irqsave, &node->lock) {
		dynmemmap_vmemmap_map(area, frames);
		dynmemmap_set_state(area, DYNMEMMAP_SPLIT);
	}
	dynmemmap_set_owner(area, DYNMEMMAP_KERNEL);
	nr_boot_populated++;
	if (!fill) {
		page_init_poison(pfn_to_page(pfn), DYNMEMMAP_AREA_NR_PAGES * sizeof(struct page));
		return;
	}
	for (i = 0; i < DYNMEMMAP_AREA_NR_PAGES; i++)
		__init_single_page(pfn_to_page(pfn + i), pfn + i, zone_idx(area->zone),
				   zone_to_nid(area->zone));
	init_pageblock_migratetype(pfn_to_page(pfn), MIGRATE_MOVABLE, false);
}

/*
 * Allocating frames reserves memory, which may be in areas that did not need
 * mapping before: go on until none is left. Chunks are sized for all that a
 * round found, so the second round has a few areas and a third is rare.
 */
static void __init boot_map_used(bool fill)
{
	struct page *frames[DYNMEMMAP_POPULATE_NR_FRAMES];
	struct dynmemmap_area *area = NULL;
	unsigned long nr_frames;
	bool again;
	int nid;

	do {
		again = false;
		boot_mark_reserved();
		for_each_online_node(nid) {
			nr_frames = boot_count_frames(nid);
			if (!nr_frames)
				continue;
			boot_add_chunks(nid, nr_frames);
			again = true;
		}
		while ((area = boot_next_area(area))) {
			if (boot_needs_map(area) && boot_take_frames(area, frames))
				boot_map_area(area, frames, fill);
		}
	} while (again);
}

/**
 * dynmemmap_boot_map() - populate the areas that hold something
 *
 * Context: boot, between sparse_init() and memmap_init().
 */
void __init dynmemmap_boot_map(void)
{
	struct dynmemmap_area *area = NULL;

	if (!dynmemmap_enabled())
		return;

	while ((area = boot_next_area(area)))
		area->flags |= DYNMEMMAP_AREA_BOOT_USED;
	boot_mark_memory();
	boot_map_used(false);
}

/*
 * Until the stock sells them, frames of memblock stay reserved, which makes all who
 * isolate memory give up at once. They count as managed memory now, so that MemTotal
 * is the same before and after.
 */
static void __init boot_chunk_give(const struct boot_chunk *chunk)
{
	struct dynmemmap_node *node = dynmemmap_nodes[chunk->nid];
	struct page *first = pfn_to_page(chunk->pfn);
	unsigned long i;

	for (i = 0; i < chunk->nr_frames; i++)
		atomic_long_inc(&page_zone(first + i)->managed_pages);
	totalram_pages_add(chunk->nr_frames);

	guard(raw_spinlock_irqsave)(&node->lock);
	dynmemmap_stock_add_used(&node->stock, chunk->nr_used);
	for (i = chunk->nr_used; i < chunk->nr_frames; i++)
		dynmemmap_stock_add_single(&node->stock, first + i);
}

/**
 * dynmemmap_boot_map_late() - populate the areas that memblock has given away since
 *
 * From here on frames come from the stock.
 *
 * Context: boot, before memblock hands its memory over.
 */
void __init dynmemmap_boot_map_late(void)
{
	struct boot_chunk *chunk;
	int nid;

	if (!dynmemmap_enabled())
		return;

	/* Nodes without memory too: they may get some later. */
	for_each_node(nid)
		if (atomic_long_read(&boot_node(nid)->nr_tables))
			boot_add_chunk(nid, BOOT_SPARE_NR_FRAMES);
	boot_map_used(true);
	for (chunk = boot_chunks; chunk; chunk = chunk->next)
		boot_chunk_give(chunk);
}

/**
 * dynmemmap_boot_free() - memblock hands over a block
 * @pfn:	its first page frame
 * @order:	its order
 *
 * Areas without struct pages go to the pool, others as on any kernel.
 *
 * Context: boot, memblock_free_all().
 * Return: true if the block has been dealt with.
 */
bool __init dynmemmap_boot_free(unsigned long pfn, unsigned int order)
{
	unsigned long end_pfn = pfn + (1UL << order);
	LIST_HEAD(areas);

	if (!dynmemmap_enabled() || order < DYNMEMMAP_AREA_ORDER || !dynmemmap_area_of(pfn))
		return false;

	for (; pfn < end_pfn; pfn += DYNMEMMAP_AREA_NR_PAGES) {
		struct dynmemmap_area *area = dynmemmap_area_of(pfn);

		if (area->state != DYNMEMMAP_IDLE) {
			__free_pages_core(pfn_to_page(pfn), DYNMEMMAP_AREA_ORDER, MEMINIT_EARLY);
			continue;
		}
		area->flags |= DYNMEMMAP_AREA_RAW;
		atomic_long_add(DYNMEMMAP_AREA_NR_PAGES, &area->zone->managed_pages);
		list_add(&area->pool_list, &areas);
		count_vm_event(DYNMEMMAP_TAKE_BACK);
	}
	dynmemmap_pool_give(&areas);
	return true;
}

#ifdef CONFIG_HIBERNATION
/*
 * The image is made and restored by page frame, in two kernels that need not
 * agree on what is idle: every page of RAM gets its struct page for as long as it
 * takes, or there is no hibernation.
 */
static int hibernation_notify(struct notifier_block *block, unsigned long action, void *data)
{
	switch (action) {
	case PM_HIBERNATION_PREPARE:
	case PM_RESTORE_PREPARE:
		if (dynmemmap_ram_get())
			break;
		dynmemmap_range_put(true);
		pr_err("no memory for the struct pages of all memory: no hibernation\n");
		return notifier_from_errno(-ENOMEM);
	case PM_POST_HIBERNATION:
	case PM_POST_RESTORE:
		dynmemmap_range_put(true);
		break;
	}
	return NOTIFY_OK;
}

static struct notifier_block hibernation_block = {
	.notifier_call = hibernation_notify,
};
#endif

static int __init dynmemmap_init(void)
{
	unsigned long nr_idle = 0, nr_areas = 0;
	unsigned int state;
	int nid;

	if (!dynmemmap_enabled())
		return 0;

	count_vm_events(DYNMEMMAP_POPULATE, nr_boot_populated);
	WRITE_ONCE(dynmemmap_ready, true);
	for_each_online_node(nid) {
		nr_idle += atomic_long_read(&dynmemmap_nodes[nid]->nr_areas[DYNMEMMAP_IDLE]);
		for (state = 0; state < DYNMEMMAP_NR_STATES; state++)
			nr_areas += atomic_long_read(&dynmemmap_nodes[nid]->nr_areas[state]);
		dynmemmap_worker_kick(dynmemmap_nodes[nid]);
	}
	for_each_node(nid)
		if (dynmemmap_nodes[nid])
			dynmemmap_watch(&dynmemmap_nodes[nid]->watch_work.work);
	pr_info("on: %lu of %lu areas have no struct pages, %lu KiB saved\n", nr_idle, nr_areas,
		nr_idle * DYNMEMMAP_AREA_NR_FRAMES * (PAGE_SIZE / SZ_1K));
#ifdef CONFIG_HIBERNATION
	register_pm_notifier(&hibernation_block);
#endif
	return dynmemmap_sysfs_init();
}
subsys_initcall(dynmemmap_init);
