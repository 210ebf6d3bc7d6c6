/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A partition table by somebody hostile, on a device that may fail to be read. Checksums are put right
 * on the way if the input says so, or nothing behind them would ever be looked at.
 */
#include <errno.h>

#include "gpt.h"
#include "input.h"
#include "log.h"

#define MAX_CHUNKS 16

static struct {
	struct input in;
	uint64_t size_bytes;
	uint32_t block_bytes;
	bool mend;
	uint8_t bytes[1 << 16]; /* the beginning of the device, and, once more, its end */
} dev;

static uint32_t crc32_of(const uint8_t *p, size_t n)
{
	uint32_t crc = UINT32_MAX;

	while (n--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

static uint32_t le32_at(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void put32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

/* What stands at @offset_bytes: the window is there at both ends, and zeroes between. */
static void device_read(uint64_t offset_bytes, uint8_t *buf, uint32_t len_bytes)
{
	for (uint32_t i = 0; i < len_bytes; i++) {
		uint64_t at = offset_bytes + i, from_end = dev.size_bytes - at;

		if (at < sizeof(dev.bytes) / 2)
			buf[i] = dev.bytes[at];
		else if (from_end <= sizeof(dev.bytes) / 2)
			buf[i] = dev.bytes[sizeof(dev.bytes) - from_end];
		else
			buf[i] = 0;
	}
}

/* A header whose checksums are right. */
static void mend_header(uint8_t *block)
{
	uint32_t header_bytes = le32_at(block + 12);
	uint64_t lba, array_bytes = (uint64_t)le32_at(block + 80) * le32_at(block + 84);

	if (memcmp(block, "EFI PART", 8))
		return;
	memcpy(&lba, block + 72, sizeof(lba));
	if (array_bytes && array_bytes <= sizeof(dev.bytes) / 2 &&
	    lba < dev.size_bytes / dev.block_bytes &&
	    array_bytes <= dev.size_bytes - lba * dev.block_bytes) {
		uint8_t *array = malloc(array_bytes);

		must(array);
		device_read(lba * dev.block_bytes, array, (uint32_t)array_bytes);
		put32(block + 88, crc32_of(array, array_bytes));
		free(array);
	}
	if (header_bytes < 20 || header_bytes > dev.block_bytes)
		return;
	put32(block + 16, 0);
	put32(block + 16, crc32_of(block, header_bytes));
}

static int read_fn(void *arg, uint64_t offset_bytes, void *buf, uint32_t len_bytes)
{
	must(len_bytes && len_bytes <= 4 << 20);
	must(offset_bytes % dev.block_bytes == 0 && len_bytes % dev.block_bytes == 0);
	must(offset_bytes <= dev.size_bytes && len_bytes <= dev.size_bytes - offset_bytes);
	device_read(offset_bytes, buf, len_bytes);
	if (dev.mend && len_bytes == dev.block_bytes)
		mend_header(buf);
	return input_u8(&dev.in) == 0xff ? -EIO : 0;
}

static void check_extent(const struct gpt_extent *x)
{
	uint64_t blocks = dev.size_bytes / dev.block_bytes;

	must(x->size_bytes && x->size_bytes % dev.block_bytes == 0);
	must(x->first_byte % dev.block_bytes == 0);
	/* Clear of the protective MBR and both headers. */
	must(x->first_byte >= 2 * (uint64_t)dev.block_bytes);
	must(x->first_byte <= (blocks - 1) * dev.block_bytes);
	must(x->size_bytes <= (blocks - 1) * dev.block_bytes - x->first_byte);
}

/* Pieces of the device, each with its place. */
static void fill(struct input *in)
{
	memset(dev.bytes, 0, sizeof(dev.bytes));
	for (int i = 0; i < MAX_CHUNKS && in->left; i++) {
		uint32_t at = input_u16(in), n = input_u8(in);

		if (at + n > sizeof(dev.bytes))
			n = (uint32_t)sizeof(dev.bytes) - at;
		input_bytes(in, dev.bytes + at, n);
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	log_set_level(LOG_LEVEL_ERROR);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	uint8_t flags = input_u8(&in);
	struct gpt_extent extent = { 0 };
	struct error e = { "" };
	char *selector = input_line(&in);
	int err;

	if (!selector)
		return 0;
	dev.block_bytes = flags & 1 ? 4096 : 512;
	dev.size_bytes = flags & 2 ? input_u64(&in) : input_u16(&in) * 512ull;
	dev.mend = flags & 4;
	/* What reads fail. */
	dev.in = (struct input){ 0 };
	if (flags & 8)
		dev.in = in;
	fill(&in);
	err = gpt_find(read_fn, NULL, dev.size_bytes, dev.block_bytes, selector, &extent, &e);
	if (!err)
		check_extent(&extent);
	else
		must(err < 0 && e.text[0]);
	free(selector);
	return 0;
}
