// SPDX-License-Identifier: GPL-2.0-only
/*
 * A machine around the code under test; see world.h. Functions have the names of
 * those in the kernel whose steps they take.
 */
#include <sanitizer/asan_interface.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

/* As in worker.c. */
#define TAKE_BACK_BATCH_AREAS	32UL
#define KEEP_AREAS		4

/* Areas in use at boot; all their frames and the spare ones are in area 0. */
#define BOOT_NR_AREAS		4
#define BOOT_NR_USED_FRAMES	(BOOT_NR_AREAS * DYNMEMMAP_AREA_NR_FRAMES)
#define BOOT_NR_FRAMES		(BOOT_NR_USED_FRAMES + 2 * DYNMEMMAP_RESERVE_MIN_FRAMES)

#define CHUNK_NR_PAGES		BIT(WORLD_CHUNK_ORDER)
#define WHOLE_CHUNK		0xff
#define WHOLE_AREA		UINT64_MAX
/* Contents of a frame that is none of ours; others are area numbers. */
#define CONTENT_OF_USER		UINT32_MAX

const char *const world_event_names[NR_EVENTS] = {
	[EVENT_POPULATED] = "populated",
	[EVENT_POPULATE_LOST_RACE] = "populate lost race",
	[EVENT_SELF_HOSTED] = "self hosted",
	[EVENT_REPAIRED_FROM_STOCK] = "repaired from stock",
	[EVENT_LENT] = "lent",
	[EVENT_LENT_PAIR] = "lent pair",
	[EVENT_LEND_REFUSED_SELF_HOSTED] = "lend refused self hosted",
	[EVENT_TAKEN_BACK] = "taken back",
	[EVENT_COOLED] = "cooled",
	[EVENT_COOLED_SELF_HOSTED] = "cooled self hosted",
	[EVENT_AREA_DONATED] = "area donated",
	[EVENT_AREA_DONATED_WHOLE] = "area donated whole",
	[EVENT_AREA_RETURNED] = "area returned",
	[EVENT_FRAMES_BOUGHT] = "frames bought",
	[EVENT_FRAME_SOLD] = "frame sold",
	[EVENT_ILLEGAL_REFUSED] = "illegal refused",
};

static void count(struct world *world, enum world_event event)
{
	atomic_long_inc(&world->nr_events[event]);
}

static unsigned int page_to_pfn(const struct world *world, const struct page *page)
{
	return page - world->memmap;
}

static struct page *area_memmap(const struct world *world, const struct dynmemmap_area *area)
{
	return &world->memmap[dynmemmap_area_pfn(area)];
}

/* The vmemmap: what is mapped where. */

static void vmemmap_fill(struct world *world, const struct dynmemmap_area *area,
			 struct page **frames)
{
	unsigned int i;

	for (i = 0; i < DYNMEMMAP_AREA_NR_FRAMES; i++)
		world->contents[page_to_pfn(world, frames[i])] = area->area_nr;
}

static void vmemmap_map(struct world *world, const struct dynmemmap_area *area,
			struct page **frames)
{
	const size_t nr_bytes = DYNMEMMAP_AREA_NR_PAGES * sizeof(struct page);
	unsigned int i;

	for (i = 0; i < DYNMEMMAP_AREA_NR_FRAMES; i++) {
		CHECK(!world->page_table[area->area_nr][i]);
		WRITE_ONCE(world->page_table[area->area_nr][i], frames[i]);
		ledger_map(&world->ledger, page_to_pfn(world, frames[i]), area->area_nr);
	}
	ASAN_UNPOISON_MEMORY_REGION(area_memmap(world, area), nr_bytes);
	memset(area_memmap(world, area), 0, nr_bytes);
}

static void vmemmap_unmap(struct world *world, const struct dynmemmap_area *area,
			  struct page **frames)
{
	unsigned int i;

	for (i = 0; i < DYNMEMMAP_AREA_NR_FRAMES; i++) {
		frames[i] = world->page_table[area->area_nr][i];
		CHECK(frames[i]);
		WRITE_ONCE(world->page_table[area->area_nr][i], NULL);
		ledger_unmap(&world->ledger, page_to_pfn(world, frames[i]), area->area_nr);
		CHECK(world->contents[page_to_pfn(world, frames[i])] == area->area_nr);
	}
	ASAN_POISON_MEMORY_REGION(area_memmap(world, area),
				  DYNMEMMAP_AREA_NR_PAGES * sizeof(struct page));
}

static bool vmemmap_is_mapped(struct world *world, const struct dynmemmap_area *area)
{
	return READ_ONCE(world->page_table[area->area_nr][0]);
}

static bool vmemmap_is_self_hosted(struct world *world, const struct dynmemmap_area *area)
{
	const struct page *frame = READ_ONCE(world->page_table[area->area_nr][0]);

	return frame && page_to_pfn(world, frame) >> DYNMEMMAP_AREA_ORDER == area->area_nr;
}

/* States and owners. */

static void set_state(struct world *world, struct dynmemmap_area *area,
		      enum dynmemmap_state state)
{
	CHECK(dynmemmap_area_set_state(area, state, world->nr_areas_by_state));
	ledger_set_state(&world->ledger, area->area_nr, state);
}

static void set_owner(struct world *world, struct dynmemmap_area *area,
		      enum dynmemmap_owner owner)
{
	CHECK(dynmemmap_area_set_owner(area, owner));
	ledger_set_owner(&world->ledger, area->area_nr, owner);
}

/* Frames: supply.c. */

static void check_stock(const struct world *world)
{
	CHECK(world->stock.nr_singles_free == world->ledger.nr_singles_free);
	CHECK(world->stock.nr_free == world->ledger.nr_free);
	CHECK(world->stock.nr_frames == world->ledger.nr_frames);
}

static void frames_put(struct world *world, struct page **frames, unsigned int nr_frames)
{
	unsigned int i;

	pthread_mutex_lock(&world->node_lock);
	for (i = 0; i < nr_frames; i++) {
		ledger_put(&world->ledger, page_to_pfn(world, frames[i]));
		dynmemmap_stock_put(&world->stock, frames[i]);
	}
	check_stock(world);
	pthread_mutex_unlock(&world->node_lock);
}

static bool frames_try_take(struct world *world, struct page **frames)
{
	bool taken;
	unsigned int i;

	pthread_mutex_lock(&world->node_lock);
	taken = dynmemmap_stock_take(&world->stock, DYNMEMMAP_AREA_NR_FRAMES, frames);
	CHECK(taken == (world->ledger.nr_free >= DYNMEMMAP_AREA_NR_FRAMES));
	for (i = 0; taken && i < DYNMEMMAP_AREA_NR_FRAMES; i++)
		ledger_take(&world->ledger, page_to_pfn(world, frames[i]));
	check_stock(world);
	pthread_mutex_unlock(&world->node_lock);
	return taken;
}

static void stock_add(struct world *world, struct dynmemmap_donor *donor, unsigned int first_pfn,
		      unsigned int nr_used)
{
	pthread_mutex_lock(&world->node_lock);
	dynmemmap_stock_add(&world->stock, donor);
	ledger_donor_add(&world->ledger, donor, first_pfn, donor->nr_frames, nr_used,
			 donor->kind);
	check_stock(world);
	pthread_mutex_unlock(&world->node_lock);
}

/* The pool: buddy.c. */

static void check_pool(const struct world *world, const struct zone *zone)
{
	CHECK(zone->pool.nr_areas == world->ledger.nr_in_pool[zone->zone_nr]);
}

static void pool_remove(struct world *world, struct zone *zone, struct dynmemmap_area *area)
{
	dynmemmap_pool_remove(&zone->pool, area);
	ledger_set_owner(&world->ledger, area->area_nr, DYNMEMMAP_MOVING);
	world->ledger.nr_in_pool[zone->zone_nr]--;
	check_pool(world, zone);
}

static struct dynmemmap_area *pool_take(struct world *world, struct zone *zone)
{
	struct dynmemmap_area *area;

	if (!READ_ONCE(zone->pool.nr_areas))
		return NULL;
	pthread_mutex_lock(&zone->lock);
	area = dynmemmap_pool_first(&zone->pool);
	CHECK(!area == !world->ledger.nr_in_pool[zone->zone_nr]);
	if (area)
		pool_remove(world, zone, area);
	pthread_mutex_unlock(&zone->lock);
	return area;
}

static bool pool_take_area(struct world *world, struct dynmemmap_area *area)
{
	bool taken;

	pthread_mutex_lock(&area->zone->lock);
	taken = READ_ONCE(area->owner) == DYNMEMMAP_POOL;
	if (taken)
		pool_remove(world, area->zone, area);
	pthread_mutex_unlock(&area->zone->lock);
	return taken;
}

static void pool_give(struct world *world, struct list_head *areas)
{
	struct dynmemmap_area *area, *next;

	list_for_each_entry_safe(area, next, areas, pool_list) {
		struct zone *zone = area->zone;

		pthread_mutex_lock(&zone->lock);
		list_del(&area->pool_list);
		dynmemmap_pool_add(&zone->pool, area);
		ledger_set_owner(&world->ledger, area->area_nr, DYNMEMMAP_POOL);
		world->ledger.nr_in_pool[zone->zone_nr]++;
		check_pool(world, zone);
		pthread_mutex_unlock(&zone->lock);
	}
}

static void pool_give_one(struct world *world, struct dynmemmap_area *area)
{
	LIST_HEAD(areas);

	list_add(&area->pool_list, &areas);
	pool_give(world, &areas);
}

/* Populate and unpopulate: populate.c, repair.c. */

static void area_prepare_use(struct dynmemmap_area *area)
{
	if (!(area->flags & DYNMEMMAP_AREA_RAW))
		area->flags |= DYNMEMMAP_AREA_RAW;
}

static bool populate_with(struct world *world, struct dynmemmap_area *area, struct page **frames)
{
	bool idle;

	vmemmap_fill(world, area, frames);
	pthread_mutex_lock(&world->node_lock);
	idle = area->state == DYNMEMMAP_IDLE;
	if (idle) {
		vmemmap_map(world, area, frames);
		set_state(world, area, DYNMEMMAP_SPLIT);
		count(world, EVENT_POPULATED);
	}
	pthread_mutex_unlock(&world->node_lock);
	return idle;
}

/*
 * The frames belong to whoever has the area, which need not be the caller: only
 * as long as it is IDLE, and that is as long as the lock is held, may they be
 * written.
 */
static bool self_host(struct world *world, struct dynmemmap_area *area)
{
	struct page *frames[DYNMEMMAP_AREA_NR_FRAMES];
	unsigned int i;

	for (i = 0; i < DYNMEMMAP_AREA_NR_FRAMES; i++)
		frames[i] = area_memmap(world, area) + i;

	pthread_mutex_lock(&world->node_lock);
	if (area->state == DYNMEMMAP_IDLE) {
		area_prepare_use(area);
		vmemmap_fill(world, area, frames);
		vmemmap_map(world, area, frames);
		set_state(world, area, DYNMEMMAP_SPLIT);
		count(world, EVENT_SELF_HOSTED);
	}
	pthread_mutex_unlock(&world->node_lock);
	return vmemmap_is_self_hosted(world, area);
}

static void repair(struct world *world, struct dynmemmap_area *area)
{
	struct page *frames[DYNMEMMAP_AREA_NR_FRAMES];

	if (vmemmap_is_mapped(world, area))
		return;
	if (!frames_try_take(world, frames)) {
		self_host(world, area);
		return;
	}
	if (populate_with(world, area, frames))
		count(world, EVENT_REPAIRED_FROM_STOCK);
	else
		frames_put(world, frames, DYNMEMMAP_AREA_NR_FRAMES);
}

/* Where another CPU may read what it should not, now and then one does. */
static void maybe_stray_read(struct actor *actor, struct dynmemmap_area *area)
{
	if (actor->choose(actor, 8) == 7)
		repair(actor->world, area);
}

static void unpopulate(struct actor *actor, struct list_head *areas)
{
	struct page *frames[DYNMEMMAP_AREA_NR_FRAMES];
	struct world *world = actor->world;
	struct dynmemmap_area *area;
	LIST_HEAD(unmapped);
	unsigned int i;

	list_for_each_entry(area, areas, pool_list) {
		pthread_mutex_lock(&world->node_lock);
		vmemmap_unmap(world, area, frames);
		set_state(world, area, DYNMEMMAP_IDLE);
		pthread_mutex_unlock(&world->node_lock);
		for (i = 0; i < DYNMEMMAP_AREA_NR_FRAMES; i++)
			if (page_to_pfn(world, frames[i]) >> DYNMEMMAP_AREA_ORDER != area->area_nr)
				list_add(&frames[i]->lru, &unmapped);
		maybe_stray_read(actor, area);
	}
	while (!list_empty(&unmapped)) {
		frames[0] = list_first_entry(&unmapped, struct page, lru);
		list_del(&frames[0]->lru);
		frames_put(world, frames, 1);
	}
}

/* Areas become donors: supply.c. */

static bool area_donate(struct actor *actor, struct zone *zone)
{
	struct world *world = actor->world;
	struct dynmemmap_area *area = pool_take(world, zone);
	unsigned int nr_own, i;
	struct page *first;

	if (!area)
		return false;
	maybe_stray_read(actor, area);
	nr_own = self_host(world, area) ? DYNMEMMAP_AREA_NR_FRAMES : 0;
	area_prepare_use(area);
	set_owner(world, area, DYNMEMMAP_STOCK);

	first = area_memmap(world, area) + nr_own;
	dynmemmap_donor_init(&area->donor, first, DYNMEMMAP_AREA_NR_PAGES - nr_own,
			     DYNMEMMAP_DONOR_AREA);
	for (i = 0; i < DYNMEMMAP_AREA_NR_PAGES - nr_own; i++)
		dynmemmap_donor_add_frame(&area->donor, first + i);
	atomic_long_add(nr_own, &world->nr_own_frames);
	stock_add(world, &area->donor, page_to_pfn(world, first), 0);
	count(world, nr_own ? EVENT_AREA_DONATED : EVENT_AREA_DONATED_WHOLE);
	return true;
}

static bool node_donate(struct actor *actor)
{
	unsigned int i;

	for (i = 0; i < WORLD_NR_ZONES; i++)
		if (area_donate(actor, &actor->world->zones[i]))
			return true;
	return false;
}

static bool frames_take(struct actor *actor, struct page **frames)
{
	while (!frames_try_take(actor->world, frames))
		if (!node_donate(actor))
			return false;
	return true;
}

static bool populate(struct actor *actor, struct dynmemmap_area *area)
{
	struct page *frames[DYNMEMMAP_AREA_NR_FRAMES];

	if (READ_ONCE(area->state) == DYNMEMMAP_SPLIT)
		return true;
	if (!frames_take(actor, frames))
		return false;
	maybe_stray_read(actor, area);
	if (!populate_with(actor->world, area, frames)) {
		frames_put(actor->world, frames, DYNMEMMAP_AREA_NR_FRAMES);
		count(actor->world, EVENT_POPULATE_LOST_RACE);
	}
	return true;
}

/* Lend and take back: buddy.c, worker.c. */

static bool area_lend(struct actor *actor, struct dynmemmap_area *area)
{
	struct world *world = actor->world;
	struct zone *zone = area->zone;

	if (!populate(actor, area)) {
		pool_give_one(world, area);
		return false;
	}
	if (vmemmap_is_self_hosted(world, area)) {
		pool_give_one(world, area);
		count(world, EVENT_LEND_REFUSED_SELF_HOSTED);
		return false;
	}
	area->flags &= ~DYNMEMMAP_AREA_RAW;

	pthread_mutex_lock(&zone->lock);
	set_owner(world, area, DYNMEMMAP_KERNEL);
	CHECK(!world->user_chunks[area->area_nr] && !world->stock_chunks[area->area_nr]);
	WRITE_ONCE(zone->pool.nr_lent, zone->pool.nr_lent + 1);
	pthread_mutex_unlock(&zone->lock);
	count(world, EVENT_LENT);
	return true;
}

static bool zone_lend(struct actor *actor, struct zone *zone)
{
	struct dynmemmap_area *area = pool_take(actor->world, zone);

	return area && area_lend(actor, area);
}

static bool pool_take_pair(struct world *world, struct zone *zone, struct dynmemmap_area **pair)
{
	struct dynmemmap_area *area;
	bool found = false;

	pthread_mutex_lock(&zone->lock);
	list_for_each_entry(area, &zone->pool.areas, pool_list) {
		struct dynmemmap_area *buddy = &world->areas[area->area_nr ^ 1];

		if (buddy->zone == zone && READ_ONCE(buddy->owner) == DYNMEMMAP_POOL) {
			pair[0] = area;
			pair[1] = buddy;
			pool_remove(world, zone, area);
			pool_remove(world, zone, buddy);
			found = true;
			break;
		}
	}
	pthread_mutex_unlock(&zone->lock);
	return found;
}

static void zone_lend_pair(struct actor *actor, struct zone *zone)
{
	struct dynmemmap_area *pair[2];
	bool lent;

	if (!pool_take_pair(actor->world, zone, pair))
		return;
	lent = area_lend(actor, pair[0]);
	if (area_lend(actor, pair[1]) && lent)
		count(actor->world, EVENT_LENT_PAIR);
}

static bool area_is_free(const struct world *world, const struct dynmemmap_area *area)
{
	return READ_ONCE(area->owner) == DYNMEMMAP_KERNEL && !world->user_chunks[area->area_nr] &&
	       !world->stock_chunks[area->area_nr];
}

static unsigned long zone_isolate(struct world *world, struct zone *zone, unsigned long nr_wanted,
				  struct list_head *areas)
{
	unsigned long nr_isolated = 0;
	unsigned int i;

	pthread_mutex_lock(&zone->lock);
	for (i = zone->first_area_nr; i < zone->end_area_nr && nr_isolated < nr_wanted; i++) {
		struct dynmemmap_area *area = &world->areas[i];

		if (!area_is_free(world, area))
			continue;
		set_owner(world, area, DYNMEMMAP_MOVING);
		list_add(&area->pool_list, areas);
		nr_isolated++;
	}
	pthread_mutex_unlock(&zone->lock);
	return nr_isolated;
}

static unsigned long zone_count_blocks(struct world *world, struct zone *zone)
{
	unsigned long nr_blocks = 0;
	unsigned int i;

	pthread_mutex_lock(&zone->lock);
	for (i = zone->first_area_nr; i < zone->end_area_nr; i++)
		nr_blocks += area_is_free(world, &world->areas[i]);
	pthread_mutex_unlock(&zone->lock);
	return nr_blocks;
}

static unsigned long zone_take_back(struct actor *actor, struct zone *zone,
				    unsigned long nr_wanted)
{
	struct world *world = actor->world;
	LIST_HEAD(areas);
	unsigned long nr_isolated;

	pthread_mutex_lock(&world->take_back_lock);
	nr_isolated = zone_isolate(world, zone, min(nr_wanted, TAKE_BACK_BATCH_AREAS), &areas);
	unpopulate(actor, &areas);
	pool_give(world, &areas);
	pthread_mutex_unlock(&world->take_back_lock);
	if (nr_isolated)
		count(world, EVENT_TAKEN_BACK);
	return nr_isolated;
}

static void zone_balance(struct actor *actor, struct zone *zone)
{
	struct dynmemmap_pool *pool = &zone->pool;
	unsigned long nr_areas_zone = zone->end_area_nr - zone->first_area_nr;
	unsigned long nr_lent = READ_ONCE(pool->nr_lent);
	unsigned long nr_excess, nr_wanted, nr_taken;

	nr_excess = dynmemmap_policy_excess(zone_count_blocks(actor->world, zone), KEEP_AREAS);
	nr_wanted = dynmemmap_policy_take_back(nr_excess, pool->nr_excess_seen,
					       nr_lent != pool->nr_lent_seen, nr_areas_zone);
	pool->nr_lent_seen = nr_lent;
	while (nr_wanted) {
		nr_taken = zone_take_back(actor, zone, nr_wanted);
		if (!nr_taken)
			break;
		nr_excess -= min(nr_excess, nr_taken);
		nr_wanted -= min(nr_wanted, nr_taken);
	}
	pool->nr_excess_seen = nr_excess;
}

static void zone_cool(struct actor *actor, struct zone *zone)
{
	struct world *world = actor->world;
	struct dynmemmap_area *area, *next;
	LIST_HEAD(areas);

	pthread_mutex_lock(&world->take_back_lock);
	pthread_mutex_lock(&zone->lock);
	list_for_each_entry_safe(area, next, &zone->pool.areas, pool_list) {
		if (READ_ONCE(area->state) == DYNMEMMAP_IDLE)
			continue;
		pool_remove(world, zone, area);
		list_add(&area->pool_list, &areas);
		count(world, vmemmap_is_self_hosted(world, area) ? EVENT_COOLED_SELF_HOSTED :
								   EVENT_COOLED);
	}
	pthread_mutex_unlock(&zone->lock);
	unpopulate(actor, &areas);
	pool_give(world, &areas);
	pthread_mutex_unlock(&world->take_back_lock);
}

/* The buddy allocator: blocks of 8 to 512 pages, within an area. */

static u64 chunk_mask(unsigned int order, unsigned int chunk)
{
	unsigned int nr_chunks = 1U << (order - WORLD_CHUNK_ORDER);

	return (WHOLE_AREA >> (WORLD_AREA_NR_CHUNKS - nr_chunks)) << chunk;
}

static bool area_find_block(const struct world *world, const struct dynmemmap_area *area,
			    unsigned int order, u64 *mask)
{
	u64 used = world->user_chunks[area->area_nr] | world->stock_chunks[area->area_nr];
	unsigned int chunk;

	for (chunk = 0; chunk < WORLD_AREA_NR_CHUNKS; chunk += 1U << (order - WORLD_CHUNK_ORDER)) {
		*mask = chunk_mask(order, chunk);
		if (!(used & *mask))
			return true;
	}
	return false;
}

/* Allocate a block of @zone that @chunks then say is used. */
static struct page *buddy_alloc(struct world *world, struct zone *zone, unsigned int order,
				unsigned int start, u64 *chunks)
{
	unsigned int i, nr_areas = zone->end_area_nr - zone->first_area_nr;
	struct page *block = NULL;
	u64 mask;

	pthread_mutex_lock(&zone->lock);
	for (i = 0; i < nr_areas && !block; i++) {
		struct dynmemmap_area *area =
			&world->areas[zone->first_area_nr + (start + i) % nr_areas];

		if (READ_ONCE(area->owner) != DYNMEMMAP_KERNEL ||
		    !area_find_block(world, area, order, &mask))
			continue;
		chunks[area->area_nr] |= mask;
		block = area_memmap(world, area) + __builtin_ctzll(mask) * CHUNK_NR_PAGES;
		if (chunks == world->stock_chunks)
			world->stock_pages[(block - world->memmap) / CHUNK_NR_PAGES] = WHOLE_CHUNK;
	}
	pthread_mutex_unlock(&zone->lock);
	return block;
}

/* The stock gives a page back; the chunk is free when all of it is. */
static void buddy_free_page(struct world *world, struct page *page)
{
	unsigned int pfn = page_to_pfn(world, page);
	struct dynmemmap_area *area = &world->areas[pfn >> DYNMEMMAP_AREA_ORDER];
	unsigned int chunk = pfn / CHUNK_NR_PAGES;

	pthread_mutex_lock(&area->zone->lock);
	CHECK(area->owner == DYNMEMMAP_KERNEL);
	CHECK(world->stock_pages[chunk] & BIT(pfn % CHUNK_NR_PAGES));
	world->stock_pages[chunk] &= ~BIT(pfn % CHUNK_NR_PAGES);
	if (!world->stock_pages[chunk])
		world->stock_chunks[area->area_nr] &=
			~chunk_mask(WORLD_CHUNK_ORDER, chunk % WORLD_AREA_NR_CHUNKS);
	pthread_mutex_unlock(&area->zone->lock);
}

/* What get_page_from_freelist() does: lend when there is nothing, try again. */
static struct page *zone_alloc(struct actor *actor, struct zone *zone, unsigned int order,
			       u64 *chunks)
{
	unsigned int start = actor->choose(actor, zone->end_area_nr - zone->first_area_nr);
	struct page *block = buddy_alloc(actor->world, zone, order, start, chunks);

	if (!block && zone_lend(actor, zone))
		block = buddy_alloc(actor->world, zone, order, start, chunks);
	return block;
}

/* Single frames are bought and sold, donors leave: supply.c. */

static bool stock_buy(struct actor *actor)
{
	struct world *world = actor->world;
	struct page *first = zone_alloc(actor, &world->zones[0], WORLD_CHUNK_ORDER,
					world->stock_chunks);
	unsigned int i;

	if (!first)
		return false;
	pthread_mutex_lock(&world->node_lock);
	for (i = 0; i < DYNMEMMAP_AREA_NR_FRAMES; i++) {
		/* As the buddy allocator gives it. */
		set_page_private(first + i, 0);
		dynmemmap_stock_add_single(&world->stock, first + i);
		ledger_single_add(&world->ledger, page_to_pfn(world, first + i));
	}
	check_stock(world);
	pthread_mutex_unlock(&world->node_lock);
	count(world, EVENT_FRAMES_BOUGHT);
	return true;
}

static void set_reserve(struct world *world, bool ran_low)
{
	WRITE_ONCE(world->nr_reserve,
		   dynmemmap_policy_reserve(READ_ONCE(world->nr_reserve), ran_low));
}

static void stock_refill(struct actor *actor)
{
	struct world *world = actor->world;

	set_reserve(world, true);
	while (READ_ONCE(world->stock.nr_singles_free) < READ_ONCE(world->nr_reserve))
		if (!stock_buy(actor))
			return;
}

static struct page *stock_remove_single(struct world *world, unsigned long nr_reserve)
{
	bool may_sell;
	struct page *frame;

	pthread_mutex_lock(&world->node_lock);
	may_sell = world->ledger.nr_singles_free && world->ledger.nr_free > nr_reserve;
	frame = dynmemmap_stock_remove_single(&world->stock, nr_reserve);
	CHECK(!frame == !may_sell);
	if (frame)
		ledger_single_remove(&world->ledger, page_to_pfn(world, frame));
	check_stock(world);
	pthread_mutex_unlock(&world->node_lock);
	return frame;
}

static void stock_sell(struct world *world)
{
	struct page *frame;

	while ((frame = stock_remove_single(world, 2 * READ_ONCE(world->nr_reserve)))) {
		buddy_free_page(world, frame);
		count(world, EVENT_FRAME_SOLD);
	}
}

static void donor_return_area(struct actor *actor, struct dynmemmap_donor *donor)
{
	struct dynmemmap_area *area = container_of(donor, struct dynmemmap_area, donor);
	struct world *world = actor->world;
	LIST_HEAD(areas);

	set_owner(world, area, DYNMEMMAP_MOVING);
	INIT_LIST_HEAD(&area->pool_list);
	list_add(&area->pool_list, &areas);
	atomic_long_sub(DYNMEMMAP_AREA_NR_PAGES - donor->nr_frames, &world->nr_own_frames);
	unpopulate(actor, &areas);
	pool_give(world, &areas);
	count(world, EVENT_AREA_RETURNED);
}

static struct dynmemmap_donor *stock_remove_empty(struct world *world, unsigned long nr_reserve)
{
	struct dynmemmap_donor *donor;

	pthread_mutex_lock(&world->node_lock);
	donor = dynmemmap_stock_remove_empty(&world->stock, nr_reserve);
	CHECK(!donor == !ledger_has_removable_donor(&world->ledger, nr_reserve));
	if (donor)
		ledger_donor_remove(&world->ledger, donor, nr_reserve);
	check_stock(world);
	pthread_mutex_unlock(&world->node_lock);
	return donor;
}

static void stock_drain(struct actor *actor)
{
	struct world *world = actor->world;
	struct dynmemmap_donor *donor;

	set_reserve(world, false);
	while ((donor = stock_remove_empty(world, READ_ONCE(world->nr_reserve))))
		donor_return_area(actor, donor);
	stock_sell(world);
}

/* What an actor can do in one step. */

static struct zone *choose_zone(struct actor *actor)
{
	return &actor->world->zones[actor->choose(actor, WORLD_NR_ZONES)];
}

static struct dynmemmap_area *choose_area(struct actor *actor)
{
	return &actor->world->areas[actor->choose(actor, actor->world->nr_areas)];
}

static void step_lend(struct actor *actor)
{
	zone_lend(actor, choose_zone(actor));
}

/* Memory is used faster than the refill work can run. */
static void step_lend_burst(struct actor *actor)
{
	struct zone *zone = choose_zone(actor);
	unsigned int nr_areas = actor->choose(actor, 64);

	while (nr_areas--) {
		zone_lend(actor, zone);
		maybe_stray_read(actor, choose_area(actor));
	}
}

static void step_lend_pair(struct actor *actor)
{
	zone_lend_pair(actor, choose_zone(actor));
}

static void step_lend_range(struct actor *actor)
{
	struct dynmemmap_area *area = choose_area(actor);

	if (pool_take_area(actor->world, area))
		area_lend(actor, area);
}

/* Rare: to find the stock empty has to be common. */
static void step_donate(struct actor *actor)
{
	if (actor->choose(actor, 16) == 15)
		node_donate(actor);
}

static void step_repair(struct actor *actor)
{
	repair(actor->world, choose_area(actor));
}

static void worker(struct actor *actor, void (*task)(struct actor *actor))
{
	pthread_mutex_lock(&actor->world->worker_lock);
	task(actor);
	pthread_mutex_unlock(&actor->world->worker_lock);
}

static void balance(struct actor *actor)
{
	zone_balance(actor, choose_zone(actor));
}

static void take_back(struct actor *actor)
{
	struct zone *zone = choose_zone(actor);

	zone_take_back(actor, zone, 1 + actor->choose(actor, 40));
}

static void cool(struct actor *actor)
{
	zone_cool(actor, choose_zone(actor));
}

static void drain(struct actor *actor)
{
	pthread_mutex_lock(&actor->world->take_back_lock);
	stock_drain(actor);
	pthread_mutex_unlock(&actor->world->take_back_lock);
}

static void step_refill(struct actor *actor)
{
	pthread_mutex_lock(&actor->world->refill_lock);
	stock_refill(actor);
	pthread_mutex_unlock(&actor->world->refill_lock);
}

static void step_balance(struct actor *actor)
{
	worker(actor, balance);
}

static void step_take_back(struct actor *actor)
{
	worker(actor, take_back);
}

static void step_cool(struct actor *actor)
{
	worker(actor, cool);
}

static void step_drain(struct actor *actor)
{
	worker(actor, drain);
}

/* Write to what was allocated, unless another actor has freed it since. */
static void user_write(struct world *world, struct zone *zone, unsigned int pfn,
		       unsigned int nr_pages)
{
	unsigned int end_pfn = pfn + nr_pages;

	pthread_mutex_lock(&zone->lock);
	for (; pfn < end_pfn; pfn += CHUNK_NR_PAGES) {
		unsigned int chunk = pfn / CHUNK_NR_PAGES;

		if (world->user_chunks[chunk / WORLD_AREA_NR_CHUNKS] &
		    BIT(chunk % WORLD_AREA_NR_CHUNKS))
			world->contents[pfn] = CONTENT_OF_USER;
	}
	pthread_mutex_unlock(&zone->lock);
}

static void step_alloc(struct actor *actor)
{
	struct world *world = actor->world;
	struct zone *zone = choose_zone(actor);
	unsigned int order = WORLD_CHUNK_ORDER +
			     actor->choose(actor, DYNMEMMAP_AREA_ORDER - WORLD_CHUNK_ORDER + 1);
	struct page *block = zone_alloc(actor, zone, order, world->user_chunks);

	if (block)
		user_write(world, zone, page_to_pfn(world, block), 1U << order);
}

/* Free what is in use of an area, but for some parts now and then. */
static void step_free(struct actor *actor)
{
	struct dynmemmap_area *area = choose_area(actor);
	u64 kept = actor->choose(actor, 4) ? 0 : BIT(actor->choose(actor, WORLD_AREA_NR_CHUNKS));

	/* The first area is where the boot donor is. */
	if (!area->area_nr)
		return;
	pthread_mutex_lock(&area->zone->lock);
	actor->world->user_chunks[area->area_nr] &= kept;
	pthread_mutex_unlock(&area->zone->lock);
}

/* An illegal change is refused, and then nothing has changed. */
static void step_illegal(struct actor *actor)
{
	struct dynmemmap_area *area = choose_area(actor);
	struct world *world = actor->world;

	pthread_mutex_lock(&area->zone->lock);
	pthread_mutex_lock(&world->node_lock);
	if (READ_ONCE(area->owner) == DYNMEMMAP_KERNEL) {
		CHECK(!dynmemmap_area_set_state(area, DYNMEMMAP_IDLE, world->nr_areas_by_state));
		CHECK(!dynmemmap_area_set_owner(area, DYNMEMMAP_POOL));
		count(world, EVENT_ILLEGAL_REFUSED);
	} else if (READ_ONCE(area->owner) == DYNMEMMAP_POOL) {
		CHECK(!dynmemmap_area_set_state(area, DYNMEMMAP_HUGE, world->nr_areas_by_state));
		CHECK(!dynmemmap_area_set_owner(area, DYNMEMMAP_KERNEL));
		CHECK(!dynmemmap_area_set_owner(area, DYNMEMMAP_STOCK));
		count(world, EVENT_ILLEGAL_REFUSED);
	}
	pthread_mutex_unlock(&world->node_lock);
	pthread_mutex_unlock(&area->zone->lock);
}

/* Those that are listed twice happen twice as often. */
static void (*const steps[])(struct actor *actor) = {
	step_lend,
	step_lend_burst,
	step_lend_pair,
	step_lend_range,
	step_alloc,
	step_alloc,
	step_alloc,
	step_free,
	step_free,
	step_free,
	step_repair,
	step_repair,
	step_donate,
	step_refill,
	step_balance,
	step_take_back,
	step_cool,
	step_drain,
	step_illegal,
};

void actor_step(struct actor *actor)
{
	steps[actor->choose(actor, ARRAY_SIZE(steps))](actor);
}

/* xorshift64*: deterministic everywhere, and good enough for dice. */
static unsigned int choose_random(struct actor *actor, unsigned int below)
{
	actor->random ^= actor->random >> 12;
	actor->random ^= actor->random << 25;
	actor->random ^= actor->random >> 27;
	return (actor->random * 0x2545f4914f6cdd1dULL >> 32) % below;
}

void actor_init_random(struct actor *actor, struct world *world, u64 seed)
{
	*actor = (struct actor){
		.world = world,
		.choose = choose_random,
		/* Zero would stay zero. */
		.random = seed * 2 + 1,
	};
}

/* Boot and the end. */

void world_create(struct world *world, unsigned int nr_areas)
{
	unsigned int nr_pages = nr_areas * DYNMEMMAP_AREA_NR_PAGES;
	unsigned int i;

	memset(world, 0, sizeof(*world));
	world->nr_areas = nr_areas;
	world->areas = aligned_alloc(sizeof(*world->areas), nr_areas * sizeof(*world->areas));
	world->memmap = aligned_alloc(sizeof(*world->memmap), nr_pages * sizeof(*world->memmap));
	world->page_table = calloc(nr_areas, sizeof(*world->page_table));
	world->contents = calloc(nr_pages, sizeof(*world->contents));
	world->user_chunks = calloc(nr_areas, sizeof(*world->user_chunks));
	world->stock_chunks = calloc(nr_areas, sizeof(*world->stock_chunks));
	world->stock_pages = calloc(nr_pages / CHUNK_NR_PAGES, sizeof(*world->stock_pages));
	CHECK(world->areas && world->memmap && world->page_table && world->contents &&
	      world->user_chunks && world->stock_chunks && world->stock_pages);
	ledger_create(&world->ledger, nr_areas);

	pthread_mutex_init(&world->worker_lock, NULL);
	pthread_mutex_init(&world->refill_lock, NULL);
	pthread_mutex_init(&world->take_back_lock, NULL);
	pthread_mutex_init(&world->node_lock, NULL);
	for (i = 0; i < WORLD_NR_ZONES; i++)
		pthread_mutex_init(&world->zones[i].lock, NULL);
}

static void boot_zones(struct world *world)
{
	/* Odd, so that one pair of buddies is in two zones. */
	unsigned int boundary = world->nr_areas / 2 | 1;
	unsigned int i;

	for (i = 0; i < WORLD_NR_ZONES; i++) {
		dynmemmap_pool_init(&world->zones[i].pool);
		world->zones[i].zone_nr = i;
		world->zones[i].first_area_nr = i ? boundary : 0;
		world->zones[i].end_area_nr = i ? world->nr_areas : boundary;
	}
}

static void boot_areas(struct world *world)
{
	unsigned int i;

	for (i = 0; i < world->nr_areas; i++) {
		dynmemmap_area_init(&world->areas[i], i, 0);
		world->areas[i].zone = &world->zones[i >= world->zones[1].first_area_nr];
	}
	memset(world->nr_areas_by_state, 0, sizeof(world->nr_areas_by_state));
	atomic_long_add(world->nr_areas, &world->nr_areas_by_state[DYNMEMMAP_IDLE]);
}

static void boot_map_area(struct world *world, struct dynmemmap_area *area)
{
	struct page *frames[DYNMEMMAP_AREA_NR_FRAMES];
	unsigned int i;

	for (i = 0; i < DYNMEMMAP_AREA_NR_FRAMES; i++)
		frames[i] = &world->memmap[area->area_nr * DYNMEMMAP_AREA_NR_FRAMES + i];
	CHECK(populate_with(world, area, frames));
	set_owner(world, area, DYNMEMMAP_KERNEL);
	world->user_chunks[area->area_nr] = WHOLE_AREA;
}

static void boot_donate(struct world *world)
{
	unsigned int i;

	dynmemmap_donor_init(&world->boot_donor, world->memmap, BOOT_NR_FRAMES,
			     DYNMEMMAP_DONOR_BOOT);
	for (i = BOOT_NR_USED_FRAMES; i < BOOT_NR_FRAMES; i++)
		dynmemmap_donor_add_frame(&world->boot_donor, &world->memmap[i]);
	stock_add(world, &world->boot_donor, 0, BOOT_NR_USED_FRAMES);
}

/* May be called again, for a world like new. */
void world_boot(struct world *world)
{
	unsigned int i;

	memset(world->page_table, 0, world->nr_areas * sizeof(*world->page_table));
	memset(world->user_chunks, 0, world->nr_areas * sizeof(*world->user_chunks));
	memset(world->stock_chunks, 0, world->nr_areas * sizeof(*world->stock_chunks));
	memset(world->stock_pages, 0, world->nr_areas * WORLD_AREA_NR_CHUNKS);
	memset(world->nr_events, 0, sizeof(world->nr_events));
	world->nr_own_frames.counter = 0;
	world->nr_reserve = 0;
	ASAN_POISON_MEMORY_REGION(world->memmap, world->nr_areas * DYNMEMMAP_AREA_NR_PAGES *
						 sizeof(struct page));
	dynmemmap_broken = false;
	dynmemmap_stock_init(&world->stock);
	ledger_reset(&world->ledger);
	boot_zones(world);
	boot_areas(world);

	ledger_hold_boot_frames(&world->ledger, 0, BOOT_NR_USED_FRAMES);
	for (i = 0; i < BOOT_NR_AREAS; i++)
		boot_map_area(world, &world->areas[i]);
	boot_donate(world);
	for (; i < world->nr_areas; i++) {
		world->areas[i].flags |= DYNMEMMAP_AREA_RAW;
		pool_give_one(world, &world->areas[i]);
	}
}

void world_destroy(struct world *world)
{
	ASAN_UNPOISON_MEMORY_REGION(world->memmap, world->nr_areas * DYNMEMMAP_AREA_NR_PAGES *
						   sizeof(struct page));
	ledger_destroy(&world->ledger);
	free(world->areas);
	free(world->memmap);
	free(world->page_table);
	free(world->contents);
	free(world->user_chunks);
	free(world->stock_chunks);
	free(world->stock_pages);
}
