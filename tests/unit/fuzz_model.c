// SPDX-License-Identifier: GPL-2.0-only
/*
 * The model test, told what to do by a fuzzer: each byte is a decision.
 */
#include "world.h"

/* Small, so that a short input comes to the end of pool and stock. */
#define NR_AREAS	12

static unsigned int choose_told(struct actor *actor, unsigned int below)
{
	if (!actor->nr_bytes)
		return 0;
	actor->nr_bytes--;
	return *actor->bytes++ % below;
}

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t nr_bytes)
{
	static struct world world;
	struct actor actor = {
		.world = &world,
		.choose = choose_told,
		.bytes = bytes,
		.nr_bytes = nr_bytes,
	};

	if (!world.areas)
		world_create(&world, NR_AREAS);
	world_boot(&world);
	while (actor.nr_bytes) {
		actor_step(&actor);
		world_check(&world);
	}
	world_check_all(&world);
	return 0;
}
