// SPDX-License-Identifier: GPL-2.0-only
/*
 * The model: a second bookkeeping, so simple that it is plainly right. Refuses,
 * by failing the test, whatever would give a frame a second use.
 */
#include <stdlib.h>
#include <string.h>

#include "ledger.h"

#define NO_DONOR		UINT16_MAX
#define SINGLE			(UINT16_MAX - 1)
/* How much emptier than the fullest a donor may be that frames come from. */
#define DONOR_FULLNESS_STEP	64

void ledger_create(struct ledger *ledger, unsigned int nr_areas)
{
	unsigned int nr_frames = nr_areas * DYNMEMMAP_AREA_NR_PAGES;

	ledger->nr_areas = nr_areas;
	ledger->frames = calloc(nr_frames, sizeof(*ledger->frames));
	ledger->states = calloc(nr_areas, sizeof(*ledger->states));
	ledger->owners = calloc(nr_areas, sizeof(*ledger->owners));
	ledger->nr_behind = calloc(nr_areas, sizeof(*ledger->nr_behind));
	ledger->donors = calloc(nr_areas, sizeof(*ledger->donors));
	ledger->donor_nrs = calloc(nr_areas, sizeof(*ledger->donor_nrs));
	CHECK(ledger->frames && ledger->states && ledger->owners && ledger->nr_behind &&
	      ledger->donors && ledger->donor_nrs);
}

void ledger_destroy(struct ledger *ledger)
{
	free(ledger->frames);
	free(ledger->states);
	free(ledger->owners);
	free(ledger->nr_behind);
	free(ledger->donors);
	free(ledger->donor_nrs);
}

void ledger_reset(struct ledger *ledger)
{
	unsigned int i, nr_frames = ledger->nr_areas * DYNMEMMAP_AREA_NR_PAGES;

	for (i = 0; i < nr_frames; i++)
		ledger->frames[i] = (struct ledger_frame){ .donor_nr = NO_DONOR };
	memset(ledger->states, DYNMEMMAP_IDLE, ledger->nr_areas);
	memset(ledger->owners, DYNMEMMAP_MOVING, ledger->nr_areas);
	memset(ledger->nr_behind, 0, ledger->nr_areas);
	memset(ledger->nr_by_state, 0, sizeof(ledger->nr_by_state));
	memset(ledger->nr_in_pool, 0, sizeof(ledger->nr_in_pool));
	memset(ledger->nr_in_cache, 0, sizeof(ledger->nr_in_cache));
	memset(ledger->nr_huge_in_cache, 0, sizeof(ledger->nr_huge_in_cache));
	ledger->nr_by_state[DYNMEMMAP_IDLE] = ledger->nr_areas;
	memset(ledger->donors, 0, ledger->nr_areas * sizeof(*ledger->donors));
	ledger->nr_donors = 0;
	ledger->nr_singles_free = 0;
	ledger->nr_free = 0;
	ledger->nr_frames = 0;
}

void ledger_set_state(struct ledger *ledger, unsigned int area_nr, unsigned int state)
{
	CHECK(ledger->states[area_nr] != state);
	ledger->nr_by_state[ledger->states[area_nr]]--;
	ledger->nr_by_state[state]++;
	WRITE_ONCE(ledger->states[area_nr], state);
}

static bool area_is_huge(const struct ledger *ledger, unsigned int area_nr)
{
	return READ_ONCE(ledger->states[area_nr]) == DYNMEMMAP_HUGE;
}

void ledger_set_owner(struct ledger *ledger, unsigned int area_nr, unsigned int owner)
{
	u8 *present = &ledger->owners[area_nr];

	CHECK((*present == DYNMEMMAP_MOVING) != (owner == DYNMEMMAP_MOVING));
	*present = owner;
}

/* An area in a cache stays as it is: its state counts the same way in and out. */
void ledger_cache_add(struct ledger *ledger, unsigned int zone_nr, unsigned int area_nr)
{
	ledger_set_owner(ledger, area_nr, DYNMEMMAP_CACHE);
	ledger->nr_in_cache[zone_nr]++;
	ledger->nr_huge_in_cache[zone_nr] += area_is_huge(ledger, area_nr);
}

void ledger_cache_remove(struct ledger *ledger, unsigned int zone_nr, unsigned int area_nr)
{
	CHECK(ledger->owners[area_nr] == DYNMEMMAP_CACHE);
	ledger_set_owner(ledger, area_nr, DYNMEMMAP_MOVING);
	ledger->nr_in_cache[zone_nr]--;
	ledger->nr_huge_in_cache[zone_nr] -= area_is_huge(ledger, area_nr);
}

void ledger_donor_add(struct ledger *ledger, struct dynmemmap_donor *donor,
		      unsigned int first_pfn, unsigned int nr_frames)
{
	unsigned int i, donor_nr = first_pfn >> DYNMEMMAP_AREA_ORDER;

	CHECK(!ledger->donors[donor_nr].donor);
	ledger->donors[donor_nr] = (struct ledger_donor){
		.donor = donor,
		.first_pfn = first_pfn,
		.nr_frames = nr_frames,
		.nr_free = nr_frames,
	};
	ledger->donor_nrs[ledger->nr_donors++] = donor_nr;
	for (i = 0; i < nr_frames; i++) {
		struct ledger_frame *frame = &ledger->frames[first_pfn + i];

		CHECK(frame->use == FRAME_OUTSIDE && frame->donor_nr == NO_DONOR);
		frame->use = FRAME_FREE;
		frame->donor_nr = donor_nr;
	}
	ledger->nr_free += nr_frames;
	ledger->nr_frames += nr_frames;
}

static bool donor_is_removable(const struct ledger *ledger, const struct ledger_donor *donor,
			       unsigned long nr_reserve)
{
	return donor->nr_free == donor->nr_frames &&
	       ledger->nr_free >= nr_reserve + donor->nr_frames;
}

bool ledger_has_removable_donor(const struct ledger *ledger, unsigned long nr_reserve)
{
	unsigned int i;

	for (i = 0; i < ledger->nr_donors; i++)
		if (donor_is_removable(ledger, &ledger->donors[ledger->donor_nrs[i]], nr_reserve))
			return true;
	return false;
}

void ledger_donor_remove(struct ledger *ledger, struct dynmemmap_donor *donor,
			 unsigned long nr_reserve)
{
	struct ledger_donor *found;
	unsigned int i = 0, j;

	while (i < ledger->nr_donors && ledger->donors[ledger->donor_nrs[i]].donor != donor)
		i++;
	CHECK(i < ledger->nr_donors);
	found = &ledger->donors[ledger->donor_nrs[i]];
	CHECK(donor_is_removable(ledger, found, nr_reserve));

	for (j = 0; j < found->nr_frames; j++) {
		struct ledger_frame *frame = &ledger->frames[found->first_pfn + j];

		CHECK(frame->use == FRAME_FREE);
		frame->use = FRAME_OUTSIDE;
		frame->donor_nr = NO_DONOR;
	}
	ledger->nr_free -= found->nr_frames;
	ledger->nr_frames -= found->nr_frames;
	*found = (struct ledger_donor){ 0 };
	ledger->donor_nrs[i] = ledger->donor_nrs[--ledger->nr_donors];
}

/* Is there none that frames should rather have come from? */
static void donor_check_fullest(const struct ledger *ledger, const struct ledger_donor *taken)
{
	unsigned int i;

	for (i = 0; i < ledger->nr_donors; i++) {
		const struct ledger_donor *other = &ledger->donors[ledger->donor_nrs[i]];

		if (other->nr_free)
			CHECK(taken->nr_free < other->nr_free + DONOR_FULLNESS_STEP);
	}
}

/* Frames that boot uses before there is a stock. */
void ledger_hold_boot_frames(struct ledger *ledger, unsigned int pfn, unsigned int nr_frames)
{
	ledger->nr_frames += nr_frames;
	for (; nr_frames; nr_frames--, pfn++) {
		struct ledger_frame *frame = &ledger->frames[pfn];

		CHECK(frame->use == FRAME_OUTSIDE && frame->donor_nr == NO_DONOR);
		frame->use = FRAME_HELD;
		frame->donor_nr = SINGLE;
	}
}

void ledger_single_add(struct ledger *ledger, unsigned int pfn)
{
	struct ledger_frame *frame = &ledger->frames[pfn];

	CHECK(frame->use == FRAME_OUTSIDE && frame->donor_nr == NO_DONOR);
	frame->use = FRAME_FREE;
	frame->donor_nr = SINGLE;
	ledger->nr_singles_free++;
	ledger->nr_free++;
	ledger->nr_frames++;
}

void ledger_single_remove(struct ledger *ledger, unsigned int pfn)
{
	struct ledger_frame *frame = &ledger->frames[pfn];

	CHECK(frame->use == FRAME_FREE && frame->donor_nr == SINGLE);
	frame->use = FRAME_OUTSIDE;
	frame->donor_nr = NO_DONOR;
	ledger->nr_singles_free--;
	ledger->nr_free--;
	ledger->nr_frames--;
}

static void frame_count_free(struct ledger *ledger, const struct ledger_frame *frame, int change)
{
	ledger->nr_free += change;
	if (frame->donor_nr == SINGLE)
		ledger->nr_singles_free += change;
	else
		ledger->donors[frame->donor_nr].nr_free += change;
}

void ledger_take(struct ledger *ledger, unsigned int pfn)
{
	struct ledger_frame *frame = &ledger->frames[pfn];

	CHECK(frame->use == FRAME_FREE);
	if (frame->donor_nr != SINGLE) {
		CHECK(!ledger->nr_singles_free);
		donor_check_fullest(ledger, &ledger->donors[frame->donor_nr]);
	}
	frame->use = FRAME_HELD;
	frame_count_free(ledger, frame, -1);
}

void ledger_put(struct ledger *ledger, unsigned int pfn)
{
	struct ledger_frame *frame = &ledger->frames[pfn];

	CHECK(frame->use == FRAME_HELD);
	CHECK(frame->donor_nr != NO_DONOR);
	frame->use = FRAME_FREE;
	frame_count_free(ledger, frame, 1);
}

void ledger_map(struct ledger *ledger, unsigned int pfn, unsigned int area_nr)
{
	struct ledger_frame *frame = &ledger->frames[pfn];

	if (frame->use == FRAME_HELD) {
		frame->use = FRAME_BEHIND;
	} else {
		/* Only an area itself may use what nobody has given. */
		CHECK(frame->use == FRAME_OUTSIDE);
		CHECK(pfn >> DYNMEMMAP_AREA_ORDER == area_nr);
		frame->use = FRAME_OWN;
	}
	frame->area_nr = area_nr;
	ledger->nr_behind[area_nr]++;
}

void ledger_unmap(struct ledger *ledger, unsigned int pfn, unsigned int area_nr)
{
	struct ledger_frame *frame = &ledger->frames[pfn];

	CHECK(frame->use == FRAME_BEHIND || frame->use == FRAME_OWN);
	CHECK(frame->area_nr == area_nr);
	frame->use = frame->use == FRAME_OWN ? FRAME_OUTSIDE : FRAME_HELD;
	ledger->nr_behind[area_nr]--;
}

/* For good. */
void ledger_share(struct ledger *ledger, unsigned int pfn)
{
	CHECK(ledger->frames[pfn].use == FRAME_HELD);
	ledger->frames[pfn].use = FRAME_SHARED;
}
