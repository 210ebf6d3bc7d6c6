/* SPDX-License-Identifier: BSD-2-Clause */
#include "identify.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* A namespace without a word about it: what flash prefers. */
#define PREFERRED_BYTES	    4096u
#define PREFERRED_MAX_BYTES (1024u * 1024)

#define SHUTDOWN_MS	    5000u
#define SHUTDOWN_MAX_MS	    60000u

static uint16_t le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t le32(const uint8_t *p)
{
	return le16(p) | (uint32_t)le16(p + 2) << 16;
}

static uint64_t le64(const uint8_t *p)
{
	return le32(p) | (uint64_t)le32(p + 4) << 32;
}

/* It goes into logs: nothing there that is not a letter of ASCII. */
static void copy_text(char *to, const uint8_t *from, size_t n)
{
	size_t first = 0;

	while (n && (from[n - 1] == ' ' || !from[n - 1]))
		n--;
	while (first < n && from[first] == ' ')
		first++;
	for (; first < n; first++)
		*to++ = from[first] >= ' ' && from[first] < 0x7f ? (char)from[first] : '?';
	*to = '\0';
}

static uint32_t transfer_bytes(uint8_t mdts, uint32_t page_min_bytes)
{
	/* A power of two of pages; what does not fit in 32 bits is as good as no limit. */
	if (!mdts || mdts >= 20 || ((uint64_t)page_min_bytes << mdts) > UINT32_MAX)
		return UINT32_MAX;
	return page_min_bytes << mdts;
}

int identify_cap_parse(uint32_t low, uint32_t high, size_t bar_bytes, struct identify_cap *out,
		       struct error *e)
{
	struct identify_cap cap = {
		.depth = NVME_CAP_MQES(low) + 1,
		.ready_ms = (NVME_CAP_TO(low) + 1) * 500,
		.doorbell_bytes = 4u << NVME_CAP_DSTRD(high),
		.page_min_bytes = 4096u << NVME_CAP_MPSMIN(high),
	};
	/* A pair of doorbells for each pair of queues, that of the admin queue first. */
	size_t pairs = bar_bytes < NVME_DOORBELLS
			       ? 0
			       : (bar_bytes - NVME_DOORBELLS) / (2 * (size_t)cap.doorbell_bytes);

	if (cap.depth < 2 || !(high & NVME_CAP_CSS_NVM) || cap.page_min_bytes > NVME_PAGE_BYTES ||
	    pairs < 2)
		return error_set(e, EOPNOTSUPP,
				 "is of a kind that xenblkd does not drive: CAP 0x%08x%08x and "
				 "%zu bytes of registers; expected the NVM command set, pages of "
				 "4 KiB, and doorbells for queues",
				 high, low, bar_bytes);
	cap.nr_qids = pairs - 1 > UINT16_MAX ? UINT16_MAX : (uint32_t)(pairs - 1);
	*out = cap;
	return 0;
}

int identify_ctrl_parse(const uint8_t *raw, uint32_t page_min_bytes, struct identify_ctrl *out,
			struct error *e)
{
	struct identify_ctrl id = {
		.max_transfer_bytes = transfer_bytes(raw[77], page_min_bytes),
		.nr_namespaces = le32(raw + 516),
		.dataset_management = raw[520] & 4,
		.write_zeroes = raw[520] & 8,
		.volatile_cache = raw[525] & 1,
		/* As they come, or in whole double words, which is all that we have. */
		.sgl = (le32(raw + 536) & 3) == 1 || (le32(raw + 536) & 3) == 2,
		.shutdown_ms = SHUTDOWN_MS,
	};
	uint32_t rtd3e_ms = le32(raw + 88) / 1000;

	copy_text(id.serial, raw + 4, 20);
	copy_text(id.model, raw + 24, 40);
	copy_text(id.firmware, raw + 64, 8);
	/* The least and the greatest entry it takes, as powers of two. */
	if ((raw[512] & 0xf) > 6 || raw[512] >> 4 < 6 || (raw[513] & 0xf) > 4 || raw[513] >> 4 < 4)
		return error_set(e, EOPNOTSUPP,
				 "the controller takes queue entries of sizes 0x%02x and 0x%02x; "
				 "expected 64 and 16 bytes to be among them",
				 raw[512], raw[513]);
	if (rtd3e_ms)
		id.shutdown_ms = rtd3e_ms > SHUTDOWN_MAX_MS ? SHUTDOWN_MAX_MS : rtd3e_ms;
	*out = id;
	return 0;
}

void identify_limits_parse(const uint8_t *raw, uint32_t page_min_bytes, struct identify_limits *out)
{
	uint32_t range_blocks = le32(raw + 4); /* DMRSL */
	uint64_t blocks = le64(raw + 8); /* DMSL */

	*out = (struct identify_limits){ .deallocate_blocks = UINT32_MAX };
	if (range_blocks)
		out->deallocate_blocks = range_blocks;
	if (blocks && blocks < out->deallocate_blocks)
		out->deallocate_blocks = (uint32_t)blocks;
	if (raw[1]) /* WZSL */
		out->zero_bytes = transfer_bytes(raw[1], page_min_bytes);
}

/* NPDG, the preferred granularity of deallocation: a hint. */
static uint32_t deallocate_bytes(const uint8_t *raw, uint32_t block_bytes)
{
	uint64_t bytes = block_bytes;

	if (raw[24] & 0x10)
		bytes = (le16(raw + 68) + 1u) * (uint64_t)block_bytes;
	return bytes > PREFERRED_MAX_BYTES ? block_bytes : (uint32_t)bytes;
}

static uint32_t preferred_bytes(const uint8_t *raw, uint32_t block_bytes)
{
	uint32_t bytes = PREFERRED_BYTES;

	/* NSFEAT says whether NPWG, the preferred granularity of writes, means anything. */
	if (raw[24] & 0x10)
		bytes = (le16(raw + 64) + 1u) * block_bytes;
	if (bytes & (bytes - 1) || bytes > PREFERRED_MAX_BYTES)
		bytes = PREFERRED_BYTES;
	return bytes < block_bytes ? block_bytes : bytes;
}

int identify_ns_parse(const uint8_t *raw, uint32_t nsid, struct identify_ns *out, struct error *e)
{
	uint64_t nr_blocks = le64(raw);
	uint32_t format = (raw[26] & 0xfu) | (raw[25] > 15 ? (raw[26] & 0x60u) >> 1 : 0);
	const uint8_t *lbaf = raw + 128 + 4 * (size_t)format;
	struct identify_ns ns;

	if (!nr_blocks)
		return error_set(e, ENODEV, "the controller has no namespace %u", nsid);
	/* 64 formats at most: lbaf is within raw. */
	if (format > raw[25] || lbaf[2] < 9 || lbaf[2] > 12)
		return error_set(e, EOPNOTSUPP,
				 "namespace %u has blocks of 2^%u bytes; expected 512 to 4096",
				 nsid, lbaf[2]);
	if (le16(lbaf) || raw[29] & 7)
		return error_set(e, EOPNOTSUPP,
				 "namespace %u has %u bytes of metadata a block, protection type "
				 "%u; expected none, so format it anew",
				 nsid, le16(lbaf), raw[29] & 7);
	ns.block_bytes = 1u << lbaf[2];
	if (__builtin_mul_overflow(nr_blocks, ns.block_bytes, &ns.size_bytes))
		return error_set(e, EOPNOTSUPP, "namespace %u is larger than 64 bits hold", nsid);
	ns.preferred_bytes = preferred_bytes(raw, ns.block_bytes);
	ns.deallocate_bytes = deallocate_bytes(raw, ns.block_bytes);
	ns.zeroes_deallocate = raw[33] & 8; /* DLFEAT */
	*out = ns;
	return 0;
}
