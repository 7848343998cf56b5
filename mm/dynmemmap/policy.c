// SPDX-License-Identifier: GPL-2.0-only
/*
 * Decisions: how much, when. Pure functions on plain numbers; nothing here
 * looks at or changes anything.
 */
#include "internal.h"

/* No pass takes less than 512 MiB, so that a small machine is done in a few. */
#define TAKE_BACK_MIN_AREAS	256
/* No pass takes more than a quarter of the zone. */
#define TAKE_BACK_ZONE_SHIFT	2
/* An eighth of the memory outside the pool may be scattered free memory. */
#define COMPACT_SCATTERED_SHIFT	3
/* A sixteenth of it makes a difference. */
#define BURST_SHIFT		4
/* A small zone is not worth the work. */
#define COMPACT_MIN_AREAS	8

/**
 * dynmemmap_policy_reserve() - how many free frames a node should keep
 * @nr_reserve:	how many it was told to keep until now
 * @ran_low:	was that too few?
 *
 * Doubles while memory is used faster than frames are supplied, and halves when
 * not: an idle machine keeps little.
 *
 * Return: frames.
 */
unsigned long dynmemmap_policy_reserve(unsigned long nr_reserve, bool ran_low)
{
	return clamp(ran_low ? nr_reserve * 2 : nr_reserve / 2,
		     (unsigned long)DYNMEMMAP_RESERVE_MIN_FRAMES,
		     (unsigned long)DYNMEMMAP_RESERVE_MAX_FRAMES);
}

/**
 * dynmemmap_policy_excess() - free blocks that the buddy allocator can do without
 * @nr_blocks:	whole free areas in the free lists of a zone
 * @nr_keep:	how many are to stay
 *
 * Return: areas.
 */
unsigned long dynmemmap_policy_excess(unsigned long nr_blocks, unsigned long nr_keep)
{
	return nr_blocks > nr_keep ? nr_blocks - nr_keep : 0;
}

/**
 * dynmemmap_policy_take_back() - how many areas to take back in one pass
 * @nr_excess:		areas over the threshold now
 * @nr_excess_seen:	areas over the threshold in the pass before
 * @lent_since:		was anything lent since then?
 * @nr_areas_zone:	areas in the zone
 *
 * What was over the threshold twice in a row, with nothing lent between, has
 * been free for the whole delay. Anything else is about to be used again.
 *
 * Return: areas.
 */
unsigned long dynmemmap_policy_take_back(unsigned long nr_excess, unsigned long nr_excess_seen,
					 bool lent_since, unsigned long nr_areas_zone)
{
	unsigned long nr_budget = max(nr_areas_zone >> TAKE_BACK_ZONE_SHIFT,
				      (unsigned long)TAKE_BACK_MIN_AREAS);

	if (lent_since)
		return 0;
	return min3(nr_excess, nr_excess_seen, nr_budget);
}

/**
 * dynmemmap_policy_was_burst() - do so many areas make a difference?
 * @nr_more:	areas that were lent, or have become free
 * @nr_in_use:	areas outside the pool
 *
 * Return: true if it pays to look for what has become possible.
 */
bool dynmemmap_policy_was_burst(unsigned long nr_more, unsigned long nr_in_use)
{
	return nr_more > nr_in_use >> BURST_SHIFT;
}

/**
 * dynmemmap_policy_compact() - does scattered free memory cost too much memmap?
 * @nr_scattered:	free memory that is neither in the pool nor in whole free
 *			areas, in areas
 * @nr_left:		as much of it as the last compaction could not change
 * @nr_in_use:		areas outside the pool
 *
 * Return: true if moving pages together is worth the work.
 */
bool dynmemmap_policy_compact(unsigned long nr_scattered, unsigned long nr_left,
			      unsigned long nr_in_use)
{
	return nr_scattered > COMPACT_MIN_AREAS &&
	       nr_scattered > nr_in_use >> COMPACT_SCATTERED_SHIFT &&
	       nr_scattered > nr_left &&
	       dynmemmap_policy_was_burst(nr_scattered - nr_left, nr_in_use);
}
