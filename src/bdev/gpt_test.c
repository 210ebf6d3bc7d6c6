/* SPDX-License-Identifier: BSD-2-Clause */
/* What a table may be, and what is said of one that is not. */
#include "gpt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "log.h"
#include "test_file.h"
#include "test_gpt.h"

static void helper_has_the_right_crc(void)
{
	check_eq(crc((const uint8_t *)"123456789", 9), 0xcbf43926);
}

static void says_that_a_table_is_empty(void)
{
	disk_make(512);
	for (int i = 1; i <= NR_ENTRIES; i++)
		memset(entry(i), 0, 128);
	seal(PRIMARY);
	check(refuses("1", ENOENT, "expected one of these: none"));
}

static void says_that_it_is_not_partitioned(void)
{
	disk_make(512);
	at(0)[510] = 0;
	check(table_refused("has no GPT: LBA 0 is no MBR, so it is not partitioned; expec"));
	memset(at(0), 0, 512);
	check(table_refused("has no GPT: LBA 0 is no MBR, so it is not partitioned; expec"));
}

static void says_that_it_has_an_mbr(void)
{
	disk_make(512);
	memset(disk.bytes, 0, sizeof(disk.bytes));
	mbr_make(0x83);
	at(0)[446 + 16 + 4] = 0x0c;
	check(table_refused("has no GPT: LBA 0 is an MBR, or a file system's boot sector"));
	check(table_refused("of type 83 0c; expected one of type ee (protective)"));
	mbr_make(0);
	at(0)[446 + 16 + 4] = 0;
	check(table_refused("of type none; expected"));
}

/* What is left of a table, or was made to be found, behind an MBR that owns the device. */
static void table_without_protective_mbr_does_not_count(void)
{
	disk_make(512);
	mbr_make(0x83);
	check(table_refused("has no GPT: LBA 0 is an MBR"));
	memset(at(PRIMARY), 0, 512);
	check(table_refused("has no GPT: LBA 0 is an MBR"));
}

static void hybrid_mbr_counts(void)
{
	disk_make(512);
	mbr_make(0x83);
	at(0)[446 + 3 * 16 + 4] = 0xee;
	check(finds("1", 40, 49));
}

static void says_that_there_is_no_header(void)
{
	disk_make(512);
	memset(at(PRIMARY), 0, 512);
	memset(at(BACKUP), 0, 512);
	check(table_refused("has no GPT: LBA 0 is a protective MBR, but neither LBA 1 nor"));
	check(table_refused("LBA 255, the last, starts with \"EFI PART\"; expected"));
	disk.nr_blocks = 6;
	check(table_refused("LBA 5, the last, starts with \"EFI PART\"; expected"));
}

static void says_what_is_wrong_with_both_headers(void)
{
	disk_make(512);
	at(BACKUP)[F_CRC] ^= 1;
	memset(at(PRIMARY), 0, 512);
	check(table_refused("has no valid GPT: header at LBA 1: it does not start with EFI"));
	check(table_refused("EFI PART; backup at LBA 255: its CRC is wrong"));
}

static void says_that_the_table_is_for_other_blocks(void)
{
	disk_make(512);
	disk.block_bytes = 4096;
	check(table_refused("has a GPT for blocks of 512 bytes; expected one for its own of 4"));
	disk_make(4096);
	disk.block_bytes = 512;
	check(table_refused("has a GPT for blocks of 4096 bytes; expected one for its own of"));
}

static void refuses_other_block_sizes(void)
{
	static const uint32_t sizes[] = { 0, 1, 520, 1024, 8192, 0x80000000 };
	struct gpt_extent out;
	struct error e;

	disk_make(512);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		check_eq(gpt_find(disk_read, NULL, 1 << 20, sizes[i], "1", &out, &e), -EINVAL);
		check(strstr(e.text, "; expected 512 or 4096 to look for a GPT"));
	}
}

static void refuses_a_device_too_small_for_a_table(void)
{
	struct gpt_extent out;
	struct error e;

	disk_make(512);
	for (uint64_t size_bytes = 0; size_bytes < 6 * 512; size_bytes += 511) {
		check_eq(gpt_find(disk_read, NULL, size_bytes, 512, "1", &out, &e), -EINVAL);
		check(strstr(e.text, "bytes; expected 6 blocks of 512 at least"));
	}
	check(!disk.highest_lba);
}

static void bytes_after_the_last_block_do_not_count(void)
{
	struct gpt_extent out;

	disk_make(4096);
	memset(at(PRIMARY), 0, 4096);
	check_eq(gpt_find(disk_read, NULL, NR_BLOCKS * 4096 + 512, 4096, "1", &out, NULL), 0);
	check_eq(out.first_byte, 40 * 4096);
}

static void refuses_another_revision(void)
{
	disk_make(512);
	set(F_REVISION, 0x20000, 4);
	check(table_refused("LBA 1: its revision is 00020000, expected 00010000; backup at"));
}

static void refuses_a_header_of_another_size(void)
{
	disk_make(512);
	set(F_SIZE, 91, 4);
	check(table_refused("its size is 91 bytes, expected 92 to 512"));
	set(F_SIZE, 513, 4);
	check(table_refused("its size is 513 bytes, expected 92 to 512"));
	set(F_SIZE, 0xffffffff, 4);
	check(table_refused("its size is 4294967295 bytes, expected 92 to 512"));
}

static void header_may_fill_its_block(void)
{
	disk_make(512);
	at(PRIMARY)[511] = 1;
	set(F_SIZE, 512, 4);
	check(finds("1", 40, 49));
	at(PRIMARY)[511] = 2;
	memset(at(BACKUP), 0, 512);
	check(table_refused("LBA 1: its CRC is wrong; backup at LBA 255: it does not start"));
}

static void refuses_a_header_with_a_wrong_crc(void)
{
	disk_make(512);
	at(PRIMARY)[F_CRC] ^= 1;
	at(BACKUP)[56] ^= 1;
	check(table_refused("has no valid GPT: header at LBA 1: its CRC is wrong; backup at"));
	check(table_refused("backup at LBA 255: its CRC is wrong"));
}

static void refuses_a_header_of_another_place(void)
{
	disk_make(512);
	set(F_MY_LBA, 7, 8);
	check(table_refused("it says that it is at LBA 7"));
}

static void refuses_entries_without_number(void)
{
	disk_make(512);
	set(F_NR, 0, 4);
	check(table_refused("it has 0 entries, expected 1 to 1024"));
	set(F_NR, 1025, 4);
	check(table_refused("it has 1025 entries, expected 1 to 1024"));
	set(F_NR, 0x02000000, 4); /* by 128 that is 0 in 32 bits */
	check(table_refused("it has 33554432 entries, expected 1 to 1024"));
}

static void refuses_entries_of_another_size(void)
{
	static const uint32_t sizes[] = { 0, 1, 64, 127, 129, 192, 4097, 4224, 0x80000000 };

	disk_make(512);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		set(F_ENTRY_BYTES, sizes[i], 4);
		check(table_refused("bytes, expected a multiple of 128 up to 4096"));
	}
}

static void entries_may_be_larger(void)
{
	disk_make(512);
	set(F_ENTRY_BYTES, 256, 4);
	check(finds("1", 40, 49));
	/* What was entry 3 is now the second one. */
	check(refuses("3", ENOENT, "expected one of these: 1"));
	partition(3, 140, 149, "wide");
	set(F_ENTRY_BYTES, 256, 4);
	check(finds("2", 140, 149));
}

static void refuses_entries_that_are_not_between_the_headers(void)
{
	static const uint64_t lbas[] = { 0, 1, 254, 255, 256, 1ull << 55, ~0ull - 1, ~0ull };

	disk_make(512);
	for (size_t i = 0; i < sizeof(lbas) / sizeof(lbas[0]); i++) {
		set(F_ENTRIES, lbas[i], 8);
		check(table_refused(", expected them between LBA 1 and 255"));
	}
	set(F_ENTRIES, 253, 8);
	check(finds("1", 40, 49));
}

static void refuses_entries_among_the_partitions(void)
{
	disk_make(512);
	set(F_ENTRIES, 100, 8);
	check(table_refused("its entries at LBA 100 are among its usable blocks"));
	set(F_ENTRIES, FIRST_USABLE - 1, 8);
	check(table_refused("its entries at LBA 9 are among its usable blocks"));
	set(F_ENTRIES, LAST_USABLE, 8);
	check(table_refused("its entries at LBA 246 are among its usable blocks"));
	memcpy(at(LAST_USABLE + 1), at(PRIMARY_ENTRIES), NR_ENTRIES * 128);
	set(F_ENTRIES, LAST_USABLE + 1, 8);
	check(finds("1", 40, 49));
}

static void refuses_entries_with_a_wrong_crc(void)
{
	disk_make(512);
	entry(NR_ENTRIES)[127] ^= 1;
	at(BACKUP_ENTRIES)[0] ^= 1;
	check(table_refused("LBA 1: the CRC of its entries is wrong; backup at"));
	check(table_refused("LBA 255: the CRC of its entries is wrong"));
}

static void refuses_usable_blocks_over_a_table(void)
{
	disk_make(512);
	set(F_FIRST, 3, 8);
	check(table_refused("usable blocks are LBA 3 to 246, expected them within 4 to 252"));
	set(F_FIRST, 0, 8);
	check(table_refused("usable blocks are LBA 0 to 246, expected them within 4 to 252"));
	set(F_FIRST, 4, 8);
	check(finds("1", 40, 49));
	set(F_LAST, 252, 8);
	check(finds("1", 40, 49));
	set(F_LAST, 253, 8);
	check(table_refused("usable blocks are LBA 4 to 253, expected them within 4 to 252"));
}

static void refuses_usable_blocks_outside_of_the_device(void)
{
	static const uint64_t lbas[] = { 254, 255, 256, 1ull << 55, ~0ull - 1, ~0ull };

	disk_make(512);
	for (size_t i = 0; i < sizeof(lbas) / sizeof(lbas[0]); i++) {
		set(F_LAST, lbas[i], 8);
		check(table_refused(", expected them within 4 to 252"));
	}
	set(F_LAST, FIRST_USABLE - 1, 8);
	check(table_refused("usable blocks are LBA 10 to 9, expected"));
}

static void refuses_the_other_header_among_the_partitions(void)
{
	disk_make(512);
	set(F_ALTERNATE, 100, 8);
	check(table_refused("its other copy at LBA 100 is among its usable blocks"));
}

static void refuses_an_extent_that_ends_before_it_starts(void)
{
	disk_make(512);
	partition(4, 139, 138, "data");
	check(refuses("data", EINVAL,
		      "has partition 4 from LBA 139 to 138; expected the first not"));
	check(finds("2", 50, 99));
}

static void extent_may_be_one_block(void)
{
	disk_make(512);
	partition(4, 120, 120, "data");
	check(finds("data", 120, 120));
}

static void refuses_an_extent_outside_of_the_usable_blocks(void)
{
	static const uint64_t extents[][2] = {
		{ FIRST_USABLE - 1, 20 }, { 0, 20 },
		{ PRIMARY, PRIMARY },	  { 200, LAST_USABLE + 1 },
		{ 200, BACKUP },	  { 200, NR_BLOCKS },
		{ 200, ~0ull },		  { 1ull << 55, 1ull << 55 },
		{ ~0ull, ~0ull },	  { 0, ~0ull },
	};

	disk_make(512);
	for (size_t i = 0; i < sizeof(extents) / sizeof(extents[0]); i++) {
		partition(4, extents[i][0], extents[i][1], "data");
		check(refuses("4", EINVAL,
			      "; expected it within those for partitions, LBA 10 to 246"));
	}
	partition(4, 200, LAST_USABLE, "data");
	check(finds("4", 200, LAST_USABLE));
	partition(4, FIRST_USABLE, 20, "data");
	check(finds("4", FIRST_USABLE, 20));
}

static void refuses_an_extent_that_overlaps_another(void)
{
	static const uint64_t extents[][2] = { { 99, 110 }, { 60, 70 }, { 30, 110 }, { 50, 99 } };

	disk_make(512);
	for (size_t i = 0; i < sizeof(extents) / sizeof(extents[0]); i++) {
		partition(4, extents[i][0], extents[i][1], "data");
		check(refuses("2", EINVAL,
			      "has partition 2 on blocks of partition 4 as well; expe"));
		check(refuses("4", EINVAL, "has partition 4 on blocks of partition "));
	}
	check(finds("1", 40, 49));
	partition(4, 100, 110, "data");
	check(finds("2", 50, 99));
	check(finds("4", 100, 110));
}

static void unused_entry_overlaps_nothing(void)
{
	disk_make(512);
	partition(3, 40, 139, "gone");
	memset(entry(3) + E_TYPE, 0, 16);
	seal(PRIMARY);
	check(finds("1", 40, 49));
	check(refuses("gone", ENOENT, "has no partition with PARTLABEL gone"));
}

static void good_primary_is_used_alone(void)
{
	disk_make(512);
	memset(at(BACKUP), 0, 512);
	disk.fail_lba = BACKUP;
	check(finds("1", 40, 49));
	check(disk.highest_lba < FIRST_USABLE);
	check(refuses("3", ENOENT, "has no partition"));
	check(disk.highest_lba < FIRST_USABLE);
}

/* falls_back - Return: true if partition 1 is found where only the backup says that it is. */
static bool falls_back(void)
{
	put(at(BACKUP_ENTRIES) + E_FIRST, 45, 8);
	seal(BACKUP);
	return finds("1", 45, 49);
}

static void falls_back_to_the_backup(void)
{
	disk_make(512);
	memset(at(PRIMARY), 0, 512);
	check(falls_back());
	disk_make(4096);
	at(PRIMARY)[F_CRC] ^= 1;
	check(falls_back());
	disk_make(512);
	put(at(PRIMARY) + F_LAST, NR_BLOCKS, 8);
	seal(PRIMARY);
	check(falls_back());
}

static void falls_back_from_entries_that_are_bad(void)
{
	disk_make(512);
	entry(1)[E_LAST] ^= 1;
	check(falls_back());
}

static void falls_back_from_what_cannot_be_read(void)
{
	disk_make(512);
	disk.fail_lba = PRIMARY;
	check(falls_back());
	disk_make(512);
	disk.fail_lba = PRIMARY_ENTRIES;
	check(falls_back());
}

static void says_what_cannot_be_read(void)
{
	disk_make(512);
	memset(at(BACKUP), 0, 512);
	disk.fail_lba = PRIMARY;
	check(refuses("1", EIO,
		      "LBA 1: LBA 1 cannot be read: Input/output error; backup at LBA 255"));
	disk.fail_lba = PRIMARY_ENTRIES;
	check(refuses("1", EIO,
		      "LBA 1: LBA 2 cannot be read: Input/output error; backup at LBA 255"));
}

static void does_not_fall_back_for_want_of_memory(void)
{
	disk_make(512);
	disk.fail_lba = PRIMARY_ENTRIES;
	disk.fail_err = -ENOMEM;
	check(refuses("1", ENOMEM, "shows no GPT: LBA 2 cannot be read: Cannot allocate memory"));
	check(disk.highest_lba < FIRST_USABLE);
}

static int read_nothing(void *arg, uint64_t offset_bytes, void *buf, uint32_t len_bytes)
{
	return -ENODEV;
}

static void says_that_nothing_can_be_read(void)
{
	struct gpt_extent out;
	struct error e;

	check_eq(gpt_find(read_nothing, NULL, 1 << 20, 512, "1", &out, &e), -ENODEV);
	check(strstr(e.text, "shows no GPT: LBA 0 cannot be read: No such device"));
}

/* logged - what finding partition 1 writes to standard error; "" if nothing. */
static const char *logged(void)
{
	static char text[1024];
	int saved = dup(STDERR_FILENO);
	int fd = memfd_create("log", MFD_CLOEXEC);
	struct gpt_extent out;
	ssize_t n;

	dup2(fd, STDERR_FILENO);
	log_set_level(LOG_LEVEL_WARNING);
	find("1", &out, NULL);
	log_set_level(LOG_LEVEL_ERROR);
	dup2(saved, STDERR_FILENO);
	n = pread(fd, text, sizeof(text) - 1, 0);
	text[n < 0 ? 0 : n] = '\0';
	close(fd);
	close(saved);
	return text;
}

static void warns_of_the_backup_alone(void)
{
	disk_make(512);
	check(!*logged());
	at(PRIMARY)[F_CRC] ^= 1;
	check(strstr(logged(), "LBA 1: its CRC is wrong; the backup at LBA 255 is used"));
	at(BACKUP)[F_CRC] ^= 1;
	check(!*logged());
}

/* A stranger's table: one of a few fields at random, CRCs that are right. */
static void scramble(unsigned int *seed)
{
	static const uint64_t odd[] = { 0, 1, 2, 9, 253, 255, 256, 1ull << 32, 1ull << 55, ~0ull };
	static const int fields[] = { F_SIZE, F_MY_LBA,	 F_ALTERNATE, F_FIRST,
				      F_LAST, F_ENTRIES, F_NR,	      F_ENTRY_BYTES };
	uint8_t *p = at(rand_r(seed) % 4 ? PRIMARY : BACKUP) + fields[rand_r(seed) % 8];

	if (rand_r(seed) % 2)
		p = entry(1 + rand_r(seed) % NR_ENTRIES) + rand_r(seed) % 15 * 8;
	if (rand_r(seed) % 3)
		put(p, odd[rand_r(seed) % 10], rand_r(seed) % 2 ? 4 : 8);
	else
		p[rand_r(seed) % 2] = (uint8_t)rand_r(seed);
}

static void whatever_the_table_says_leads_nowhere_else(void)
{
	static const char *const selectors[] = { "1", "2", "4", "root", "data" };
	unsigned int seed = 1;
	uint32_t found = 0;

	for (int i = 0; i < 5000; i++) {
		uint64_t block_bytes = i % 8 ? 512 : 4096;
		struct gpt_extent out;

		disk_make((uint32_t)block_bytes);
		for (int n = rand_r(&seed) % 4; n >= 0; n--)
			scramble(&seed);
		seal_both();
		if (find(selectors[i % 5], &out, NULL))
			continue;
		found++;
		check(out.first_byte >= 4 * block_bytes && out.first_byte < 253 * block_bytes);
		check(out.size_bytes && out.size_bytes <= 253 * block_bytes - out.first_byte);
		check(out.first_byte % block_bytes == 0 && out.size_bytes % block_bytes == 0);
	}
	check(!disk.misread);
	check(found > 500 && found < 4500);
}

static int file_read(void *arg, uint64_t offset_bytes, void *buf, uint32_t len_bytes)
{
	return pread(*(int *)arg, buf, len_bytes, (off_t)offset_bytes) == len_bytes ? 0 : -EIO;
}

/* file_finds - Return: true if @selector gives these bytes of a file of 64 MiB. */
static bool file_finds(int fd, uint32_t block_bytes, const char *selector, uint64_t first_byte,
		       uint64_t size_bytes)
{
	struct gpt_extent out = { 0 };
	struct error e = { 0 };

	if (!gpt_find(file_read, &fd, 64 << 20, block_bytes, selector, &out, &e) &&
	    out.first_byte == first_byte && out.size_bytes == size_bytes)
		return true;
	printf("# %s: \"%s\", %llu bytes from %llu\n", selector, e.text,
	       (unsigned long long)out.size_bytes, (unsigned long long)out.first_byte);
	return false;
}

static bool sfdisk(const char *path)
{
	char command[PATH_MAX * 2];

	snprintf(command, sizeof(command),
		 "PATH=$PATH:/usr/sbin:/sbin\n"
		 "sfdisk --quiet --no-reread --no-tell-kernel '%s' >/dev/null 2>&1 <<'EOF'\n"
		 "label: gpt\n"
		 "start=1MiB size=4MiB name=boot uuid=01234567-89AB-CDEF-0123-456789ABCDEF\n"
		 "start=8MiB size=16MiB name=\"root \xc3\xa9\"\n"
		 "EOF",
		 path);
	return !system(command);
}

static void reads_a_table_of_sfdisk(const char *path, uint32_t block_bytes)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	check(file_finds(fd, block_bytes, "1", 1 << 20, 4 << 20));
	check(file_finds(fd, block_bytes, "01234567-89ab-cdef-0123-456789abcdef", 1 << 20,
			 4 << 20));
	check(file_finds(fd, block_bytes, "root \xc3\xa9", 8 << 20, 16 << 20));
	check_eq(pwrite(fd, "gone", 4, block_bytes), 4);
	check(file_finds(fd, block_bytes, "PARTLABEL=boot", 1 << 20, 4 << 20));
	close(fd);
}

static void reads_a_table_of_sfdisk_for_512(void)
{
	const char *path = temp_file("disk", 64 << 20);

	if (!sfdisk(path))
		skip("there is no sfdisk here");
	reads_a_table_of_sfdisk(path, 512);
}

static void reads_a_table_of_sfdisk_for_4096(void)
{
	struct loop loop;
	bool made;

	if (!loop_open(&loop, temp_file("disk", 64 << 20), 4096, 0))
		skip("no loop device may be made here");
	made = sfdisk(loop.path);
	if (made)
		reads_a_table_of_sfdisk(loop.path, 4096);
	close(loop.fd);
	if (!made)
		skip("there is no sfdisk here");
}

int main(void)
{
	char cwd[PATH_MAX / 4];

	if (!getcwd(cwd, sizeof(cwd)) || !temp_start(cwd))
		return 1;
	log_set_level(LOG_LEVEL_ERROR);
	tap_run(helper_has_the_right_crc);
	tap_run(says_that_a_table_is_empty);
	tap_run(says_that_it_is_not_partitioned);
	tap_run(says_that_it_has_an_mbr);
	tap_run(table_without_protective_mbr_does_not_count);
	tap_run(hybrid_mbr_counts);
	tap_run(says_that_there_is_no_header);
	tap_run(says_what_is_wrong_with_both_headers);
	tap_run(says_that_the_table_is_for_other_blocks);
	tap_run(refuses_other_block_sizes);
	tap_run(refuses_a_device_too_small_for_a_table);
	tap_run(bytes_after_the_last_block_do_not_count);
	tap_run(refuses_another_revision);
	tap_run(refuses_a_header_of_another_size);
	tap_run(header_may_fill_its_block);
	tap_run(refuses_a_header_with_a_wrong_crc);
	tap_run(refuses_a_header_of_another_place);
	tap_run(refuses_entries_without_number);
	tap_run(refuses_entries_of_another_size);
	tap_run(entries_may_be_larger);
	tap_run(refuses_entries_that_are_not_between_the_headers);
	tap_run(refuses_entries_among_the_partitions);
	tap_run(refuses_entries_with_a_wrong_crc);
	tap_run(refuses_usable_blocks_over_a_table);
	tap_run(refuses_usable_blocks_outside_of_the_device);
	tap_run(refuses_the_other_header_among_the_partitions);
	tap_run(refuses_an_extent_that_ends_before_it_starts);
	tap_run(extent_may_be_one_block);
	tap_run(refuses_an_extent_outside_of_the_usable_blocks);
	tap_run(refuses_an_extent_that_overlaps_another);
	tap_run(unused_entry_overlaps_nothing);
	tap_run(good_primary_is_used_alone);
	tap_run(falls_back_to_the_backup);
	tap_run(falls_back_from_entries_that_are_bad);
	tap_run(falls_back_from_what_cannot_be_read);
	tap_run(says_what_cannot_be_read);
	tap_run(does_not_fall_back_for_want_of_memory);
	tap_run(says_that_nothing_can_be_read);
	tap_run(warns_of_the_backup_alone);
	tap_run(whatever_the_table_says_leads_nowhere_else);
	tap_run(reads_a_table_of_sfdisk_for_512);
	tap_run(reads_a_table_of_sfdisk_for_4096);
	temp_end();
	return tap_end();
}
