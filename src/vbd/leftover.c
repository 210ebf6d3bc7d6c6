/* SPDX-License-Identifier: BSD-2-Clause */
#include "leftover.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aside.h"
#include "grant.h"
#include "hugepages.h"
#include "io.h"
#include "log.h"
#include "point.h"
#include "record.h"

struct found {
	struct record record;
	uint32_t dir; /* the first, the second... */
	enum record_kind kind;
	uint32_t nr;
};

/* Where a map stands: one of the two. */
struct place {
	struct gnttab_map_grant_ref *op; /* in a batch */
	struct io_map *map; /* in a request */
};

struct leftover {
	struct found *found;
	uint32_t nr_found, room;
	const struct found
		*batch; /* whose unmaps are ours to write; NULL: nothing can have been mapped */
	uint32_t nr_unmaps; /* of this round, in the batch's array */
	struct place *places; /* what each of them undoes */
	uint32_t *
		slots; /* by handle: 1 + which unmap of this round, or 0; twice as many as there can be */
	uint32_t nr_recovered; /* unmaps of a recovery that was killed */
};

static size_t wanted_bytes(enum record_kind kind, uint32_t nr)
{
	switch (kind) {
	case RECORD_PINS:
		return dmem_pins_bytes(nr);
	case RECORD_BATCH:
		return grant_batch_bytes(nr);
	case RECORD_QUEUE:
		return queue_record_bytes(nr);
	case RECORD_TABLES:
		return table_record_bytes(nr);
	}
	return SIZE_MAX;
}

/* The maps of requests in @f: runs of them. Return: run @i, *@nr long; NULL behind the last. */
static struct io_map *map_run(const struct found *f, uint32_t i, uint32_t *nr)
{
	if (i >= f->nr)
		return NULL;
	switch (f->kind) {
	case RECORD_QUEUE:
		*nr = REQUEST_MAX_SEGMENTS;
		return ((struct queue_record *)f->record.mem)->ios[i].maps;
	case RECORD_TABLES:
		*nr = TABLE_SEGMENTS;
		return ((struct table_record *)f->record.mem)[i].maps;
	case RECORD_PINS:
	case RECORD_BATCH:
		break;
	}
	return NULL;
}

static bool is_whole(const struct found *f)
{
	const struct io_map *run;
	uint32_t nr;

	if (f->record.bytes < wanted_bytes(f->kind, f->nr))
		return false;
	for (uint32_t i = 0; (run = map_run(f, i, &nr)); i++) {
		for (uint32_t k = 0; k < nr; k++) {
			if (!record_is_bool(&run[k].mapped))
				return false;
		}
	}
	return true;
}

/* By its name. */
static bool is_queues(const char *name)
{
	return strstr(name, "-queue-") != NULL;
}

static bool is_records(const char *name)
{
	return is_queues(name) || !strcmp(name, "pins") || !strncmp(name, "batch-", 6) ||
	       !strncmp(name, "tables-", 7);
}

/*
 * Of a queue, what was in flight stands there and nowhere else: it is put aside, and when the ring is
 * taken up again inherit_ring() says that this cannot be. Others stay where they are.
 */
static void put_damaged_aside(const char *state_dir, const char *name)
{
	char path[PATH_MAX], left[PATH_MAX + sizeof(ASIDE_SUFFIX)];

	snprintf(path, sizeof(path), "%s/%s", state_dir, name);
	if (!is_queues(name)) {
		log_warning("%s is damaged: it is left as it is", path);
		return;
	}
	log_warning("%s is damaged: its disk will have to be connected anew", path);
	snprintf(left, sizeof(left), "%s" ASIDE_SUFFIX, path);
	rename(path, left);
}

/* Room for one more. Return: it, or NULL without memory. */
static struct found *next_found(struct leftover *l)
{
	uint32_t room = l->room ? 2 * l->room : 64;
	struct found *grown;

	if (l->nr_found == l->room) {
		grown = reallocarray(l->found, room, sizeof(*grown));
		if (!grown)
			return NULL;
		l->found = grown;
		l->room = room;
	}
	return &l->found[l->nr_found];
}

/*
 * A file that is no record stays where it is: somebody may want to look at it, or it was not whole
 * yet, and nothing had come of it. Of another version, it may be all that knows of a guest's pages.
 */
static int open_dir(struct leftover *l, const char *path, uint32_t number, struct error *e)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int err = 0;

	if (!dir)
		return error_set(e, errno, "cannot look into %s: %s", path, strerror(errno));
	while ((entry = readdir(dir))) {
		struct found *f;

		if (strstr(entry->d_name, ASIDE_SUFFIX))
			continue;
		f = next_found(l);
		if (!f) {
			err = error_set(e, ENOMEM, "no memory for what was left in %s", path);
			break;
		}
		err = record_open(&f->record, path, entry->d_name, &f->kind, &f->nr);
		if (err == -EPROTONOSUPPORT) {
			error_set(e, -err,
				  "%s/%s is of another version of xenblkd, which was killed: that "
				  "one "
				  "alone can let go of what it had mapped; start and stop it first",
				  path, entry->d_name);
			break;
		}
		if (!err && !is_whole(f)) {
			record_close(&f->record);
			err = -EINVAL;
		}
		if (err) {
			if (err == -EINVAL && is_records(entry->d_name))
				put_damaged_aside(path, entry->d_name);
			/* Nothing had come of it, and the next process there has another. */
			if (err == -ENODATA && is_records(entry->d_name) &&
			    !is_queues(entry->d_name))
				unlinkat(dirfd(dir), entry->d_name, 0);
			err = 0;
			continue;
		}
		f->dir = number;
		l->nr_found++;
	}
	closedir(dir);
	return err;
}

static int open_all(struct leftover *l, const char *const *dirs, uint32_t nr, struct error *e)
{
	int err = 0;

	for (uint32_t i = 0; i < nr && !err; i++)
		err = open_dir(l, dirs[i], i, e);
	for (uint32_t i = 0; i < l->nr_found; i++) {
		if (l->found[i].kind == RECORD_BATCH && l->found[i].nr)
			l->batch = &l->found[i];
	}
	return err;
}

int leftover_check(const char *path, struct error *e)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int err = 0;

	while (dir && !err && (entry = readdir(dir))) {
		if (record_is_foreign(path, entry->d_name))
			err = error_set(e, EPROTONOSUPPORT,
					"%s/%s is of another version of xenblkd, and this one "
					"could not go on where that one ends: end that one "
					"(systemctl stop), and start this one then",
					path, entry->d_name);
	}
	if (dir)
		closedir(dir);
	return err;
}

static struct grant_view view(const struct found *f)
{
	return grant_batch_view(f->record.mem, f->nr);
}

typedef void (*place_fn)(struct leftover *l, const struct place *p);

/* Of all maps. */
static void for_each_map(struct leftover *l, place_fn fn)
{
	for (uint32_t i = 0; i < l->nr_found; i++) {
		struct found *f = &l->found[i];
		struct io_map *run;
		uint32_t nr;

		for (uint32_t j = 0; f->kind == RECORD_BATCH && j < f->nr; j++) {
			struct gnttab_map_grant_ref *op = &view(f).maps[j];

			if (op->status == GNTST_okay)
				fn(l, &(struct place){ .op = op });
		}
		for (uint32_t j = 0; (run = map_run(f, j, &nr)); j++) {
			for (uint32_t k = 0; k < nr; k++) {
				if (run[k].mapped)
					fn(l, &(struct place){ .map = &run[k] });
			}
		}
	}
}

static uint32_t handle_of(const struct place *p)
{
	return p->op ? p->op->handle : p->map->handle;
}

static uint64_t bus_of(const struct place *p)
{
	return p->op ? p->op->dev_bus_addr : p->map->bus;
}

static void forget_map(const struct place *p)
{
	POINT();
	if (p->op)
		p->op->status = GRANT_STATUS_NEVER_RAN;
	else
		p->map->mapped = false;
	POINT();
}

static bool is_map(const struct found *f, const struct io_map *map)
{
	struct io_map *run;
	uint32_t nr;

	for (uint32_t i = 0; (run = map_run(f, i, &nr)); i++) {
		uintptr_t at = (uintptr_t)map - (uintptr_t)run;

		if (at < nr * sizeof(*run))
			return !(at % sizeof(*run));
	}
	return false;
}

/* What an unmap of a reactor's has undone: the map stands where it says, and in no batch any more. */
static void forget_undone(struct leftover *l, struct gnttab_unmap_grant_ref *op, uint64_t address)
{
	l->nr_recovered += !address;
	for (uint32_t i = 0; address && i < l->nr_found; i++) {
		const struct found *f = &l->found[i];
		struct io_map *map = record_find(&f->record, address, sizeof(*map));

		if (map && is_map(f, map) && map->mapped && map->handle == op->handle)
			forget_map(&(struct place){ .map = map });
	}
}

/* If an unmap of recovery has undone it: wherever it stands, since the handle is nobody else's yet. */
static void forget_if_recovered(struct leftover *l, const struct place *p)
{
	for (uint32_t i = 0; i < l->nr_found; i++) {
		const struct found *f = &l->found[i];

		for (uint32_t j = 0; f->kind == RECORD_BATCH && j < f->nr; j++) {
			const struct grant_view v = view(f);

			if (v.unmaps[j].status == GNTST_okay && !v.undone[j] &&
			    v.unmaps[j].handle == handle_of(p)) {
				forget_map(p);
				return;
			}
		}
	}
}

typedef void (*unmap_fn)(struct leftover *l, struct gnttab_unmap_grant_ref *op, uint64_t undone);

/* Of all unmaps that were carried out. */
static void for_each_unmap(struct leftover *l, unmap_fn fn)
{
	for (uint32_t i = 0; i < l->nr_found; i++) {
		struct found *f = &l->found[i];

		for (uint32_t j = 0; f->kind == RECORD_BATCH && j < f->nr; j++) {
			const struct grant_view v = view(f);

			if (v.unmaps[j].status == GNTST_okay)
				fn(l, &v.unmaps[j], v.undone[j]);
		}
	}
}

static void forget_unmap(struct leftover *l, struct gnttab_unmap_grant_ref *op, uint64_t undone)
{
	op->status = GRANT_STATUS_NEVER_RAN;
}

/* All unmaps that were carried out are forgotten as maps; then, and not before, as unmaps. */
static void settle(struct leftover *l)
{
	l->nr_recovered = 0;
	for_each_unmap(l, forget_undone);
	if (l->nr_recovered)
		for_each_map(l, forget_if_recovered);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	POINT();
	for_each_unmap(l, forget_unmap);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	POINT();
}

/* Return: the slot of the unmap of @handle in this round, or the one where it belongs. */
static uint32_t *find_slot(struct leftover *l, uint32_t handle)
{
	const struct gnttab_unmap_grant_ref *unmaps = view(l->batch).unmaps;
	uint32_t nr = 2 * l->batch->nr, at = handle % nr;

	while (l->slots[at] && unmaps[l->slots[at] - 1].handle != handle)
		at = (at + 1) % nr;
	return &l->slots[at];
}

/* Filled by add_unmap(). */
static void add_unmap(struct leftover *l, const struct place *p)
{
	const struct grant_view v = view(l->batch);
	uint32_t *slot = find_slot(l, handle_of(p));

	/* One map may stand in the batch and in an io: one of them is enough, in a full round as well. */
	if (*slot) {
		forget_map(p);
		return;
	}
	if (l->nr_unmaps == l->batch->nr)
		return; /* in the next round */
	*slot = l->nr_unmaps + 1;
	l->places[l->nr_unmaps] = *p;
	v.undone[l->nr_unmaps] = 0;
	v.unmaps[l->nr_unmaps] = (struct gnttab_unmap_grant_ref){
		.dev_bus_addr = bus_of(p),
		.handle = handle_of(p),
		.status = GRANT_STATUS_NEVER_RAN,
	};
	l->nr_unmaps++;
	POINT();
}

/* A round of as many as the array holds. Return: how many, or -errno. */
static int unmap_round(struct leftover *l, xencall_handle *xcall)
{
	struct gnttab_unmap_grant_ref *unmaps;
	int err;

	l->nr_unmaps = 0;
	memset(l->slots, 0, 2 * l->batch->nr * sizeof(*l->slots));
	for_each_map(l, add_unmap);
	if (!l->nr_unmaps)
		return 0;
	unmaps = view(l->batch).unmaps;
	err = grant_hypercall(xcall, GNTTABOP_unmap_grant_ref, &GRANT_ARRAY(unmaps, l->nr_unmaps),
			      NULL);
	if (err)
		return err;
	POINT();
	for (uint32_t i = 0; i < l->nr_unmaps; i++) {
		if (unmaps[i].status != GNTST_okay)
			return -EIO;
	}
	for (uint32_t i = 0; i < l->nr_unmaps; i++)
		forget_map(&l->places[i]);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	for_each_unmap(l, forget_unmap);
	return (int)l->nr_unmaps;
}

static void count_map(struct leftover *l, const struct place *p)
{
	l->nr_unmaps++;
}

/* The batch is made before anything is mapped, and goes last: somebody has damaged the files. */
static int check_without_batch(struct leftover *l, struct error *e)
{
	l->nr_unmaps = 0;
	for_each_map(l, count_map);
	if (!l->nr_unmaps)
		return 0;
	return error_set(
		e, EIO,
		"%u pages of guests were left mapped, but the record of the batch that "
		"mapped them is missing or damaged, so they cannot be unmapped safely: "
		"restart the host, or remove the files beside the lock and leave the pages "
		"mapped",
		l->nr_unmaps);
}

static int unmap_all(struct leftover *l, struct error *e)
{
	xencall_handle *xcall;
	uint32_t total = 0;
	int nr;

	if (!l->batch)
		return check_without_batch(l, e);
	xcall = xencall_open(NULL, 0);
	if (!xcall)
		return error_set(e, errno, "cannot unmap what was left: %s", strerror(errno));
	l->places = calloc(l->batch->nr, sizeof(*l->places));
	l->slots = calloc(l->batch->nr, 2 * sizeof(*l->slots));
	if (!l->places || !l->slots) {
		nr = -ENOMEM;
		goto free;
	}
	settle(l);
	while ((nr = unmap_round(l, xcall)) > 0)
		total += (uint32_t)nr;
free:
	free(l->slots);
	free(l->places);
	xencall_close(xcall);
	if (nr < 0)
		return error_set(e, -nr, "cannot unmap a guest's pages that were left mapped: %s",
				 strerror(-nr));
	if (total)
		log_warning("a predecessor was killed: unmapped %u pages of guests", total);
	return 0;
}

/* Of the first so many directories. */
static int unpin_all(struct leftover *l, uint32_t nr_dirs, struct error *e)
{
	for (uint32_t i = 0; i < l->nr_found; i++) {
		struct found *f = &l->found[i];
		int nr;

		if (f->kind != RECORD_PINS || f->dir >= nr_dirs)
			continue;
		nr = dmem_recover(f->record.mem, f->nr);
		if (nr < 0)
			return error_set(e, -nr, "cannot let go of pinned memory: %s",
					 strerror(-nr));
		if (nr)
			log_warning("a predecessor was killed: let go of %d pages of its memory",
				    nr);
	}
	return 0;
}

static int release_hugepages(const char *const *dirs, uint32_t nr_dirs, struct error *e)
{
	for (uint32_t i = 0; i < nr_dirs; i++) {
		int nr = hugepages_release(dirs[i]);

		if (nr < 0)
			return error_set(e, -nr, "cannot let go of hugepages in %s: %s", dirs[i],
					 strerror(-nr));
		if (nr)
			log_warning(
				"a predecessor was killed: let go of %d hugepages of its memory",
				nr);
	}
	return 0;
}

/*
 * The last look at a record whose maps are undone. A queue's is kept even if nothing was in flight:
 * its responses may be in the ring, where the guest does not see them yet.
 */
static void put_away(struct found *f)
{
	const struct queue_record *q = f->record.mem;

	if (f->kind != RECORD_QUEUE) {
		record_destroy(&f->record);
		return;
	}
	if (q->req_cons != q->rsp_prod)
		log_warning("%s: %u requests were in flight", f->record.path,
			    q->req_cons - q->rsp_prod);
	aside_put(&f->record);
}

/* @nr_unpinned: of the first so many directories the memory, too */
static int release(const char *const *dirs, uint32_t nr, uint32_t nr_unpinned, struct error *e)
{
	struct leftover l = { 0 };
	int err;

	err = open_all(&l, dirs, nr, e);
	if (!err)
		err = unmap_all(&l, e);
	POINT();
	if (!err)
		err = unpin_all(&l, nr_unpinned, e);
	if (!err)
		err = release_hugepages(dirs, nr, e);
	POINT();
	for (uint32_t i = 0; i < l.nr_found; i++) {
		struct found *f = &l.found[i];

		if (err || (f->kind == RECORD_PINS && f->dir >= nr_unpinned))
			record_close(&f->record);
		else
			put_away(f);
	}
	free(l.found);
	return err;
}

int leftover_release(const char *const *dirs, uint32_t nr, struct error *e)
{
	/* First of all: what is unmapped can be given to somebody else. */
	int err = bdev_stop_leftovers(e);

	if (err)
		return err;
	POINT();
	return release(dirs, nr, 1, e);
}

int leftover_discard(const char *dir, struct error *e)
{
	return release(&dir, 1, 1, e);
}
