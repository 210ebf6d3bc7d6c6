/* SPDX-License-Identifier: BSD-2-Clause */
#include "inherit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aside.h"

static int open_left(const char *dir, const char *name, struct record *r, uint32_t *nr)
{
	enum record_kind kind;
	char left[96];
	int err;

	snprintf(left, sizeof(left), "%s" ASIDE_SUFFIX, name);
	err = record_open(r, dir, left, &kind, nr);
	if (err)
		return err;
	if (kind == RECORD_QUEUE && *nr <= QUEUE_MAX_IOS && r->bytes >= queue_record_bytes(*nr))
		return 0;
	record_close(r);
	return -EINVAL;
}

static int attach(const struct abi *abi, void *shared, const struct queue_identity *id,
		  struct ring *ring, struct error *e)
{
	int err = ring_attach(ring, abi, shared, id->nr_pages);

	return err ? error_set(e, -err, "the ring holds more requests than it has slots") : 0;
}

/* What is written down has to be whole and to agree with itself, whoever wrote it. */
static int find_in_flight(struct inherit *in, uint32_t nr_ios)
{
	const struct queue_record *q = in->record.mem;
	const struct io_record **ios = calloc(nr_ios, sizeof(const struct io_record *));

	if (!ios)
		return -ENOMEM;
	in->inherited.nr = queue_record_in_flight(q, nr_ios, ios);
	in->inherited.ios = ios;
	if (in->inherited.nr != q->req_cons - q->rsp_prod || !record_is_bool(&q->flush_failed))
		return -EINVAL;
	for (uint32_t i = 0; i < in->inherited.nr; i++) {
		if (!record_is_bool(&ios[i]->settled) ||
		    !record_is_bool(&ios[i]->request.indirect) ||
		    !record_is_bool(&ios[i]->request.secure))
			return -EINVAL;
		/* One that is only answered may be of any kind. */
		if (ios[i]->state == IO_TAKEN && !ios[i]->settled &&
		    !request_is_sound(&ios[i]->request, TABLE_SEGMENTS))
			return -EINVAL;
	}
	in->inherited.record = q;
	return 0;
}

static int inherit_same_ring(struct inherit *in, uint32_t nr_ios, const struct abi *abi,
			     void *shared, const struct queue_identity *id, struct ring *ring)
{
	const struct queue_record *q = in->record.mem;
	int err = nr_ios == ring_entries(abi, id->nr_pages) ? 0 : -EINVAL;

	if (!err)
		err = find_in_flight(in, nr_ios);
	return err ? err : ring_resume(ring, abi, shared, id->nr_pages, q->req_cons, q->rsp_prod);
}

int inherit_ring(const char *dir, const char *name, const struct abi *abi, void *shared,
		 const struct queue_identity *id, struct ring *ring, struct inherit *out,
		 struct error *e)
{
	const struct queue_record *q;
	uint32_t nr_ios;
	int err;

	*out = (struct inherit){ 0 };
	err = open_left(dir, name, &out->record, &nr_ios);
	if (err == -ENOENT)
		return attach(abi, shared, id, ring, e);
	if (err)
		return error_set(e, EIO,
				 "what the daemon that was killed wrote down of %s cannot be read "
				 "(%s): the guest has to connect the disk anew",
				 name, strerror(-err));
	q = out->record.mem;
	if (memcmp(&q->identity, id, sizeof(*id))) {
		inherit_end(out);
		return attach(abi, shared, id, ring, e);
	}
	err = inherit_same_ring(out, nr_ios, abi, shared, id, ring);
	if (!err)
		return 0;
	inherit_end(out);
	/* Another kernel in the same guest may make the same grants; its ring begins at 0. */
	if (err == -EPROTO && !attach(abi, shared, id, ring, e) && !ring->rsp_prod)
		return 0;
	return error_set(e, EIO,
			 "what the daemon that was killed wrote down of %s does not fit to the "
			 "ring: the guest has to connect the disk anew",
			 name);
}

void inherit_end(struct inherit *in)
{
	if (in->record.header)
		record_close(&in->record);
	free(in->inherited.ios);
	*in = (struct inherit){ 0 };
}
