/* SPDX-License-Identifier: BSD-2-Clause */
#include "neighbour.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <xen/io/blkif.h>

#include "clock.h"
#include "hostile.h"
#include "stamp.h"

#define NR_PLACES 64u
#define SECTORS	  (FRONT_PAGE_BYTES / FRONT_SECTOR_BYTES)

static void saw(struct neighbour *n, const char *what, long long value)
{
	pthread_mutex_lock(&n->lock);
	if (!n->why[0])
		snprintf(n->why, sizeof(n->why), "the neighbour saw %s (%lld)", what, value);
	pthread_mutex_unlock(&n->lock);
}

/* Return: whether it was answered, and well. */
static bool transfer(struct neighbour *n, uint8_t op, uint64_t sector, uint64_t id)
{
	struct front_segment segment = { n->page.grefs[0], 0, SECTORS - 1 };
	struct front_request req = {
		.operation = op, .id = id, .sector = sector, .nr_segments = 1, .segments = &segment
	};
	struct front_queue *q = &n->front.queues[0];
	uint64_t start_ns = clock_ns(), now_ns = start_ns;
	struct front_response rsp;
	int nr;

	if (front_queue_put(q, &req))
		return false;
	front_queue_push(q);
	while (!(nr = front_queue_poll(q, &rsp, 1)) &&
	       now_ns - start_ns < n->timeout_ms * 1000000ull) {
		front_queue_wait(q, 100000);
		now_ns = clock_ns();
	}
	now_ns = clock_ns();
	if (nr != 1)
		saw(n, "no answer", nr);
	else if (rsp.status || rsp.id != id)
		saw(n, "an error", rsp.status);
	if (nr != 1 || rsp.status || rsp.id != id)
		return false;
	pthread_mutex_lock(&n->lock);
	histogram_add(&n->window, now_ns - start_ns);
	n->done++;
	pthread_mutex_unlock(&n->lock);
	return true;
}

static bool write_and_read(struct neighbour *n, uint32_t turn)
{
	uint64_t sector = turn % NR_PLACES * SECTORS;
	uint8_t *page = front_page(&n->page, 0);

	for (uint32_t i = 0; i < SECTORS; i++)
		stamp_write(page + i * FRONT_SECTOR_BYTES,
			    &(struct stamp){ .sector = sector + i, .generation = turn, .run = 1 });
	if (!transfer(n, BLKIF_OP_WRITE, sector, turn * 2ull))
		return false;
	memset(page, 0xee, FRONT_PAGE_BYTES);
	if (!transfer(n, BLKIF_OP_READ, sector, turn * 2ull + 1))
		return false;
	for (uint32_t i = 0; i < SECTORS; i++) {
		struct stamp found;

		if (stamp_check(page + i * FRONT_SECTOR_BYTES, 1, sector + i, turn, turn, &found) !=
		    STAMP_GOOD) {
			saw(n, "other data than it wrote, in sector", (long long)(sector + i));
			return false;
		}
	}
	return true;
}

static void *run(void *arg)
{
	struct neighbour *n = arg;

	for (uint32_t turn = 1; !n->stop; turn++) {
		if (!write_and_read(n, turn))
			break;
	}
	return NULL;
}

int neighbour_start(struct neighbour *n, const struct front_device_args *args,
		    const struct front_wishes *wishes, struct error *e)
{
	int err;

	memset(n, 0, sizeof(*n));
	n->timeout_ms = wishes->timeout_ms;
	pthread_mutex_init(&n->lock, NULL);
	err = store_open(&n->store);
	if (err)
		return error_set(e, -err, "no xenstore: %s", strerror(-err));
	n->given = session_made_by_others(args->target);
	err = session_device(&n->store, args, &n->device, e);
	if (err)
		goto close_store;
	err = front_open(&n->front, &n->store, &n->device);
	if (err)
		goto remove;
	err = front_connect(&n->front, wishes, e);
	if (err)
		goto fini;
	err = front_pages_create(&n->page, n->front.gntshr, n->device.backend_domid, 1, true);
	if (!err)
		err = -pthread_create(&n->thread, NULL, run, n);
	if (!err)
		return 0;
	error_set(e, -err, "no neighbour: %s", strerror(-err));
	front_abandon(&n->front);
fini:
	front_fini(&n->front);
remove:
	if (!n->given)
		front_device_remove(&n->store, &n->device, wishes->timeout_ms, NULL);
close_store:
	store_close(&n->store);
	return err;
}

int neighbour_stop(struct neighbour *n, struct error *e)
{
	int err, removed;

	n->stop = true;
	pthread_join(n->thread, NULL);
	err = front_close(&n->front, e);
	front_pages_destroy(&n->page);
	front_fini(&n->front);
	removed = n->given ? 0 : front_device_remove(&n->store, &n->device, n->timeout_ms, e);
	store_close(&n->store);
	return err ? err : removed;
}

void neighbour_window(struct neighbour *n, struct histogram *out)
{
	pthread_mutex_lock(&n->lock);
	if (out)
		*out = n->window;
	memset(&n->window, 0, sizeof(n->window));
	pthread_mutex_unlock(&n->lock);
}

bool neighbour_is_well(struct neighbour *n, uint64_t nr, char *why, size_t size)
{
	uint64_t end_ns = clock_ns() + n->timeout_ms * 1000000ull, done;
	struct timespec pause = { .tv_nsec = 200000 };

	do {
		pthread_mutex_lock(&n->lock);
		done = n->window.count;
		snprintf(why, size, "%s", n->why);
		pthread_mutex_unlock(&n->lock);
		if (why[0] || done >= nr)
			return !why[0];
		nanosleep(&pause, NULL);
	} while (clock_ns() < end_ns);
	snprintf(why, size, "the neighbour stands still");
	return false;
}
