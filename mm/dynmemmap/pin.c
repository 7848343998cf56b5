// SPDX-License-Identifier: GPL-2.0-only
/*
 * I/O on the memory of programs: what one huge page table entry maps becomes one
 * bio_vec, or one folio of a registered buffer, in one step and not by way of an array
 * of its 4 KiB pages.
 */
#include <linux/bvec.h>
#include <linux/dynmemmap.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "../internal.h"

/* Less is as quick by way of the array, and most often mapped by small pages. */
#define PIN_MIN_SIZE		SZ_64K

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
	if (size < PIN_MIN_SIZE)
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

/* A buffer, and what of it has been pinned until now. */
struct buffer {
	unsigned long addr, end;
	struct page **heads;
	int nr_folios;
	unsigned int folio_shift;
	unsigned long first_idx;
};

static bool buffer_begin(struct buffer *buffer, unsigned int shift, unsigned long idx)
{
	const unsigned long nr_max = ((buffer->end - 1) >> PMD_SHIFT) -
				     (buffer->addr >> PMD_SHIFT) + 1;

	buffer->heads = kvmalloc_objs(struct page *, nr_max, GFP_KERNEL_ACCOUNT);
	buffer->folio_shift = shift;
	buffer->first_idx = idx;
	return buffer->heads;
}

/*
 * What comes next has been pinned: keep one pin of its folio. All of its pages belong to
 * the buffer, but for those before its beginning and after its end; and all folios are
 * of one size.
 */
static bool buffer_add(struct buffer *buffer, struct page *page, unsigned long nr_pages)
{
	struct folio *folio = page_folio(page);
	const unsigned long idx = folio_page_idx(folio, page);
	const unsigned int shift = folio_shift(folio);

	if (!buffer->heads && !buffer_begin(buffer, shift, idx)) {
		unpin_user_folio(folio, nr_pages);
		return false;
	}
	if (nr_pages > 1)
		unpin_user_folio(folio, nr_pages - 1);
	buffer->heads[buffer->nr_folios++] = &folio->page;
	buffer->addr += nr_pages << PAGE_SHIFT;
	if (shift != buffer->folio_shift || (idx && buffer->nr_folios > 1))
		return false;
	return buffer->addr == buffer->end ? idx + nr_pages <= folio_nr_pages(folio) :
					     idx + nr_pages == folio_nr_pages(folio);
}

static bool buffer_pin(struct buffer *buffer)
{
	unsigned long nr_pages;
	struct page *page;

	do {
		nr_pages = gup_fast_leaf(buffer->addr, (buffer->end - buffer->addr) >> PAGE_SHIFT,
					 FOLL_WRITE | FOLL_LONGTERM, &page);
		if (!nr_pages || !buffer_add(buffer, page, nr_pages))
			return false;
	} while (buffer->addr < buffer->end);
	return true;
}

/**
 * __dynmemmap_pin_folios() - slow half of dynmemmap_pin_folios()
 * @start:	as there
 * @size:	as there
 * @nr_folios:	as there
 * @folio_shift: as there
 * @first_idx:	as there
 *
 * Context: as there.
 * Return: as there.
 */
struct page **__dynmemmap_pin_folios(unsigned long start, size_t size, int *nr_folios,
				     unsigned int *folio_shift, unsigned long *first_idx)
{
	struct buffer buffer = {
		.addr = start & PAGE_MASK,
		.end = PAGE_ALIGN(start + size),
	};

	if (size < PIN_MIN_SIZE)
		return NULL;
	if (!buffer_pin(&buffer)) {
		while (buffer.nr_folios)
			unpin_user_folio(page_folio(buffer.heads[--buffer.nr_folios]), 1);
		kvfree(buffer.heads);
		return NULL;
	}
	*nr_folios = buffer.nr_folios;
	*folio_shift = buffer.folio_shift;
	*first_idx = buffer.first_idx;
	return buffer.heads;
}
