/* SPDX-License-Identifier: BSD-2-Clause */
#include "idle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tap.h"

static uint64_t idle, total;

static void idle_and_waiting_are_idle(void)
{
	check_eq(idle_parse("cpu  1 2 3 40 50 6 7 8 0 0\ncpu0 1 2 3 40\n", &idle, &total), 0);
	check_eq(idle, 90);
	check_eq(total, 117);
}

static void what_is_no_such_line_is_refused(void)
{
	check_eq(idle_parse("", &idle, &total), -EINVAL);
	check_eq(idle_parse("cpu0 1 2 3 40 50 6 7 8", &idle, &total), -EINVAL);
	check_eq(idle_parse("cpu  1 2 3", &idle, &total), -EINVAL);
	check_eq(idle_parse("cpu  1 2 3 four 5 6 7 8", &idle, &total), -EINVAL);
}

/* A file in the place of /proc/stat. */
static void stat_is(const struct idle *i, const char *text)
{
	check(!ftruncate(i->fd, 0));
	check_eq(pwrite(i->fd, text, strlen(text), 0), strlen(text));
}

static void it_is_a_share_of_the_time_since_the_last_look(void)
{
	char path[] = "/tmp/xenblkd-test-XXXXXX";
	struct idle i = { .fd = mkstemp(path), .ticks = 100 };

	check(i.fd >= 0);
	unlink(path);
	stat_is(&i, "cpu  100 0 0 300 0 0 0 0 0 0\n");
	check_eq(idle_percent(&i, 0), 75);
	stat_is(&i, "cpu  190 0 0 310 0 0 0 0 0 0\n");
	check_eq(idle_percent(&i, 0), 10);
	/* Half a second of ours that was spun away. */
	stat_is(&i, "cpu  280 0 0 320 0 0 0 0 0 0\n");
	check_eq(idle_percent(&i, 500000000), 60);
	stat_is(&i, "cpu  380 0 0 320 0 0 0 0 0 0\n");
	check_eq(idle_percent(&i, 5000000000), 100);
	idle_close(&i);
}

static void where_nothing_can_be_read_all_is_idle(void)
{
	struct idle i = { .fd = -1, .ticks = 100 };

	check_eq(idle_percent(&i, 0), 100);
}

int main(void)
{
	tap_run(idle_and_waiting_are_idle);
	tap_run(what_is_no_such_line_is_refused);
	tap_run(it_is_a_share_of_the_time_since_the_last_look);
	tap_run(where_nothing_can_be_read_all_is_idle);
	return tap_end();
}
