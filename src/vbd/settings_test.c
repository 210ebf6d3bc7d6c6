/* SPDX-License-Identifier: BSD-2-Clause */
#include "settings.h"

#include <errno.h>
#include <string.h>

#include "tap.h"

static struct settings s;
static struct error e;

static int set(const char *key, const char *value)
{
	e.text[0] = '\0';
	return settings_set(&s, key, value, &e);
}

static void limits_are_numbers_with_units(void)
{
	settings_init(&s);
	check_eq(set("read-iops", "5000"), 0);
	check_eq(s.limits.iops[THROTTLE_READS], 5000);
	check_eq(set("write-bps", "200M"), 0);
	check_eq(s.limits.bps[THROTTLE_WRITES], 200000000);
	check_eq(set("read-bps", "1g"), 0);
	check_eq(s.limits.bps[THROTTLE_READS], 1000000000);
	check_eq(set("burst-ms", "250"), 0);
	check_eq(s.limits.burst_ms, 250);
}

static void polling_is_in_microseconds_and_percent(void)
{
	const char *ours;

	settings_init(&s);
	check_eq(s.poll_us, SETTINGS_POLL_DAEMONS);
	check_eq(set("poll-us", "1000"), 0);
	check_eq(s.poll_us, 1000);
	check_eq(set("poll-us", "1000001"), -EINVAL);
	check_eq(set("poll-us", ""), 0);
	check_eq(s.poll_us, SETTINGS_POLL_DAEMONS);
	check_eq(set("poll-idle-percent", "50"), 0);
	check_eq(s.poll_idle_percent, 50);
	check_eq(set("poll-idle-percent", "101"), -EINVAL);
	check(!strcmp(settings_toolstack_key(0, &ours), "polling-duration"));
	check(!strcmp(ours, "poll-us"));
	check(!strcmp(settings_toolstack_key(1, &ours), "polling-idle-threshold"));
	check(!strcmp(ours, "poll-idle-percent"));
	check(!settings_toolstack_key(2, &ours));
}

static void nothing_is_what_holds_when_nothing_is_said(void)
{
	settings_init(&s);
	check_eq(s.limits.burst_ms, THROTTLE_BURST_MS);
	set("read-iops", "5000");
	set("burst-ms", "250");
	set("transfer", "copy");
	set("paused", "1");
	check(s.has_transfer && s.paused);
	check_eq(set("read-iops", ""), 0);
	check_eq(set("burst-ms", ""), 0);
	check_eq(set("transfer", ""), 0);
	check_eq(set("paused", ""), 0);
	check_eq(s.limits.iops[THROTTLE_READS], 0);
	check_eq(s.limits.burst_ms, THROTTLE_BURST_MS);
	check(!s.has_transfer && !s.paused);
}

static void refuses_what_is_none_and_stays_as_it_was(void)
{
	static const char *const wrong[][2] = {
		{ "read-iops", "many" },
		{ "read-iops", "-1" },
		{ "read-iops", "5x" },
		{ "read-iops", "5kk" },
		{ "read-bps", " 5" },
		{ "read-bps", "99999999T" },
		{ "write-bps", "1099511627777" },
		{ "write-iops", "1e3" },
		{ "burst-ms", "0" },
		{ "burst-ms", "60001" },
		{ "transfer", "quick" },
		{ "paused", "yes" },
		{ "paused", "10" },
		{ "speed", "9" },
		{ "", "1" },
	};

	settings_init(&s);
	set("read-iops", "7");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct settings before = s;

		check_eq(set(wrong[i][0], wrong[i][1]), -EINVAL);
		check(e.text[0]);
		check(!memcmp(&before, &s, sizeof(s)));
	}
}

int main(void)
{
	tap_run(limits_are_numbers_with_units);
	tap_run(polling_is_in_microseconds_and_percent);
	tap_run(nothing_is_what_holds_when_nothing_is_said);
	tap_run(refuses_what_is_none_and_stays_as_it_was);
	return tap_end();
}
