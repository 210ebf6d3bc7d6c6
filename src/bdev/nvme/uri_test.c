/* SPDX-License-Identifier: BSD-2-Clause */
#include "uri.h"

#include <errno.h>
#include <string.h>

#include "tap.h"

static bool parses(const char *text, const char *bdf, uint32_t nsid, const char *partition)
{
	struct nvme_uri uri;
	struct error e = { "" };

	if (nvme_uri_parse(text, &uri, &e)) {
		printf("# %s\n", e.text);
		return false;
	}
	return !strcmp(uri.bdf, bdf) && uri.nsid == nsid && !strcmp(uri.partition, partition);
}

static bool refuses(const char *text, const char *words)
{
	struct nvme_uri uri = { .nsid = 77 };
	struct error e = { "" };

	return nvme_uri_parse(text, &uri, &e) == -EINVAL && uri.nsid == 77 &&
	       strstr(e.text, words) && strstr(e.text, text);
}

static void takes_address_and_namespace(void)
{
	check(parses("0000:00:05.0/1", "0000:00:05.0", 1, ""));
	check(parses("10000:e1:00.7/4294967294", "10000:e1:00.7", 4294967294u, ""));
	check(parses("0000:AF:1D.0/12", "0000:af:1d.0", 12, ""));
}

static void takes_a_partition_as_it_stands(void)
{
	check(parses("0000:00:05.0/1/3", "0000:00:05.0", 1, "3"));
	check(parses("0000:00:05.0/1/PARTLABEL=a/b c", "0000:00:05.0", 1, "PARTLABEL=a/b c"));
}

static void refuses_what_is_no_address(void)
{
	check(refuses("", "PCI address"));
	check(refuses("00:05.0/1", "PCI address"));
	check(refuses("0000:00:05.8/1", "PCI address"));
	check(refuses("0000:00:5.0/1", "PCI address"));
	check(refuses("0000:00:05.0", "PCI address"));
	check(refuses("0000:00:05.0x/1", "PCI address"));
	check(refuses("000000000:00:05.0/1", "PCI address"));
	check(refuses("../../etc:00:05.0/1", "PCI address"));
	check(refuses("/dev/nvme0n1", "PCI address"));
}

static void refuses_what_is_no_namespace(void)
{
	check(refuses("0000:00:05.0/", "no namespace"));
	check(refuses("0000:00:05.0/0", "no namespace"));
	check(refuses("0000:00:05.0/01", "no namespace"));
	check(refuses("0000:00:05.0/-1", "no namespace"));
	check(refuses("0000:00:05.0/1 ", "no namespace"));
	check(refuses("0000:00:05.0/4294967295", "no namespace"));
	check(refuses("0000:00:05.0/99999999999999999999999999", "no namespace"));
}

static void refuses_no_partition_or_one_too_long(void)
{
	char text[256] = "0000:00:05.0/1/";

	check(refuses("0000:00:05.0/1/", "no partition"));
	memset(text + strlen(text), 'x', 128);
	check(refuses(text, "no partition"));
}

int main(void)
{
	tap_run(takes_address_and_namespace);
	tap_run(takes_a_partition_as_it_stands);
	tap_run(refuses_what_is_no_address);
	tap_run(refuses_what_is_no_namespace);
	tap_run(refuses_no_partition_or_one_too_long);
	return tap_end();
}
