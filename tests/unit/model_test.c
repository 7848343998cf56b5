// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random steps in a random order, each compared with the model.
 *
 *	model_test [--seed N] [--steps N]
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "world.h"

/* Four sections. */
#define NR_AREAS		256
#define CHECK_ALL_STEPS		1000
/* From here on every kind of event has happened many times. */
#define STEPS_FOR_ALL_EVENTS	100000

static unsigned long long seed = 1;
static unsigned long nr_steps = 1000000;

static struct world world;

static void random_steps_agree_with_the_model(void)
{
	struct actor actor;
	unsigned long i;

	printf("# --seed %llu --steps %lu\n", seed, nr_steps);
	world_boot(&world);
	world_check_all(&world);
	actor_init_random(&actor, &world, seed);
	for (i = 1; i <= nr_steps; i++) {
		actor_step(&actor);
		world_check(&world);
		if (i % CHECK_ALL_STEPS == 0)
			world_check_all(&world);
	}
	world_check_all(&world);
}

static void random_steps_get_everywhere(void)
{
	unsigned int i;

	for (i = 0; i < NR_EVENTS; i++) {
		long nr_times = atomic_long_read(&world.nr_events[i]);

		printf("# %-26s %ld times\n", world_event_names[i], nr_times);
		CHECK(nr_times || nr_steps < STEPS_FOR_ALL_EVENTS);
	}
}

static const struct test tests[] = {
	{ "random steps agree with the model", random_steps_agree_with_the_model },
	{ "random steps get everywhere", random_steps_get_everywhere },
};

static void parse_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 'r' },
		{ "steps", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'r':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 's':
			nr_steps = strtoul(optarg, NULL, 0);
			break;
		default:
			fprintf(stderr, "usage: %s [--seed N] [--steps N]\n", argv[0]);
			exit(EXIT_FAILURE);
		}
	}
}

int main(int argc, char **argv)
{
	int status;

	parse_options(argc, argv);
	world_create(&world, NR_AREAS);
	status = test_run_all(tests, ARRAY_SIZE(tests));
	world_destroy(&world);
	return status;
}
