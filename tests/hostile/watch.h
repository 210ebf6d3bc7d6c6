/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * watch - what a daemon holds, says and uses, as it is seen from outside.
 *
 * On the simulator the machine itself knows what is mapped and bound. On real Xen the mappings of the
 * daemon's process are looked at; a backend in the kernel cannot be seen at all.
 *
 * Thread: one.
 */
#ifndef HOSTILE_WATCH_H
#define HOSTILE_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Lines that one case may cause: what a disk may log in a minute, ten of each kind, and a few on these. */
#define WATCH_LINES 28u

struct watch {
	const char *log; /* or NULL */
	pid_t pid; /* or 0 */
	int (*sim_get)(const char *name, uint64_t *value); /* NULL on real Xen */
	uint64_t held, memory_kib; /* at the beginning */
	uint64_t log_bytes;
};

/* watch_init - nothing but what the daemon holds for itself and for the neighbour is there now. */
bool watch_init(struct watch *w, const char *log, pid_t pid);

/* watch_alive - ends this program if the daemon has ended: there is nothing more to be seen. */
void watch_alive(const struct watch *w);

/* watch_begin - the lines are counted from here on. */
void watch_begin(struct watch *w);

/* Each: true, or false and *@why. */

/* watch_lines - there are no more than that */
bool watch_lines(struct watch *w, uint32_t max, char *why, size_t size);

/* watch_left - what it held at the beginning is all that it holds, soon */
bool watch_left(struct watch *w, uint32_t timeout_ms, char *why, size_t size);

/* watch_memory - it uses as much memory as at the beginning, but for a little */
bool watch_memory(struct watch *w, char *why, size_t size);

#endif
