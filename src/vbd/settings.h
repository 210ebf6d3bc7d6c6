/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * settings - what can be chosen for a disk while it is in use.
 *
 * Each has a key and is written as text. They stand in xenstore, below "xenblkd" in the disk's backend
 * directory: toolstacks write them there, and so does the daemon for an operator. They hold for as long
 * as the disk is there, whichever daemon serves it.
 *
 * Thread: any; pure.
 */
#ifndef XENBLKD_SETTINGS_H
#define XENBLKD_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "throttle.h"
#include "transfer.h"

struct settings {
	struct throttle_limits limits;
	struct transfer transfer; /* if has_transfer; else the target or the daemon says */
	bool has_transfer;
	bool paused; /* nothing new is taken off its rings */
	uint64_t poll_us; /* how long without work, before it sleeps; or SETTINGS_POLL_DAEMONS */
	uint64_t poll_idle_percent; /* it polls only while so much of the CPUs' time is idle */
};

/* As the daemon says. */
#define SETTINGS_POLL_DAEMONS UINT64_MAX

/* settings_init - what holds where nothing is said. */
void settings_init(struct settings *s);

/**
 * settings_set - one of them
 *
 * @value: "" stands for what holds where nothing is said
 *
 * Return: 0; or -EINVAL and *@e, and @s is untouched: the key is none, or the value none of its.
 */
int settings_set(struct settings *s, const char *key, const char *value, struct error *e);

/**
 * settings_toolstack_key - keys of a toolstack's that mean the same as one of ours
 *
 * @i: from 0; @key: ours
 *
 * Return: theirs, or NULL behind the last.
 */
const char *settings_toolstack_key(uint32_t i, const char **key);

#define SETTINGS_NR_LIMITS 5u

struct settings_limit {
	const char *key;
	uint64_t value;
};

/* settings_limits - those that limit it, to be shown. */
void settings_limits(const struct settings *s, struct settings_limit out[SETTINGS_NR_LIMITS]);

#endif
