// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whole again: a huge folio whose tails nobody needs shares them once more. Those of
 * hugetlb do from the beginning; one that was mapped by PTEs, or that somebody had a range
 * of, does when that is over.
 */
#include <linux/hugetlb.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/page-isolation.h>
#include <linux/rmap.h>

#include "core.h"
#include "../internal.h"

/*
 * Take the frames of the tails of a folio away; @nr_refs is how many references there
 * are to it, if nobody else has one.
 */
static bool folio_share_tails(struct folio *folio, int nr_refs)
{
	bool shared;

	if (!dynmemmap_may_take_back() || !folio_ref_freeze(folio, nr_refs))
		return false;
	shared = dynmemmap_unpopulate_folio_tails(folio, "whole");
	folio_ref_unfreeze(folio, nr_refs);
	return shared;
}

bool __dynmemmap_folio_unpopulate(struct folio *folio)
{
	if (!compound_info_has_mask() || folio_order(folio) > DYNMEMMAP_MAX_ORDER ||
	    __dynmemmap_page_is_huge(&folio->page))
		return false;
	guard(mutex)(&dynmemmap_take_back_mutex);
	return dynmemmap_may_take_back() && dynmemmap_unpopulate_folio_tails(folio, "whole");
}

/**
 * dynmemmap_apart_add() - have an area looked at later, when it may be whole again
 * @area:	an area in use that has become SPLIT
 *
 * Context: any but NMI; dynmemmap_node.lock not held.
 */
void dynmemmap_apart_add(struct dynmemmap_area *area)
{
	struct dynmemmap_node *node = dynmemmap_area_node(area);

	guard(raw_spinlock_irqsave)(&node->lock);
	if (READ_ONCE(area->owner) == DYNMEMMAP_KERNEL)
		dynmemmap_link_add(area, &node->apart_nr);
}

static struct dynmemmap_area *node_remove_apart(struct dynmemmap_node *node, u32 *apart_nr)
{
	struct dynmemmap_area *area;

	guard(raw_spinlock_irqsave)(&node->lock);
	area = dynmemmap_link_remove(apart_nr);
	if (area)
		WRITE_ONCE(area->marks, area->marks & ~DYNMEMMAP_MARK_WARM);
	return area;
}

/* May its tails be shared now? Who has that mutex may be waiting for the folio. */
static bool folio_may_share_tails(struct folio *folio)
{
	bool may;

	if (!mutex_trylock(&dynmemmap_take_back_mutex))
		return false;
	may = dynmemmap_may_take_back() && dynmemmap_folio_may_share_tails(folio);
	mutex_unlock(&dynmemmap_take_back_mutex);
	return may;
}

/* Is it mapped, and by PMDs only, and not about to go? Nobody else but the caller has it. */
static bool folio_is_whole(struct folio *folio)
{
	/* As compaction does, leave alone what is locked into memory. */
	return !folio_test_mlocked(folio) && !folio_test_unevictable(folio) &&
	       folio_test_anon(folio) && !folio_test_ksm(folio) && !folio_test_swapcache(folio) &&
	       folio_mapped(folio) && folio_mapcount(folio) == folio_entire_mapcount(folio) &&
	       folio_ref_count(folio) == folio_expected_ref_count(folio) + 1;
}

/*
 * While one of a process is mapped, a PMD can be split at any time, and that writes to the
 * tails. So whoever maps it has to wait for its lock, as when it is migrated.
 */
static bool anon_folio_make_whole(struct folio *folio)
{
	struct anon_vma *anon_vma;
	bool shared = false;

	/* Those who use it notice when it is unmapped: not in vain. */
	if (!folio_is_whole(folio) || !folio_may_share_tails(folio))
		return false;
	/* All its mappings may go before it is mapped again. */
	anon_vma = folio_get_anon_vma(folio);
	if (!anon_vma)
		return false;
	try_to_migrate(folio, 0);
	if (!folio_mapped(folio) && mutex_trylock(&dynmemmap_take_back_mutex)) {
		shared = folio_share_tails(folio, folio_expected_ref_count(folio) + 1);
		mutex_unlock(&dynmemmap_take_back_mutex);
	}
	remove_migration_ptes(folio, folio, 0);
	put_anon_vma(anon_vma);
	return shared;
}

/* One whose tails nobody writes to without its lock, or a range. */
static bool locked_folio_make_whole(struct folio *folio)
{
	bool shared;

	if (!mutex_trylock(&dynmemmap_take_back_mutex))
		return false;
	shared = dynmemmap_may_take_back() && dynmemmap_unpopulate_folio_tails(folio, "whole");
	mutex_unlock(&dynmemmap_take_back_mutex);
	return shared;
}

/*
 * The mappings of one of a file write to no tail, if pages do not count them; and a split,
 * which does, has to have the lock. Who has a reference may: drivers change how pages of
 * shared memory are cached, which is kept there.
 */
static bool file_folio_make_whole(struct folio *folio)
{
	return folio_ref_count(folio) == folio_expected_ref_count(folio) + 1 &&
	       locked_folio_make_whole(folio);
}

/* Return: false if the folio is worth another look later. */
static bool folio_settle(struct folio *folio)
{
	if (is_migrate_cma_folio(folio, folio_pfn(folio)))
		return true;
	if (folio_test_hugetlb(folio))
		return locked_folio_make_whole(folio);
	/* It is just about to be used for the first time, or freed. */
	if (!folio->mapping)
		return false;
	if (folio_test_anon(folio))
		return anon_folio_make_whole(folio);
	return IS_ENABLED(CONFIG_PAGE_MAPCOUNT) || file_folio_make_whole(folio);
}

/*
 * The huge folio that has all of an area.
 * Return: with a reference; NULL if there is none; -EAGAIN if nobody can get one now.
 */
static struct folio *area_folio_get(struct dynmemmap_area *area)
{
	struct page *page = dynmemmap_area_page(area, 0);
	struct folio *folio;

	/* So that the area keeps its struct pages. */
	guard(mutex)(&dynmemmap_take_back_mutex);
	if (READ_ONCE(area->owner) != DYNMEMMAP_KERNEL ||
	    READ_ONCE(area->state) != DYNMEMMAP_SPLIT)
		return NULL;
	folio = page_folio(page);
	if (!folio_test_large(folio) || folio_order(folio) != DYNMEMMAP_AREA_ORDER)
		return NULL;
	if (!folio_try_get(folio))
		return ERR_PTR(-EAGAIN);
	/* It may have become another one before it was held. */
	if (page_folio(page) == folio && folio_order(folio) == DYNMEMMAP_AREA_ORDER)
		return folio;
	folio_put(folio);
	return NULL;
}

/* Return: false if the area is worth another look later. */
static bool area_make_whole(struct dynmemmap_area *area)
{
	struct folio *folio = area_folio_get(area);
	bool settled = false;

	if (!folio) {
		/* A repaired read has found it in this list, and not put it in the other. */
		if (READ_ONCE(area->owner) == DYNMEMMAP_POOL)
			dynmemmap_repairs_add(area);
		return true;
	}
	if (IS_ERR(folio))
		return false;
	if (folio_trylock(folio)) {
		settled = folio_settle(folio);
		folio_unlock(folio);
	}
	folio_put(folio);
	return settled;
}

/**
 * dynmemmap_make_whole() - take the tails of huge folios that do not need them any more
 * @node:	the node
 *
 * Looks at every huge folio in use that has got its tails.
 *
 * Context: workqueue.
 */
void dynmemmap_make_whole(struct dynmemmap_node *node)
{
	struct dynmemmap_area *area, *last = NULL;
	u32 apart_nr, kept_nr = 0;

	if (!READ_ONCE(node->apart_nr))
		return;
	/* Sections may go, and the areas that are kept with them; that may take for ever. */
	if (!try_get_online_mems())
		return;
	/* Not what is added meanwhile: that could take for ever, too. */
	scoped_guard(raw_spinlock_irqsave, &node->lock) {
		apart_nr = node->apart_nr;
		WRITE_ONCE(node->apart_nr, 0);
	}
	while ((area = node_remove_apart(node, &apart_nr))) {
		if (!area_make_whole(area)) {
			guard(raw_spinlock_irqsave)(&node->lock);
			if (dynmemmap_link_add(area, &kept_nr))
				last = last ?: area;
		}
		cond_resched();
	}
	if (last) {
		guard(raw_spinlock_irqsave)(&node->lock);
		last->next_warm_nr = node->apart_nr;
		WRITE_ONCE(node->apart_nr, kept_nr);
	}
	put_online_mems();
}
