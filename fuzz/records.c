/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The state directory of a daemon that was killed, truncated and corrupted: what its successor makes
 * of it. Some pages are really mapped (on the simulator's machine), and the records say so, somewhere;
 * when recovery says that all went well, none of them may be left.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aside.h"
#include "grant.h"
#include "inherit.h"
#include "input.h"
#include "leftover.h"
#include "log.h"

#define NR_PAGES   4
#define MAX_FILES  6
#define NR_BATCH   8 /* operations of the batch, where it is as it should be */
#define NR_IOS	   32

#define QUEUE	   "vbd-1-51712-queue-0"
#define QUEUE_LEFT QUEUE ASIDE_SUFFIX

static char dir[64];
static xencall_handle *xcall;
static uint32_t refs[NR_PAGES];
static struct gnttab_map_grant_ref mapped[NR_PAGES];
static uint8_t recorded[5]; /* by each file: a bit a page */
static uint8_t ring_page[RING_PAGE_BYTES] __attribute__((aligned(RING_PAGE_BYTES)));

static void map_pages(void)
{
	for (int i = 0; i < NR_PAGES; i++) {
		mapped[i] =
			(struct gnttab_map_grant_ref){ .flags = GNTMAP_device_map, .ref = refs[i] };
		must(!xencall3(xcall, __HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref,
			       (uintptr_t)&mapped[i], 1) &&
		     mapped[i].status == GNTST_okay);
	}
}

/* Return: true if it was mapped until now. */
static bool unmap_page(int i, struct gnttab_unmap_grant_ref *op)
{
	*op = (struct gnttab_unmap_grant_ref){ .handle = mapped[i].handle,
					       .dev_bus_addr = mapped[i].dev_bus_addr };
	must(!xencall3(xcall, __HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, (uintptr_t)op,
		       1));
	return op->status == GNTST_okay;
}

/* As the datapath would have left it: in the batch, or in an io. */
static void put_map(struct record *r, enum record_kind kind, uint32_t nr, int page, uint8_t at)
{
	struct io_map *map = NULL;

	/* Each page has places of its own. */
	at = kind == RECORD_BATCH ? (uint8_t)(page + (at & 1) * NR_PAGES) : (uint8_t)(at % nr);
	if (kind == RECORD_BATCH) {
		grant_batch_view(r->mem, nr).maps[at] = mapped[page];
	} else if (kind == RECORD_QUEUE) {
		map = &((struct queue_record *)r->mem)->ios[at].maps[page];
	} else {
		map = &((struct table_record *)r->mem)[at].maps[page];
	}
	if (map)
		*map = (struct io_map){ .bus = mapped[page].dev_bus_addr,
					.handle = mapped[page].handle,
					.mapped = true };
}

static void never_ran(void *mem, uint32_t nr)
{
	const struct grant_view v = grant_batch_view(mem, nr);

	for (uint32_t i = 0; i < nr; i++)
		v.maps[i].status = v.unmaps[i].status = GRANT_STATUS_NEVER_RAN;
}

static size_t whole_bytes(enum record_kind kind, uint32_t nr)
{
	switch (kind) {
	case RECORD_PINS:
		return dmem_pins_bytes(nr);
	case RECORD_BATCH:
		return grant_batch_bytes(nr);
	case RECORD_QUEUE:
		return queue_record_bytes(nr);
	default:
		return table_record_bytes(nr);
	}
}

static void scribble(struct input *in, void *mem, size_t bytes)
{
	for (int n = input_u8(in) % 8; n; n--) {
		size_t at = input_u16(in), len = input_u8(in) % 32;

		if (at < bytes)
			input_bytes(in, (uint8_t *)mem + at, len < bytes - at ? len : bytes - at);
	}
}

static void cut(const char *path, size_t bytes)
{
	must(!truncate(path, (off_t)bytes));
}

/* Return: true if it is as a daemon would have written it. */
static bool make_file(struct input *in)
{
	static const char *const names[] = { "pins", "batch-0", QUEUE, "tables-0", QUEUE_LEFT };
	static const enum record_kind kinds[] = { RECORD_PINS, RECORD_BATCH, RECORD_QUEUE,
						  RECORD_TABLES, RECORD_QUEUE };
	static const uint32_t usual[] = { NR_BATCH, NR_BATCH, NR_IOS, 2, NR_IOS };
	uint8_t which = input_u8(in) % 5, flags = input_u8(in);
	uint32_t nr = usual[which];
	struct record r;

	must(!record_create(&r, dir, names[which], kinds[which], nr,
			    whole_bytes(kinds[which], nr)));
	if (kinds[which] == RECORD_PINS)
		dmem_pins_init(r.mem, nr);
	if (kinds[which] == RECORD_BATCH)
		never_ran(r.mem, nr);
	if (kinds[which] == RECORD_QUEUE)
		((struct queue_record *)r.mem)->identity =
			(struct queue_identity){ .nr_pages = 1, .entry_bytes = 112 };
	if (flags & 1)
		scribble(in, r.mem, r.bytes);
	recorded[which] = which && which < 4 ? flags >> 4 : 0;
	for (int i = 0; i < NR_PAGES; i++) {
		if (recorded[which] & 1 << i)
			put_map(&r, kinds[which], nr, i, input_u8(in));
	}
	record_commit(&r);
	if (flags & 2)
		scribble(in, r.header, 64);
	record_close(&r);
	if (flags & 4)
		cut(r.path, input_u16(in));
	return !(flags & 7);
}

static void clear_dir(void)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	while (d && (entry = readdir(d)))
		unlinkat(dirfd(d), entry->d_name, 0);
	must(d);
	closedir(d);
}

static void check_inherited(struct input *in)
{
	struct queue_identity id = { .nr_pages = 1, .entry_bytes = 112 };
	struct inherit out;
	struct ring ring;
	struct error e = { "" };

	memset(ring_page, 0, sizeof(ring_page));
	input_bytes(in, ring_page, 16);
	if (inherit_ring(dir, QUEUE, &abi_x86_64, ring_page, &id, &ring, &out, &e)) {
		must(e.text[0]);
		return;
	}
	must(ring_pending(&ring) >= 0);
	if (out.inherited.record) {
		must(out.inherited.nr <= ring.nr_entries);
		must(ring_unanswered(&ring) == out.inherited.nr);
	} else {
		must(!ring_unanswered(&ring));
	}
	inherit_end(&out);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *machine = getenv("XENSIM_DIR");
	static xengntshr_handle *shr;

	/* By fuzz/run. */
	must(machine && snprintf(dir, sizeof(dir), "%s/run", machine) < (int)sizeof(dir));
	must(!mkdir(dir, 0700) || errno == EEXIST);
	log_set_level(0);
	shr = xengntshr_open(NULL, 0);
	xcall = xencall_open(NULL, 0);
	must(shr && xcall && xengntshr_share_pages(shr, 0, NR_PAGES, refs, 1));
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct gnttab_unmap_grant_ref op;
	struct error e = { "" };
	bool whole = true;
	int err;

	map_pages();
	memset(recorded, 0, sizeof(recorded));
	for (int n = input_u8(&in) % MAX_FILES; n; n--)
		whole &= make_file(&in);
	err = leftover_release((const char *[]){ dir }, 1, &e);
	if (err)
		must(e.text[0]);
	for (int i = 0; i < NR_PAGES; i++) {
		bool written = (recorded[1] | recorded[2] | recorded[3]) & 1 << i;

		if (unmap_page(i, &op))
			must(err || !whole || !written);
	}
	check_inherited(&in);
	clear_dir();
	return 0;
}
