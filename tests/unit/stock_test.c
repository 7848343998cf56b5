// SPDX-License-Identifier: GPL-2.0-only
/*
 * stock.c: frames are taken and put, donors fill, empty and leave.
 */
#include <limits.h>
#include <string.h>

#include "internal.h"

#define BUCKET_FRAMES	64
#define NR_BLOCKS	10

/* A block of memory, seen from its struct pages. */
struct block {
	struct dynmemmap_donor donor;
	struct page pages[DYNMEMMAP_AREA_NR_PAGES];
};

static struct dynmemmap_stock stock;
static struct block blocks[NR_BLOCKS];
static struct page singles[BUCKET_FRAMES];
static struct page *frames[2 * DYNMEMMAP_AREA_NR_PAGES];

static void setup(void)
{
	memset(blocks, 0, sizeof(blocks));
	memset(singles, 0, sizeof(singles));
	memset(frames, 0, sizeof(frames));
	dynmemmap_stock_init(&stock);
	dynmemmap_broken = false;
}

/* One that has been in use, but for @nr_free frames. */
static struct dynmemmap_donor *donor_make(struct block *block, unsigned int nr_frames,
					  unsigned int nr_free)
{
	unsigned int i;

	dynmemmap_donor_init(&block->donor, block->pages, nr_frames);
	for (i = nr_free; i < nr_frames; i++)
		list_del(&block->pages[i].lru);
	block->donor.nr_free = nr_free;
	dynmemmap_stock_add(&stock, &block->donor);
	return &block->donor;
}

static void singles_make(unsigned int nr_singles)
{
	unsigned int i;

	for (i = 0; i < nr_singles; i++)
		dynmemmap_stock_add_single(&stock, &singles[i]);
}

static bool is_single(const struct page *frame)
{
	return frame >= singles && frame < singles + ARRAY_SIZE(singles);
}

static struct dynmemmap_donor *donor_of(const struct page *frame)
{
	return (struct dynmemmap_donor *)page_private(frame);
}

static unsigned int donor_count(const struct dynmemmap_donor *donor)
{
	const struct page *frame;
	unsigned int nr_free = 0;

	list_for_each_entry(frame, &donor->free_frames, lru) {
		CHECK(donor_of(frame) == donor);
		nr_free++;
	}
	return nr_free;
}

/* What struct dynmemmap_stock says of its buckets. */
static bool donor_belongs(const struct dynmemmap_donor *donor, unsigned int bucket)
{
	if (!bucket)
		return donor->nr_free == 0;
	return donor->nr_free > (bucket - 1) * BUCKET_FRAMES &&
	       donor->nr_free <= bucket * BUCKET_FRAMES;
}

static unsigned long singles_count(void)
{
	const struct page *frame;
	unsigned long nr_singles = 0;

	list_for_each_entry(frame, &stock.singles, lru) {
		CHECK(is_single(frame));
		nr_singles++;
	}
	CHECK(stock.nr_singles_free == nr_singles);
	return nr_singles;
}

/* Single frames in use are seen nowhere: all there are have to be given. */
static void stock_check_all(unsigned long nr_free_expected, unsigned long nr_frames_expected,
			    unsigned long nr_singles)
{
	unsigned long nr_free = singles_count(), nr_frames = nr_singles;
	const struct dynmemmap_donor *donor;
	unsigned int bucket;

	for (bucket = 0; bucket < DYNMEMMAP_DONOR_NR_BUCKETS; bucket++)
		list_for_each_entry(donor, &stock.donors[bucket], list) {
			CHECK(donor_belongs(donor, bucket));
			CHECK(donor_count(donor) == donor->nr_free);
			CHECK(donor->nr_free <= donor->nr_frames);
			nr_free += donor->nr_free;
			nr_frames += donor->nr_frames;
		}
	CHECK(nr_free == nr_free_expected && stock.nr_free == nr_free);
	CHECK(nr_frames == nr_frames_expected && stock.nr_frames == nr_frames);
	CHECK(!dynmemmap_broken);
}

static void stock_check(unsigned long nr_free_expected, unsigned long nr_frames_expected)
{
	stock_check_all(nr_free_expected, nr_frames_expected, 0);
}

static void frames_check_distinct(unsigned int nr_frames)
{
	unsigned int i;

	/* Nobody else writes index here. */
	for (i = 0; i < nr_frames; i++) {
		CHECK(!frames[i]->index);
		frames[i]->index = 1;
	}
	for (i = 0; i < nr_frames; i++)
		frames[i]->index = 0;
}

static void stock_starts_empty(void)
{
	setup();
	stock_check(0, 0);
	CHECK(!dynmemmap_stock_take(&stock, 1, 0, frames));
	CHECK(dynmemmap_stock_take(&stock, 0, 0, frames));
	CHECK(!dynmemmap_stock_remove_empty(&stock, 0));
}

static void donor_starts_with_all_frames_free(void)
{
	struct dynmemmap_donor *donor = &blocks[0].donor;
	unsigned int i;

	setup();
	dynmemmap_donor_init(donor, blocks[0].pages, 504);
	CHECK(donor->nr_free == 504 && donor->nr_frames == 504);
	CHECK(donor_count(donor) == 504 && list_empty(&donor->list));
	for (i = 504; i < DYNMEMMAP_AREA_NR_PAGES; i++)
		CHECK(!donor_of(&blocks[0].pages[i]));
}

static void stock_adds_what_a_donor_has(void)
{
	setup();
	donor_make(&blocks[0], 504, 504);
	stock_check(504, 504);
	donor_make(&blocks[1], 64, 10);
	stock_check(514, 568);
	donor_make(&blocks[2], 256, 0);
	stock_check(514, 824);
}

static void take_gives_all_or_nothing(void)
{
	unsigned int nr_free;

	for (nr_free = 0; nr_free <= 16; nr_free++) {
		bool enough = nr_free >= DYNMEMMAP_AREA_NR_FRAMES;

		setup();
		/* In two donors, so that neither has enough of its own. */
		donor_make(&blocks[0], 64, nr_free / 2);
		donor_make(&blocks[1], 64, nr_free - nr_free / 2);
		CHECK(dynmemmap_stock_take(&stock, DYNMEMMAP_AREA_NR_FRAMES, 0, frames) == enough);
		CHECK(!frames[0] == !enough);
		if (enough)
			frames_check_distinct(DYNMEMMAP_AREA_NR_FRAMES);
		stock_check(nr_free - (enough ? DYNMEMMAP_AREA_NR_FRAMES : 0), 128);
	}
}

static void take_leaves_bad_frames(void)
{
	setup();
	singles_make(2);
	singles[1].flags = 1;
	donor_make(&blocks[0], 64, 4);
	blocks[0].pages[3].flags = 1;
	CHECK(!dynmemmap_stock_take(&stock, 5, 0, frames));
	/* They count as used from then on. */
	stock_check_all(4, 66, 2);
	CHECK(dynmemmap_stock_take(&stock, 4, 0, frames));
	frames_check_distinct(4);
	for (unsigned int i = 0; i < 4; i++)
		CHECK(!PageHWPoison(frames[i]));
}

static void take_leaves_what_is_kept(void)
{
	setup();
	singles_make(10);
	donor_make(&blocks[0], 64, 30);
	CHECK(!dynmemmap_stock_take(&stock, 9, 32, frames));
	stock_check_all(40, 74, 10);
	CHECK(dynmemmap_stock_take(&stock, 8, 32, frames));
	CHECK(!dynmemmap_stock_take(&stock, 1, 32, frames));
	CHECK(dynmemmap_stock_take(&stock, 32, 0, frames));
	stock_check_all(0, 74, 10);
}

static void take_can_take_everything(void)
{
	setup();
	donor_make(&blocks[0], 504, 504);
	donor_make(&blocks[1], 64, 64);
	CHECK(!dynmemmap_stock_take(&stock, 569, 0, frames));
	stock_check(568, 568);
	CHECK(dynmemmap_stock_take(&stock, 568, 0, frames));
	frames_check_distinct(568);
	stock_check(0, 568);
}

static void take_drains_the_fullest_donor_first(void)
{
	struct dynmemmap_donor *fuller;
	unsigned int i;

	setup();
	fuller = donor_make(&blocks[0], 504, 10);
	donor_make(&blocks[1], 504, 504);
	CHECK(dynmemmap_stock_take(&stock, 12, 0, frames));
	for (i = 0; i < 10; i++)
		CHECK(donor_of(frames[i]) == fuller);
	for (; i < 12; i++)
		CHECK(donor_of(frames[i]) != fuller);
	stock_check(502, 1008);
}

static void take_prefers(unsigned int nr_free_fuller, unsigned int nr_free_emptier)
{
	struct dynmemmap_donor *fuller;
	unsigned int fuller_last;

	for (fuller_last = 0; fuller_last < 2; fuller_last++) {
		setup();
		if (fuller_last)
			donor_make(&blocks[1], 512, nr_free_emptier);
		fuller = donor_make(&blocks[0], 512, nr_free_fuller);
		if (!fuller_last)
			donor_make(&blocks[1], 512, nr_free_emptier);
		CHECK(dynmemmap_stock_take(&stock, 1, 0, frames));
		CHECK(donor_of(frames[0]) == fuller);
	}
}

static void take_prefers_by_steps_of_64(void)
{
	unsigned int fuller, emptier;

	for (fuller = 1; fuller < 8; fuller++)
		for (emptier = fuller + 1; emptier <= 8; emptier++) {
			take_prefers(fuller * BUCKET_FRAMES, emptier * BUCKET_FRAMES);
			take_prefers(fuller * BUCKET_FRAMES, (emptier - 1) * BUCKET_FRAMES + 1);
			take_prefers(1, emptier * BUCKET_FRAMES);
		}
}

static void put_returns_to_the_donor(void)
{
	struct dynmemmap_donor *donors[2];

	setup();
	donors[0] = donor_make(&blocks[0], 504, 4);
	donors[1] = donor_make(&blocks[1], 504, 504);
	CHECK(dynmemmap_stock_take(&stock, 8, 0, frames));
	CHECK(donors[0]->nr_free == 0 && donors[1]->nr_free == 500);
	dynmemmap_stock_put(&stock, frames[7]);
	CHECK(donors[0]->nr_free == 0 && donors[1]->nr_free == 501);
	dynmemmap_stock_put(&stock, frames[0]);
	CHECK(donors[0]->nr_free == 1 && donors[1]->nr_free == 501);
	stock_check(502, 1008);
}

static void put_accepts_frames_that_were_never_taken(void)
{
	unsigned int i;

	/* Boot uses frames before there is a stock. */
	setup();
	singles_make(4);
	dynmemmap_stock_add_used(&stock, 60);
	stock_check_all(4, 64, 64);
	for (i = 4; i < 64; i++)
		dynmemmap_stock_put(&stock, &singles[i]);
	stock_check_all(64, 64, 64);
	for (i = 0; i < 64; i++)
		CHECK(is_single(dynmemmap_stock_remove_single(&stock, 0)));
	stock_check(0, 0);
}

static void single_is_added_and_removed(void)
{
	setup();
	singles_make(10);
	stock_check_all(10, 10, 10);
	CHECK(is_single(dynmemmap_stock_remove_single(&stock, 0)));
	stock_check_all(9, 9, 9);
}

static void take_uses_singles_first(void)
{
	unsigned int i;

	setup();
	donor_make(&blocks[0], 504, 1);
	donor_make(&blocks[1], 504, 10);
	singles_make(5);
	CHECK(dynmemmap_stock_take(&stock, 8, 0, frames));
	for (i = 0; i < 8; i++)
		CHECK(is_single(frames[i]) == (i < 5));
	frames_check_distinct(8);
	stock_check_all(8, 1013, 5);
	for (i = 0; i < 8; i++)
		dynmemmap_stock_put(&stock, frames[i]);
	stock_check_all(16, 1013, 5);
	CHECK(stock.nr_singles_free == 5);
}

static void take_counts_singles_and_donors_together(void)
{
	setup();
	donor_make(&blocks[0], 504, 3);
	singles_make(4);
	CHECK(!dynmemmap_stock_take(&stock, 8, 0, frames));
	CHECK(!frames[0]);
	stock_check_all(7, 508, 4);
	CHECK(dynmemmap_stock_take(&stock, 7, 0, frames));
	stock_check_all(0, 508, 4);
}

static void remove_single_leaves_the_reserve(void)
{
	setup();
	donor_make(&blocks[0], 504, 100);
	singles_make(3);
	CHECK(!dynmemmap_stock_remove_single(&stock, 104));
	CHECK(!dynmemmap_stock_remove_single(&stock, 103));
	stock_check_all(103, 507, 3);
	CHECK(is_single(dynmemmap_stock_remove_single(&stock, 102)));
	stock_check_all(102, 506, 2);
	CHECK(!dynmemmap_stock_remove_single(&stock, 102));
}

static void remove_single_leaves_donors_alone(void)
{
	setup();
	donor_make(&blocks[0], 504, 504);
	donor_make(&blocks[1], 504, 504);
	singles_make(2);
	CHECK(is_single(dynmemmap_stock_remove_single(&stock, 0)));
	CHECK(is_single(dynmemmap_stock_remove_single(&stock, 0)));
	CHECK(!dynmemmap_stock_remove_single(&stock, 0));
	stock_check(1008, 1008);
}

static void remove_single_waits_for_those_in_use(void)
{
	setup();
	singles_make(1);
	CHECK(dynmemmap_stock_take(&stock, 1, 0, frames));
	CHECK(!dynmemmap_stock_remove_single(&stock, 0));
	stock_check_all(0, 1, 1);
	dynmemmap_stock_put(&stock, frames[0]);
	CHECK(dynmemmap_stock_remove_single(&stock, 0) == frames[0]);
	stock_check(0, 0);
}

static void renew(unsigned int nr_free, unsigned int nr_used, unsigned int nr_fresh)
{
	LIST_HEAD(fresh);
	struct page *frame;
	unsigned int i, nr_stale = 0;

	setup();
	donor_make(&blocks[0], 504, 100);
	singles_make(nr_free + nr_used);
	CHECK(dynmemmap_stock_take(&stock, nr_used, 0, frames));
	for (i = 0; i < nr_fresh; i++)
		list_add(&blocks[1].pages[i].lru, &fresh);
	dynmemmap_stock_renew(&stock, &fresh, nr_fresh);

	CHECK(stock.nr_singles_free == nr_fresh);
	CHECK(stock.nr_free == 100 + nr_fresh);
	CHECK(stock.nr_frames == 504 + nr_used + nr_fresh);
	list_for_each_entry(frame, &stock.singles, lru)
		CHECK(frame >= blocks[1].pages && frame < blocks[1].pages + nr_fresh);
	list_for_each_entry(frame, &fresh, lru) {
		CHECK(is_single(frame));
		nr_stale++;
	}
	CHECK(nr_stale == nr_free);
}

static void renew_replaces_free_singles_only(void)
{
	renew(40, 24, 16);
	renew(16, 0, 40);
	renew(0, 8, 8);
	renew(8, 8, 0);
}

static void drain_and_fill(unsigned int nr_frames)
{
	unsigned int i;

	setup();
	donor_make(&blocks[0], nr_frames, nr_frames);
	for (i = 0; i < nr_frames; i++) {
		CHECK(dynmemmap_stock_take(&stock, 1, 0, &frames[i]));
		stock_check(nr_frames - 1 - i, nr_frames);
	}
	frames_check_distinct(nr_frames);
	while (i--) {
		dynmemmap_stock_put(&stock, frames[i]);
		stock_check(nr_frames - i, nr_frames);
	}
}

static void donors_are_in_the_right_bucket_all_the_way(void)
{
	drain_and_fill(512);
	drain_and_fill(504);
	drain_and_fill(64);
	drain_and_fill(1);
}

static void remove_takes_only_a_donor_nobody_uses(void)
{
	struct dynmemmap_donor *donor;

	setup();
	donor = donor_make(&blocks[0], 504, 504);
	CHECK(dynmemmap_stock_take(&stock, 1, 0, frames));
	CHECK(!dynmemmap_stock_remove_empty(&stock, 0));
	stock_check(503, 504);

	dynmemmap_stock_put(&stock, frames[0]);
	CHECK(dynmemmap_stock_remove_empty(&stock, 0) == donor);
	CHECK(list_empty(&donor->list));
	CHECK(donor->nr_free == 504 && donor_count(donor) == 504);
	stock_check(0, 0);
	CHECK(!dynmemmap_stock_remove_empty(&stock, 0));
}

static void remove_leaves_the_reserve(void)
{
	struct dynmemmap_donor *removed;

	setup();
	donor_make(&blocks[0], 512, 100);
	donor_make(&blocks[1], 64, 64);
	CHECK(!dynmemmap_stock_remove_empty(&stock, 101));
	CHECK(!dynmemmap_stock_remove_empty(&stock, 164));
	CHECK(!dynmemmap_stock_remove_empty(&stock, ULONG_MAX / 2));
	stock_check(164, 576);
	removed = dynmemmap_stock_remove_empty(&stock, 100);
	CHECK(removed == &blocks[1].donor);
	stock_check(100, 512);
}

static void remove_takes_a_smaller_donor_if_the_larger_is_needed(void)
{
	setup();
	donor_make(&blocks[0], 512, 512);
	donor_make(&blocks[1], 64, 64);
	CHECK(dynmemmap_stock_remove_empty(&stock, 128) == &blocks[1].donor);
	CHECK(!dynmemmap_stock_remove_empty(&stock, 128));
	stock_check(512, 512);
}

static void remove_goes_on_until_the_reserve_is_left(void)
{
	struct dynmemmap_donor *removed[NR_BLOCKS];
	unsigned int i, j, nr_removed = 0;

	setup();
	for (i = 0; i < NR_BLOCKS; i++)
		donor_make(&blocks[i], 64, i == 3 ? 63 : 64);
	while (nr_removed < NR_BLOCKS) {
		removed[nr_removed] = dynmemmap_stock_remove_empty(&stock, 128);
		if (!removed[nr_removed])
			break;
		for (j = 0; j < nr_removed; j++)
			CHECK(removed[nr_removed] != removed[j]);
		CHECK(removed[nr_removed] != &blocks[3].donor);
		nr_removed++;
	}
	CHECK(nr_removed == 7);
	stock_check(NR_BLOCKS * 64 - 1 - 7 * 64, 3 * 64);
}

static const struct test tests[] = {
	{ "stock starts empty", stock_starts_empty },
	{ "donor starts with all frames free", donor_starts_with_all_frames_free },
	{ "stock adds what a donor has", stock_adds_what_a_donor_has },
	{ "take gives all or nothing", take_gives_all_or_nothing },
	{ "take leaves bad frames", take_leaves_bad_frames },
	{ "take leaves what is kept", take_leaves_what_is_kept },
	{ "take can take everything", take_can_take_everything },
	{ "take drains the fullest donor first", take_drains_the_fullest_donor_first },
	{ "take prefers by steps of 64", take_prefers_by_steps_of_64 },
	{ "put returns to the donor", put_returns_to_the_donor },
	{ "put accepts frames that were never taken", put_accepts_frames_that_were_never_taken },
	{ "single is added and removed", single_is_added_and_removed },
	{ "take uses singles first", take_uses_singles_first },
	{ "take counts singles and donors together", take_counts_singles_and_donors_together },
	{ "remove single leaves the reserve", remove_single_leaves_the_reserve },
	{ "remove single leaves donors alone", remove_single_leaves_donors_alone },
	{ "remove single waits for those in use", remove_single_waits_for_those_in_use },
	{ "renew replaces free singles only", renew_replaces_free_singles_only },
	{ "donors are in the right bucket all the way",
	  donors_are_in_the_right_bucket_all_the_way },
	{ "remove takes only a donor nobody uses", remove_takes_only_a_donor_nobody_uses },
	{ "remove leaves the reserve", remove_leaves_the_reserve },
	{ "remove takes a smaller donor if the larger is needed",
	  remove_takes_a_smaller_donor_if_the_larger_is_needed },
	{ "remove goes on until the reserve is left", remove_goes_on_until_the_reserve_is_left },
};

int main(void)
{
	return test_run_all(tests, ARRAY_SIZE(tests));
}
