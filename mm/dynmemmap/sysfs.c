// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/mm/dynamic_memmap: what is, in total and per node, and the knobs.
 * Documented in Documentation/admin-guide/mm/dynmemmap.rst.
 */
#include <linux/init.h>
#include <linux/kobject.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/sysfs.h>

#include "core.h"

#define TAKE_BACK_DELAY_MIN_MS	10
#define TAKE_BACK_DELAY_MAX_MS	(3600 * 1000)
#define KEEP_AREAS_MAX		BIT(20)

/* One node's, or the sum over all nodes when there is no node. */
struct view {
	struct kobject kobj;
	struct dynmemmap_node *node;
};

typedef unsigned long (*node_figure)(struct dynmemmap_node *node);

static unsigned long sum_figure(struct kobject *kobj, node_figure figure)
{
	struct dynmemmap_node *node = container_of(kobj, struct view, kobj)->node;
	unsigned long sum = 0;
	int nid;

	if (node)
		return figure(node);
	for_each_node(nid)
		sum += figure(dynmemmap_nodes[nid]);
	return sum;
}

#define FIGURE_ATTR(name)							\
static ssize_t name##_show(struct kobject *kobj, struct kobj_attribute *attr,	\
			   char *buf)						\
{										\
	return sysfs_emit(buf, "%lu\n", sum_figure(kobj, name##_figure));	\
}										\
static struct kobj_attribute name##_attr = __ATTR_RO(name)

static unsigned long areas_idle_figure(struct dynmemmap_node *node)
{
	return atomic_long_read(&node->nr_areas[DYNMEMMAP_IDLE]);
}

FIGURE_ATTR(areas_idle);

static unsigned long areas_huge_figure(struct dynmemmap_node *node)
{
	return atomic_long_read(&node->nr_areas[DYNMEMMAP_HUGE]);
}

FIGURE_ATTR(areas_huge);

static unsigned long areas_split_figure(struct dynmemmap_node *node)
{
	return atomic_long_read(&node->nr_areas[DYNMEMMAP_SPLIT]);
}

FIGURE_ATTR(areas_split);

/* A count that each pool of the node has. */
#define POOL_FIGURE_ATTR(name, count)						\
static unsigned long name##_figure(struct dynmemmap_node *node)			\
{										\
	unsigned long sum = 0;							\
	unsigned int zid;							\
										\
	for (zid = 0; zid < MAX_NR_ZONES; zid++)				\
		sum += READ_ONCE(node->pools[zid].count);			\
	return sum;								\
}										\
FIGURE_ATTR(name)

POOL_FIGURE_ATTR(pool_areas, nr_areas);
POOL_FIGURE_ATTR(cached_areas, nr_cached);

static unsigned long stock_frames_figure(struct dynmemmap_node *node)
{
	return READ_ONCE(node->stock.nr_frames);
}

FIGURE_ATTR(stock_frames);

static unsigned long stock_free_frames_figure(struct dynmemmap_node *node)
{
	return READ_ONCE(node->stock.nr_free);
}

FIGURE_ATTR(stock_free_frames);

static unsigned long stock_reserve_frames_figure(struct dynmemmap_node *node)
{
	return READ_ONCE(node->nr_reserve);
}

FIGURE_ATTR(stock_reserve_frames);

static unsigned long memmap_bytes_figure(struct dynmemmap_node *node)
{
	return (READ_ONCE(node->stock.nr_frames) + atomic_long_read(&node->nr_tables) +
		atomic_long_read(&node->nr_own_frames)) * PAGE_SIZE;
}

FIGURE_ATTR(memmap_bytes);

static unsigned long full_memmap_bytes_figure(struct dynmemmap_node *node)
{
	/* An area that changes its state is not in two of them, nor in none. */
	guard(raw_spinlock_irqsave)(&node->lock);
	return (areas_idle_figure(node) + areas_huge_figure(node) + areas_split_figure(node)) *
	       DYNMEMMAP_AREA_NR_FRAMES * PAGE_SIZE;
}

FIGURE_ATTR(full_memmap_bytes);

static unsigned long read_repairs_figure(struct dynmemmap_node *node)
{
	return atomic_long_read(&node->nr_repairs[DYNMEMMAP_REPAIR_READ]);
}

FIGURE_ATTR(read_repairs);

static unsigned long write_repairs_figure(struct dynmemmap_node *node)
{
	return atomic_long_read(&node->nr_repairs[DYNMEMMAP_REPAIR_WRITE]);
}

FIGURE_ATTR(write_repairs);

static struct attribute *figure_attrs[] = {
	&areas_idle_attr.attr,
	&areas_huge_attr.attr,
	&areas_split_attr.attr,
	&pool_areas_attr.attr,
	&cached_areas_attr.attr,
	&stock_frames_attr.attr,
	&stock_free_frames_attr.attr,
	&stock_reserve_frames_attr.attr,
	&memmap_bytes_attr.attr,
	&full_memmap_bytes_attr.attr,
	&read_repairs_attr.attr,
	&write_repairs_attr.attr,
	NULL,
};
ATTRIBUTE_GROUPS(figure);

static ssize_t knob_store(const char *buf, size_t len, unsigned int min, unsigned int max,
			  unsigned int *knob)
{
	unsigned int value;
	int nid;

	if (kstrtouint(buf, 10, &value) || value < min || value > max)
		return -EINVAL;
	WRITE_ONCE(*knob, value);
	for_each_online_node(nid)
		dynmemmap_worker_rearm(dynmemmap_nodes[nid]);
	return len;
}

static ssize_t keep_areas_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(dynmemmap_keep_areas));
}

static ssize_t keep_areas_store(struct kobject *kobj, struct kobj_attribute *attr,
				const char *buf, size_t len)
{
	return knob_store(buf, len, 1, KEEP_AREAS_MAX, &dynmemmap_keep_areas);
}

static struct kobj_attribute keep_areas_attr = __ATTR_RW(keep_areas);

static ssize_t take_back_delay_ms_show(struct kobject *kobj, struct kobj_attribute *attr,
				       char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(dynmemmap_take_back_delay_ms));
}

static ssize_t take_back_delay_ms_store(struct kobject *kobj, struct kobj_attribute *attr,
					const char *buf, size_t len)
{
	return knob_store(buf, len, TAKE_BACK_DELAY_MIN_MS, TAKE_BACK_DELAY_MAX_MS,
			  &dynmemmap_take_back_delay_ms);
}

static struct kobj_attribute take_back_delay_ms_attr = __ATTR_RW(take_back_delay_ms);

static const struct attribute *knob_attrs[] = {
	&keep_areas_attr.attr,
	&take_back_delay_ms_attr.attr,
	NULL,
};

static void view_release(struct kobject *kobj)
{
	kfree(container_of(kobj, struct view, kobj));
}

static const struct kobj_type view_type = {
	.release = view_release,
	.sysfs_ops = &kobj_sysfs_ops,
	.default_groups = figure_groups,
};

static struct view *__init view_create(struct dynmemmap_node *node, struct kobject *parent,
				       const char *name)
{
	struct view *view = kzalloc_obj(*view, GFP_KERNEL);

	if (!view)
		return NULL;
	view->node = node;
	if (kobject_init_and_add(&view->kobj, &view_type, parent, "%s", name)) {
		kobject_put(&view->kobj);
		return NULL;
	}
	return view;
}

/**
 * dynmemmap_sysfs_init() - create /sys/kernel/mm/dynamic_memmap
 *
 * Context: boot, process context. Nodes that are offline have a directory, too:
 * memory can be added to them.
 * Return: 0 or -ENOMEM.
 */
int __init dynmemmap_sysfs_init(void)
{
	struct view *total = view_create(NULL, mm_kobj, "dynamic_memmap");
	char name[16];
	int nid;

	if (!total || sysfs_create_files(&total->kobj, knob_attrs))
		return -ENOMEM;
	for_each_node(nid) {
		snprintf(name, sizeof(name), "node%d", nid);
		if (!view_create(dynmemmap_nodes[nid], &total->kobj, name))
			return -ENOMEM;
	}
	return 0;
}
