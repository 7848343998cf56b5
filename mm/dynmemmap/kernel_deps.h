/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every kernel header that area.c, stock.c, pool.c and policy.c need, and no
 * other: these files also compile in user space, where tests/unit has a twin of
 * this header under the same guard.
 */
#ifndef _MM_DYNMEMMAP_KERNEL_DEPS_H
#define _MM_DYNMEMMAP_KERNEL_DEPS_H

#include <linux/atomic.h>
#include <linux/build_bug.h>
#include <linux/container_of.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mmdebug.h>
#include <linux/mmzone.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/types.h>

#endif /* _MM_DYNMEMMAP_KERNEL_DEPS_H */
