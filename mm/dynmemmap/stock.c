// SPDX-License-Identifier: GPL-2.0-only
/*
 * The stock: which frames are free to stand behind vmemmap pages. Knows nothing
 * of areas, of page tables, or of where frames come from and go to.
 *
 * Single frames are used first, because a donor can be given back only when none
 * of its frames is in use; then those of the fullest donor.
 */
#include "internal.h"

#define DONOR_BUCKET_FRAMES	64

static unsigned int donor_bucket(const struct dynmemmap_donor *donor)
{
	return DIV_ROUND_UP(donor->nr_free, DONOR_BUCKET_FRAMES);
}

static void donor_change_free(struct dynmemmap_stock *stock, struct dynmemmap_donor *donor,
			      int change)
{
	unsigned int bucket = donor_bucket(donor);

	donor->nr_free += change;
	WRITE_ONCE(stock->nr_free, stock->nr_free + change);
	if (donor_bucket(donor) != bucket)
		list_move(&donor->list, &stock->donors[donor_bucket(donor)]);
}

static struct dynmemmap_donor *stock_fullest_donor(struct dynmemmap_stock *stock)
{
	unsigned int bucket;

	for (bucket = 1; bucket < DYNMEMMAP_DONOR_NR_BUCKETS; bucket++)
		if (!list_empty(&stock->donors[bucket]))
			return list_first_entry(&stock->donors[bucket],
						struct dynmemmap_donor, list);
	return NULL;
}

/**
 * dynmemmap_stock_init() - make an empty stock
 * @stock:	the stock
 *
 * Context: any; the caller has the stock to itself.
 */
void dynmemmap_stock_init(struct dynmemmap_stock *stock)
{
	unsigned int bucket;

	INIT_LIST_HEAD(&stock->singles);
	for (bucket = 0; bucket < DYNMEMMAP_DONOR_NR_BUCKETS; bucket++)
		INIT_LIST_HEAD(&stock->donors[bucket]);
	stock->nr_singles_free = 0;
	stock->nr_free = 0;
	stock->nr_frames = 0;
}

/**
 * dynmemmap_donor_init() - make a donor of a block
 * @donor:	the donor
 * @first:	struct page of the first frame
 * @nr_frames:	frames in the block that the stock may use; at most 512
 *
 * Context: any; the caller has donor and block to itself.
 */
void dynmemmap_donor_init(struct dynmemmap_donor *donor, struct page *first,
			  unsigned int nr_frames)
{
	unsigned int i;

	INIT_LIST_HEAD(&donor->list);
	INIT_LIST_HEAD(&donor->free_frames);
	donor->nr_free = nr_frames;
	donor->nr_frames = nr_frames;
	for (i = 0; i < nr_frames; i++) {
		set_page_private(first + i, (unsigned long)donor);
		list_add(&first[i].lru, &donor->free_frames);
	}
}

/**
 * dynmemmap_stock_add() - put a donor and its frames into a stock
 * @stock:	the stock
 * @donor:	the donor
 *
 * Context: any; dynmemmap_node.lock held.
 */
void dynmemmap_stock_add(struct dynmemmap_stock *stock, struct dynmemmap_donor *donor)
{
	list_add(&donor->list, &stock->donors[donor_bucket(donor)]);
	WRITE_ONCE(stock->nr_free, stock->nr_free + donor->nr_free);
	WRITE_ONCE(stock->nr_frames, stock->nr_frames + donor->nr_frames);
}

static void singles_change_free(struct dynmemmap_stock *stock, int change)
{
	WRITE_ONCE(stock->nr_singles_free, stock->nr_singles_free + change);
	WRITE_ONCE(stock->nr_free, stock->nr_free + change);
}

static struct page *stock_take_any(struct dynmemmap_stock *stock)
{
	struct dynmemmap_donor *donor;
	struct page *frame;

	frame = list_first_entry_or_null(&stock->singles, struct page, lru);
	if (frame) {
		list_del(&frame->lru);
		singles_change_free(stock, -1);
		return frame;
	}

	donor = stock_fullest_donor(stock);
	if (!donor)
		return NULL;
	frame = list_first_entry(&donor->free_frames, struct page, lru);
	list_del(&frame->lru);
	donor_change_free(stock, donor, -1);
	return frame;
}

/* One whose memory has failed counts as used for ever, and keeps its donor. */
static struct page *stock_take_one(struct dynmemmap_stock *stock)
{
	struct page *frame;

	do {
		frame = stock_take_any(stock);
	} while (frame && unlikely(PageHWPoison(frame)));
	return frame;
}

/**
 * dynmemmap_stock_take() - take free frames out of a stock
 * @stock:	the stock
 * @nr_frames:	how many
 * @nr_left:	free frames that have to be left for others
 * @frames:	where to put their struct pages
 *
 * Context: any; dynmemmap_node.lock held.
 * Return: true with @nr_frames frames, false with none.
 */
bool dynmemmap_stock_take(struct dynmemmap_stock *stock, unsigned int nr_frames,
			  unsigned int nr_left, struct page **frames)
{
	unsigned int i;

	if (stock->nr_free < nr_frames + nr_left)
		return false;
	for (i = 0; i < nr_frames; i++) {
		frames[i] = stock_take_one(stock);
		if (frames[i])
			continue;
		while (i--)
			dynmemmap_stock_put(stock, frames[i]);
		return false;
	}
	return true;
}

/**
 * dynmemmap_stock_put() - return a frame
 * @stock:	the stock that it came from
 * @frame:	struct page of the frame
 *
 * Context: any; dynmemmap_node.lock held.
 */
void dynmemmap_stock_put(struct dynmemmap_stock *stock, struct page *frame)
{
	struct dynmemmap_donor *donor = dynmemmap_frame_donor(frame);

	if (donor) {
		list_add(&frame->lru, &donor->free_frames);
		donor_change_free(stock, donor, 1);
	} else {
		list_add(&frame->lru, &stock->singles);
		singles_change_free(stock, 1);
	}
}

/**
 * dynmemmap_stock_add_single() - put a page into a stock
 * @stock:	the stock
 * @frame:	a page with no private data
 *
 * Context: any; dynmemmap_node.lock held.
 */
void dynmemmap_stock_add_single(struct dynmemmap_stock *stock, struct page *frame)
{
	WRITE_ONCE(stock->nr_frames, stock->nr_frames + 1);
	dynmemmap_stock_put(stock, frame);
}

/**
 * dynmemmap_stock_add_used() - pages join a stock that hold struct pages already
 * @stock:	the stock
 * @nr_frames:	how many; none has private data
 *
 * Context: any; dynmemmap_node.lock held.
 */
void dynmemmap_stock_add_used(struct dynmemmap_stock *stock, unsigned long nr_frames)
{
	WRITE_ONCE(stock->nr_frames, stock->nr_frames + nr_frames);
}

/**
 * dynmemmap_stock_renew() - put other pages into a stock, for all free ones without a donor
 * @stock:	the stock
 * @fresh:	pages with no private data, by page->lru; those that leave it afterwards
 * @nr_fresh:	how many
 *
 * Context: any; dynmemmap_node.lock held.
 */
void dynmemmap_stock_renew(struct dynmemmap_stock *stock, struct list_head *fresh,
			   unsigned int nr_fresh)
{
	const int change = nr_fresh - stock->nr_singles_free;
	LIST_HEAD(stale);

	list_splice_init(&stock->singles, &stale);
	list_splice_init(fresh, &stock->singles);
	list_splice(&stale, fresh);
	singles_change_free(stock, change);
	WRITE_ONCE(stock->nr_frames, stock->nr_frames + change);
}

/**
 * dynmemmap_stock_remove_single() - take a page that is not needed out of a stock
 * @stock:	the stock
 * @nr_reserve:	free frames that have to be left
 *
 * Context: any; dynmemmap_node.lock held.
 * Return: the page, or NULL if there is none or the stock needs it.
 */
struct page *dynmemmap_stock_remove_single(struct dynmemmap_stock *stock,
					   unsigned long nr_reserve)
{
	if (!stock->nr_singles_free || stock->nr_free <= nr_reserve)
		return NULL;
	WRITE_ONCE(stock->nr_frames, stock->nr_frames - 1);
	return stock_take_any(stock);
}

/**
 * dynmemmap_stock_remove_empty() - take a donor that nobody uses out of a stock
 * @stock:	the stock
 * @nr_reserve:	free frames that have to be left
 *
 * Context: any; dynmemmap_node.lock held. The caller owns what is returned,
 * frames and all.
 * Return: a donor, or NULL if there is none or the stock needs it.
 */
struct dynmemmap_donor *dynmemmap_stock_remove_empty(struct dynmemmap_stock *stock,
						     unsigned long nr_reserve)
{
	struct dynmemmap_donor *donor;
	unsigned int bucket;

	for (bucket = DYNMEMMAP_DONOR_NR_BUCKETS - 1; bucket; bucket--) {
		list_for_each_entry(donor, &stock->donors[bucket], list) {
			if (donor->nr_free != donor->nr_frames ||
			    stock->nr_free < nr_reserve + donor->nr_frames)
				continue;

			list_del_init(&donor->list);
			WRITE_ONCE(stock->nr_free, stock->nr_free - donor->nr_frames);
			WRITE_ONCE(stock->nr_frames, stock->nr_frames - donor->nr_frames);
			return donor;
		}
	}
	return NULL;
}
