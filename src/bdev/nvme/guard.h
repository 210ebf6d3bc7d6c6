/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guard - keeps us alive when a device is pulled out whose registers are mapped.
 *
 * The kernel then ends the mapping below us, and whoever touches it next gets SIGBUS. The handler
 * puts memory in its place that reads as all ones, which is what a device reads as that is not there;
 * all else notices that by and by. Any other SIGBUS ends the process as ever.
 */
#ifndef XENBLKD_NVME_GUARD_H
#define XENBLKD_NVME_GUARD_H

#include <stddef.h>

/**
 * guard_add - from now on registers at @bar may vanish
 *
 * Thread: control.
 * Return: 0, or -errno: -ENOSPC if there are too many.
 */
int guard_add(void *bar, size_t bytes);

/* guard_del - the reverse, before @bar is unmapped. Thread: control. */
void guard_del(void *bar);

#endif
