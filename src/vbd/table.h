/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * table - the segments of one indirect request, and what is known of each while it is in flight.
 *
 * A ring has up to 512 slots and a request up to 256 segments: memory for all of them at once would be
 * megabytes for each queue, nearly all of it unused. So an io has room for the 11 segments of a plain
 * request, and takes a table for more. A reactor has a fixed number of tables, shared by all its
 * queues; a request for which there is none waits on its ring.
 *
 * What a successor has to know, should we be killed, lies in a record (record.h).
 *
 * Thread: create and destroy on the control thread while the reactor does not run; the rest on the
 * reactor.
 */
#ifndef XENBLKD_TABLE_H
#define XENBLKD_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "list.h"
#include "record.h"
#include "request.h"

/* feature-max-indirect-segments: requests of 1 MiB. */
#define TABLE_SEGMENTS 256u

/* A page of the guest's that is mapped for devices. */
struct io_map {
	uint64_t bus;
	uint32_t handle;
	bool mapped;
};

struct table_record {
	struct segment segments[TABLE_SEGMENTS];
	struct io_map maps[TABLE_SEGMENTS]; /* one a segment, of a direct transfer */
};

static inline size_t table_record_bytes(uint32_t nr)
{
	return nr * sizeof(struct table_record);
}

struct table {
	struct list_node link; /* while free */
	struct table_record *record;
	void *pages[TABLE_SEGMENTS]; /* of dmem, one a segment, of a transfer by copy */
	struct iovec iov[TABLE_SEGMENTS];
};

struct table_pool {
	struct record record;
	struct table *tables;
	struct list free;
	uint32_t nr_free;
};

/* table_pool_create - @nr tables; @name: of the record in @dir. Return: 0 or -errno. */
int table_pool_create(struct table_pool *p, const char *dir, const char *name, uint32_t nr);

/* table_pool_destroy - the reverse; every table has been put back. */
void table_pool_destroy(struct table_pool *p);

/* table_get - Return: a table, or NULL if all are taken. */
struct table *table_get(struct table_pool *p);

/* table_put - the reverse; nothing in it is mapped any more. */
void table_put(struct table_pool *p, struct table *t);

/* table_number - which of the record's it is. */
static inline uint32_t table_number(const struct table_pool *p, const struct table *t)
{
	return (uint32_t)(t - p->tables);
}

#endif
