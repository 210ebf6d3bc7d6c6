/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>

#include "test_bdev.h"

static void unknown_scheme_lists_the_known(void)
{
	check(open_fails("iscsi:target", false, EINVAL, "\"iscsi:target\""));
	check(open_fails("iscsi:target", false, EINVAL, "null:, and no other"));
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

static void failure_needs_no_sentence(void)
{
	struct bdev *bdev;

	check_eq(open_uri("iscsi:target", false, &bdev, NULL), -EINVAL);
	check_eq(open_uri("null:1", false, &bdev, NULL), -EINVAL);
}

int main(void)
{
	tap_run(unknown_scheme_lists_the_known);
	tap_run(scheme_matches_as_a_whole);
	tap_run(failure_needs_no_sentence);
	return tap_end();
}
