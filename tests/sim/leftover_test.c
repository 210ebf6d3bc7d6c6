/* SPDX-License-Identifier: BSD-2-Clause */
/* That recovery unmaps what a dead daemon had mapped, all of it, and nothing twice. */
#include "leftover.h"

#include <sys/stat.h>
#include <xencall.h>
#include <xengnttab.h>

#include "../../src/xen/grant.h"
#include "io.h"
#include "log.h"
#include "machine.h"
#include "record.h"
#include "table.h"
#include "tap.h"

#define FRONT	  1
#define BACK	  0
#define NR_TABLES 2
#define NR_OPS	  8

static xencall_handle *call;
static uint32_t ref; /* of the one page */
static char dir[80];
static struct record tables[2], batches[2];

static bool is_made(struct record *r, const char *name, enum record_kind kind, uint32_t nr,
		    size_t bytes)
{
	return !record_create(r, dir, name, kind, nr, bytes);
}

static struct grant_view batch(int reactor)
{
	return grant_batch_view(batches[reactor].mem, NR_OPS);
}

/* Of two reactors. */
static bool make_records(void)
{
	static const char *const names[2][2] = { { "tables-0", "batch-0" },
						 { "tables-1", "batch-1" } };

	for (int i = 0; i < 2; i++) {
		if (!is_made(&tables[i], names[i][0], RECORD_TABLES, NR_TABLES,
			     table_record_bytes(NR_TABLES)) ||
		    !is_made(&batches[i], names[i][1], RECORD_BATCH, NR_OPS,
			     grant_batch_bytes(NR_OPS)))
			return false;
		for (int k = 0; k < NR_OPS; k++) {
			batch(i).maps[k].status = GRANT_STATUS_NEVER_RAN;
			batch(i).unmaps[k].status = GRANT_STATUS_NEVER_RAN;
		}
		record_commit(&tables[i]);
		record_commit(&batches[i]);
	}
	return true;
}

static struct io_map *place(int reactor, int i)
{
	return &((struct table_record *)tables[reactor].mem)[1].maps[i];
}

static int16_t map(int reactor, int k)
{
	struct gnttab_map_grant_ref *op = &batch(reactor).maps[k];

	*op = (struct gnttab_map_grant_ref){ .flags = GNTMAP_device_map,
					     .dom = FRONT,
					     .ref = ref,
					     .status = GRANT_STATUS_NEVER_RAN };
	xencall3(call, __HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, (uintptr_t)op, 1);
	return op->status;
}

/* Out of the batch, into the request. */
static void note(int reactor, int k, struct io_map *at)
{
	struct gnttab_map_grant_ref *op = &batch(reactor).maps[k];

	*at = (struct io_map){ .bus = op->dev_bus_addr, .handle = op->handle, .mapped = true };
	op->status = GRANT_STATUS_NEVER_RAN;
}

static int16_t unmap(int reactor, int k, const struct io_map *at)
{
	struct gnttab_unmap_grant_ref *op = &batch(reactor).unmaps[k];

	*op = (struct gnttab_unmap_grant_ref){ .dev_bus_addr = at->bus,
					       .handle = at->handle,
					       .status = GRANT_STATUS_NEVER_RAN };
	batch(reactor).undone[k] = (uintptr_t)at;
	xencall3(call, __HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, (uintptr_t)op, 1);
	return op->status;
}

static bool is_released(void)
{
	struct error e = { "" };

	for (int i = 0; i < 2; i++) {
		record_close(&tables[i]);
		record_close(&batches[i]);
	}
	if (!leftover_release((const char *[]){ dir }, 1, &e))
		return true;
	printf("# %s\n", e.text);
	return false;
}

static void unmaps_what_is_in_batches_and_in_requests(void)
{
	check(make_records());
	check_eq(map(0, 0), GNTST_okay);
	check_eq(map(1, 3), GNTST_okay);
	note(1, 3, place(1, 200));
	check_eq(map(1, 3), GNTST_okay);
	/* In both. */
	note(1, 3, place(1, 201));
	batch(1).maps[3].status = GNTST_okay;
	check_eq(count("mapped_pages"), 3);
	check(is_released());
	check_eq(count("mapped_pages"), 0);
}

/* As many as the array of unmaps holds: each stands twice, and the second place is not another round's. */
static void a_full_batch_that_is_in_requests_too(void)
{
	check(make_records());
	for (int k = 0; k < NR_OPS; k++) {
		check_eq(map(0, k), GNTST_okay);
		note(0, k, place(0, k));
		batch(0).maps[k].status = GNTST_okay;
	}
	check_eq(map(1, 0), GNTST_okay);
	check_eq(count("mapped_pages"), NR_OPS + 1);
	check(is_released());
	check_eq(count("mapped_pages"), 0);
}

/* Another reactor has mapped the same page, and has the handle that the unmap gave back. */
static void a_handle_that_was_given_anew_is_another_map(void)
{
	uint32_t handle;

	check(make_records());
	check_eq(map(0, 0), GNTST_okay);
	note(0, 0, place(0, 5));
	handle = place(0, 5)->handle;
	check_eq(unmap(0, 2, place(0, 5)), GNTST_okay);
	check_eq(map(1, 0), GNTST_okay);
	check_eq(batch(1).maps[0].handle, handle);
	note(1, 0, place(1, 5));
	check_eq(count("mapped_pages"), 1);
	check(is_released());
	check_eq(count("mapped_pages"), 0);
}

/* The same of one reactor, that undoes and maps at one go. */
static void a_handle_in_the_batch_that_gave_it_back_too(void)
{
	check(make_records());
	check_eq(map(0, 0), GNTST_okay);
	note(0, 0, place(0, 5));
	check_eq(unmap(0, 0, place(0, 5)), GNTST_okay);
	check_eq(map(0, 1), GNTST_okay);
	check_eq(batch(0).maps[1].handle, place(0, 5)->handle);
	check(is_released());
	check_eq(count("mapped_pages"), 0);
}

/* A recovery that was killed when it had unmapped, and had not written that down yet. */
static void what_recovery_has_unmapped_is_not_unmapped_again(void)
{
	check(make_records());
	check_eq(map(0, 0), GNTST_okay);
	check_eq(map(1, 0), GNTST_okay);
	note(1, 0, place(1, 0));
	check_eq(unmap(1, 7, place(1, 0)), GNTST_okay);
	batch(1).undone[7] = 0;
	check_eq(count("mapped_pages"), 1);
	check(is_released());
	check_eq(count("mapped_pages"), 0);
}

int main(void)
{
	static xengntshr_handle *shr;

	machine_create();
	log_set_level(0);
	snprintf(dir, sizeof(dir), "%s/run", machine_dir);
	be(FRONT);
	shr = xengntshr_open(NULL, 0);
	be(BACK);
	call = xencall_open(NULL, 0);
	if (mkdir(dir, 0700) || !shr || !call || !xengntshr_share_pages(shr, BACK, 1, &ref, 1))
		abort();
	tap_run(unmaps_what_is_in_batches_and_in_requests);
	tap_run(a_full_batch_that_is_in_requests_too);
	tap_run(a_handle_that_was_given_anew_is_another_map);
	tap_run(a_handle_in_the_batch_that_gave_it_back_too);
	tap_run(what_recovery_has_unmapped_is_not_unmapped_again);
	return tap_end();
}
