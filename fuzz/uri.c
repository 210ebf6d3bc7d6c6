/* SPDX-License-Identifier: BSD-2-Clause */
/* What stands in a disk's target, and on the command line. */
#include "bdev.h"
#include "input.h"
#include "nvme.h"
#include "options.h"
#include "transfer.h"
#include "uri.h"

static void nvme(const char *text)
{
	static const struct nvme_uri untouched = { "x", 1, "y" };
	struct nvme_uri uri = untouched;
	struct error e = { "" };

	if (nvme_uri_parse(text, &uri, &e)) {
		must(e.text[0] && !memcmp(&uri, &untouched, sizeof(uri)));
		return;
	}
	/* It becomes part of paths in sysfs. */
	must(strspn(uri.bdf, "0123456789abcdef:.") == strlen(uri.bdf));
	must(strlen(uri.bdf) >= 12 && uri.nsid && uri.nsid <= NVME_NSID_MAX);
	must(strlen(uri.partition) < sizeof(uri.partition));
}

static void transfer(char *text)
{
	struct transfer t = { 0 };
	struct error e = { "" };
	size_t len = strlen(text);
	bool found = false;

	if (transfer_cut(text, &t, &found, &e))
		must(found && e.text[0] && strlen(text) == len);
	else
		must(found == (strlen(text) < len));
}

/* The kinds of device that open without any. */
static void open_null(const char *text)
{
	struct bdev_open_args args = { 0 };
	struct error e = { "" };
	struct bdev *bdev;

	if (!strncmp(text, "file:", 5) || text[0] == '/' || !strncmp(text, "nvme:", 5))
		return;
	if (bdev_open(text, &args, &bdev, &e)) {
		must(e.text[0]);
		return;
	}
	must(bdev->info.size_bytes % 512 == 0);
	must(bdev->info.size_bytes || !strcmp(text, "null:empty"));
	bdev_close(bdev);
}

static void options(struct input *in)
{
	char *argv[12] = { "xenblkd" };
	struct options o;
	struct error e = { "" };
	int argc = 1;

	while (argc < 12 && (argv[argc] = input_line(in)))
		argc++;
	if (options_parse(argc, argv, &o, &e)) {
		must(e.text[0]);
	} else {
		must(o.state_dir[0] == '/' && strlen(o.state_dir) <= 64);
		must(o.class[0] && strlen(o.class) <= 32 && !strchr(o.class, '/'));
		must(o.max_queues <= 16 && o.buffer_mib >= 2 && o.buffer_mib <= 64);
	}
	while (argc > 1)
		free(argv[--argc]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	char *text = input_line(&in);

	if (!text)
		return 0;
	nvme(text);
	open_null(text);
	transfer(text);
	free(text);
	options(&in);
	return 0;
}
