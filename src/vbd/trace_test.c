/* SPDX-License-Identifier: BSD-2-Clause */
#include "trace.h"

#include <errno.h>

#include "io.h"
#include "tap.h"

static struct io_record record;
static struct io io = { .record = &record };
static struct trace_record out[TRACE_RECORDS + 1];
static uint64_t lost;

/* One that took @took_ns. */
static void answer(struct trace *t, enum request_op op, uint64_t took_ns, int status)
{
	record.request.op = op;
	record.request.offset_bytes += 4096;
	record.request.len_bytes = 512;
	io.taken_ns = 1000;
	io.submitted_ns = 1010;
	io.done_ns = 1000 + took_ns;
	io.status = status;
	trace_add(t, &io);
}

static void keeps_what_fits_its_filter(void)
{
	struct trace *t = trace_create(&(struct trace_filter){ 1u << REQUEST_WRITE, 500, false });

	answer(t, REQUEST_READ, 900, 0);
	answer(t, REQUEST_WRITE, 499, 0);
	answer(t, REQUEST_WRITE, 500, -EIO);
	check_eq(trace_read(t, out, 8, &lost), 1);
	check_eq(out[0].op, REQUEST_WRITE);
	check_eq(out[0].done_ns - out[0].taken_ns, 500);
	check_eq(out[0].status, -EIO);
	check_eq(out[0].len_bytes, 512);
	check_eq(lost, 0);
	trace_destroy(t);
}

static void keeps_errors_alone_if_asked(void)
{
	struct trace *t = trace_create(&(struct trace_filter){ UINT32_MAX, 0, true });

	answer(t, REQUEST_READ, 900, 0);
	answer(t, REQUEST_FLUSH, 900, -EIO);
	check_eq(trace_read(t, out, 8, &lost), 1);
	check_eq(out[0].op, REQUEST_FLUSH);
	trace_destroy(t);
}

static void one_that_the_device_never_had_has_no_times(void)
{
	struct trace *t = trace_create(&(struct trace_filter){ UINT32_MAX, 0, false });

	io = (struct io){ .record = &record, .taken_ns = 77, .status = -EFAULT };
	trace_add(t, &io);
	check_eq(trace_read(t, out, 8, &lost), 1);
	check_eq(out[0].taken_ns, 77);
	check_eq(out[0].submitted_ns, 0);
	check_eq(out[0].done_ns, 0);
	trace_destroy(t);
}

static void counts_what_it_has_no_room_for(void)
{
	struct trace *t = trace_create(&(struct trace_filter){ UINT32_MAX, 0, false });

	record.request.offset_bytes = 0;
	for (uint32_t i = 0; i < TRACE_RECORDS + 3; i++)
		answer(t, REQUEST_READ, 20, 0);
	check_eq(trace_read(t, out, 10, &lost), 10);
	check_eq(lost, 3);
	check_eq(out[9].offset_bytes, 10 * 4096);
	answer(t, REQUEST_READ, 20, 0);
	check_eq(trace_read(t, out, TRACE_RECORDS + 1, &lost), TRACE_RECORDS - 10 + 1);
	check_eq(lost, 3);
	check_eq(trace_read(t, out, 10, &lost), 0);
	trace_destroy(t);
}

int main(void)
{
	tap_run(keeps_what_fits_its_filter);
	tap_run(keeps_errors_alone_if_asked);
	tap_run(one_that_the_device_never_had_has_no_times);
	tap_run(counts_what_it_has_no_room_for);
	return tap_end();
}
