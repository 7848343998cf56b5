// SPDX-License-Identifier: GPL-2.0-only
/*
 * What stands behind the vmemmap pages of an area: fill frames with struct
 * pages, map them, unmap them, flush. No policy, and no knowledge of where
 * frames come from.
 */
#include <linux/iommu.h>
#include <linux/leafops.h>
#include <linux/mm.h>
#include <linux/pgalloc.h>
#include <linux/pgtable.h>
#include <asm/tlb.h>
#include <asm/tlbflush.h>

#include "core.h"
#include "../internal.h"
#include "../mm_init.h"

/* Page tables that TLBs may still use although others have taken their place. */
static atomic_t nr_moving_tables;

static unsigned long area_vmemmap(const struct dynmemmap_area *area)
{
	return (unsigned long)dynmemmap_area_page(area, 0);
}

static pte_t *area_pte(const struct dynmemmap_area *area)
{
	return virt_to_kpte(area_vmemmap(area));
}

static pmd_t *area_pmd(const struct dynmemmap_area *area)
{
	return pmd_off_k(area_vmemmap(area));
}

/* What the page table that an area uses maps, from here on. */
static unsigned long table_vmemmap(const struct dynmemmap_area *area)
{
	return ALIGN_DOWN(area_vmemmap(area), PMD_SIZE);
}

/* What stands behind a vmemmap page, also while it is being migrated. */
static struct page *pte_frame(pte_t pte)
{
	if (pte_present(pte))
		return pte_page(pte);
	return pfn_to_page(softleaf_to_pfn(softleaf_from_pte(pte)));
}

/* How many areas use the page table that @area uses, or would use. */
static u8 *area_nr_mapped(struct dynmemmap_area *area)
{
	return &area[-(long)(area->area_nr % DYNMEMMAP_SECTION_NR_AREAS)].nr_mapped;
}

/* The struct page of a page that nobody uses, of no particular page frame. */
static void init_unused(struct page *page, unsigned long pfn, unsigned int zid, int nid)
{
	__init_single_page(page, pfn, zid, nid);
	set_page_count(page, 0);
	/* A free page's list pointers mean nothing; one pattern serves all. */
	memset(&page->lru, 0, sizeof(page->lru));
#ifdef CONFIG_ZONE_DEVICE
	if (zid == ZONE_DEVICE)
		SetPageReserved(page);
#endif
}

static void area_init_first(const struct dynmemmap_area *area, struct page *first)
{
	const struct zone *zone = dynmemmap_area_page_zone(area);

	/* Offline memory is in none. */
	init_unused(first, dynmemmap_area_pfn(area), zone ? zone_idx(zone) : ZONE_NORMAL,
		    area->nid);
	if (area->owner == DYNMEMMAP_DEVICE) {
		set_page_count(first, dynmemmap_device_base_refs(area));
		page_folio(first)->pgmap = area->pgmap;
	}
}

/**
 * dynmemmap_vmemmap_fill() - write the struct pages of an area into frames
 * @area:	the area
 * @frames:	frames that nobody else uses; NULL for the vmemmap pages that are not
 *		wanted
 *
 * The struct pages are those of free pages inside a larger block: not
 * referenced, not mapped, of no type. Those of device memory know their pgmap, and
 * may be referenced by it.
 *
 * Context: any.
 */
void dynmemmap_vmemmap_fill(const struct dynmemmap_area *area, struct page **frames)
{
	struct page *first;
	unsigned int filled = 0, i;

	while (!frames[filled])
		filled++;
	first = page_address(frames[filled]);
	area_init_first(area, first);
	for (i = 1; i < PAGE_SIZE / sizeof(struct page); i++)
		first[i] = *first;
	for (i = filled + 1; i < DYNMEMMAP_AREA_NR_FRAMES; i++)
		if (frames[i])
			copy_page(page_address(frames[i]), first);
}

/**
 * dynmemmap_vmemmap_fill_tail() - write the tail that folios of a zone share
 * @zone:	the zone
 * @order:	order of the folios
 * @frame:	a frame that nobody else uses
 *
 * Tails of one order are alike: each tells how to get from its own address to the
 * head page's.
 *
 * Context: any.
 */
void dynmemmap_vmemmap_fill_tail(struct zone *zone, unsigned int order, struct page *frame)
{
	struct page *tail = page_address(frame);
	unsigned int i;

	init_unused(tail, 0, zone_idx(zone), zone_to_nid(zone));
	prep_compound_tail(tail, NULL, order);
	for (i = 1; i < PAGE_SIZE / sizeof(struct page); i++)
		tail[i] = *tail;
}

/**
 * dynmemmap_vmemmap_fill_huge() - write the struct pages that a HUGE area does not share
 * @area:	the area
 * @frame:	a frame that nobody else uses
 * @tail:	what dynmemmap_vmemmap_fill_tail() has filled
 *
 * Those of a free page, and of tails, of which the first are prepared again when it
 * becomes a compound page.
 *
 * Context: any.
 */
void dynmemmap_vmemmap_fill_huge(const struct dynmemmap_area *area, struct page *frame,
				 const struct page *tail)
{
	struct page *first = page_address(frame);

	copy_page(first, page_address(tail));
	area_init_first(area, first);
}

/**
 * dynmemmap_vmemmap_needs_table() - is there no page table to map an area with?
 * @area:	an area with nothing mapped
 *
 * Context: any; stable under dynmemmap_node.lock of the node of @area.
 * Return: true if dynmemmap_vmemmap_map() needs a frame for one.
 */
bool dynmemmap_vmemmap_needs_table(const struct dynmemmap_area *area)
{
	return pmd_none(*area_pmd(area));
}

static void area_set_table(const struct dynmemmap_area *area, struct page *frame)
{
	pte_t *table = page_address(frame);

	clear_page(table);
	/* As below, for the entries of the table. */
	smp_wmb();
	pmd_populate_kernel(&init_mm, area_pmd(area), table);
}

static struct page *area_clear_table(const struct dynmemmap_area *area)
{
	pmd_t *pmd = area_pmd(area);
	struct page *frame = pmd_page(*pmd);

	pmd_clear(pmd);
	return frame;
}

/**
 * dynmemmap_vmemmap_map() - put frames behind the vmemmap pages of an area
 * @area:	an area
 * @frames:	a frame for each vmemmap page that is wanted, and one at
 *		DYNMEMMAP_TABLE_FRAME, which is NULL only if
 *		dynmemmap_vmemmap_needs_table() says that none is needed; those that
 *		are in use now are set to NULL
 *
 * Makes not-present entries present, which no TLB has cached: no flush, but for
 * entries that led to the shared tail. Own frames that are mapped already stay.
 *
 * Context: any; dynmemmap_node.lock of the node of @area held.
 */
void dynmemmap_vmemmap_map(struct dynmemmap_area *area, struct page **frames)
{
	unsigned long addr = area_vmemmap(area);
	u8 mapped = area->mapped;
	unsigned int i;
	pte_t *pte;

	if (dynmemmap_vmemmap_needs_table(area)) {
		area_set_table(area, frames[DYNMEMMAP_TABLE_FRAME]);
		frames[DYNMEMMAP_TABLE_FRAME] = NULL;
	}
	/* A HUGE area, too, may have no frame of its own. */
	if (area->state == DYNMEMMAP_IDLE)
		(*area_nr_mapped(area))++;
	/*
	 * The struct pages must be visible before the entries that lead to
	 * them; pairs with the address dependency through the page table walk.
	 */
	smp_wmb();
	pte = area_pte(area);
	for (i = 0; i < DYNMEMMAP_AREA_NR_FRAMES; i++, addr += PAGE_SIZE) {
		if (!frames[i] || mapped & BIT(i))
			continue;
		set_pte_at(&init_mm, addr, pte + i,
			   pfn_pte(page_to_pfn(frames[i]), PAGE_KERNEL));
		mapped |= BIT(i);
		frames[i] = NULL;
	}
	WRITE_ONCE(area->mapped, mapped);
}

/**
 * dynmemmap_vmemmap_map_tails() - put a shared tail behind vmemmap pages of an area
 * @area:	an area that has something mapped
 * @tail:	the frame of its zone, see dynmemmap_vmemmap_fill_tail()
 * @shared:	the vmemmap pages, a bit each; all others stay as they are
 * @frames:	where to put the struct pages of their own frames that these have had, or
 *		NULL
 *
 * Read-only. No flush where nothing was mapped before, as in dynmemmap_vmemmap_map();
 * TLBs may go on to use frames that were, until dynmemmap_vmemmap_flush() returns. That
 * a vmemmap page has a frame of its own later takes a flush, because TLBs remember this
 * one then.
 *
 * Context: any; dynmemmap_node.lock of the node of @area held.
 */
void dynmemmap_vmemmap_map_tails(struct dynmemmap_area *area, const struct page *tail, u8 shared,
				 struct page **frames)
{
	unsigned long addr = area_vmemmap(area);
	pte_t *pte = area_pte(area);
	unsigned int i;

	for (i = 0; i < DYNMEMMAP_AREA_NR_FRAMES; i++, addr += PAGE_SIZE) {
		frames[i] = NULL;
		if (!(shared & BIT(i)))
			continue;
		if (area->mapped & BIT(i))
			frames[i] = pte_frame(ptep_get(pte + i));
		set_pte_at(&init_mm, addr, pte + i, pfn_pte(page_to_pfn(tail), PAGE_KERNEL_RO));
	}
	WRITE_ONCE(area->mapped, area->mapped & ~shared);
}

/**
 * dynmemmap_vmemmap_tails() - which shared tails are behind an area?
 * @area:	a populated area of memory in use
 * @tails:	where to put their frames; NULL for vmemmap pages with one of their own
 *
 * Context: any; dynmemmap_node.lock of the node of @area held.
 */
void dynmemmap_vmemmap_tails(const struct dynmemmap_area *area, struct page **tails)
{
	pte_t *pte = area_pte(area);
	unsigned int i;

	for (i = 0; i < DYNMEMMAP_AREA_NR_FRAMES; i++)
		tails[i] = area->mapped & BIT(i) ? NULL : pte_page(ptep_get(pte + i));
}

/**
 * dynmemmap_vmemmap_unmap() - take away what is behind the vmemmap pages
 * @area:	an area that is not IDLE
 * @frames:	where to put the struct pages of the area's own frames, or NULL; at
 *		DYNMEMMAP_TABLE_FRAME that of the page table if nobody needs it now
 *
 * TLBs may go on to use the frames until dynmemmap_vmemmap_flush() returns.
 *
 * Context: any; dynmemmap_node.lock of the node of @area held.
 */
void dynmemmap_vmemmap_unmap(struct dynmemmap_area *area, struct page **frames)
{
	unsigned long addr = area_vmemmap(area);
	pte_t *pte = area_pte(area);
	unsigned int i;

	for (i = 0; i < DYNMEMMAP_AREA_NR_FRAMES; i++, addr += PAGE_SIZE) {
		frames[i] = area->mapped & BIT(i) ? pte_frame(ptep_get(pte + i)) : NULL;
		pte_clear(&init_mm, addr, pte + i);
	}
	WRITE_ONCE(area->mapped, 0);
	frames[DYNMEMMAP_TABLE_FRAME] = --*area_nr_mapped(area) ? NULL : area_clear_table(area);
}

/* End all use of page tables that are none any more. */
static void flush_tables(void)
{
	/* Who walks page tables may remember where they are, for every PCID. */
	flush_tlb_all();
	/* The page fault handler walks them with interrupts off. */
	tlb_remove_table_sync_one();
	iommu_sva_invalidate_kva_range(PAGE_OFFSET, TLB_FLUSH_ALL);
}

/**
 * dynmemmap_vmemmap_flush() - end all use of unmapped vmemmap pages
 * @first:	the area with the lowest number that was unmapped
 * @last:	the one with the highest
 * @tables:	have page tables gone, too?
 *
 * Context: process context, may sleep.
 */
void dynmemmap_vmemmap_flush(const struct dynmemmap_area *first,
			     const struct dynmemmap_area *last, bool tables)
{
	if (tables || atomic_read(&nr_moving_tables))
		flush_tables();
	else
		flush_tlb_kernel_range(area_vmemmap(first),
				       area_vmemmap(last) + DYNMEMMAP_AREA_NR_FRAMES * PAGE_SIZE);
}

/*
 * What the page table says of an address in the vmemmap; nothing if there is no table. That
 * may go, but is not used otherwise while interrupts are off.
 */
static pte_t ptep_read(pte_t *ptep)
{
	pte_t pte;

	return ptep && !get_kernel_nofault(pte, ptep) ? pte : __pte(0);
}

static bool pte_is_migrating(pte_t pte)
{
	return softleaf_is_migration(softleaf_from_pte(pte));
}

/**
 * dynmemmap_vmemmap_is_mapped() - is there an entry for this address?
 * @address:	an address in the vmemmap of a managed section
 *
 * Context: any, takes no lock.
 * Return: true if the page table has a present entry for it, or a migration entry.
 */
bool dynmemmap_vmemmap_is_mapped(unsigned long address)
{
	const pte_t pte = ptep_read(virt_to_kpte(address));

	return pte_present(pte) || pte_is_migrating(pte);
}

/**
 * dynmemmap_vmemmap_is_writable() - does its entry allow to write to this address?
 * @address:	an address in the vmemmap of a managed section
 *
 * Context: any, takes no lock.
 * Return: true if it does; also if there is a migration entry, for one that does.
 */
bool dynmemmap_vmemmap_is_writable(unsigned long address)
{
	const pte_t pte = ptep_read(virt_to_kpte(address));

	return pte_present(pte) ? pte_write(pte) : pte_is_migrating(pte);
}

/**
 * dynmemmap_vmemmap_note() - have frames remember what they are for
 * @area:	the area that they are for
 * @frames:	as for dynmemmap_vmemmap_map()
 *
 * That is the vmemmap page that they stand behind, or what they map as a page table. Those
 * that do not, because their struct pages do not exist yet, are not migrated.
 *
 * Context: any; nobody else uses @frames.
 */
void dynmemmap_vmemmap_note(const struct dynmemmap_area *area, struct page **frames)
{
	unsigned int i;

	for (i = 0; i < DYNMEMMAP_AREA_NR_FRAMES; i++)
		if (frames[i])
			page_folio(frames[i])->index = area_vmemmap(area) + i * PAGE_SIZE;
	if (frames[DYNMEMMAP_TABLE_FRAME])
		page_folio(frames[DYNMEMMAP_TABLE_FRAME])->index = table_vmemmap(area);
}

/*
 * What a frame remembers may be old, and any other page says anything; page tables tell.
 * Return: an address, or 0.
 */
static unsigned long frame_note(struct page *frame, int nid)
{
	struct dynmemmap_area *area = dynmemmap_area_of(page_to_pfn(frame));

	/* To be repaired, a read would need the lock. */
	if (!area || area->nid != nid || area->state == DYNMEMMAP_IDLE)
		return 0;
	return PAGE_ALIGNED(page_folio(frame)->index) ? page_folio(frame)->index : 0;
}

/* Return: the vmemmap page that @frame stands behind, or 0; @user is the area whose it is. */
static unsigned long frame_vmemmap(struct page *frame, int nid, struct dynmemmap_area **user)
{
	unsigned long addr = frame_note(frame, nid);
	struct dynmemmap_area *area = addr ? dynmemmap_address_area(addr) : NULL;

	if (!area || area->nid != nid ||
	    !(area->mapped & BIT((addr - area_vmemmap(area)) >> PAGE_SHIFT)) ||
	    pte_frame(ptep_get(virt_to_kpte(addr))) != frame)
		return 0;
	*user = area;
	return addr;
}

static pte_t migration_pte(struct page *frame)
{
	return softleaf_to_pte(make_writable_migration_entry(page_to_pfn(frame)));
}

/**
 * dynmemmap_vmemmap_user() - whose struct pages does a page hold?
 * @page:	any single page
 * @nid:	its node
 *
 * Context: any; dynmemmap_node.lock of that node held.
 * Return: the area, or NULL if @page is not a frame in use that can be migrated.
 */
struct dynmemmap_area *dynmemmap_vmemmap_user(struct page *page, int nid)
{
	struct dynmemmap_area *user;

	return frame_vmemmap(page, nid, &user) ? user : NULL;
}

/**
 * dynmemmap_vmemmap_isolate_frame() - begin to migrate a frame
 * @frame:	any single page
 * @nid:	its node
 *
 * A migration entry takes the place of its PTE. After dynmemmap_vmemmap_flush() nobody
 * can use the struct pages in it; who tries to, before or after that, ends the migration:
 * see dynmemmap_keep_frame().
 *
 * Context: any; dynmemmap_node.lock of that node held, and by one thread only for each
 * frame until that calls dynmemmap_vmemmap_replace_frame().
 * Return: the area whose struct pages it holds, or NULL if it is no frame in use.
 */
struct dynmemmap_area *dynmemmap_vmemmap_isolate_frame(struct page *frame, int nid)
{
	struct dynmemmap_area *user;
	unsigned long addr = frame_vmemmap(frame, nid, &user);

	if (!addr)
		return NULL;
	set_pte_at(&init_mm, addr, virt_to_kpte(addr), migration_pte(frame));
	return user;
}

/**
 * dynmemmap_vmemmap_replace_frame() - end to migrate a frame
 * @frame:	an isolated frame; no TLB leads to it but for who has ended the migration
 * @target:	a frame that nobody else uses
 * @nid:	their node
 *
 * Context: any; dynmemmap_node.lock of that node held.
 * Return: true if @target has taken its place and @frame is the caller's; false if somebody
 * used the struct pages meanwhile, and @target is the caller's.
 */
bool dynmemmap_vmemmap_replace_frame(struct page *frame, struct page *target, int nid)
{
	struct dynmemmap_area *user;
	unsigned long addr = frame_vmemmap(frame, nid, &user);
	pteval_t isolated = pte_val(migration_pte(frame));

	if (!addr)
		return false;
	/* Of what somebody writes meanwhile: then this is for nothing. */
	copy_page(page_address(target), page_address(frame));
	page_folio(target)->index = addr;
	/* Fully ordered, so that who finds it finds the struct pages as well. */
	return try_cmpxchg(&virt_to_kpte(addr)->pte, &isolated,
			   pte_val(pfn_pte(page_to_pfn(target), PAGE_KERNEL)));
}

/**
 * dynmemmap_vmemmap_table_user() - who uses a page as a page table of the vmemmap?
 * @page:	any single page
 * @nid:	its node
 *
 * Context: any; dynmemmap_node.lock of that node held.
 * Return: the first area of the section, or NULL if @page is no table that can be moved.
 */
struct dynmemmap_area *dynmemmap_vmemmap_table_user(struct page *page, int nid)
{
	unsigned long addr = frame_note(page, nid);
	struct dynmemmap_area *area;

	if (!addr || !IS_ALIGNED(addr, PMD_SIZE))
		return NULL;
	area = dynmemmap_address_area(addr);
	if (!area || area->nid != nid || pmd_none(*area_pmd(area)) ||
	    pmd_page(*area_pmd(area)) != page)
		return NULL;
	return area;
}

/**
 * dynmemmap_vmemmap_move_table() - have another frame be the page table of a section
 * @area:	what dynmemmap_vmemmap_table_user() says of the frame that is
 * @target:	a frame that nobody else uses
 *
 * From then on only @target is changed, and what others unmap they flush as if a page table
 * had gone: who still walks the old one finds what there was, or faults and looks again.
 *
 * Context: any; dynmemmap_node.lock of the node of @area held, and no frame is being migrated;
 * between dynmemmap_vmemmap_move_begin() and _end().
 */
void dynmemmap_vmemmap_move_table(struct dynmemmap_area *area, struct page *target)
{
	pmd_t *pmd = area_pmd(area);

	copy_page(page_address(target), page_address(pmd_page(*pmd)));
	page_folio(target)->index = table_vmemmap(area);
	/* As in dynmemmap_vmemmap_map(). */
	smp_wmb();
	pmd_populate_kernel(&init_mm, pmd, page_address(target));
}

/**
 * dynmemmap_vmemmap_move_begin() - page tables are about to be moved
 *
 * Context: any; no dynmemmap_node.lock held.
 */
void dynmemmap_vmemmap_move_begin(void)
{
	atomic_inc(&nr_moving_tables);
}

/**
 * dynmemmap_vmemmap_move_end() - nobody is to use the old page tables any more
 * @moved:	was any moved?
 *
 * Context: process context, may sleep. The frames can be freed afterwards.
 */
void dynmemmap_vmemmap_move_end(bool moved)
{
	if (moved)
		flush_tables();
	atomic_dec(&nr_moving_tables);
}

/**
 * dynmemmap_keep_frame() - does somebody use struct pages whose frame is being migrated?
 * @address:	in the vmemmap
 *
 * The frame stays where it is. TLBs that are not flushed yet lead there, too.
 *
 * Context: the page fault handler, interrupts off, any lock held, also in NMI.
 * Return: true if they were being migrated, and the access is worth another try.
 */
bool dynmemmap_keep_frame(unsigned long address)
{
	pteval_t isolated;
	pte_t *ptep, pte;

	if (!dynmemmap_address_area(address))
		return false;
	ptep = virt_to_kpte(address);
	pte = ptep_read(ptep);
	if (!pte_is_migrating(pte))
		return false;
	isolated = pte_val(pte);
	try_cmpxchg(&ptep->pte, &isolated,
		    pte_val(pfn_pte(softleaf_to_pfn(softleaf_from_pte(pte)), PAGE_KERNEL)));
	return true;
}

/**
 * dynmemmap_vmemmap_is_self_hosted() - are the struct pages in the area itself?
 * @area:	a populated area
 *
 * Context: any; the caller keeps the area populated.
 * Return: true if frames of @area stand behind its own vmemmap pages.
 */
bool dynmemmap_vmemmap_is_self_hosted(const struct dynmemmap_area *area)
{
	/* The page table may be moved, but is not used otherwise meanwhile. */
	guard(irqsave)();
	return page_to_pfn(pte_frame(ptep_get(area_pte(area)))) >> DYNMEMMAP_AREA_ORDER ==
	       area->area_nr;
}

/**
 * dynmemmap_vmemmap_hosts_table() - is the page table in the area itself?
 * @area:	a populated area
 *
 * Context: any; the caller keeps the area populated.
 * Return: true if a frame of @area is the table that maps its vmemmap pages.
 */
bool dynmemmap_vmemmap_hosts_table(const struct dynmemmap_area *area)
{
	return pmd_pfn(*area_pmd(area)) >> DYNMEMMAP_AREA_ORDER == area->area_nr;
}

/**
 * dynmemmap_vmemmap_table_is_shared() - do other areas need the same page table?
 * @area:	a populated area
 *
 * Context: any; dynmemmap_node.lock of the node of @area held.
 * Return: true if it has to stay when @area is unpopulated.
 */
bool dynmemmap_vmemmap_table_is_shared(struct dynmemmap_area *area)
{
	return *area_nr_mapped(area) > 1;
}

/**
 * dynmemmap_vmemmap_tables() - make the upper page tables of a section's vmemmap
 * @section_nr:	the section
 * @nid:	node to take them from
 * @alloc_table: gives a zeroed page of a node, or NULL
 *
 * They serve 64 GiB of memory or more, and stay. The table of PTEs comes and goes
 * with the areas, see dynmemmap_vmemmap_map().
 *
 * Context: boot, from sparse_init(), or memory hotplug lock held for writing.
 * Return: true if they are there now.
 */
bool __meminit dynmemmap_vmemmap_tables(unsigned long section_nr, int nid,
					void *(*alloc_table)(int nid))
{
	unsigned long addr = (unsigned long)pfn_to_page(section_nr_to_pfn(section_nr));
	pgd_t *pgd = pgd_offset_k(addr);
	p4d_t *p4d;
	pud_t *pud;
	void *table;

	/* The vmemmap of one section is what one table of PTEs maps. */
	BUILD_BUG_ON(PAGES_PER_SECTION * sizeof(struct page) != PMD_SIZE);

	if (pgd_none(*pgd)) {
		table = alloc_table(nid);
		if (!table)
			return false;
		pgd_populate_kernel(addr, pgd, table);
	}
	p4d = p4d_offset(pgd, addr);
	if (p4d_none(*p4d)) {
		table = alloc_table(nid);
		if (!table)
			return false;
		p4d_populate_kernel(addr, p4d, table);
	}
	pud = pud_offset(p4d, addr);
	if (pud_none(*pud)) {
		table = alloc_table(nid);
		if (!table)
			return false;
		pud_populate(&init_mm, pud, table);
	}
	return true;
}
