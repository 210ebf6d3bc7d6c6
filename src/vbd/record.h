/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * record - memory that outlives the process: a mapping of a file under /run/xenblkd, locked for who made it.
 *
 * The io pools and the arguments of the grant hypercalls lie here, so that Xen writes its statuses
 * and handles where a successor of a process that was killed finds them. A kill leaves every store
 * that the process made before it, in the order of the program; so what is written here says by its
 * order what holds at each instant (leftover.h).
 *
 * Thread: control; the memory belongs to whoever made it.
 */
#ifndef XENBLKD_RECORD_H
#define XENBLKD_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A daemon takes over from those whose records are of the same one. */
#define RECORD_VERSION 4u

/* What lies behind the header. */
enum record_kind {
	RECORD_PINS = 1, /* what dmem_create() pins: so many pages */
	RECORD_BATCH, /* the arrays of a struct grant_batch of so many operations */
	RECORD_QUEUE, /* struct queue_record with so many ios */
	RECORD_TABLES, /* so many struct table_record */
};

struct record {
	struct record_header *header;
	void *mem; /* behind the header, zero at first; locked, unless see record_open() */
	size_t bytes; /* of mem */
	char path[108];
};

/**
 * record_create - makes @dir/@name anew
 *
 * @nr: entries, for whoever opens it later
 *
 * Return: 0 or -errno.
 */
int record_create(struct record *r, const char *dir, const char *name, enum record_kind kind,
		  uint32_t nr, size_t bytes);

/* record_commit - what is in it is whole: record_open() takes it from now on. */
void record_commit(struct record *r);

/* record_destroy - ends the mapping and removes the file. */
void record_destroy(struct record *r);

/**
 * record_open - maps a record that another process made and committed
 *
 * Locked are those that hypercalls write to, of pins and batches; the others are only looked through.
 *
 * @kind, @nr: as it was made
 *
 * Return: 0; -ENOENT; -ENODATA if it was not committed yet; -EINVAL if it is no record, or damaged;
 * -EPROTONOSUPPORT if it is of another version; -errno.
 */
int record_open(struct record *r, const char *dir, const char *name, enum record_kind *kind,
		uint32_t *nr);

/*
 * record_find - what stood at @address, of so many bytes, in the process that made the record.
 *
 * Return: it, or NULL if it is not in this record.
 */
void *record_find(const struct record *r, uint64_t address, size_t bytes);

/* record_is_foreign - true if it is a record of another version. */
bool record_is_foreign(const char *dir, const char *name);

/* record_is_bool - true if @b, read from a record, is a bool: until then it must not be used as one. */
static inline bool record_is_bool(const bool *b)
{
	uint8_t byte;

	memcpy(&byte, b, sizeof(byte));
	return byte <= 1;
}

/* record_close - ends the mapping of what record_open() opened; the file stays. */
void record_close(struct record *r);

#endif
