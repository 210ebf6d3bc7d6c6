/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conform - what a backend owes every frontend, and what no frontend may get out of it.
 *
 * Single requests, right and wrong, each with the answers that are allowed; rings and nodes that cannot
 * be; and after each of them the backend must still serve whoever behaves. What it must not touch is
 * looked at: the pages of a request that was refused.
 *
 * It reads the disk's first and last sectors, and writes the first one back as it was.
 *
 * Thread: main.
 */
#ifndef BLKLOAD_CONFORM_H
#define BLKLOAD_CONFORM_H

#include <stdio.h>

#include "front.h"

/**
 * conform_run - all checks, on a disk that is not connected; one line of TAP each
 *
 * Return: how many failed; -errno and *@e if the disk cannot be connected at all.
 */
int conform_run(struct front *f, const struct front_wishes *wishes, FILE *out, struct error *e);

#endif
