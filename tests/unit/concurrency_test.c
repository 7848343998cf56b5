// SPDX-License-Identifier: GPL-2.0-only
/*
 * Several threads at once, under the locks that internal.h names, and readers
 * that take none: of the fields that internal.h lets them read. The verdict is
 * that of ThreadSanitizer, and of the model.
 *
 *	concurrency_test [STEPS]
 */
#include <stdio.h>
#include <stdlib.h>

#include "world.h"

#define NR_AREAS	64
#define NR_ACTORS	4
#define NR_READERS	2

static struct world world;
static unsigned long nr_steps = 20000;
static bool readers_stop;

static void *act(void *arg)
{
	struct actor *actor = arg;
	unsigned long i;

	for (i = 0; i < nr_steps; i++)
		actor_step(actor);
	return NULL;
}

static void read_areas(void)
{
	unsigned int i;

	for (i = 0; i < NR_AREAS; i++) {
		const struct dynmemmap_area *area = &world.areas[i];

		CHECK(READ_ONCE(area->state) < DYNMEMMAP_NR_STATES);
		CHECK(READ_ONCE(area->owner) < DYNMEMMAP_NR_OWNERS);
	}
}

static void read_counts(void)
{
	unsigned int i;

	for (i = 0; i < WORLD_NR_ZONES; i++) {
		CHECK(READ_ONCE(world.zones[i].pool.nr_areas) <= NR_AREAS);
		CHECK(READ_ONCE(world.zones[i].pool.nr_cached) <= NR_AREAS);
	}
	CHECK(READ_ONCE(world.stock.nr_free) <= NR_AREAS * DYNMEMMAP_AREA_NR_PAGES);
	CHECK(READ_ONCE(world.stock.nr_frames) <= NR_AREAS * DYNMEMMAP_AREA_NR_PAGES);
	for (i = 0; i < DYNMEMMAP_NR_STATES; i++)
		CHECK(atomic_long_read(&world.nr_areas_by_state[i]) <= NR_AREAS);
}

static void *read_without_lock(void *arg)
{
	(void)arg;
	while (!READ_ONCE(readers_stop)) {
		read_areas();
		read_counts();
	}
	return NULL;
}

static void threads_agree_with_the_model(void)
{
	pthread_t actor_threads[NR_ACTORS], reader_threads[NR_READERS];
	struct actor actors[NR_ACTORS];
	unsigned int i;

	world_boot(&world);
	for (i = 0; i < NR_READERS; i++)
		CHECK(!pthread_create(&reader_threads[i], NULL, read_without_lock, NULL));
	for (i = 0; i < NR_ACTORS; i++) {
		actor_init_random(&actors[i], &world, i);
		CHECK(!pthread_create(&actor_threads[i], NULL, act, &actors[i]));
	}
	for (i = 0; i < NR_ACTORS; i++)
		pthread_join(actor_threads[i], NULL);
	WRITE_ONCE(readers_stop, true);
	for (i = 0; i < NR_READERS; i++)
		pthread_join(reader_threads[i], NULL);
	world_check_all(&world);
}

static const struct test tests[] = {
	{ "threads agree with the model", threads_agree_with_the_model },
};

int main(int argc, char **argv)
{
	int status;

	if (argc > 1)
		nr_steps = strtoul(argv[1], NULL, 0);
	world_create(&world, NR_AREAS);
	status = test_run_all(tests, ARRAY_SIZE(tests));
	world_destroy(&world);
	return status;
}
