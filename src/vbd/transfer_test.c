/* SPDX-License-Identifier: BSD-2-Clause */
#include "transfer.h"

#include <errno.h>
#include <string.h>

#include "tap.h"

static struct error e;

static void reads_the_words(void)
{
	struct transfer t;

	check_eq(transfer_parse("copy", &t, &e), 0);
	check_eq(t.direct_from_bytes, TRANSFER_COPY_ALL);
	check(!t.persistent);
	check_eq(transfer_parse("direct", &t, &e), 0);
	check_eq(t.direct_from_bytes, 0);
	check_eq(transfer_parse("persistent", &t, &e), 0);
	check_eq(t.direct_from_bytes, TRANSFER_COPY_ALL);
	check(t.persistent);
	check_eq(transfer_parse("auto", &t, &e), 0);
	check_eq(t.direct_from_bytes, TRANSFER_AUTO_BYTES);
	check(!t.persistent);
	check_eq(transfer_parse("auto:4096", &t, &e), 0);
	check_eq(t.direct_from_bytes, 4096);
}

static void refuses_other_words_and_says_what_was_expected(void)
{
	static const char *const bad[] = { "",	      "Copy",	   "directly",
					   "auto:",   "auto:x",	   "auto:-1",
					   "auto:1k", "automatic", "auto:4294967295" };
	struct transfer t = { 7 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		check_eq(transfer_parse(bad[i], &t, &e), -EINVAL);
		check(strstr(e.text, "expected auto, auto:BYTES, direct, copy or persistent"));
		check_eq(t.direct_from_bytes, 7);
	}
}

static void cuts_itself_off_a_target(void)
{
	char target[] = "nvme:0000:00:05.0/1?transfer=direct";
	struct transfer t;
	bool found;

	check_eq(transfer_cut(target, &t, &found, &e), 0);
	check(found);
	check(!strcmp(target, "nvme:0000:00:05.0/1"));
	check_eq(t.direct_from_bytes, 0);
}

static void leaves_other_question_marks_alone(void)
{
	char target[] = "file:/srv/what?transfers.img";
	struct transfer t;
	bool found = true;

	check_eq(transfer_cut(target, &t, &found, &e), 0);
	check(!found);
	check(!strcmp(target, "file:/srv/what?transfers.img"));
}

static void says_which_transfer_of_a_target_is_wrong(void)
{
	char target[] = "null:1G?transfer=fast";
	struct transfer t;
	bool found;

	check_eq(transfer_cut(target, &t, &found, &e), -EINVAL);
	check(strstr(e.text, "\"fast\""));
}

int main(void)
{
	tap_run(reads_the_words);
	tap_run(refuses_other_words_and_says_what_was_expected);
	tap_run(cuts_itself_off_a_target);
	tap_run(leaves_other_question_marks_alone);
	tap_run(says_which_transfer_of_a_target_is_wrong);
	return tap_end();
}
