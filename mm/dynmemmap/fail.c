// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fault injection: no frame to be had, though stock and pools are not empty. Those who
 * cannot fail never meet it.
 */
#include <linux/fault-inject.h>
#include <linux/init.h>

#include "core.h"

static DECLARE_FAULT_ATTR(fail_dynmemmap);

/**
 * dynmemmap_should_fail() - is the caller to find no frames?
 *
 * Context: any, as should_fail().
 * Return: true if it is, though there may be some.
 */
bool dynmemmap_should_fail(void)
{
	return should_fail(&fail_dynmemmap, 1);
}

static int __init fail_dynmemmap_init(void)
{
	return PTR_ERR_OR_ZERO(fault_create_debugfs_attr("fail_dynmemmap", NULL,
							 &fail_dynmemmap));
}
late_initcall(fail_dynmemmap_init);
