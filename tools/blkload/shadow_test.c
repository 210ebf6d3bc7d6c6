/* SPDX-License-Identifier: BSD-2-Clause */
#include "shadow.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tap.h"

static struct shadow s;
static struct error e;

static void write_is_uncertain_until_acknowledged(void)
{
	check_eq(shadow_open(&s, NULL, 100, 1, &e), 0);
	check_eq(shadow_issue(&s, 9), 1);
	check_eq(s.sectors[9].written, 0);
	shadow_acknowledge(&s, 9);
	check_eq(s.sectors[9].written, 1);
	check_eq(shadow_issue(&s, 9), 2);
	check_eq(shadow_issue(&s, 9), 3);
	check(s.sectors[9].written == 1 && s.sectors[9].issued == 3);
	shadow_forget(&s, 9);
	check(s.sectors[9].written == 0 && s.sectors[9].issued == 3);
	check_eq(s.sectors[8].issued, 0);
	shadow_close(&s);
}

static void next_skips_what_is_not_known(void)
{
	uint64_t first;

	check_eq(shadow_open(&s, NULL, 100, 1, &e), 0);
	for (uint64_t i = 10; i < 20; i++) {
		shadow_issue(&s, i);
		shadow_acknowledge(&s, i);
	}
	check_eq(shadow_next(&s, 0, 100, 8, &first), 8);
	check_eq(first, 10);
	check_eq(shadow_next(&s, 18, 100, 8, &first), 2);
	check_eq(first, 18);
	check_eq(shadow_next(&s, 0, 12, 8, &first), 2);
	check_eq(shadow_next(&s, 20, 100, 8, &first), 0);
	check_eq(shadow_next(&s, 0, 10, 8, &first), 0);
	shadow_close(&s);
}

static char path[] = "/tmp/shadow_test.XXXXXX";

static void file_is_gone_on_with(void)
{
	int fd = mkstemp(path);

	check(fd >= 0);
	close(fd);
	check_eq(shadow_open(&s, path, 100, 7, &e), 0);
	shadow_issue(&s, 99);
	shadow_close(&s);
	check_eq(shadow_open(&s, path, 100, 8, &e), 0);
	check_eq(s.run, 7);
	check_eq(s.sectors[99].issued, 1);
	shadow_close(&s);
}

static void file_of_another_disk_is_refused(void)
{
	FILE *f;

	check_eq(shadow_open(&s, path, 101, 7, &e), -EINVAL);
	check(strstr(e.text, path));
	f = fopen(path, "r+");
	check(f != NULL);
	fputs("something else", f);
	fclose(f);
	check_eq(shadow_open(&s, path, 100, 7, &e), -EINVAL);
	unlink(path);
	check_eq(shadow_open(&s, "/nowhere/shadow", 100, 7, &e), -ENOENT);
}

int main(void)
{
	tap_run(write_is_uncertain_until_acknowledged);
	tap_run(next_skips_what_is_not_known);
	tap_run(file_is_gone_on_with);
	tap_run(file_of_another_disk_is_refused);
	return tap_end();
}
