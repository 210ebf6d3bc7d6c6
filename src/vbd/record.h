/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * record - memory that outlives the process: a locked mapping of a file under /run/xenblkd.
 *
 * The io pools and the arguments of the grant hypercalls lie here, so that Xen writes its statuses
 * and handles where a successor of a process that was killed can find them. Today nobody reads
 * them back: a daemon that starts makes its files anew, and removes them when it ends.
 *
 * Thread: create and destroy on the control thread; the memory belongs to a reactor.
 */
#ifndef XENBLKD_RECORD_H
#define XENBLKD_RECORD_H

#include <stddef.h>

struct record {
	void *mem; /* page-aligned, zero at first, never paged out */
	size_t bytes;
	char path[108];
};

/* record_create - makes @dir/@name anew. Return: 0 or -errno. */
int record_create(struct record *r, const char *dir, const char *name, size_t bytes);

/* record_destroy - ends the mapping and removes the file. */
void record_destroy(struct record *r);

#endif
