/* SPDX-License-Identifier: BSD-2-Clause */
#include "settings.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define FIELD(f) offsetof(struct settings, f)

/* A rate beyond this is none. */
#define MAX_RATE (1ull << 40)

/* The limits come first: settings_limits(). */
static const struct number {
	const char *key;
	size_t offset;
	uint64_t min, max, usual;
} numbers[] = {
	{ "read-iops", FIELD(limits.iops[THROTTLE_READS]), 0, MAX_RATE, 0 },
	{ "write-iops", FIELD(limits.iops[THROTTLE_WRITES]), 0, MAX_RATE, 0 },
	{ "read-bps", FIELD(limits.bps[THROTTLE_READS]), 0, MAX_RATE, 0 },
	{ "write-bps", FIELD(limits.bps[THROTTLE_WRITES]), 0, MAX_RATE, 0 },
	{ "burst-ms", FIELD(limits.burst_ms), 1, THROTTLE_MAX_BURST_MS, THROTTLE_BURST_MS },
	{ "poll-us", FIELD(poll_us), 0, 1000000, SETTINGS_POLL_DAEMONS },
	{ "poll-idle-percent", FIELD(poll_idle_percent), 0, 100, 0 },
};

#define NR_NUMBERS (sizeof(numbers) / sizeof(numbers[0]))

/* A toolstack's keys beside ours, in the disk's directory itself: XAPI's. */
static const char *const theirs[][2] = {
	{ "polling-duration", "poll-us" },
	{ "polling-idle-threshold", "poll-idle-percent" },
};

static uint64_t *number_in(struct settings *s, const struct number *n)
{
	return (uint64_t *)((char *)s + n->offset);
}

void settings_init(struct settings *s)
{
	*s = (struct settings){ .paused = false };
	for (uint32_t i = 0; i < NR_NUMBERS; i++)
		*number_in(s, &numbers[i]) = numbers[i].usual;
}

/* A number, with K, M, G or T of 1000 behind it. */
static bool parse_number(const char *text, uint64_t *out)
{
	static const char units[] = "kmgt";
	uint64_t factor = 1, n;
	const char *unit;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno)
		return false;
	unit = *end ? strchr(units, *end | 0x20) : NULL;
	if (unit) {
		for (const char *u = units; u <= unit; u++)
			factor *= 1000;
		end++;
	}
	if (*end || n > UINT64_MAX / factor)
		return false;
	*out = n * factor;
	return true;
}

static int set_number(struct settings *s, const struct number *n, const char *value,
		      struct error *e)
{
	uint64_t is = n->usual;

	if (*value && (!parse_number(value, &is) || is < n->min || is > n->max))
		return error_set(e, EINVAL,
				 "%s is \"%.32s\", expected a number from %llu to %llu, such as %s",
				 n->key, value, (unsigned long long)n->min,
				 (unsigned long long)n->max,
				 n->min				    ? "100"
				 : n < &numbers[SETTINGS_NR_LIMITS] ? "5000 or 200M; 0 is no limit"
								    : "50");
	*number_in(s, n) = is;
	return 0;
}

static int set_transfer(struct settings *s, const char *value, struct error *e)
{
	int err = *value ? transfer_parse(value, &s->transfer, e) : 0;

	if (!err)
		s->has_transfer = *value;
	return err;
}

static int set_paused(struct settings *s, const char *value, struct error *e)
{
	if (*value && strcmp(value, "0") && strcmp(value, "1"))
		return error_set(e, EINVAL, "paused is \"%.32s\", expected 0 or 1", value);
	s->paused = *value == '1';
	return 0;
}

int settings_set(struct settings *s, const char *key, const char *value, struct error *e)
{
	for (uint32_t i = 0; i < NR_NUMBERS; i++) {
		if (!strcmp(numbers[i].key, key))
			return set_number(s, &numbers[i], value, e);
	}
	if (!strcmp(key, "transfer"))
		return set_transfer(s, value, e);
	if (!strcmp(key, "paused"))
		return set_paused(s, value, e);
	return error_set(
		e, EINVAL,
		"there is no setting \"%.32s\"; there are read-iops, write-iops, read-bps, "
		"write-bps, burst-ms, poll-us, poll-idle-percent, transfer",
		key);
}

void settings_limits(const struct settings *s, struct settings_limit out[SETTINGS_NR_LIMITS])
{
	for (uint32_t i = 0; i < SETTINGS_NR_LIMITS; i++) {
		out[i].key = numbers[i].key;
		out[i].value = *number_in((struct settings *)s, &numbers[i]);
	}
}

const char *settings_toolstack_key(uint32_t i, const char **key)
{
	if (i >= sizeof(theirs) / sizeof(theirs[0]))
		return NULL;
	*key = theirs[i][1];
	return theirs[i][0];
}
