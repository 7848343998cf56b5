/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What does something else than in the kernel. Included by kernel_deps.h only.
 */
#ifndef _TESTS_UNIT_ALTERED_H
#define _TESTS_UNIT_ALTERED_H

#include "test.h"

/* Fails the test instead of writing to a log, and not only the first time. */
#define WARN_ON_ONCE(condition)						\
	({								\
		const bool __warn = (condition);			\
									\
		if (__warn)						\
			test_warning(#condition, __FILE__, __LINE__);	\
		__warn;							\
	})

/* Fixed as on x86-64, where it depends on the configuration: 128 MiB. */
#define PAGES_PER_SECTION	BIT(15)

/* The size is real and so are two members; the rest is nobody's here. */
struct page {
	unsigned long flags;
	struct list_head lru;
	unsigned long mapping;
	unsigned long index;
	unsigned long private;
	unsigned long counts;
	unsigned long memcg_data;
};

static_assert(sizeof(struct page) == 64);

/* The only flag there is. */
static inline bool PageHWPoison(const struct page *page)
{
	return page->flags;
}

/* Looks at both neighbours first, as a kernel with CONFIG_DEBUG_LIST does. */
static inline void list_add(struct list_head *entry, struct list_head *head)
{
	struct list_head *next = head->next;

	CHECK(next->prev == head);
	CHECK(entry != head && entry != next);
	entry->next = next;
	entry->prev = head;
	next->prev = entry;
	head->next = entry;
}

/* Looks at both neighbours, too, and leaves pointers that no use survives. */
static inline void list_del(struct list_head *entry)
{
	CHECK(entry->next && entry->prev);
	CHECK(entry->next->prev == entry && entry->prev->next == entry);
	entry->next->prev = entry->prev;
	entry->prev->next = entry->next;
	entry->next = NULL;
	entry->prev = NULL;
}

#endif /* _TESTS_UNIT_ALTERED_H */
