/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The model: a second bookkeeping, so simple that it is plainly right. Every
 * frame has exactly one use; every area a state and an owner; the rest is
 * counted. Knows of the code under test no more than its types.
 *
 * Protected by the locks that protect what it mirrors: frames and states by the
 * node's, membership of a pool or cache by the zone's.
 */
#ifndef _TESTS_UNIT_LEDGER_H
#define _TESTS_UNIT_LEDGER_H

#include "internal.h"

#define LEDGER_NR_ZONES		2

/**
 * enum frame_use - what a frame is used for, as far as memmap goes
 * @FRAME_OUTSIDE: nothing; it does not belong to the stock
 * @FRAME_FREE:	nothing; in the stock
 * @FRAME_HELD:	nothing yet, or no more; one thread has it in hand
 * @FRAME_BEHIND: holds struct pages of an area
 * @FRAME_OWN:	holds struct pages of the area that it is in
 * @FRAME_SHARED: holds the tails of all HUGE areas of a zone
 */
enum frame_use {
	FRAME_OUTSIDE,
	FRAME_FREE,
	FRAME_HELD,
	FRAME_BEHIND,
	FRAME_OWN,
	FRAME_SHARED,
};

struct ledger_frame {
	u8 use;
	u16 area_nr;
	u16 donor_nr;
};

struct ledger_donor {
	struct dynmemmap_donor *donor;
	unsigned int first_pfn;
	unsigned int nr_frames;
	unsigned int nr_free;
};

struct ledger {
	unsigned int nr_areas;
	struct ledger_frame *frames;
	u8 *states;
	u8 *owners;
	/* Frames that stand behind an area and no other. */
	u8 *nr_behind;
	/* By the area that they are in, as in donor_nrs, which lists them. */
	struct ledger_donor *donors;
	u16 *donor_nrs;
	unsigned int nr_donors;
	unsigned long nr_singles_free;
	unsigned long nr_free;
	unsigned long nr_frames;
	long nr_by_state[DYNMEMMAP_NR_STATES];
	unsigned long nr_in_pool[LEDGER_NR_ZONES];
	unsigned long nr_in_cache[LEDGER_NR_ZONES];
	unsigned long nr_huge_in_cache[LEDGER_NR_ZONES];
};

void ledger_create(struct ledger *ledger, unsigned int nr_areas);
void ledger_destroy(struct ledger *ledger);
void ledger_reset(struct ledger *ledger);

void ledger_set_state(struct ledger *ledger, unsigned int area_nr, unsigned int state);
void ledger_set_owner(struct ledger *ledger, unsigned int area_nr, unsigned int owner);
void ledger_cache_add(struct ledger *ledger, unsigned int zone_nr, unsigned int area_nr);
void ledger_cache_remove(struct ledger *ledger, unsigned int zone_nr, unsigned int area_nr);

void ledger_donor_add(struct ledger *ledger, struct dynmemmap_donor *donor,
		      unsigned int first_pfn, unsigned int nr_frames);
void ledger_donor_remove(struct ledger *ledger, struct dynmemmap_donor *donor,
			 unsigned long nr_reserve);
bool ledger_has_removable_donor(const struct ledger *ledger, unsigned long nr_reserve);

void ledger_hold_boot_frames(struct ledger *ledger, unsigned int pfn, unsigned int nr_frames);
void ledger_single_add(struct ledger *ledger, unsigned int pfn);
void ledger_single_remove(struct ledger *ledger, unsigned int pfn);

void ledger_take(struct ledger *ledger, unsigned int pfn);
void ledger_put(struct ledger *ledger, unsigned int pfn);
void ledger_map(struct ledger *ledger, unsigned int pfn, unsigned int area_nr);
void ledger_unmap(struct ledger *ledger, unsigned int pfn, unsigned int area_nr);
void ledger_share(struct ledger *ledger, unsigned int pfn);

#endif /* _TESTS_UNIT_LEDGER_H */
