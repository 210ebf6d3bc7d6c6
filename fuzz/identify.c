/* SPDX-License-Identifier: BSD-2-Clause */
/* What a lying controller says of itself and of its namespaces. */
#include "disk.h"
#include "identify.h"
#include "input.h"

static uint8_t raw[NVME_IDENTIFY_BYTES];

/* Bytes at places: nearly all of the 4096 mean nothing. */
static void fill(struct input *in)
{
	memset(raw, 0, sizeof(raw));
	for (int i = 0; i < 24 && in->left; i++) {
		uint16_t at = input_u16(in) % sizeof(raw);
		uint8_t n = input_u8(in) % 48;

		if (at + n > (int)sizeof(raw))
			n = (uint8_t)(sizeof(raw) - at);
		input_bytes(in, raw + at, n);
	}
}

static void check_text(const char *text, size_t max)
{
	must(strlen(text) <= max);
	for (; *text; text++)
		must(*text >= ' ' && *text < 0x7f);
}

static bool power_of_two(uint64_t n)
{
	return n && !(n & (n - 1));
}

static uint32_t ctrl(struct input *in, struct identify_ctrl *id)
{
	struct identify_cap cap = { 0 };
	struct error e;
	size_t bar_bytes = input_u32(in);
	uint32_t low = input_u32(in), high = input_u32(in);

	if (identify_cap_parse(low, high, bar_bytes, &cap, &e))
		return 0;
	must(cap.depth >= 2 && cap.depth <= 65536 && cap.ready_ms >= 500);
	must(cap.page_min_bytes == NVME_PAGE_BYTES && power_of_two(cap.doorbell_bytes));
	/* Every doorbell that will be rung is there. */
	must(cap.nr_qids &&
	     NVME_DOORBELLS + (2 * (uint64_t)cap.nr_qids + 2) * cap.doorbell_bytes <= bar_bytes);
	fill(in);
	if (identify_ctrl_parse(raw, cap.page_min_bytes, id, &e))
		return 0;
	check_text(id->serial, 20);
	check_text(id->model, 40);
	check_text(id->firmware, 8);
	must(id->max_transfer_bytes >= NVME_PAGE_BYTES && id->shutdown_ms);
	return cap.page_min_bytes;
}

static void namespace(struct input *in, struct ctrl *c, uint64_t first_byte)
{
	struct disk d = { .ctrl = c };
	struct identify_ns ns;
	struct error e;

	fill(in);
	if (identify_ns_parse(raw, 1, &ns, &e))
		return;
	must(ns.size_bytes && ns.block_bytes >= 512 && ns.block_bytes <= 4096);
	must(power_of_two(ns.block_bytes) && ns.size_bytes % ns.block_bytes == 0);
	must(power_of_two(ns.preferred_bytes) && ns.preferred_bytes >= ns.block_bytes);
	must(ns.deallocate_bytes && ns.deallocate_bytes % ns.block_bytes == 0);
	d.bdev.info.logical_block_bytes = ns.block_bytes;
	d.first_byte = first_byte / ns.block_bytes * ns.block_bytes;
	disk_choose_discard(&d, &ns);
	must(d.bdev.info.discard_offset_bytes < ns.deallocate_bytes);
	must(d.bdev.info.discard_offset_bytes % 512 == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	static struct ctrl c;
	struct identify_limits limits;
	uint64_t first_byte = input_u64(&in);
	uint32_t page_min_bytes = ctrl(&in, &c.id);

	if (!page_min_bytes)
		return 0;
	fill(&in);
	identify_limits_parse(raw, page_min_bytes, &limits);
	must(limits.deallocate_blocks);
	must(!limits.zero_bytes || limits.zero_bytes >= NVME_PAGE_BYTES);
	namespace(&in, &c, first_byte);
	return 0;
}
