/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>

#include "test_bdev.h"

static void unknown_scheme_lists_the_known(void)
{
	check(open_fails("iscsi:target", false, EINVAL, "\"iscsi:target\""));
	check(open_fails("iscsi:target", false, EINVAL, "file:, null:, nvme:, spdk:, or an absolute path"));
}

static void scheme_matches_as_a_whole(void)
{
	check(open_fails("nul:1G", false, EINVAL, "names no block device"));
	check(open_fails("nulls:1G", false, EINVAL, "names no block device"));
	check(open_fails("NULL:1G", false, EINVAL, "names no block device"));
	check(open_fails("null", false, EINVAL, "names no block device"));
	check(open_fails("", false, EINVAL, "\"\" names no block device"));
	check(open_fails("srv/vm.img", false, EINVAL, "names no block device"));
}

static void absolute_path_means_a_file(void)
{
	check(open_fails("/nowhere/vm.img", false, ENOENT,
			 "/nowhere/vm.img cannot be opened for reading and writing: No such"));
	check(open_fails("/null:1G", true, ENOENT, "/null:1G cannot be opened for reading: No"));
}

static void failure_needs_no_sentence(void)
{
	struct bdev *bdev;

	check_eq(open_uri("iscsi:target", false, &bdev, NULL), -EINVAL);
	check_eq(open_uri("null:1", false, &bdev, NULL), -EINVAL);
	check_eq(open_uri("/nowhere", false, &bdev, NULL), -ENOENT);
}

int main(void)
{
	tap_run(unknown_scheme_lists_the_known);
	tap_run(scheme_matches_as_a_whole);
	tap_run(absolute_path_means_a_file);
	tap_run(failure_needs_no_sentence);
	return tap_end();
}
