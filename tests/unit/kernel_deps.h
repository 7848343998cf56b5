/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The user-space twin of the header of this name in mm/dynmemmap, under its guard:
 * what area.c, stock.c, pool.c and policy.c need of the kernel.
 *
 * Here is what behaves as in the kernel, written anew. What does nothing is in
 * stubs.h, what behaves otherwise in altered.h.
 */
#ifndef _MM_DYNMEMMAP_KERNEL_DEPS_H
#define _MM_DYNMEMMAP_KERNEL_DEPS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define BIT(nr)			(1UL << (nr))
#define DIV_ROUND_UP(n, d)	(((n) + (d) - 1) / (d))
#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))
#define ALIGN_DOWN(x, to)	((x) - (x) % (to))

#define __aligned(bytes)	__attribute__((__aligned__(bytes)))

#undef static_assert
#define static_assert(condition)	_Static_assert(condition, #condition)

#define container_of(pointer, type, member)				\
	((type *)((char *)(pointer) - offsetof(type, member)))

/* As in the kernel, arguments of different types do not compile. */
#define __same_type_pick(a, b, op)					\
	({								\
		__auto_type __a = (a);					\
		__auto_type __b = (b);					\
									\
		_Static_assert(__builtin_types_compatible_p(typeof(__a), \
							    typeof(__b)), \
			       "types differ");				\
		__a op __b ? __a : __b;					\
	})
#define min(a, b)	__same_type_pick(a, b, <)
#define max(a, b)	__same_type_pick(a, b, >)
#define min3(a, b, c)							\
	({								\
		__auto_type __ab = min(a, b);				\
		__auto_type __c3 = (c);					\
									\
		__ab < __c3 ? __ab : __c3;				\
	})

#define clamp(value, low, high)	min(max(value, low), high)

/* The kernel's promise is a single access that no compiler invents or splits. */
#define READ_ONCE(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, value)	__atomic_store_n(&(x), (value), __ATOMIC_RELAXED)

#define smp_load_acquire(pointer)	__atomic_load_n(pointer, __ATOMIC_ACQUIRE)
#define smp_store_release(pointer, value)				\
	__atomic_store_n(pointer, value, __ATOMIC_RELEASE)

/* As on x86-64, which keeps the order of its own accord if the compiler does. */
#define smp_rmb()		__asm__ __volatile__("" ::: "memory")
#define smp_wmb()		smp_rmb()

typedef struct {
	long counter;
} atomic_long_t;

static inline long atomic_long_read(const atomic_long_t *v)
{
	return READ_ONCE(v->counter);
}

static inline void atomic_long_add(long i, atomic_long_t *v)
{
	__atomic_fetch_add(&v->counter, i, __ATOMIC_RELAXED);
}

static inline void atomic_long_sub(long i, atomic_long_t *v)
{
	atomic_long_add(-i, v);
}

static inline void atomic_long_inc(atomic_long_t *v)
{
	atomic_long_add(1, v);
}

static inline void atomic_long_dec(atomic_long_t *v)
{
	atomic_long_add(-1, v);
}

struct list_head {
	struct list_head *next, *prev;
};

#define LIST_HEAD(name)	struct list_head name = { &(name), &(name) }

static inline void INIT_LIST_HEAD(struct list_head *list)
{
	list->next = list;
	list->prev = list;
}

static inline bool list_empty(const struct list_head *head)
{
	return head->next == head;
}

#include "stubs.h"
#include "altered.h"

static inline void list_del_init(struct list_head *entry)
{
	list_del(entry);
	INIT_LIST_HEAD(entry);
}

static inline void list_move(struct list_head *entry, struct list_head *head)
{
	list_del(entry);
	list_add(entry, head);
}

static inline void list_move_tail(struct list_head *entry, struct list_head *head)
{
	list_del(entry);
	list_add(entry, head->prev);
}

static inline void list_splice(struct list_head *list, struct list_head *head)
{
	if (list_empty(list))
		return;
	list->next->prev = head;
	list->prev->next = head->next;
	head->next->prev = list->prev;
	head->next = list->next;
}

static inline void list_splice_init(struct list_head *list, struct list_head *head)
{
	list_splice(list, head);
	INIT_LIST_HEAD(list);
}

#define list_entry(pointer, type, member)	container_of(pointer, type, member)
#define list_first_entry(head, type, member)	list_entry((head)->next, type, member)
#define list_first_entry_or_null(head, type, member)			\
	(list_empty(head) ? NULL : list_first_entry(head, type, member))

/* At the end of a loop there is a list head and no entry around it to access. */
#define __list_node(pos, member)					\
	((struct list_head *)((char *)(pos) + offsetof(typeof(*(pos)), member)))

#define list_for_each_entry(pos, head, member)				\
	for (pos = list_first_entry(head, typeof(*pos), member);	\
	     __list_node(pos, member) != (head);			\
	     pos = list_first_entry(__list_node(pos, member), typeof(*pos), member))

#define list_last_entry(head, type, member)	list_entry((head)->prev, type, member)

#define list_for_each_entry_reverse(pos, head, member)			\
	for (pos = list_last_entry(head, typeof(*pos), member);	\
	     __list_node(pos, member) != (head);			\
	     pos = list_last_entry(__list_node(pos, member), typeof(*pos), member))

#define list_for_each_entry_safe(pos, following, head, member)		\
	for (pos = list_first_entry(head, typeof(*pos), member),	\
	     following = list_first_entry(__list_node(pos, member), typeof(*pos), member); \
	     __list_node(pos, member) != (head);			\
	     pos = following,						\
	     following = list_first_entry(__list_node(pos, member), typeof(*pos), member))

static inline void set_page_private(struct page *page, unsigned long private)
{
	page->private = private;
}

static inline unsigned long page_private(const struct page *page)
{
	return page->private;
}

#endif /* _MM_DYNMEMMAP_KERNEL_DEPS_H */
