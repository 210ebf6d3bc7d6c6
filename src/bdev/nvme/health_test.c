/* SPDX-License-Identifier: BSD-2-Clause */
#include "health.h"

#include <string.h>

#include "tap.h"

static uint8_t raw[HEALTH_LOG_BYTES];
static struct controller_health h;

static void reads_what_stands_where(void)
{
	memset(raw, 0, sizeof(raw));
	raw[0] = CONTROLLER_TEMPERATURE;
	raw[1] = 0x45;
	raw[2] = 0x01; /* 325 K */
	raw[3] = 98;
	raw[4] = 10;
	raw[5] = 120;
	raw[32] = 2;
	raw[49] = 1;
	raw[112] = 3;
	raw[128] = 4;
	raw[144] = 5;
	raw[160] = 6;
	raw[176] = 7;
	health_parse(raw, &h);
	check(h.known);
	check_eq(h.warnings, CONTROLLER_TEMPERATURE);
	check_eq(h.kelvin, 325);
	check_eq(h.spare_percent, 98);
	check_eq(h.spare_threshold_percent, 10);
	check_eq(h.used_percent, 120);
	check_eq(h.bytes_read, 2 * 512000);
	check_eq(h.bytes_written, 256 * 512000);
	check_eq(h.power_cycles, 3);
	check_eq(h.power_on_hours, 4);
	check_eq(h.unsafe_shutdowns, 5);
	check_eq(h.media_errors, 6);
	check_eq(h.log_errors, 7);
}

static void numbers_that_do_not_fit_are_the_greatest(void)
{
	memset(raw, 0, sizeof(raw));
	raw[32 + 7] = 0x80; /* in units: not as bytes */
	raw[160 + 8] = 1;
	memset(raw + 176, 0xff, 8);
	health_parse(raw, &h);
	check_eq(h.bytes_read, UINT64_MAX);
	check_eq(h.media_errors, UINT64_MAX);
	check_eq(h.log_errors, UINT64_MAX);
}

int main(void)
{
	tap_run(reads_what_stands_where);
	tap_run(numbers_that_do_not_fit_are_the_greatest);
	return tap_end();
}
