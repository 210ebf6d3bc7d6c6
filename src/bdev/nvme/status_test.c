/* SPDX-License-Identifier: BSD-2-Clause */
#include "status.h"

#include <errno.h>
#include <string.h>

#include "nvme.h"
#include "tap.h"

static void success_is_no_error(void)
{
	check_eq(nvme_status_errno(0), 0);
	check(!nvme_status_again(0, false));
	/* More and DNR do not make it one. */
	check_eq(nvme_status_errno(NVME_STATUS_DNR | 1 << 13), 0);
}

static void each_error_is_negative_and_has_words(void)
{
	for (uint16_t code = 1; code < 0x800; code++) {
		check(nvme_status_errno(code) < 0);
		check(nvme_status_words(code)[0]);
	}
}

static void tells_media_errors_from_absence(void)
{
	check_eq(nvme_status_errno(0x281), -EIO);
	check(!strcmp(nvme_status_words(0x281), "unrecovered read error"));
	check_eq(nvme_status_errno(0x00b), -ENODEV);
	check_eq(nvme_status_errno(0x081), -ENOSPC);
	check_eq(nvme_status_errno(0x7ff), -EIO);
	check(!strcmp(nvme_status_words(0x7ff), "unknown status"));
}

static void tries_again_what_passes_unless_told_not_to(void)
{
	check(nvme_status_again(0x082, false));
	check(!nvme_status_again(0x082 | NVME_STATUS_DNR, false));
	check(!nvme_status_again(0x080, false));
	check(!nvme_status_again(0x002, false));
	check(!nvme_status_again(0x7ff, false));
}

static void a_flush_that_ran_is_not_tried_again(void)
{
	check(nvme_status_again(0x280, false));
	check(!nvme_status_again(0x280, true));
	check(!nvme_status_again(0x006, true));
	check(nvme_status_again(0x082, true));
	check(!nvme_status_again(0x082 | NVME_STATUS_DNR, true));
}

int main(void)
{
	tap_run(success_is_no_error);
	tap_run(each_error_is_negative_and_has_words);
	tap_run(tells_media_errors_from_absence);
	tap_run(tries_again_what_passes_unless_told_not_to);
	tap_run(a_flush_that_ran_is_not_tried_again);
	return tap_end();
}
