/* SPDX-License-Identifier: BSD-2-Clause */
/* What recovery finds in records. That it unmaps what it finds is for the lab: see nvme-killed. */
#include "aside.h"
#include "leftover.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io.h"
#include "record.h"
#include "table.h"
#include "tap.h"

static char dir[] = "/tmp/xenblkd-test-XXXXXX";

static bool start(void)
{
	strcpy(dir, "/tmp/xenblkd-test-XXXXXX");
	return mkdtemp(dir);
}

/* Return: how many files were left. */
static int end(void)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	int nr = 0;

	while (d && (entry = readdir(d))) {
		if (entry->d_name[0] != '.')
			nr++;
		unlinkat(dirfd(d), entry->d_name, 0);
	}
	if (d)
		closedir(d);
	rmdir(dir);
	return nr;
}

/* What a killed daemon leaves of a queue with @nr requests in flight. */
static bool leave_queue(const char *name, uint32_t nr)
{
	struct queue_record *q;
	struct record r;

	if (record_create(&r, dir, name, RECORD_QUEUE, 32, queue_record_bytes(32)))
		return false;
	q = r.mem;
	q->rsp_prod = 100;
	q->req_cons = 100 + nr;
	record_commit(&r);
	record_close(&r);
	return true;
}

static bool release(void)
{
	struct error e;

	return !leftover_release((const char *[]){ dir }, 1, &e);
}

static bool is_left(const char *queue)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s" ASIDE_SUFFIX, dir, queue);
	return !access(path, F_OK);
}

static void puts_queues_aside_whatever_was_in_flight(void)
{
	check(start());
	check(leave_queue("vbd-3-51712-queue-0", 0) && leave_queue("vbd-3-51712-queue-15", 7));
	check(release());
	check(is_left("vbd-3-51712-queue-0") && is_left("vbd-3-51712-queue-15"));
	/* The next start changes nothing of that. */
	check(release());
	check(is_left("vbd-3-51712-queue-0") && is_left("vbd-3-51712-queue-15"));
	check_eq(end(), 2);
}

static void forgets_all_queues_of_a_disk_and_no_other(void)
{
	check(start());
	check(leave_queue("vbd-3-51712-queue-0", 1) && leave_queue("vbd-3-51712-queue-2", 32) &&
	      leave_queue("vbd-4-51712-queue-0", 1) && leave_queue("vbd-3-5171-queue-0", 1));
	check(release());
	aside_forget(dir, "vbd-3-51712");
	check(!is_left("vbd-3-51712-queue-0") && !is_left("vbd-3-51712-queue-2"));
	check(is_left("vbd-4-51712-queue-0") && is_left("vbd-3-5171-queue-0"));
	check_eq(end(), 2);
}

static void refuses_what_another_version_has_left(void)
{
	const uint32_t version = 77;
	struct error e;
	FILE *f;

	check(start());
	check(leave_queue("vbd-3-51712-queue-0", 1));
	{
		char path[128];

		snprintf(path, sizeof(path), "%s/vbd-3-51712-queue-0", dir);
		f = fopen(path, "r+");
	}
	check(f && !fseek(f, 8, SEEK_SET) && fwrite(&version, sizeof(version), 1, f) == 1 &&
	      !fclose(f));
	check_eq(leftover_release((const char *[]){ dir }, 1, &e), -EPROTONOSUPPORT);
	check(strstr(e.text, "another version"));
	check_eq(end(), 1);
}

static bool is_disk_four(void *arg, const char *disk)
{
	(void)arg;
	return !strcmp(disk, "vbd-4-51712");
}

static void sweeps_disks_that_are_gone(void)
{
	check(start());
	check(leave_queue("vbd-3-51712-queue-0", 1) && leave_queue("vbd-4-51712-queue-1", 1));
	check(release());
	check(leave_queue("vbd-5-51712-queue-0", 1));
	aside_sweep(dir, is_disk_four, NULL);
	check(!is_left("vbd-3-51712-queue-0") && is_left("vbd-4-51712-queue-1"));
	/* And the one that was not put aside. */
	check_eq(end(), 2);
}

/* Found by fuzzing: without the batch, the maps were forgotten, and the guest stayed a zombie. */
static void refuses_maps_without_the_batch_to_undo_them(void)
{
	struct table_pool p;
	struct error e;

	check(start());
	check_eq(table_pool_create(&p, dir, "tables-0", 2), 0);
	((struct table_record *)p.record.mem)[1].maps[7].mapped = true;
	record_close(&p.record);
	free(p.tables);
	check_eq(leftover_release((const char *[]){ dir }, 1, &e), -EIO);
	check(strstr(e.text, "1 pages of guests were left mapped"));
	/* What knows of them is still there. */
	check_eq(end(), 1);
}

/* Found by fuzzing: a byte that is no bool was used as one. */
static void leaves_a_record_alone_whose_flags_are_none(void)
{
	struct table_pool p;

	check(start());
	check_eq(table_pool_create(&p, dir, "tables-0", 2), 0);
	memset(&((struct table_record *)p.record.mem)[1].maps[7].mapped, 205, sizeof(bool));
	record_close(&p.record);
	free(p.tables);
	check(release());
	check_eq(end(), 1);
}

static void takes_away_tables_in_which_nothing_is_mapped(void)
{
	struct table_pool p;

	check(start());
	check_eq(table_pool_create(&p, dir, "tables-0", 4), 0);
	record_close(&p.record);
	check(release());
	free(p.tables);
	check_eq(end(), 0);
}

static void hands_out_as_many_tables_as_there_are(void)
{
	struct table_pool p;
	struct table *t[3];

	check(start());
	check_eq(table_pool_create(&p, dir, "tables-0", 3), 0);
	for (uint32_t i = 0; i < 3; i++) {
		t[i] = table_get(&p);
		check(t[i]);
		check(t[i]->record == (struct table_record *)p.record.mem + table_number(&p, t[i]));
	}
	check(!table_get(&p));
	table_put(&p, t[1]);
	check(table_get(&p) == t[1]);
	table_pool_destroy(&p);
	check_eq(end(), 0);
}

int main(void)
{
	tap_run(puts_queues_aside_whatever_was_in_flight);
	tap_run(forgets_all_queues_of_a_disk_and_no_other);
	tap_run(refuses_what_another_version_has_left);
	tap_run(sweeps_disks_that_are_gone);
	tap_run(refuses_maps_without_the_batch_to_undo_them);
	tap_run(leaves_a_record_alone_whose_flags_are_none);
	tap_run(takes_away_tables_in_which_nothing_is_mapped);
	tap_run(hands_out_as_many_tables_as_there_are);
	return tap_end();
}
