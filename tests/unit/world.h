/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A machine around the code under test: memory, a page table that says which
 * frames stand behind which area, a buddy allocator as simple as can be, and
 * the sequences of mm/dynmemmap/{boot,populate,supply,buddy,huge,worker,repair}.c, step
 * by step and lock by lock. Each step is compared with the ledger.
 */
#ifndef _TESTS_UNIT_WORLD_H
#define _TESTS_UNIT_WORLD_H

#include <pthread.h>

#include "internal.h"
#include "ledger.h"

/* In dynmemmap_pool.tails: what the folios of areas share. */
#define HUGE_TAIL	(DYNMEMMAP_AREA_ORDER - DYNMEMMAP_PART_MIN_ORDER)

#define WORLD_NR_ZONES		LEDGER_NR_ZONES
/* The buddy allocator here gives no less than 8 pages, and takes single ones. */
#define WORLD_CHUNK_ORDER	3
#define WORLD_AREA_NR_CHUNKS	(DYNMEMMAP_AREA_NR_PAGES >> WORLD_CHUNK_ORDER)

/* What has happened; a run that never gets somewhere has tested nothing there. */
enum world_event {
	EVENT_POPULATED,
	EVENT_POPULATE_LOST_RACE,
	EVENT_SELF_HOSTED,
	EVENT_REPAIRED_FROM_STOCK,
	EVENT_LENT,
	EVENT_LENT_PAIR,
	EVENT_LEND_REFUSED_SELF_HOSTED,
	EVENT_TAKEN_BACK,
	EVENT_COOLED,
	EVENT_COOLED_SELF_HOSTED,
	EVENT_AREA_DONATED,
	EVENT_AREA_DONATED_WHOLE,
	EVENT_AREA_RETURNED,
	EVENT_FRAMES_BOUGHT,
	EVENT_FRAME_SOLD,
	EVENT_HUGE_FROM_POOL,
	EVENT_HUGE_FROM_CACHE,
	EVENT_HUGE_LENT_INSTEAD,
	EVENT_TAILS_POPULATED,
	EVENT_TAILS_FLUSHED_BY_SECOND,
	EVENT_TAILS_LOST_RACE,
	EVENT_FOLIO_SPLIT,
	EVENT_FREED_HUGE,
	EVENT_FREED_STALE,
	EVENT_FREED_SPLIT,
	EVENT_FREED_PREPARED_TWICE,
	EVENT_TRIMMED,
	EVENT_TRIM_REFUSED,
	EVENT_RECYCLED,
	EVENT_RECYCLED_SPLIT,
	EVENT_SHOWN,
	EVENT_SHOWN_FROM_CACHE,
	EVENT_ILLEGAL_REFUSED,
	NR_EVENTS,
};

extern const char *const world_event_names[NR_EVENTS];

/* The code under test only ever sees pointers to it. */
struct zone {
	pthread_mutex_t lock;
	struct dynmemmap_pool pool;
	unsigned int zone_nr;
	unsigned int first_area_nr;
	unsigned int end_area_nr;
};

/**
 * struct world_folio - the huge folio in an area
 * @nr_references: who keeps it from being freed; zone.lock
 * @has_user:	one of them is the user's, who can free it; zone.lock
 * @is_prepared: somebody frees it, and was interrupted after free_pages_prepare();
 *		zone.lock
 * @exists:	the area is its until it is split, or has been freed; zone.lock
 */
struct world_folio {
	unsigned int nr_references;
	bool has_user;
	bool is_prepared;
	bool exists;
};

/**
 * struct world - the machine
 * @take_back_lock: dynmemmap_take_back_mutex
 * @node_lock:	dynmemmap_node.lock; before it zone.lock, before that the mutex
 * @worker_lock: there is one worker to a node; outermost
 * @refill_lock: and one refill work; outermost
 * @nr_ranges:	ranges in use; @take_back_lock
 * @nr_reserve:	dynmemmap_node.nr_reserve
 * @memmap:	by pfn; what belongs to an IDLE area may not be touched
 * @page_table:	by area: the frames behind it; @node_lock
 * @tails_remembered: by area: a TLB may lead to the shared tail and not to the frames
 *		behind it; @node_lock
 * @contents:	by pfn: what was written into a frame last; whoever has the frame
 * @user_chunks: by area: the parts in use; zone.lock
 * @stock_chunks: by area: the parts that the stock has pages of; zone.lock
 * @stock_pages: by chunk: which pages of it the stock has; zone.lock
 * @folios:	by area
 */
struct world {
	pthread_mutex_t worker_lock;
	pthread_mutex_t refill_lock;
	pthread_mutex_t take_back_lock;
	pthread_mutex_t node_lock;
	struct zone zones[WORLD_NR_ZONES];
	struct dynmemmap_stock stock;
	atomic_long_t nr_areas_by_state[DYNMEMMAP_NR_STATES];
	unsigned int nr_ranges;
	unsigned long nr_reserve;
	atomic_long_t nr_own_frames;
	atomic_long_t nr_events[NR_EVENTS];
	unsigned int nr_areas;
	struct dynmemmap_area *areas;
	struct page *memmap;
	struct page *(*page_table)[DYNMEMMAP_AREA_NR_FRAMES];
	bool *tails_remembered;
	u32 *contents;
	u64 *user_chunks;
	u64 *stock_chunks;
	u8 *stock_pages;
	struct world_folio *folios;
	struct ledger ledger;
};

/**
 * struct actor - one flow of control, and where it gets its decisions from
 * @world:	where it acts
 * @choose:	any number below the given one
 * @random:	for actors that throw dice
 * @bytes:	for actors that do as they are told
 * @nr_bytes:	how many are left
 * @nr_outer:	steps that are under way around the present one
 * @area:	where the innermost of those is, or NULL
 * @holds_lock:	one that other steps would wait for
 */
struct actor {
	struct world *world;
	unsigned int (*choose)(struct actor *actor, unsigned int below);
	u64 random;
	const u8 *bytes;
	size_t nr_bytes;
	unsigned int nr_outer;
	struct dynmemmap_area *area;
	bool holds_lock;
};

void world_create(struct world *world, unsigned int nr_areas);
void world_boot(struct world *world);
void world_destroy(struct world *world);

void actor_init_random(struct actor *actor, struct world *world, u64 seed);
void actor_step(struct actor *actor);

/* What a frame holds that stands behind a vmemmap page of an area, or behind many. */
u32 world_content(const struct dynmemmap_area *area, unsigned int vmemmap_page);
u32 world_content_of_tail(const struct zone *zone);

/* The counts; cheap. */
void world_check(struct world *world);
/* Everything; nobody may be acting. */
void world_check_all(struct world *world);

#endif /* _TESTS_UNIT_WORLD_H */
