/* SPDX-License-Identifier: BSD-2-Clause */
/* What a queue's record must be like to be gone on with. That it is gone on with, the stories show. */
#include "inherit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aside.h"
#include "record.h"
#include "tap.h"

#define NR_IOS 32u
#define NAME   "vbd-3-51712-queue-0"

static _Alignas(4096) uint8_t page[4096];
static char dir[32];
static struct record record;

static const struct queue_identity id = { .refs = { 8 }, .nr_pages = 1, .entry_bytes = 112 };

/* Two reads in flight, behind five that were answered. Return: the record, still to be damaged. */
static struct queue_record *leave(void)
{
	const uint32_t req_prod = 7, rsp_prod = 5;
	struct queue_record *q;

	strcpy(dir, "/tmp/xenblkd-test-XXXXXX");
	if (!mkdtemp(dir) || record_create(&record, dir, NAME ASIDE_SUFFIX, RECORD_QUEUE, NR_IOS,
					   queue_record_bytes(NR_IOS)))
		return NULL;
	memset(page, 0, sizeof(page));
	memcpy(page, &req_prod, 4);
	memcpy(page + 8, &rsp_prod, 4);
	q = record.mem;
	q->identity = id;
	q->req_cons = req_prod;
	q->rsp_prod = rsp_prod;
	for (uint32_t i = 0; i < 2; i++) {
		q->ios[i].state = IO_TAKEN;
		q->ios[i].req_idx = rsp_prod + i;
		q->ios[i].request = (struct request){ .op = REQUEST_READ, .nr_segments = 1 };
		q->ios[i].request.segments[0].len_bytes = 4096;
		q->ios[i].request.len_bytes = 4096;
	}
	record_commit(&record);
	return q;
}

/* Return: as inherit_ring() does; on success *@nr requests are to be carried out again. */
static int inherit(uint32_t *nr)
{
	struct inherit in;
	struct ring ring;
	struct error e;
	int err = inherit_ring(dir, NAME, &abi_x86_64, page, &id, &ring, &in, &e);

	*nr = err ? 0 : in.inherited.nr;
	if (!err)
		inherit_end(&in);
	record_destroy(&record);
	rmdir(dir);
	return err;
}

static void goes_on_with_what_was_in_flight(void)
{
	uint32_t nr;

	check(leave());
	check_eq(inherit(&nr), 0);
	check_eq(nr, 2);
}

/* Found by fuzzing: a byte that is no bool was used as one. */
static void refuses_flags_that_are_none(void)
{
	for (int i = 0; i < 3; i++) {
		struct queue_record *q = leave();
		uint32_t nr;

		check(q);
		memset(i == 0	? &q->flush_failed
		       : i == 1 ? &q->ios[1].settled
				: &q->ios[1].request.indirect,
		       205, sizeof(bool));
		check_eq(inherit(&nr), -EIO);
	}
}

static void refuses_another_number_of_requests_than_is_open(void)
{
	struct queue_record *q = leave();
	uint32_t nr;

	check(q);
	q->ios[1].state = IO_FREE;
	check_eq(inherit(&nr), -EIO);
}

int main(void)
{
	tap_run(goes_on_with_what_was_in_flight);
	tap_run(refuses_flags_that_are_none);
	tap_run(refuses_another_number_of_requests_than_is_open);
	return tap_end();
}
