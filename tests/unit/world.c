// SPDX-License-Identifier: GPL-2.0-only
/*
 * A machine around the code under test; see world.h. Functions have the names of
 * those in the kernel whose steps they take.
 */
#include <sanitizer/asan_interface.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

/* As in core.h. */
#define TAKE_BACK_BATCH_AREAS	32UL
#define KEEP_AREAS		4
/* As in huge.c. */
#define RECYCLE_AREAS		4UL

/* Areas in use at boot; all their frames and the spare ones are in area 0. */
#define BOOT_NR_AREAS		4
#define BOOT_NR_USED_FRAMES	(BOOT_NR_AREAS * DYNMEMMAP_AREA_NR_FRAMES)
#define BOOT_NR_FRAMES		(BOOT_NR_USED_FRAMES + 2 * DYNMEMMAP_RESERVE_MIN_FRAMES)

#define CHUNK_NR_PAGES		BIT(WORLD_CHUNK_ORDER)
#define WHOLE_CHUNK		0xff
#define WHOLE_AREA		UINT64_MAX
/* Contents of a frame that is none of ours. */
#define CONTENT_OF_USER		UINT32_MAX

/* All but the first vmemmap page of an area. */
#define TAILS			(DYNMEMMAP_ALL_VMEMMAP_PAGES & ~BIT(0))
#define FRAME_NR_STRUCT_PAGES	(DYNMEMMAP_AREA_NR_PAGES / DYNMEMMAP_AREA_NR_FRAMES)
/* Struct pages of a huge folio that are prepared while the others are shared. */
#define PREP_NR_STRUCT_PAGES	4
/* page.mapping of a tail; of a free page it is 0. */
#define MAPPING_OF_TAIL		1UL

/* Steps within steps. */
#define MAX_OUTER		3
/* How far to look for an area of a kind. */
#define NEAR_AREAS		64

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
	[EVENT_HUGE_FROM_POOL] = "huge from pool",
	[EVENT_HUGE_FROM_CACHE] = "huge from cache",
	[EVENT_HUGE_LENT_INSTEAD] = "huge lent instead",
	[EVENT_TAILS_POPULATED] = "tails populated",
	[EVENT_TAILS_FLUSHED_BY_SECOND] = "tails flushed by second",
	[EVENT_TAILS_LOST_RACE] = "tails lost race",
	[EVENT_FOLIO_SPLIT] = "folio split",
	[EVENT_FREED_HUGE] = "freed huge",
	[EVENT_FREED_STALE] = "freed stale",
	[EVENT_FREED_SPLIT] = "freed split",
	[EVENT_FREED_PREPARED_TWICE] = "freed prepared twice",
	[EVENT_TRIMMED] = "trimmed",
	[EVENT_TRIM_REFUSED] = "trim refused",
	[EVENT_RECYCLED] = "recycled",
	[EVENT_RECYCLED_SPLIT] = "recycled split",
	[EVENT_SHOWN] = "shown",
	[EVENT_SHOWN_FROM_CACHE] = "shown from cache",
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

u32 world_content(const struct dynmemmap_area *area, unsigned int vmemmap_page)
{
	return area->area_nr * DYNMEMMAP_AREA_NR_FRAMES + vmemmap_page;
}

u32 world_content_of_tail(const struct zone *zone)
{
	return CONTENT_OF_USER - 1 - zone->zone_nr;
}

static void set_mapping(struct page *first, const struct page *end, unsigned long mapping)
{
	for (; first < end; first++)
		first->mapping = mapping;
}

static void vmemmap_fill(struct world *world, const struct dynmemmap_area *area,
			 struct page **frames)
{
	unsigned int i;

	for (i = 0; i < DYNMEMMAP_AREA_NR_FRAMES; i++)
		if (frames[i])
			world->contents[page_to_pfn(world, frames[i])] = world_content(area, i);
}

/* Struct pages that can be written now are those of free pages, or of tails. */
static void memmap_make(struct page *first, unsigned long mapping)
{
	const size_t nr_bytes = FRAME_NR_STRUCT_PAGES * sizeof(*first);

	ASAN_UNPOISON_MEMORY_REGION(first, nr_bytes);
	memset(first, 0, nr_bytes);
	set_mapping(first, first + FRAME_NR_STRUCT_PAGES, mapping);
}

/* Frames that are in use then are set to NULL. */
static void vmemmap_map(struct world *world, const struct dynmemmap_area *area,
			struct page **frames, unsigned long mapping)
{
	struct page **entry = world->page_table[area->area_nr];
	unsigned int i;

	for (i = 0; i < DYNMEMMAP_AREA_NR_FRAMES; i++, entry++) {
		if (!frames[i])
			continue;
		CHECK(!*entry || *entry == area->zone->pool.tails[HUGE_TAIL]);
		WRITE_ONCE(*entry, frames[i]);
		ledger_map(&world->ledger, page_to_pfn(world, frames[i]), area->area_nr);
		memmap_make(area_memmap(world, area) + i * FRAME_NR_STRUCT_PAGES, mapping);
		frames[i] = NULL;
	}
}

/* What is read-only stays poisoned: nobody here has to read a tail. */
static void vmemmap_map_tails(struct world *world, const struct dynmemmap_area *area,
			      struct page *tail)
{
	unsigned int i;

	for (i = 1; i < DYNMEMMAP_AREA_NR_FRAMES; i++) {
		CHECK(!world->page_table[area->area_nr][i]);
		WRITE_ONCE(world->page_table[area->area_nr][i], tail);
	}
}

static void vmemmap_unmap(struct world *world, const struct dynmemmap_area *area,
			  struct page **frames)
{
	unsigned int i;

	for (i = 0; i < DYNMEMMAP_AREA_NR_FRAMES; i++) {
		frames[i] = world->page_table[area->area_nr][i];
		CHECK(frames[i]);
		WRITE_ONCE(world->page_table[area->area_nr][i], NULL);
		if (frames[i] == area->zone->pool.tails[HUGE_TAIL]) {
			frames[i] = NULL;
			continue;
		}
		ledger_unmap(&world->ledger, page_to_pfn(world, frames[i]), area->area_nr);
		CHECK(world->contents[page_to_pfn(world, frames[i])] == world_content(area, i));
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
		if (!frames[i])
			continue;
		ledger_put(&world->ledger, page_to_pfn(world, frames[i]));
		dynmemmap_stock_put(&world->stock, frames[i]);
	}
	check_stock(world);
	pthread_mutex_unlock(&world->node_lock);
}

static void frames_put_all(struct world *world, struct list_head *frames)
{
	struct page *frame;

	while (!list_empty(frames)) {
		frame = list_first_entry(frames, struct page, lru);
		list_del(&frame->lru);
		frames_put(world, &frame, 1);
	}
}

/* One for each vmemmap page that is wanted, at its place. */
static void frames_spread(struct page **frames, u8 wanted)
{
	unsigned int from = __builtin_popcount(wanted), i;

	for (i = DYNMEMMAP_AREA_NR_FRAMES; i--;)
		frames[i] = wanted & BIT(i) ? frames[--from] : NULL;
}

static bool frames_try_take(struct world *world, struct page **frames, u8 wanted,
			    unsigned int nr_left)
{
	unsigned int i, nr_frames = __builtin_popcount(wanted);
	bool taken;

	pthread_mutex_lock(&world->node_lock);
	taken = dynmemmap_stock_take(&world->stock, nr_frames, nr_left, frames);
	CHECK(taken == (world->ledger.nr_free >= nr_frames + nr_left));
	for (i = 0; taken && i < nr_frames; i++)
		ledger_take(&world->ledger, page_to_pfn(world, frames[i]));
	check_stock(world);
	pthread_mutex_unlock(&world->node_lock);
	if (taken)
		frames_spread(frames, wanted);
	return taken;
}

static void stock_add(struct world *world, struct dynmemmap_donor *donor, unsigned int first_pfn)
{
	pthread_mutex_lock(&world->node_lock);
	dynmemmap_stock_add(&world->stock, donor);
	ledger_donor_add(&world->ledger, donor, first_pfn, donor->nr_frames);
	check_stock(world);
	pthread_mutex_unlock(&world->node_lock);
}

/* The pool: buddy.c. */

static void check_pool(const struct world *world, const struct zone *zone)
{
	CHECK(zone->pool.nr_areas == world->ledger.nr_in_pool[zone->zone_nr]);
	CHECK(zone->pool.nr_cached == world->ledger.nr_in_cache[zone->zone_nr]);
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

/* The cache: huge.c. */

static void cache_remove(struct world *world, struct zone *zone, struct dynmemmap_area *area)
{
	dynmemmap_cache_remove(&zone->pool, area);
	ledger_cache_remove(&world->ledger, zone->zone_nr, area->area_nr);
	check_pool(world, zone);
}

static unsigned long cache_take(struct world *world, struct zone *zone, unsigned long nr_wanted,
				struct list_head *areas)
{
	struct dynmemmap_area *area;
	unsigned long nr_taken;

	pthread_mutex_lock(&zone->lock);
	for (nr_taken = 0; nr_taken < nr_wanted; nr_taken++) {
		area = dynmemmap_cache_last(&zone->pool);
		/* Only those that are SPLIT can have to stay. */
		CHECK(area || !world->ledger.nr_huge_in_cache[zone->zone_nr]);
		if (!area)
			break;
		cache_remove(world, zone, area);
		list_add(&area->pool_list, areas);
	}
	pthread_mutex_unlock(&zone->lock);
	return nr_taken;
}

static bool cache_take_area(struct world *world, struct dynmemmap_area *area)
{
	bool taken;

	pthread_mutex_lock(&area->zone->lock);
	taken = READ_ONCE(area->owner) == DYNMEMMAP_CACHE &&
		!(READ_ONCE(area->marks) & DYNMEMMAP_MARKS_STALE);
	if (taken)
		cache_remove(world, area->zone, area);
	pthread_mutex_unlock(&area->zone->lock);
	return taken;
}

/* Populate and unpopulate: populate.c, repair.c. */

/*
 * Where there may be just one thread, others come between all the same, with an eye on
 * the same area, unless they would have to wait.
 */
static void others_act(struct actor *actor, struct dynmemmap_area *area)
{
	struct dynmemmap_area *outer_area = actor->area;

	if (actor->holds_lock || actor->nr_outer == MAX_OUTER)
		return;
	actor->nr_outer++;
	actor->area = area;
	while (actor->choose(actor, 4) == 3)
		actor_step(actor);
	actor->area = outer_area;
	actor->nr_outer--;
}

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
		vmemmap_map(world, area, frames, 0);
		set_state(world, area, DYNMEMMAP_SPLIT);
		count(world, EVENT_POPULATED);
	}
	pthread_mutex_unlock(&world->node_lock);
	frames_put(world, frames, DYNMEMMAP_AREA_NR_FRAMES);
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
		vmemmap_map(world, area, frames, 0);
		set_state(world, area, DYNMEMMAP_SPLIT);
		count(world, EVENT_SELF_HOSTED);
	}
	pthread_mutex_unlock(&world->node_lock);
	return vmemmap_is_self_hosted(world, area);
}

static void repair(struct actor *actor, struct dynmemmap_area *area)
{
	struct page *frames[DYNMEMMAP_AREA_NR_FRAMES];
	struct world *world = actor->world;

	if (vmemmap_is_mapped(world, area))
		return;
	if (!frames_try_take(world, frames, DYNMEMMAP_ALL_VMEMMAP_PAGES, 0)) {
		self_host(world, area);
		return;
	}
	others_act(actor, area);
	if (populate_with(world, area, frames))
		count(world, EVENT_REPAIRED_FROM_STOCK);
}

static struct dynmemmap_area *choose_area(struct actor *actor)
{
	if (actor->area && actor->choose(actor, 2))
		return actor->area;
	return &actor->world->areas[actor->choose(actor, actor->world->nr_areas)];
}

/* One in this state, if there is one near. */
static struct dynmemmap_area *choose_area_in(struct actor *actor, enum dynmemmap_state state)
{
	struct dynmemmap_area *area = choose_area(actor), *near;
	struct dynmemmap_area *end = actor->world->areas + actor->world->nr_areas;

	for (near = area; near < min(area + NEAR_AREAS, end) && area != actor->area; near++)
		if (READ_ONCE(near->state) == state)
			return near;
	return area;
}

/* Where another CPU may read what it should not, now and then one does. */
static void maybe_stray_read(struct actor *actor, struct dynmemmap_area *area)
{
	if (actor->choose(actor, 8) == 7)
		repair(actor, area);
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
		CHECK(!(area->marks & DYNMEMMAP_MARKS_STALE));
		vmemmap_unmap(world, area, frames);
		set_state(world, area, DYNMEMMAP_IDLE);
		pthread_mutex_unlock(&world->node_lock);
		for (i = 0; i < DYNMEMMAP_AREA_NR_FRAMES; i++)
			if (frames[i] &&
			    page_to_pfn(world, frames[i]) >> DYNMEMMAP_AREA_ORDER != area->area_nr)
				list_add(&frames[i]->lru, &unmapped);
		maybe_stray_read(actor, area);
	}
	frames_put_all(world, &unmapped);
}

/* Areas become donors: supply.c. */

static bool area_donate(struct actor *actor, struct zone *zone)
{
	struct world *world = actor->world;
	struct dynmemmap_area *area = pool_take(world, zone);
	unsigned int nr_own;
	struct page *first;

	if (!area)
		return false;
	maybe_stray_read(actor, area);
	nr_own = self_host(world, area) ? DYNMEMMAP_AREA_NR_FRAMES : 0;
	area_prepare_use(area);
	set_owner(world, area, DYNMEMMAP_STOCK);

	first = area_memmap(world, area) + nr_own;
	dynmemmap_donor_init(&area->donor, first, DYNMEMMAP_AREA_NR_PAGES - nr_own);
	atomic_long_add(nr_own, &world->nr_own_frames);
	stock_add(world, &area->donor, page_to_pfn(world, first));
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

static bool frames_take_leaving(struct actor *actor, struct page **frames, u8 wanted,
				unsigned int nr_left)
{
	while (!frames_try_take(actor->world, frames, wanted, nr_left))
		if (!node_donate(actor))
			return false;
	return true;
}

static bool frames_take(struct actor *actor, struct page **frames, u8 wanted)
{
	return frames_take_leaving(actor, frames, wanted, DYNMEMMAP_RESERVE_NOFAIL_FRAMES);
}

static bool populate(struct actor *actor, struct dynmemmap_area *area)
{
	struct page *frames[DYNMEMMAP_AREA_NR_FRAMES];

	if (READ_ONCE(area->state) == DYNMEMMAP_SPLIT)
		return true;
	if (!frames_take(actor, frames, DYNMEMMAP_ALL_VMEMMAP_PAGES))
		return false;
	maybe_stray_read(actor, area);
	if (!populate_with(actor->world, area, frames))
		count(actor->world, EVENT_POPULATE_LOST_RACE);
	return true;
}

/* Huge areas are populated: populate.c. */

static struct page *area_tail(struct actor *actor, struct dynmemmap_area *area)
{
	struct page **tail = &area->zone->pool.tails[HUGE_TAIL];
	struct page *frames[DYNMEMMAP_AREA_NR_FRAMES];
	struct world *world = actor->world;

	/* Pairs with the smp_store_release() below. */
	if (smp_load_acquire(tail))
		return *tail;
	if (!frames_take(actor, frames, BIT(0)))
		return NULL;
	world->contents[page_to_pfn(world, frames[0])] = world_content_of_tail(area->zone);
	pthread_mutex_lock(&world->node_lock);
	if (!*tail) {
		ledger_share(&world->ledger, page_to_pfn(world, frames[0]));
		/* What it holds, before others use it. */
		smp_store_release(tail, frames[0]);
		frames[0] = NULL;
	}
	pthread_mutex_unlock(&world->node_lock);
	frames_put(world, frames, DYNMEMMAP_AREA_NR_FRAMES);
	return *tail;
}

static bool populate_huge(struct actor *actor, struct dynmemmap_area *area)
{
	struct page *frames[DYNMEMMAP_AREA_NR_FRAMES], *tail = area_tail(actor, area);
	struct world *world = actor->world;

	if (!tail || !frames_take(actor, frames, BIT(0)))
		return false;
	maybe_stray_read(actor, area);
	vmemmap_fill(world, area, frames);
	pthread_mutex_lock(&world->node_lock);
	if (area->state == DYNMEMMAP_IDLE) {
		vmemmap_map(world, area, frames, MAPPING_OF_TAIL);
		set_mapping(area_memmap(world, area), area_memmap(world, area) + 1, 0);
		vmemmap_map_tails(world, area, tail);
		set_state(world, area, DYNMEMMAP_HUGE);
	}
	pthread_mutex_unlock(&world->node_lock);
	frames_put(world, frames, DYNMEMMAP_AREA_NR_FRAMES);
	return READ_ONCE(area->state) == DYNMEMMAP_HUGE;
}

/* Lend and take back: buddy.c, worker.c. */

/* Nobody may find tails, and no TLB the shared one, in free memory. */
static void area_check_free(struct world *world, struct dynmemmap_area *area)
{
	const struct page *page = area_memmap(world, area);
	const struct page *end = page + DYNMEMMAP_AREA_NR_PAGES;

	pthread_mutex_lock(&world->node_lock);
	CHECK(area->state == DYNMEMMAP_SPLIT);
	CHECK(!world->tails_remembered[area->area_nr]);
	for (; page < end; page++)
		CHECK(page->mapping != MAPPING_OF_TAIL);
	pthread_mutex_unlock(&world->node_lock);
}

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
	area_check_free(world, area);

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

static bool may_take_back(const struct world *world)
{
	return !world->nr_ranges;
}

static void areas_take_back(struct actor *actor, struct list_head *areas)
{
	unpopulate(actor, areas);
	pool_give(actor->world, areas);
}

static unsigned long zone_take_back(struct actor *actor, struct zone *zone,
				    unsigned long nr_wanted)
{
	struct world *world = actor->world;
	LIST_HEAD(areas);
	unsigned long nr_isolated = 0;

	pthread_mutex_lock(&world->take_back_lock);
	if (may_take_back(world)) {
		nr_isolated = zone_isolate(world, zone, min(nr_wanted, TAKE_BACK_BATCH_AREAS),
					   &areas);
		areas_take_back(actor, &areas);
	}
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

static void zone_trim(struct actor *actor, struct zone *zone)
{
	struct world *world = actor->world;
	unsigned long nr_taken = 1;

	while (nr_taken && READ_ONCE(zone->pool.nr_cached) > KEEP_AREAS) {
		LIST_HEAD(areas);

		nr_taken = 0;
		pthread_mutex_lock(&world->take_back_lock);
		if (may_take_back(world)) {
			nr_taken = cache_take(world, zone, TAKE_BACK_BATCH_AREAS, &areas);
			areas_take_back(actor, &areas);
		}
		pthread_mutex_unlock(&world->take_back_lock);
		count(world, nr_taken ? EVENT_TRIMMED : EVENT_TRIM_REFUSED);
	}
}

static void zone_cool(struct actor *actor, struct zone *zone)
{
	struct world *world = actor->world;
	struct dynmemmap_area *area, *next;
	LIST_HEAD(areas);

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
	areas_take_back(actor, &areas);
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
		/* Who got a part of it would write to its struct pages. */
		CHECK(READ_ONCE(area->state) == DYNMEMMAP_SPLIT);
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

/* Who may not sleep cannot have it. */
static bool zone_recycle(struct actor *actor, struct zone *zone)
{
	struct world *world = actor->world;
	struct dynmemmap_area *area, *next;
	LIST_HEAD(areas);
	bool lent = false;

	if (!READ_ONCE(zone->pool.nr_cached) || !actor->choose(actor, 4))
		return false;
	cache_take(world, zone, RECYCLE_AREAS, &areas);
	list_for_each_entry(area, &areas, pool_list)
		count(world, area->state == DYNMEMMAP_HUGE ? EVENT_RECYCLED :
							     EVENT_RECYCLED_SPLIT);
	unpopulate(actor, &areas);
	list_for_each_entry_safe(area, next, &areas, pool_list) {
		list_del_init(&area->pool_list);
		lent |= area_lend(actor, area);
	}
	return lent;
}

/* What get_page_from_freelist() does: lend when there is nothing, try again. */
static struct page *zone_alloc(struct actor *actor, struct zone *zone, unsigned int order,
			       u64 *chunks)
{
	unsigned int start = actor->choose(actor, zone->end_area_nr - zone->first_area_nr);
	struct page *block = buddy_alloc(actor->world, zone, order, start, chunks);

	if (!block && (zone_lend(actor, zone) || zone_recycle(actor, zone)))
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

static bool frames_buy(struct actor *actor, struct page **frames, u8 wanted, bool may_fail)
{
	const unsigned int nr_left = may_fail ? DYNMEMMAP_RESERVE_NOFAIL_FRAMES : 0;

	while (!frames_take_leaving(actor, frames, wanted, nr_left))
		if (!stock_buy(actor))
			return false;
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

/* The tails of a huge area in use are populated: populate.c. */

static bool area_map_tails(struct world *world, struct dynmemmap_area *area, struct page **frames)
{
	bool mapped;

	pthread_mutex_lock(&world->node_lock);
	mapped = area->state == DYNMEMMAP_HUGE && READ_ONCE(area->owner) == DYNMEMMAP_KERNEL;
	if (mapped) {
		WRITE_ONCE(area->marks, area->marks + DYNMEMMAP_MARKS_ONE_STALE);
		/* Pairs with smp_rmb() in populate_tails(). */
		smp_wmb();
		vmemmap_map(world, area, frames, MAPPING_OF_TAIL);
		set_state(world, area, DYNMEMMAP_SPLIT);
		world->tails_remembered[area->area_nr] = true;
	}
	pthread_mutex_unlock(&world->node_lock);
	return mapped;
}

static void area_flush_tails(struct world *world, struct dynmemmap_area *area)
{
	pthread_mutex_lock(&world->node_lock);
	world->tails_remembered[area->area_nr] = false;
	pthread_mutex_unlock(&world->node_lock);
}

static bool area_tails_are_remembered(struct world *world, struct dynmemmap_area *area)
{
	bool remembered;

	pthread_mutex_lock(&world->node_lock);
	remembered = world->tails_remembered[area->area_nr];
	pthread_mutex_unlock(&world->node_lock);
	return remembered;
}

static void area_clear_stale(struct world *world, struct dynmemmap_area *area)
{
	pthread_mutex_lock(&world->node_lock);
	WRITE_ONCE(area->marks, area->marks - DYNMEMMAP_MARKS_ONE_STALE);
	pthread_mutex_unlock(&world->node_lock);
}

/* Only who has a reference can know that the area is still in use then. */
static bool populate_tails(struct actor *actor, struct dynmemmap_area *area)
{
	struct page *frames[DYNMEMMAP_AREA_NR_FRAMES];
	struct world *world = actor->world;
	bool mapped;

	if (READ_ONCE(area->state) == DYNMEMMAP_HUGE) {
		if (!frames_buy(actor, frames, TAILS, actor->choose(actor, 4)))
			return false;
		others_act(actor, area);
		vmemmap_fill(world, area, frames);
		mapped = area_map_tails(world, area, frames);
		frames_put(world, frames, DYNMEMMAP_AREA_NR_FRAMES);
		if (mapped) {
			others_act(actor, area);
			area_flush_tails(world, area);
			area_clear_stale(world, area);
			count(world, EVENT_TAILS_POPULATED);
			return true;
		}
		count(world, EVENT_TAILS_LOST_RACE);
	}
	/* Pairs with smp_wmb() in area_map_tails(). */
	smp_rmb();
	if (READ_ONCE(area->marks) & DYNMEMMAP_MARKS_STALE) {
		area_flush_tails(world, area);
		count(world, EVENT_TAILS_FLUSHED_BY_SECOND);
	}
	return true;
}

/* Huge folios: huge.c, and what page_alloc.c does before and after. */

/* The allocator gives the area to a user as a whole. */
static void area_use(struct world *world, struct dynmemmap_area *area)
{
	struct world_folio *folio = &world->folios[area->area_nr];
	struct page *page = area_memmap(world, area);

	set_owner(world, area, DYNMEMMAP_KERNEL);
	CHECK(!world->user_chunks[area->area_nr] && !world->stock_chunks[area->area_nr]);
	CHECK(!folio->exists && !folio->has_user && !folio->nr_references);
	world->user_chunks[area->area_nr] = WHOLE_AREA;
	*folio = (struct world_folio){ .nr_references = 1, .has_user = true, .exists = true };
	/* The others are tails already. */
	CHECK(page[PREP_NR_STRUCT_PAGES].mapping == MAPPING_OF_TAIL);
	set_mapping(page + 1, page + PREP_NR_STRUCT_PAGES, MAPPING_OF_TAIL);
}

static struct dynmemmap_area *zone_use_cached(struct world *world, struct zone *zone)
{
	struct dynmemmap_area *area;

	if (!READ_ONCE(zone->pool.nr_cached))
		return NULL;
	pthread_mutex_lock(&zone->lock);
	area = dynmemmap_cache_first(&zone->pool);
	CHECK(!area == !world->ledger.nr_huge_in_cache[zone->zone_nr]);
	if (area) {
		cache_remove(world, zone, area);
		area_use(world, area);
		count(world, EVENT_HUGE_FROM_CACHE);
	}
	pthread_mutex_unlock(&zone->lock);
	return area;
}

static struct dynmemmap_area *zone_use_pooled(struct actor *actor, struct zone *zone)
{
	struct world *world = actor->world;
	struct dynmemmap_area *area = pool_take(world, zone);

	if (!area)
		return NULL;
	if (READ_ONCE(area->state) != DYNMEMMAP_IDLE || !populate_huge(actor, area)) {
		area_lend(actor, area);
		count(world, EVENT_HUGE_LENT_INSTEAD);
		return NULL;
	}
	area->flags &= ~DYNMEMMAP_AREA_RAW;
	pthread_mutex_lock(&zone->lock);
	area_use(world, area);
	count(world, EVENT_HUGE_FROM_POOL);
	pthread_mutex_unlock(&zone->lock);
	return area;
}

static bool area_is_huge(struct world *world, const struct dynmemmap_area *area)
{
	bool huge;

	/* Not locked in the kernel, where the page table says what can be written. */
	pthread_mutex_lock(&world->node_lock);
	huge = area->state == DYNMEMMAP_HUGE;
	pthread_mutex_unlock(&world->node_lock);
	return huge;
}

/* A folio ceases to be a compound page. */
static void free_pages_prepare(struct world *world, struct dynmemmap_area *area)
{
	struct page *page = area_memmap(world, area);

	set_mapping(page + 1, page + (area_is_huge(world, area) ? PREP_NR_STRUCT_PAGES :
								  DYNMEMMAP_AREA_NR_PAGES), 0);
}

static bool area_free_huge(struct world *world, struct dynmemmap_area *area)
{
	bool taken;

	pthread_mutex_lock(&world->node_lock);
	taken = area->state == DYNMEMMAP_HUGE || area->marks & DYNMEMMAP_MARKS_STALE;
	if (taken) {
		count(world, area->state == DYNMEMMAP_HUGE ? EVENT_FREED_HUGE : EVENT_FREED_STALE);
		set_owner(world, area, DYNMEMMAP_MOVING);
	}
	pthread_mutex_unlock(&world->node_lock);
	return taken;
}

/* The area of a folio is nobody's, or as free as its owner says. */
static void folio_end(struct world *world, struct dynmemmap_area *area)
{
	CHECK(world->user_chunks[area->area_nr] == WHOLE_AREA);
	CHECK(world->folios[area->area_nr].exists);
	world->user_chunks[area->area_nr] = 0;
	world->folios[area->area_nr].exists = false;
}

static bool huge_free(struct world *world, struct dynmemmap_area *area)
{
	struct page *page = area_memmap(world, area);
	struct zone *zone = area->zone;
	bool taken;

	pthread_mutex_lock(&zone->lock);
	taken = area_free_huge(world, area);
	if (taken) {
		folio_end(world, area);
		dynmemmap_cache_add(&zone->pool, area);
		ledger_cache_add(&world->ledger, zone->zone_nr, area->area_nr);
		check_pool(world, zone);
	}
	pthread_mutex_unlock(&zone->lock);
	if (!taken && page[PREP_NR_STRUCT_PAGES].mapping == MAPPING_OF_TAIL) {
		set_mapping(page + PREP_NR_STRUCT_PAGES, page + DYNMEMMAP_AREA_NR_PAGES, 0);
		count(world, EVENT_FREED_PREPARED_TWICE);
	}
	return taken;
}

static void free_one_page(struct world *world, struct dynmemmap_area *area)
{
	if (huge_free(world, area))
		return;
	area_check_free(world, area);
	pthread_mutex_lock(&area->zone->lock);
	folio_end(world, area);
	count(world, EVENT_FREED_SPLIT);
	pthread_mutex_unlock(&area->zone->lock);
}

/* Now and then something comes between, and folio_leave() goes on. */
static void folio_free(struct actor *actor, struct dynmemmap_area *area)
{
	struct world *world = actor->world;

	free_pages_prepare(world, area);
	if (!actor->choose(actor, 4)) {
		free_one_page(world, area);
		return;
	}
	pthread_mutex_lock(&area->zone->lock);
	world->folios[area->area_nr].is_prepared = true;
	pthread_mutex_unlock(&area->zone->lock);
}

static bool folio_try_get(struct world *world, struct dynmemmap_area *area)
{
	struct world_folio *folio = &world->folios[area->area_nr];
	bool got;

	pthread_mutex_lock(&area->zone->lock);
	got = folio->nr_references;
	folio->nr_references += got;
	pthread_mutex_unlock(&area->zone->lock);
	return got;
}

static void folio_put(struct actor *actor, struct dynmemmap_area *area)
{
	bool last;

	pthread_mutex_lock(&area->zone->lock);
	last = !--actor->world->folios[area->area_nr].nr_references;
	pthread_mutex_unlock(&area->zone->lock);
	if (last)
		folio_free(actor, area);
}

/* Whoever splits it, or maps its parts, writes to all of its tails. */
static void folio_write_tails(struct world *world, struct dynmemmap_area *area,
			      unsigned long mapping)
{
	struct page *page = area_memmap(world, area);

	CHECK(!area_is_huge(world, area));
	CHECK(!area_tails_are_remembered(world, area));
	set_mapping(page + 1, page + DYNMEMMAP_AREA_NR_PAGES, mapping);
}

/*
 * Map the parts of a folio, or split it if nobody but the user has another reference.
 * Return: true if it is split, and the reference is gone.
 */
static bool folio_use_tails(struct world *world, struct dynmemmap_area *area, bool wants_split)
{
	struct world_folio *folio = &world->folios[area->area_nr];
	bool split;

	pthread_mutex_lock(&area->zone->lock);
	split = wants_split && folio->has_user && folio->nr_references == 2;
	folio_write_tails(world, area, split ? 0 : MAPPING_OF_TAIL);
	if (split) {
		*folio = (struct world_folio){ 0 };
		count(world, EVENT_FOLIO_SPLIT);
	}
	pthread_mutex_unlock(&area->zone->lock);
	return split;
}

/* Ranges: range.c. */

static bool area_lend_for_range(struct actor *actor, struct dynmemmap_area *area)
{
	struct world *world = actor->world;
	LIST_HEAD(areas);

	if (!pool_take_area(world, area)) {
		if (!cache_take_area(world, area))
			return false;
		count(world, EVENT_SHOWN_FROM_CACHE);
		/* Even one that is SPLIT may have the struct pages of a folio. */
		list_add(&area->pool_list, &areas);
		unpopulate(actor, &areas);
		list_del_init(&area->pool_list);
	}
	area_lend(actor, area);
	return true;
}

/* Has all struct pages, and keeps them while there is a range. */
static bool area_is_shown(struct world *world, struct dynmemmap_area *area)
{
	bool shown;

	pthread_mutex_lock(&world->node_lock);
	shown = READ_ONCE(area->owner) == DYNMEMMAP_KERNEL && area->state == DYNMEMMAP_SPLIT &&
		!(area->marks & DYNMEMMAP_MARKS_STALE);
	pthread_mutex_unlock(&world->node_lock);
	return shown;
}

/* Return: false if the area is on its way from one owner to another. */
static bool area_try_show(struct actor *actor, struct dynmemmap_area *area)
{
	switch (READ_ONCE(area->owner)) {
	case DYNMEMMAP_POOL:
	case DYNMEMMAP_CACHE:
		return area_lend_for_range(actor, area);
	case DYNMEMMAP_KERNEL:
		return !populate_tails(actor, area) || area_is_shown(actor->world, area);
	case DYNMEMMAP_MOVING:
		return false;
	default:
		return true;
	}
}

static void area_show(struct actor *actor, struct dynmemmap_area *area)
{
	while (!area_try_show(actor, area)) {
		/* Who has it may be the actor himself, in an outer step. */
		if (actor->nr_outer)
			return;
		others_act(actor, area);
		sched_yield();
	}
}

static void range_change(struct world *world, int change)
{
	pthread_mutex_lock(&world->take_back_lock);
	world->nr_ranges += change;
	pthread_mutex_unlock(&world->take_back_lock);
}

/* What an actor can do in one step. */

static struct zone *choose_zone(struct actor *actor)
{
	return &actor->world->zones[actor->choose(actor, WORLD_NR_ZONES)];
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

/* What is shown stays so, whatever others do. */
static void step_range(struct actor *actor)
{
	struct dynmemmap_area *area = choose_area_in(actor, DYNMEMMAP_HUGE);
	struct world *world = actor->world;
	bool shown;

	range_change(world, 1);
	area_show(actor, area);
	shown = area_is_shown(world, area);
	others_act(actor, area);
	CHECK(!shown || area_is_shown(world, area));
	range_change(world, -1);
	if (shown)
		count(world, EVENT_SHOWN);
}

/* Rare: to find the stock empty has to be common. */
static void step_donate(struct actor *actor)
{
	if (actor->choose(actor, 16) == 15)
		node_donate(actor);
}

/* Others are about to use all frames. */
static void step_take_stock(struct actor *actor)
{
	unsigned int nr_times = actor->choose(actor, 64);
	struct page *frames[DYNMEMMAP_AREA_NR_FRAMES];
	LIST_HEAD(taken);

	if (actor->choose(actor, 8))
		return;
	while (frames_try_take(actor->world, frames, BIT(0), 0))
		list_add(&frames[0]->lru, &taken);
	while (nr_times--)
		others_act(actor, choose_area_in(actor, DYNMEMMAP_IDLE));
	frames_put_all(actor->world, &taken);
}

static void step_repair(struct actor *actor)
{
	repair(actor, choose_area(actor));
}

static void with_lock(struct actor *actor, pthread_mutex_t *lock,
		      void (*task)(struct actor *actor))
{
	pthread_mutex_lock(lock);
	actor->holds_lock = true;
	task(actor);
	actor->holds_lock = false;
	pthread_mutex_unlock(lock);
}

static void worker(struct actor *actor, void (*task)(struct actor *actor))
{
	with_lock(actor, &actor->world->worker_lock, task);
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

static void trim(struct actor *actor)
{
	zone_trim(actor, choose_zone(actor));
}

static void cool(struct actor *actor)
{
	struct zone *zone = choose_zone(actor);

	pthread_mutex_lock(&actor->world->take_back_lock);
	if (may_take_back(actor->world))
		zone_cool(actor, zone);
	pthread_mutex_unlock(&actor->world->take_back_lock);
}

static void drain(struct actor *actor)
{
	pthread_mutex_lock(&actor->world->take_back_lock);
	if (may_take_back(actor->world))
		stock_drain(actor);
	pthread_mutex_unlock(&actor->world->take_back_lock);
}

static void step_refill(struct actor *actor)
{
	with_lock(actor, &actor->world->refill_lock, stock_refill);
}

static void step_balance(struct actor *actor)
{
	worker(actor, balance);
}

static void step_take_back(struct actor *actor)
{
	worker(actor, take_back);
}

static void step_trim(struct actor *actor)
{
	worker(actor, trim);
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

static void huge_alloc(struct actor *actor, struct zone *zone)
{
	struct dynmemmap_area *area = zone_use_cached(actor->world, zone);

	if (!area)
		area = zone_use_pooled(actor, zone);
	if (area)
		user_write(actor->world, zone, dynmemmap_area_pfn(area), DYNMEMMAP_AREA_NR_PAGES);
}

static void step_alloc_huge(struct actor *actor)
{
	struct zone *zone = choose_zone(actor);
	unsigned int nr_folios = actor->choose(actor, 8);

	while (nr_folios--)
		huge_alloc(actor, zone);
}

/* Out of memory, somebody makes free memory of what is kept for huge folios. */
static void step_recycle(struct actor *actor)
{
	zone_recycle(actor, choose_zone(actor));
}

static void step_populate_folio(struct actor *actor)
{
	struct dynmemmap_area *area = choose_area_in(actor, DYNMEMMAP_HUGE);
	struct world *world = actor->world;

	if (!folio_try_get(world, area))
		return;
	if (!populate_tails(actor, area) ||
	    !folio_use_tails(world, area, actor->choose(actor, 2)))
		folio_put(actor, area);
}

/* The user of a folio, if there is one, gives up his reference; or who frees it goes on. */
static void folio_leave(struct actor *actor, struct dynmemmap_area *area)
{
	struct world_folio *folio = &actor->world->folios[area->area_nr];
	bool has_user, is_prepared;

	pthread_mutex_lock(&area->zone->lock);
	has_user = folio->has_user;
	is_prepared = folio->is_prepared;
	folio->has_user = false;
	folio->is_prepared = false;
	pthread_mutex_unlock(&area->zone->lock);
	if (has_user)
		folio_put(actor, area);
	if (is_prepared)
		free_one_page(actor->world, area);
}

/* A process ends. */
static void step_leave_burst(struct actor *actor)
{
	struct dynmemmap_area *area = choose_area(actor);
	struct dynmemmap_area *end = actor->world->areas + actor->world->nr_areas;
	unsigned int nr_areas = actor->choose(actor, 128);

	for (; area < end && nr_areas; area++, nr_areas--)
		folio_leave(actor, area);
}

/* Free what is in use of an area, but for some parts now and then. */
static void step_free(struct actor *actor)
{
	struct dynmemmap_area *area = choose_area(actor);
	u64 kept = actor->choose(actor, 4) ? 0 : BIT(actor->choose(actor, WORLD_AREA_NR_CHUNKS));
	struct world *world = actor->world;

	/* The first area is where the boot donor is. */
	if (!area->area_nr)
		return;
	pthread_mutex_lock(&area->zone->lock);
	if (!world->folios[area->area_nr].exists)
		world->user_chunks[area->area_nr] &= kept;
	pthread_mutex_unlock(&area->zone->lock);
	folio_leave(actor, area);
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
	} else if (READ_ONCE(area->owner) == DYNMEMMAP_CACHE) {
		CHECK(!dynmemmap_area_set_state(area, DYNMEMMAP_IDLE, world->nr_areas_by_state));
		CHECK(!dynmemmap_area_set_owner(area, DYNMEMMAP_KERNEL));
		CHECK(!dynmemmap_area_set_owner(area, DYNMEMMAP_POOL));
		count(world, EVENT_ILLEGAL_REFUSED);
	}
	pthread_mutex_unlock(&world->node_lock);
	pthread_mutex_unlock(&area->zone->lock);
}

/* Those that are listed twice happen twice as often. */
static void (*const steps[])(struct actor *actor) = {
	step_lend,
	step_lend_burst,
	step_lend_burst,
	step_lend_pair,
	step_range,
	step_range,
	step_alloc,
	step_alloc,
	step_alloc,
	step_alloc_huge,
	step_alloc_huge,
	step_populate_folio,
	step_free,
	step_free,
	step_free,
	step_free,
	step_free,
	step_leave_burst,
	step_leave_burst,
	step_repair,
	step_repair,
	step_donate,
	step_take_stock,
	step_refill,
	step_balance,
	step_take_back,
	step_take_back,
	step_trim,
	step_recycle,
	step_recycle,
	step_cool,
	step_drain,
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
	world->tails_remembered = calloc(nr_areas, sizeof(*world->tails_remembered));
	world->contents = calloc(nr_pages, sizeof(*world->contents));
	world->user_chunks = calloc(nr_areas, sizeof(*world->user_chunks));
	world->stock_chunks = calloc(nr_areas, sizeof(*world->stock_chunks));
	world->stock_pages = calloc(nr_pages / CHUNK_NR_PAGES, sizeof(*world->stock_pages));
	world->folios = calloc(nr_areas, sizeof(*world->folios));
	CHECK(world->areas && world->memmap && world->page_table && world->tails_remembered &&
	      world->contents && world->user_chunks && world->stock_chunks &&
	      world->stock_pages && world->folios);
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

/* Some hold struct pages of area 0 itself, which therefore never leaves the kernel. */
static void boot_chunk_give(struct world *world)
{
	unsigned int i, nr_chunks = BOOT_NR_FRAMES / CHUNK_NR_PAGES;

	for (i = BOOT_NR_USED_FRAMES; i < BOOT_NR_FRAMES; i++) {
		dynmemmap_stock_add_single(&world->stock, &world->memmap[i]);
		ledger_single_add(&world->ledger, i);
	}
	memset(world->stock_pages, WHOLE_CHUNK, nr_chunks);
	world->stock_chunks[0] = BIT(nr_chunks) - 1;
	world->user_chunks[0] = ~world->stock_chunks[0];
}

/* May be called again, for a world like new. */
void world_boot(struct world *world)
{
	unsigned int i;

	memset(world->page_table, 0, world->nr_areas * sizeof(*world->page_table));
	memset(world->tails_remembered, 0, world->nr_areas * sizeof(*world->tails_remembered));
	memset(world->user_chunks, 0, world->nr_areas * sizeof(*world->user_chunks));
	memset(world->stock_chunks, 0, world->nr_areas * sizeof(*world->stock_chunks));
	memset(world->stock_pages, 0, world->nr_areas * WORLD_AREA_NR_CHUNKS);
	memset(world->folios, 0, world->nr_areas * sizeof(*world->folios));
	memset(world->nr_events, 0, sizeof(world->nr_events));
	world->nr_own_frames.counter = 0;
	world->nr_ranges = 0;
	world->nr_reserve = 0;
	ASAN_POISON_MEMORY_REGION(world->memmap, world->nr_areas * DYNMEMMAP_AREA_NR_PAGES *
						 sizeof(struct page));
	dynmemmap_broken = false;
	dynmemmap_stock_init(&world->stock);
	ledger_reset(&world->ledger);
	boot_zones(world);
	boot_areas(world);

	dynmemmap_stock_add_used(&world->stock, BOOT_NR_USED_FRAMES);
	ledger_hold_boot_frames(&world->ledger, 0, BOOT_NR_USED_FRAMES);
	for (i = 0; i < BOOT_NR_AREAS; i++)
		boot_map_area(world, &world->areas[i]);
	boot_chunk_give(world);
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
	free(world->tails_remembered);
	free(world->contents);
	free(world->user_chunks);
	free(world->stock_chunks);
	free(world->stock_pages);
	free(world->folios);
}
