/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What does nothing here. Included by kernel_deps.h only.
 */
#ifndef _TESTS_UNIT_STUBS_H
#define _TESTS_UNIT_STUBS_H

/* Where a variable lies in the image changes speed only. */
#define __read_mostly

/* What a branch predictor is told changes speed only. */
#define unlikely(condition)	(condition)

/* The code under test keeps pointers to zones and never looks into one. */
struct zone;

#endif /* _TESTS_UNIT_STUBS_H */
