/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Dynamic memmap: what pfn_valid() has to know. Everything else is in
 * linux/dynmemmap.h, so that this header hardly ever changes.
 */
#ifndef _LINUX_DYNMEMMAP_PFN_H
#define _LINUX_DYNMEMMAP_PFN_H

#include <linux/jump_label.h>
#include <linux/types.h>

#ifdef CONFIG_DYNAMIC_MEMMAP

DECLARE_STATIC_KEY_MAYBE(CONFIG_DYNAMIC_MEMMAP_DEFAULT_ON, dynmemmap_key);

/**
 * dynmemmap_enabled() - is the feature on?
 *
 * Context: any. The answer is settled before the memory map is laid out at
 * boot and never changes.
 * Return: true with dynamic_memmap=on, or as the kernel was configured.
 */
static inline bool dynmemmap_enabled(void)
{
	return static_branch_maybe(CONFIG_DYNAMIC_MEMMAP_DEFAULT_ON, &dynmemmap_key);
}

bool __dynmemmap_pfn_in_pool(unsigned long pfn);

/**
 * dynmemmap_pfn_in_pool() - is this pfn in an area that the pool holds?
 * @pfn: any page frame number
 *
 * The struct pages of such an area may not exist, and nobody may look at them:
 * the memory is free and the buddy allocator does not know it, or it is offline.
 *
 * Context: any, takes no lock. Stable under zone->lock; without it the answer
 * may be stale on return, and a read that relied on it is then repaired by the
 * page fault handler.
 * Return: true if the area is in the pool, on its way into or out of it, or
 * offline.
 */
static inline bool dynmemmap_pfn_in_pool(unsigned long pfn)
{
	return dynmemmap_enabled() && __dynmemmap_pfn_in_pool(pfn);
}

#else /* !CONFIG_DYNAMIC_MEMMAP */

static inline bool dynmemmap_enabled(void) { return false; }

static inline bool dynmemmap_pfn_in_pool(unsigned long pfn) { return false; }

#endif /* CONFIG_DYNAMIC_MEMMAP */

#endif /* _LINUX_DYNMEMMAP_PFN_H */
