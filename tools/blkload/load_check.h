/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * load_check - fills the pages of a request before it goes out, and looks at them when it is answered.
 *
 * Thread: the load's.
 */
#ifndef BLKLOAD_LOAD_CHECK_H
#define BLKLOAD_LOAD_CHECK_H

#include "load.h"

/* check_prepare - writes get stamps; the rest of the pages, and all of a read's, the pattern. */
void check_prepare(struct load *l, struct load_slot *slot);

/* check_answer - compares with the shadow what was read, and brings the shadow up to date. */
void check_answer(struct load *l, struct load_slot *slot, bool good);

/* check_complain - one line to standard error; there is a bound on their number. */
void check_complain(struct load *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
