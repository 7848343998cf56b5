// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is the world as the ledger says? Looks, and changes nothing.
 */
#include "world.h"

static unsigned int frame_pfn(const struct world *world, const struct page *frame)
{
	CHECK(frame >= world->memmap);
	CHECK(frame < world->memmap + world->nr_areas * DYNMEMMAP_AREA_NR_PAGES);
	return frame - world->memmap;
}

void world_check(struct world *world)
{
	const struct ledger *ledger = &world->ledger;
	unsigned int i;

	CHECK(world->stock.nr_singles_free == ledger->nr_singles_free);
	CHECK(world->stock.nr_free == ledger->nr_free);
	CHECK(world->stock.nr_frames == ledger->nr_frames);
	for (i = 0; i < DYNMEMMAP_NR_STATES; i++)
		CHECK(atomic_long_read(&world->nr_areas_by_state[i]) == ledger->nr_by_state[i]);
	for (i = 0; i < WORLD_NR_ZONES; i++) {
		CHECK(world->zones[i].pool.nr_areas == ledger->nr_in_pool[i]);
		CHECK(world->zones[i].pool.nr_cached == ledger->nr_in_cache[i]);
	}
	CHECK(!dynmemmap_broken);
}

static const u8 nr_behind_in_state[DYNMEMMAP_NR_STATES] = {
	[DYNMEMMAP_IDLE] = 0,
	[DYNMEMMAP_HUGE] = 1,
	[DYNMEMMAP_SPLIT] = DYNMEMMAP_AREA_NR_FRAMES,
};

static void check_tail(const struct world *world, const struct zone *zone)
{
	unsigned int pfn = frame_pfn(world, zone->pool.tails[HUGE_TAIL]);

	CHECK(world->ledger.frames[pfn].use == FRAME_SHARED);
	CHECK(world->contents[pfn] == world_content_of_tail(zone));
}

/* What a frame holds tells its place: so none has two. */
static void check_area_behind(const struct world *world, const struct dynmemmap_area *area)
{
	unsigned int i, nr_behind = nr_behind_in_state[area->state], nr_own = 0;

	CHECK(world->ledger.nr_behind[area->area_nr] == nr_behind);
	for (i = 0; i < DYNMEMMAP_AREA_NR_FRAMES; i++) {
		const struct page *frame = world->page_table[area->area_nr][i];
		const struct ledger_frame *use;

		if (i >= nr_behind) {
			CHECK(frame == (nr_behind ? area->zone->pool.tails[HUGE_TAIL] : NULL));
			continue;
		}
		use = &world->ledger.frames[frame_pfn(world, frame)];
		CHECK(use->use == FRAME_BEHIND || use->use == FRAME_OWN);
		CHECK(use->area_nr == area->area_nr);
		CHECK(world->contents[frame_pfn(world, frame)] == world_content(area, i));
		nr_own += use->use == FRAME_OWN;
	}
	CHECK(nr_own == 0 || nr_own == DYNMEMMAP_AREA_NR_FRAMES);
	/* Memory that holds its own struct pages is not for others to use. */
	CHECK(!nr_own || area->owner != DYNMEMMAP_KERNEL);
}

static void check_folio(const struct world *world, const struct dynmemmap_area *area)
{
	const struct world_folio *folio = &world->folios[area->area_nr];

	/* Nobody but users has references. */
	CHECK(folio->nr_references == folio->has_user);
	CHECK(folio->exists == folio->has_user + folio->is_prepared);
	CHECK(!folio->exists || area->owner == DYNMEMMAP_KERNEL);
	CHECK(!folio->exists || world->user_chunks[area->area_nr] == UINT64_MAX);
	/* Parts of others are used, or free. */
	CHECK(folio->exists || area->state != DYNMEMMAP_HUGE || area->owner == DYNMEMMAP_CACHE);
}

static void check_areas(const struct world *world)
{
	unsigned int i;

	for (i = 0; i < world->nr_areas; i++) {
		const struct dynmemmap_area *area = &world->areas[i];

		CHECK(area->area_nr == i && area->nid == 0);
		CHECK(area->state == world->ledger.states[i]);
		CHECK(area->owner == world->ledger.owners[i]);
		/* Nobody is acting. */
		CHECK(area->owner != DYNMEMMAP_MOVING);
		CHECK(area->state != DYNMEMMAP_IDLE || area->owner == DYNMEMMAP_POOL);
		CHECK(!area->marks && !world->tails_remembered[i]);
		CHECK(area->owner == DYNMEMMAP_KERNEL ||
		      (!world->user_chunks[i] && !world->stock_chunks[i]));
		check_area_behind(world, area);
		check_folio(world, area);
	}
}

/* No frame is behind two areas, and none is said to be behind one and is not. */
static void check_frames(const struct world *world)
{
	unsigned long nr_behind = 0, nr_mapped = 0, nr_free = 0, nr_shared = 0, nr_frames = 0;
	unsigned int i;

	for (i = 0; i < world->nr_areas * DYNMEMMAP_AREA_NR_PAGES; i++) {
		const struct ledger_frame *frame = &world->ledger.frames[i];

		CHECK(frame->use != FRAME_HELD);
		nr_behind += frame->use == FRAME_BEHIND || frame->use == FRAME_OWN;
		nr_free += frame->use == FRAME_FREE;
		nr_shared += frame->use == FRAME_SHARED;
		nr_frames += frame->use == FRAME_FREE || frame->use == FRAME_BEHIND ||
			     frame->use == FRAME_SHARED;
	}
	for (i = 0; i < world->nr_areas; i++)
		nr_mapped += nr_behind_in_state[world->areas[i].state];
	for (i = 0; i < WORLD_NR_ZONES; i++) {
		if (!world->zones[i].pool.tails[HUGE_TAIL])
			continue;
		check_tail(world, &world->zones[i]);
		nr_shared--;
	}
	CHECK(!nr_shared);
	CHECK(nr_behind == nr_mapped);
	CHECK(nr_free == world->ledger.nr_free);
	CHECK(nr_frames == world->ledger.nr_frames);
}

static void check_donor(const struct world *world, const struct dynmemmap_donor *donor)
{
	const struct ledger_donor *expected = NULL;
	const struct page *frame;
	unsigned int nr_free = 0;

	list_for_each_entry(frame, &donor->free_frames, lru) {
		const struct ledger_frame *use = &world->ledger.frames[frame_pfn(world, frame)];

		CHECK(use->use == FRAME_FREE);
		CHECK(page_private(frame) == (unsigned long)donor);
		expected = &world->ledger.donors[use->donor_nr];
		CHECK(expected->donor == donor);
		nr_free++;
	}
	CHECK(donor->nr_free == nr_free);
	if (!expected)
		return;
	CHECK(expected->nr_free == nr_free);
	CHECK(expected->nr_frames == donor->nr_frames);
}

static void check_donors(const struct world *world)
{
	unsigned int bucket, nr_donors = 0;

	for (bucket = 0; bucket < DYNMEMMAP_DONOR_NR_BUCKETS; bucket++) {
		const struct dynmemmap_donor *donor;

		list_for_each_entry(donor, &world->stock.donors[bucket], list) {
			CHECK(!donor->nr_free == !bucket);
			check_donor(world, donor);
			nr_donors++;
		}
	}
	CHECK(nr_donors == world->ledger.nr_donors);
}

static void check_singles(const struct world *world)
{
	const struct page *frame;
	unsigned long nr_singles = 0;

	list_for_each_entry(frame, &world->stock.singles, lru) {
		unsigned int pfn = frame_pfn(world, frame);

		CHECK(world->ledger.frames[pfn].use == FRAME_FREE);
		CHECK(!page_private(frame));
		nr_singles++;
	}
	CHECK(nr_singles == world->ledger.nr_singles_free);
}

static void check_own_frames(const struct world *world)
{
	long nr_own_frames = 0;
	unsigned int i;

	for (i = 0; i < world->nr_areas; i++) {
		const struct ledger_frame *first =
			&world->ledger.frames[i * DYNMEMMAP_AREA_NR_PAGES];

		if (world->areas[i].owner == DYNMEMMAP_STOCK && first->use == FRAME_OWN)
			nr_own_frames += DYNMEMMAP_AREA_NR_FRAMES;
	}
	CHECK(atomic_long_read(&world->nr_own_frames) == nr_own_frames);
}

static void check_list(const struct zone *zone, const struct list_head *list,
		       enum dynmemmap_owner owner, unsigned long nr_expected)
{
	const struct dynmemmap_area *area;
	unsigned long nr_areas = 0;

	list_for_each_entry(area, list, pool_list) {
		CHECK(area->owner == owner);
		CHECK(area->zone == zone);
		nr_areas++;
	}
	CHECK(nr_areas == nr_expected);
}

/* HUGE areas come first, so that they are found. */
static void check_cache_order(const struct dynmemmap_pool *pool, unsigned long nr_huge_expected)
{
	const struct dynmemmap_area *area;
	unsigned long nr_areas = 0;

	list_for_each_entry(area, &pool->cached, pool_list)
		CHECK((area->state == DYNMEMMAP_HUGE) == (nr_areas++ < nr_huge_expected));
	CHECK(nr_areas >= nr_huge_expected);
}

static void check_pools(const struct world *world)
{
	const struct ledger *ledger = &world->ledger;
	unsigned int i;

	for (i = 0; i < WORLD_NR_ZONES; i++) {
		const struct zone *zone = &world->zones[i];

		check_list(zone, &zone->pool.areas, DYNMEMMAP_POOL, ledger->nr_in_pool[i]);
		check_list(zone, &zone->pool.cached, DYNMEMMAP_CACHE, ledger->nr_in_cache[i]);
		check_cache_order(&zone->pool, ledger->nr_huge_in_cache[i]);
	}
}

void world_check_all(struct world *world)
{
	world_check(world);
	check_areas(world);
	check_frames(world);
	check_donors(world);
	check_singles(world);
	check_own_frames(world);
	check_pools(world);
}
