/* SPDX-License-Identifier: BSD-2-Clause */
#include "grant.h"

#include <stdlib.h>

#include "machine.h"
#include "tap.h"

#define FRONT 1
#define BACK  0
#define NR    8

/* A guest that has granted some pages, and a batch that has the first two of them mapped. */
struct rig {
	struct grant_batch batch;
	uint64_t buses[1]; /* of pages of ours, of which there is none: they have addresses */
	struct dmem dmem;
	xengntshr_handle *shr;
	void *pages, *mem;
	uint32_t refs[NR], handles[NR];
	uint64_t bus[NR];
};

static bool is_mapped(struct rig *rig, uint32_t op, uint32_t page)
{
	return grant_batch_mapped(&rig->batch, op, &rig->handles[page], &rig->bus[page]);
}

static void add_map(struct rig *rig, uint32_t page)
{
	grant_batch_map(&rig->batch, FRONT, rig->refs[page], false);
}

static void add_unmap(struct rig *rig, uint32_t page)
{
	grant_batch_unmap(&rig->batch, rig->handles[page], rig->bus[page], &rig->handles[page]);
}

static bool rig_open(struct rig *rig)
{
	*rig = (struct rig){ .dmem.bus = rig->buses };
	rig->mem = aligned_alloc(4096, 4096);
	be(FRONT);
	rig->shr = xengntshr_open(NULL, 0);
	rig->pages = xengntshr_share_pages(rig->shr, BACK, NR, rig->refs, 1);
	be(BACK);
	if (!rig->pages || grant_batch_init(&rig->batch, &rig->dmem, rig->mem, NR))
		return false;
	add_map(rig, 0);
	add_map(rig, 1);
	grant_batch_flush(&rig->batch);
	grant_batch_let_go(&rig->batch);
	if (!is_mapped(rig, 0, 0) || !is_mapped(rig, 1, 1))
		return false;
	grant_batch_reset(&rig->batch);
	return true;
}

static void rig_close(struct rig *rig)
{
	check_eq(count("mapped_pages"), 0);
	grant_batch_fini(&rig->batch);
	xengntshr_unshare(rig->shr, rig->pages, NR);
	xengntshr_close(rig->shr);
	free(rig->mem);
}

static void unmap_now(struct rig *rig, uint32_t page)
{
	add_unmap(rig, page);
	grant_batch_flush(&rig->batch);
	check(grant_batch_unmapped(&rig->batch, 0));
	grant_batch_reset(&rig->batch);
}

/* One page is unmapped, and another one mapped, in one flush that takes so many hypercalls. */
static void exchange(struct rig *rig, uint32_t out, uint32_t in, uint64_t calls)
{
	uint64_t before = count("hypercalls"), counted = rig->batch.nr_calls;

	add_unmap(rig, out);
	add_map(rig, in);
	grant_batch_flush(&rig->batch);
	check(grant_batch_unmapped(&rig->batch, 0));
	grant_batch_let_go(&rig->batch);
	check(is_mapped(rig, 0, in));
	check(rig->handles[in] != rig->handles[out]);
	grant_batch_reset(&rig->batch);
	check_eq(count("hypercalls") - before, calls);
	check_eq(rig->batch.nr_calls - counted, calls);
}

static void maps_and_unmaps_go_in_one_hypercall(void)
{
	struct rig rig;

	check(rig_open(&rig));
	exchange(&rig, 0, 2, 1);
	exchange(&rig, 1, 3, 1);
	unmap_now(&rig, 2);
	unmap_now(&rig, 3);
	rig_close(&rig);
}

static void each_kind_has_its_own_where_multicalls_are_refused(void)
{
	struct rig rig;

	check(rig_open(&rig));
	check_eq(sim_set("no_multicall=1"), 0);
	exchange(&rig, 0, 2, 3);
	exchange(&rig, 1, 3, 2);
	check_eq(sim_set("no_multicall=0"), 0);
	unmap_now(&rig, 2);
	unmap_now(&rig, 3);
	rig_close(&rig);
}

static void maps_that_were_stopped_run_when_unmaps_are_forgotten(void)
{
	struct rig rig;

	check(rig_open(&rig));
	add_unmap(&rig, 0);
	add_map(&rig, 2);
	add_map(&rig, 3);
	check_eq(sim_set("efault=2"), 0);
	grant_batch_flush(&rig.batch);
	check_eq(rig.batch.maps[0].status, GNTST_okay);
	check_eq(rig.batch.maps[1].status, GRANT_STATUS_NEVER_RAN);
	check(grant_batch_unmapped(&rig.batch, 0));
	grant_batch_let_go(&rig.batch);
	check_eq(rig.batch.unmaps[0].status, GRANT_STATUS_NEVER_RAN);
	check(is_mapped(&rig, 0, 2));
	check(is_mapped(&rig, 1, 3));
	grant_batch_reset(&rig.batch);
	unmap_now(&rig, 1);
	unmap_now(&rig, 2);
	unmap_now(&rig, 3);
	rig_close(&rig);
}

static void an_unmap_that_was_stopped_runs_in_the_same_flush(void)
{
	struct rig rig;

	check(rig_open(&rig));
	check_eq(sim_set("efault=2"), 0);
	exchange(&rig, 0, 2, 2);
	unmap_now(&rig, 1);
	unmap_now(&rig, 2);
	rig_close(&rig);
}

static void nothing_to_do_is_no_hypercall(void)
{
	struct rig rig;
	uint64_t before;

	check(rig_open(&rig));
	before = count("hypercalls");
	check(!grant_batch_flush(&rig.batch));
	grant_batch_let_go(&rig.batch);
	check_eq(count("hypercalls"), before);
	unmap_now(&rig, 0);
	unmap_now(&rig, 1);
	rig_close(&rig);
}

int main(void)
{
	machine_create();
	tap_run(maps_and_unmaps_go_in_one_hypercall);
	tap_run(each_kind_has_its_own_where_multicalls_are_refused);
	tap_run(maps_that_were_stopped_run_when_unmaps_are_forgotten);
	tap_run(an_unmap_that_was_stopped_runs_in_the_same_flush);
	tap_run(nothing_to_do_is_no_hypercall);
	return tap_end();
}
