/* SPDX-License-Identifier: BSD-2-Clause */
/* Which partition is meant: by number, PARTUUID, PARTLABEL. What a table may be is gpt_test.c's. */
#include "gpt_selector.h"

#include "log.h"
#include "test_gpt.h"

static void finds_by_number(void)
{
	disk_make(512);
	check(finds("1", 40, 49));
	check(finds("2", 50, 99));
	check(finds("4", 120, 139));
}

static void finds_on_blocks_of_4096_bytes(void)
{
	disk_make(4096);
	check(finds("1", 40, 49));
	check(finds("PARTLABEL=root", 50, 99));
	check(finds("33221100-5544-7766-8899-aabbccddee04", 120, 139));
}

static void refuses_a_number_without_partition(void)
{
	disk_make(512);
	check(refuses("3", ENOENT,
		      "has no partition with number 3; expected one of these: 1, 2, 4"));
	check(refuses("0", ENOENT, "has no partition with number 0"));
	check(refuses("9", ENOENT, "has no partition with number 9"));
	check(refuses("4294967297", ENOENT, "has no partition with number 4294967297"));
	check(refuses("18446744073709551617", ENOENT, "has no partition with number 184467"));
}

static void finds_by_uuid(void)
{
	disk_make(512);
	check(finds("PARTUUID=33221100-5544-7766-8899-aabbccddee02", 50, 99));
	check(finds("33221100-5544-7766-8899-AABBCCDDEE02", 50, 99));
	check(refuses("33221100-5544-7766-8899-aabbccddee03", ENOENT,
		      "has no partition with PARTUUID 33221100-5544-7766-8899-aabbccddee03"));
}

static void refuses_what_is_not_a_uuid(void)
{
	static const char *const texts[] = {
		"PARTUUID=",
		"PARTUUID=2",
		"PARTUUID=33221100-5544-7766-8899-aabbccddee0",
		"PARTUUID=33221100-5544-7766-8899-aabbccddee",
		"PARTUUID=33221100-5544-7766-8899-aabbccddee022",
		"PARTUUID=33221100-5544-7766-8899-aabbccddee0g",
		"PARTUUID=33221100-5544-7766-88990aabbccddee02",
		"PARTUUID=3322110-05544-7766-8899-aabbccddee02",
		"PARTUUID=33221100554477668899aabbccddee02",
		"PARTUUID={33221100-5544-7766-8899-aabbccddee02}",
	};

	disk_make(512);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		check(refuses(texts[i], EINVAL, "; expected 8-4-4-4-12 hexadecimal digits"));
}

static void finds_by_label(void)
{
	disk_make(512);
	check(finds("PARTLABEL=root", 50, 99));
	check(finds("data", 120, 139));
	check(refuses("Data", ENOENT, "has no partition with PARTLABEL Data; expected one of"));
	check(refuses("dat", ENOENT, "has no partition with PARTLABEL dat"));
	check(refuses("data ", ENOENT, "has no partition with PARTLABEL data "));
}

static void prefix_makes_digits_a_label(void)
{
	disk_make(512);
	partition(4, 120, 139, "2");
	check(finds("PARTLABEL=2", 120, 139));
	check(finds("2", 50, 99));
	partition(4, 120, 139, "33221100-5544-7766-8899-aabbccddee02");
	check(finds("PARTLABEL=33221100-5544-7766-8899-aabbccddee02", 120, 139));
	check(finds("33221100-5544-7766-8899-aabbccddee02", 50, 99));
}

static void refuses_an_empty_selector(void)
{
	disk_make(512);
	partition(4, 120, 139, "");
	check(refuses("", EINVAL, "expected a number, PARTUUID="));
	check(refuses("PARTLABEL=", EINVAL, "expected a number, PARTUUID="));
}

static void finds_a_label_without_terminator(void)
{
	disk_make(512);
	partition(4, 120, 139, "a label of thirty-six letters: 56789");
	memset(entry(4) + 128, 0, 128);
	check(finds("a label of thirty-six letters: 56789", 120, 139));
	check(refuses("a label of thirty-six letters: 5678", ENOENT, "has no partition with"));
	check(refuses("a label of thirty-six letters: 567890", ENOENT, "has no partition with"));
}

/* name - gives partition 4 a label of @n UTF-16 units. */
static void name(const uint16_t *units, size_t n)
{
	partition(4, 120, 139, "");
	for (size_t i = 0; i < n; i++)
		put(entry(4) + E_NAME + 2 * i, units[i], 2);
	memcpy(at(BACKUP_ENTRIES), at(PRIMARY_ENTRIES), NR_ENTRIES * 128);
	seal_both();
}

static void label_of_other_alphabets_is_utf8(void)
{
	static const uint16_t units[] = { 0x007f, 0x00e9, 0x07ff, 0x0800, 0xffff, 0xd83d,
					  0xdcbe, 0xdbff, 0xdfff, 0xe000, 0x0000, 0xd800 };

	disk_make(512);
	name(units, 12);
	check(finds("\x7f\xc3\xa9\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x9f\x92\xbe\xf4\x8f\xbf\xbf"
		    "\xee\x80\x80",
		    120, 139));
}

static void longest_label_in_utf8_fits(void)
{
	char text[36 * 3 + 1] = "";
	uint16_t units[36];

	for (int i = 0; i < 36; i++) {
		units[i] = 0x20ac;
		strcat(text, "\xe2\x82\xac");
	}
	disk_make(512);
	name(units, 36);
	check(finds(text, 120, 139));
}

static void label_with_a_bad_surrogate_does_not_match(void)
{
	static const struct {
		uint16_t units[4];
		const char *careless; /* what they give when some check is left out */
	} labels[] = {
		{ { 'a', 0xd83d }, "a" },
		{ { 'a', 0xd83d }, "a\xed\xa0\xbd" },
		{ { 'a', 0xd83d, 'b' }, "a\xef\x91\xa2" },
		{ { 'a', 0xd83d, 0xd83d }, "a\xef\xb0\xbd" },
		{ { 'a', 0xd83d, 0xe000 }, "a\xf0\x9f\x90\x80" },
		{ { 'a', 0xdcbe, 'b' }, "ab" },
		{ { 'a', 0xdcbe, 0xdcbe }, "a\xf4\xbf\xa2\xbe" },
		{ { 'a', 0xdcbe, 0xd83d }, "a\xf0\x9f\x92\xbe" },
		{ { 'a', 0xd83d, 0xd83d, 0xdcbe }, "a\xf0\x9f\x92\xbe" },
	};

	disk_make(512);
	for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
		name(labels[i].units, 4);
		check(refuses(labels[i].careless, ENOENT, "has no partition with PARTLABEL a"));
		check(finds("4", 120, 139));
	}
}

static void surrogate_at_the_end_does_not_take_from_the_next_entry(void)
{
	uint16_t units[36];

	for (int i = 0; i < 36; i++)
		units[i] = i < 35 ? 'a' : 0xd83d;
	disk_make(512);
	put(entry(5), 0xdcbe, 2);
	name(units, 36);
	check(refuses("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xf0\x9f\x92\xbe", ENOENT, "1, 2, 4, 5"));
	check(refuses("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ENOENT, "1, 2, 4, 5"));
}

static void refuses_an_ambiguous_label(void)
{
	disk_make(512);
	partition(4, 120, 139, "root");
	check(refuses("root", ENOTUNIQ,
		      "has 2 partitions with PARTLABEL root: 2, 4; expected one"));
	check(finds("boot", 40, 49));
}

static void refuses_an_ambiguous_uuid(void)
{
	disk_make(512);
	memcpy(entry(4) + E_GUID, entry(1) + E_GUID, 16);
	seal(PRIMARY);
	check(refuses("PARTUUID=33221100-5544-7766-8899-aabbccddee01", ENOTUNIQ, ": 1, 4; expect"));
}

static void sentence_about_many_partitions_is_bounded(void)
{
	disk_make(4096);
	for (int i = 1; i <= 1024; i++)
		entry(i)[E_TYPE] = 1;
	set(F_FIRST, 34, 8);
	set(F_LAST, 222, 8);
	set(F_NR, 1024, 4);
	check(refuses("none", ENOENT,
		      "expected one of these: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, "));
	check(refuses("none", ENOENT, ", 15, 16, ..."));
	check(finds("boot", 40, 49));
}

int main(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	tap_run(finds_by_number);
	tap_run(finds_on_blocks_of_4096_bytes);
	tap_run(refuses_a_number_without_partition);
	tap_run(finds_by_uuid);
	tap_run(refuses_what_is_not_a_uuid);
	tap_run(finds_by_label);
	tap_run(prefix_makes_digits_a_label);
	tap_run(refuses_an_empty_selector);
	tap_run(finds_a_label_without_terminator);
	tap_run(label_of_other_alphabets_is_utf8);
	tap_run(longest_label_in_utf8_fits);
	tap_run(label_with_a_bad_surrogate_does_not_match);
	tap_run(surrogate_at_the_end_does_not_take_from_the_next_entry);
	tap_run(refuses_an_ambiguous_label);
	tap_run(refuses_an_ambiguous_uuid);
	tap_run(sentence_about_many_partitions_is_bounded);
	return tap_end();
}
