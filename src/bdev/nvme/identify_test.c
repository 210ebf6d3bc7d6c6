/* SPDX-License-Identifier: BSD-2-Clause */
#include "identify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

static uint8_t raw[NVME_IDENTIFY_BYTES];

static void put32(size_t at, uint32_t value)
{
	memcpy(raw + at, &value, 4);
}

static void ctrl_init(void)
{
	memset(raw, 0, sizeof(raw));
	memset(raw + 4, ' ', 68);
	memcpy(raw + 4, "disk0", 5);
	memcpy(raw + 24, "  A drive", 9);
	memcpy(raw + 64, "1.0", 3);
	raw[77] = 7;
	raw[512] = 0x66;
	raw[513] = 0x44;
	put32(516, 256);
	raw[520] = 8;
	raw[525] = 1;
}

/* 512 bytes a block, 8 GiB. */
static void ns_init(void)
{
	memset(raw, 0, sizeof(raw));
	put32(0, 1 << 24);
	raw[128 + 2] = 9;
}

#define LOW(mqes, to)	  ((uint32_t)(mqes) | (uint32_t)(to) << 24)
#define HIGH(stride, mps) ((uint32_t)(stride) | 1u << 5 | (uint32_t)(mps) << 16)

static int cap(uint32_t low, uint32_t high, size_t bar_bytes, struct identify_cap *out)
{
	memset(out, 0xee, sizeof(*out));
	return identify_cap_parse(low, high, bar_bytes, out, NULL);
}

static void reads_capabilities(void)
{
	struct identify_cap c;

	check_eq(cap(LOW(2047, 15), HIGH(0, 0), 16384, &c), 0);
	check_eq(c.depth, 2048);
	check_eq(c.ready_ms, 8000);
	check_eq(c.doorbell_bytes, 4);
	check_eq(c.page_min_bytes, 4096);
	/* 12 KiB of doorbells in pairs of 8 bytes, the first the admin queue's. */
	check_eq(c.nr_qids, 1535);
}

static void extremes_of_capabilities_do_not_overflow(void)
{
	struct identify_cap c;

	check_eq(cap(LOW(0xffff, 0xff), HIGH(15, 0), 1 << 20, &c), 0);
	check_eq(c.depth, 65536);
	check_eq(c.ready_ms, 128000);
	check_eq(c.doorbell_bytes, 131072);
	check_eq(c.nr_qids, 2);
	check_eq(cap(LOW(1, 0), HIGH(0, 0), (size_t)1 << 40, &c), 0);
	check_eq(c.depth, 2);
	check_eq(c.ready_ms, 500);
	check_eq(c.nr_qids, 65535);
}

static void refuses_capabilities_that_it_cannot_use(void)
{
	struct identify_cap c;

	/* A queue of one entry is always empty. */
	check_eq(cap(LOW(0, 1), HIGH(0, 0), 16384, &c), -EOPNOTSUPP);
	/* Another command set; pages of 8 KiB, and of 128 MiB. */
	check_eq(cap(LOW(63, 1), HIGH(0, 0) & ~(1u << 5), 16384, &c), -EOPNOTSUPP);
	check_eq(cap(LOW(63, 1), HIGH(0, 1), 16384, &c), -EOPNOTSUPP);
	check_eq(cap(LOW(63, 1), HIGH(0, 15), 16384, &c), -EOPNOTSUPP);
	/* Doorbells that are not, or not all, among the registers. */
	check_eq(cap(LOW(63, 1), HIGH(0, 0), 0, &c), -EOPNOTSUPP);
	check_eq(cap(LOW(63, 1), HIGH(0, 0), 4096 + 15, &c), -EOPNOTSUPP);
	check_eq(cap(LOW(63, 1), HIGH(0, 0), 4096 + 16, &c), 0);
	check_eq(c.nr_qids, 1);
	check_eq(cap(LOW(63, 1), HIGH(15, 0), 16384, &c), -EOPNOTSUPP);
}

static void reads_what_a_controller_says(void)
{
	struct identify_ctrl id;

	ctrl_init();
	check_eq(identify_ctrl_parse(raw, 4096, &id, NULL), 0);
	check(!strcmp(id.serial, "disk0"));
	check(!strcmp(id.model, "A drive"));
	check(!strcmp(id.firmware, "1.0"));
	check_eq(id.max_transfer_bytes, 512 * 1024);
	check_eq(id.nr_namespaces, 256);
	check(id.volatile_cache);
	check(!id.dataset_management && id.write_zeroes);
	check_eq(id.shutdown_ms, 5000);
}

static void text_of_a_controller_is_fit_for_a_log(void)
{
	struct identify_ctrl id;

	ctrl_init();
	memset(raw + 4, 0xff, 60);
	memcpy(raw + 24, "a\nb\x1b[2J", 7);
	check_eq(identify_ctrl_parse(raw, 4096, &id, NULL), 0);
	check_eq(strlen(id.serial), 20);
	check_eq(strlen(id.model), 40);
	for (const char *p = id.model; *p; p++)
		check(*p >= ' ' && *p < 0x7f);
}

static void transfer_size_does_not_overflow(void)
{
	struct identify_ctrl id;

	ctrl_init();
	for (int mdts = 0; mdts < 256; mdts++) {
		raw[77] = (uint8_t)mdts;
		check_eq(identify_ctrl_parse(raw, 4096, &id, NULL), 0);
		check(id.max_transfer_bytes >= 8192);
	}
	raw[77] = 1;
	check_eq(identify_ctrl_parse(raw, 4096, &id, NULL), 0);
	check_eq(id.max_transfer_bytes, 8192);
}

static void refuses_other_entry_sizes(void)
{
	struct identify_ctrl id;

	ctrl_init();
	raw[512] = 0x77;
	check_eq(identify_ctrl_parse(raw, 4096, &id, NULL), -EOPNOTSUPP);
	raw[512] = 0x76;
	check_eq(identify_ctrl_parse(raw, 4096, &id, NULL), 0);
	raw[513] = 0x33;
	check_eq(identify_ctrl_parse(raw, 4096, &id, NULL), -EOPNOTSUPP);
}

static void a_shutdown_has_its_bounds(void)
{
	struct identify_ctrl id;

	ctrl_init();
	put32(88, UINT32_MAX);
	check_eq(identify_ctrl_parse(raw, 4096, &id, NULL), 0);
	check_eq(id.shutdown_ms, 60000);
}

static void reads_what_a_namespace_is(void)
{
	struct identify_ns ns;

	ns_init();
	check_eq(identify_ns_parse(raw, 1, &ns, NULL), 0);
	check_eq(ns.block_bytes, 512);
	check_eq(ns.size_bytes, 8ll << 30);
	check_eq(ns.preferred_bytes, 4096);
}

static void reads_the_format_that_is_in_use(void)
{
	struct identify_ns ns;

	ns_init();
	raw[25] = 7;
	raw[26] = 4;
	raw[128 + 4 * 4 + 2] = 12;
	check_eq(identify_ns_parse(raw, 1, &ns, NULL), 0);
	check_eq(ns.block_bytes, 4096);
	check_eq(ns.size_bytes, 64ll << 30);
	check_eq(ns.preferred_bytes, 4096);
}

static void a_preference_that_makes_no_sense_is_none(void)
{
	struct identify_ns ns;

	ns_init();
	raw[24] = 0x10;
	raw[64] = 31;
	check_eq(identify_ns_parse(raw, 1, &ns, NULL), 0);
	check_eq(ns.preferred_bytes, 16384);
	raw[64] = 2;
	check_eq(identify_ns_parse(raw, 1, &ns, NULL), 0);
	check_eq(ns.preferred_bytes, 4096);
	raw[64] = raw[65] = 0xff;
	check_eq(identify_ns_parse(raw, 1, &ns, NULL), 0);
	check_eq(ns.preferred_bytes, 4096);
}

static void reads_how_a_namespace_deallocates(void)
{
	struct identify_ns ns;

	ns_init();
	raw[68] = 15; /* means nothing without the bit that says so */
	check_eq(identify_ns_parse(raw, 1, &ns, NULL), 0);
	check_eq(ns.deallocate_bytes, 512);
	check(!ns.zeroes_deallocate);
	raw[24] = 0x10;
	raw[33] = 9;
	check_eq(identify_ns_parse(raw, 1, &ns, NULL), 0);
	check_eq(ns.deallocate_bytes, 8192);
	check(ns.zeroes_deallocate);
	raw[68] = raw[69] = 0xff;
	check_eq(identify_ns_parse(raw, 1, &ns, NULL), 0);
	check_eq(ns.deallocate_bytes, 512);
}

static void reads_limits_of_commands_without_data(void)
{
	struct identify_limits limits;

	memset(raw, 0, sizeof(raw));
	identify_limits_parse(raw, 4096, &limits);
	check_eq(limits.deallocate_blocks, UINT32_MAX);
	check_eq(limits.zero_bytes, 0);
	raw[1] = 3;
	put32(4, 1000);
	identify_limits_parse(raw, 4096, &limits);
	check_eq(limits.deallocate_blocks, 1000);
	check_eq(limits.zero_bytes, 32768);
	put32(8, 999);
	identify_limits_parse(raw, 4096, &limits);
	check_eq(limits.deallocate_blocks, 999);
	put32(12, 1);
	raw[1] = 255;
	identify_limits_parse(raw, 4096, &limits);
	check_eq(limits.deallocate_blocks, 1000);
	check_eq(limits.zero_bytes, UINT32_MAX);
}

static void refuses_what_it_cannot_serve(void)
{
	struct identify_ns ns;
	struct error e = { "" };

	memset(raw, 0, sizeof(raw));
	check_eq(identify_ns_parse(raw, 9, &ns, &e), -ENODEV);
	check(strstr(e.text, "no namespace 9"));
	ns_init();
	raw[128] = 8; /* metadata */
	check_eq(identify_ns_parse(raw, 1, &ns, &e), -EOPNOTSUPP);
	check(strstr(e.text, "8 bytes of metadata"));
	ns_init();
	raw[29] = 1; /* protection information */
	check_eq(identify_ns_parse(raw, 1, &ns, &e), -EOPNOTSUPP);
	ns_init();
	raw[130] = 8;
	check_eq(identify_ns_parse(raw, 1, &ns, &e), -EOPNOTSUPP);
	raw[130] = 255;
	check_eq(identify_ns_parse(raw, 1, &ns, &e), -EOPNOTSUPP);
	ns_init();
	raw[26] = 1; /* a format that there is not */
	check_eq(identify_ns_parse(raw, 1, &ns, &e), -EOPNOTSUPP);
	ns_init();
	memset(raw, 0xff, 8);
	check_eq(identify_ns_parse(raw, 1, &ns, &e), -EOPNOTSUPP);
}

/* For the sanitizers: whatever it says, nothing is read or computed out of bounds. */
static void garbage_does_no_harm(void)
{
	struct identify_ctrl id;
	struct identify_ns ns;

	srand(1);
	for (int i = 0; i < 2000; i++) {
		for (size_t j = 0; j < sizeof(raw); j += 2)
			raw[j] = (uint8_t)rand();
		identify_ctrl_parse(raw, 4096, &id, NULL);
		if (!identify_ns_parse(raw, 1, &ns, NULL))
			check(ns.block_bytes >= 512 && ns.preferred_bytes >= ns.block_bytes);
	}
}

int main(void)
{
	tap_run(reads_capabilities);
	tap_run(extremes_of_capabilities_do_not_overflow);
	tap_run(refuses_capabilities_that_it_cannot_use);
	tap_run(reads_what_a_controller_says);
	tap_run(text_of_a_controller_is_fit_for_a_log);
	tap_run(transfer_size_does_not_overflow);
	tap_run(refuses_other_entry_sizes);
	tap_run(a_shutdown_has_its_bounds);
	tap_run(reads_what_a_namespace_is);
	tap_run(reads_the_format_that_is_in_use);
	tap_run(a_preference_that_makes_no_sense_is_none);
	tap_run(reads_how_a_namespace_deallocates);
	tap_run(reads_limits_of_commands_without_data);
	tap_run(refuses_what_it_cannot_serve);
	tap_run(garbage_does_no_harm);
	return tap_end();
}
