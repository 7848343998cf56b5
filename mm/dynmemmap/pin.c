// SPDX-License-Identifier: GPL-2.0-only
/*
 * I/O on the memory of programs: what one huge page table entry maps becomes one
 * bio_vec, in one step and not by way of an array of its 4 KiB pages.
 */
#include <linux/bvec.h>
#include <linux/dynmemmap.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/uio.h>

#include "../internal.h"

/* Less is as quick by way of the array, and most often mapped by small pages. */
#define EXTRACT_MIN_SIZE	SZ_64K

static unsigned int gup_flags(const struct iov_iter *iter, iov_iter_extraction_t extraction)
{
	unsigned int flags = 0;

	if (iter->data_source == ITER_DEST)
		flags |= FOLL_WRITE;
	if (extraction & ITER_ALLOW_P2PDMA)
		flags |= FOLL_PCI_P2PDMA;
	return flags;
}

/**
 * __dynmemmap_extract_bvec() - slow half of dynmemmap_extract_bvec()
 * @iter:	as there
 * @bv:		as there
 * @nr_vecs:	as there
 * @max_size:	as there
 * @extraction:	as there
 *
 * Context: as there.
 * Return: as there.
 */
size_t __dynmemmap_extract_bvec(struct iov_iter *iter, struct bio_vec *bv,
				unsigned short nr_vecs, size_t max_size,
				iov_iter_extraction_t extraction)
{
	unsigned long start = (unsigned long)iter_iov_addr(iter);
	size_t size = min3(max_size, iter_iov_len(iter), iov_iter_count(iter));
	unsigned long offset = offset_in_page(start), nr_pages;
	struct folio *folio;
	struct page *page;

	size = min_t(size_t, size, MAX_RW_COUNT);
	if (size < EXTRACT_MIN_SIZE)
		return 0;

	nr_pages = gup_fast_leaf(start, DIV_ROUND_UP(offset + size, PAGE_SIZE),
				 gup_flags(iter, extraction), &page);
	if (!nr_pages)
		return 0;

	folio = page_folio(page);
	if (nr_vecs && !zone_device_pages_have_same_pgmap(bv[nr_vecs - 1].bv_page, page)) {
		unpin_user_folio(folio, nr_pages);
		return 0;
	}
	size = min(size, nr_pages * PAGE_SIZE - offset);
	/* The head, however far into the folio it is: no tail has to be looked at. */
	bvec_set_page(&bv[nr_vecs], &folio->page, size,
		      folio_page_idx(folio, page) * PAGE_SIZE + offset);
	iov_iter_advance(iter, size);
	return size;
}
