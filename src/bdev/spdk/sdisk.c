/* SPDX-License-Identifier: BSD-2-Clause */
#include "sdisk.h"

#include <spdk/stdinc.h>
#include <spdk/bdev.h>
#include <spdk/bdev_module.h>
#include <spdk/json.h>
#include <spdk/thread.h>

#include "dmem.h"
#include "host_thread.h"
#include "kinds.h"
#include "log.h"

/* --- Given back while it is open. All but what reactors hear is the control thread's. --- */

static void close_if_unused(struct sdisk *d)
{
	/* One that stays may be without channels for a moment: its queue goes from one reactor to another. */
	if (!atomic_load(&d->gone) || !d->desc || d->nr_untold || atomic_load(&d->nr_channels))
		return;
	log_info("spdk:%s: given back to SPDK", d->name);
	spdk_bdev_close(d->desc);
	d->desc = NULL;
}

static void channel_is_put(void *arg)
{
	struct sdisk *d = arg;

	close_if_unused(d);
	atomic_fetch_sub(&d->nr_messages, 1);
}

void sdisk_channel_put(struct sdisk *d)
{
	atomic_fetch_add(&d->nr_messages, 1);
	atomic_fetch_sub(&d->nr_channels, 1);
	spdk_thread_send_msg(host_app_thread(), channel_is_put, d);
}

static void reactor_knows(void *arg)
{
	struct sdisk *d = arg;

	d->nr_untold--;
	channel_is_put(d);
}

/* Its answer is the same message going on, as far as they are counted. */
static void reactor_told(void *arg)
{
	sdisk_let_go(arg);
	spdk_thread_send_msg(host_app_thread(), reactor_knows, arg);
}

static void remove_it(struct sdisk *d)
{
	if (atomic_exchange(&d->gone, true))
		return;
	log_warning("spdk:%s: SPDK wants it back: its requests fail from now on", d->name);
	d->nr_untold = host_nr_reactors();
	atomic_fetch_add(&d->nr_messages, d->nr_untold);
	host_for_each_reactor(reactor_told, d);
	close_if_unused(d);
}

static void event(enum spdk_bdev_event_type type, struct spdk_bdev *bdev, void *arg)
{
	struct sdisk *d = arg;

	if (type == SPDK_BDEV_EVENT_REMOVE)
		remove_it(d);
	else if (type == SPDK_BDEV_EVENT_RESIZE)
		host_note_change();
}

/* --- What can be told by what it says of itself: by how it is made, down to the device. --- */

struct text {
	char *bytes;
	size_t len, size;
};

static int text_add(void *arg, const void *data, size_t size)
{
	struct text *t = arg;

	if (t->len + size + 1 > t->size) {
		char *grown = realloc(t->bytes, 2 * (t->len + size + 1));

		if (!grown)
			return -1;
		t->bytes = grown;
		t->size = 2 * (t->len + size + 1);
	}
	memcpy(t->bytes + t->len, data, size);
	t->len += size;
	t->bytes[t->len] = '\0';
	return 0;
}

/*
 * Memory by its bus address alone is for devices that reach it themselves: namespaces of NVMe
 * controllers on the PCI bus, by each of their paths, without metadata, which SPDK might check.
 */
static bool takes_bus_addresses(struct spdk_bdev *bdev)
{
	struct text t = { 0 };
	struct spdk_json_write_ctx *w;
	bool pci;

	if (strcmp(spdk_bdev_get_module_name(bdev), "nvme") || spdk_bdev_get_md_size(bdev))
		return false;
	w = spdk_json_write_begin(text_add, &t, 0);
	if (!w)
		return false;
	spdk_json_write_object_begin(w);
	spdk_bdev_dump_info_json(bdev, w);
	spdk_json_write_object_end(w);
	pci = !spdk_json_write_end(w) && t.bytes && strstr(t.bytes, "\"trtype\":\"PCIe\"") &&
	      !strstr(t.bytes, "\"trtype\":\"TCP\"") && !strstr(t.bytes, "\"trtype\":\"RDMA\"");
	free(t.bytes);
	return pci;
}

static uint64_t size_of(struct spdk_bdev *bdev)
{
	return spdk_bdev_get_num_blocks(bdev) * spdk_bdev_get_block_size(bdev);
}

static int describe(struct sdisk *d, const struct bdev_open_args *args, struct error *e)
{
	uint32_t block = spdk_bdev_get_block_size(d->spdk);
	uint32_t physical = spdk_bdev_get_physical_block_size(d->spdk);
	uint32_t unit = block * spdk_bdev_get_write_unit_size(d->spdk);
	bool write = !args->read_only;

	if (block < 512 || block & (block - 1) || unit & (unit - 1) || unit > DMEM_PAGE_BYTES)
		return error_set(e, EINVAL,
				 "spdk:%s has blocks of %u bytes and is written by %u; expected a "
				 "power of two from 512 to %u",
				 d->name, block, unit, DMEM_PAGE_BYTES);
	d->bdev.info = (struct bdev_info){
		.size_bytes = size_of(d->spdk),
		.logical_block_bytes = unit,
		.physical_block_bytes = physical > unit ? physical : unit,
		.read_only = args->read_only,
		.dma = args->dmem && dmem_has_window(args->dmem) && takes_bus_addresses(d->spdk),
		.flush = spdk_bdev_io_type_supported(d->spdk, SPDK_BDEV_IO_TYPE_FLUSH),
	};
	/* What it reads as then, SPDK does not promise. */
	if (write && spdk_bdev_io_type_supported(d->spdk, SPDK_BDEV_IO_TYPE_UNMAP))
		d->bdev.info.discard_bytes = unit;
	return 0;
}

static void sdisk_free(struct sdisk *d)
{
	free(d->name);
	free(d);
}

static int sdisk_open(const char *rest, const struct bdev_open_args *args, struct bdev **out,
		      struct error *e)
{
	struct sdisk *d;
	int err;

	if (!host_is_running())
		return error_set(
			e, ENODEV,
			"spdk:%s cannot be opened: SPDK was not started; see --spdk-config "
			"and --spdk-rpc",
			rest);
	d = calloc(1, sizeof(*d));
	if (d)
		d->name = strdup(rest);
	if (!d || !d->name) {
		free(d);
		return error_set(e, ENOMEM, "spdk:%s found no memory", rest);
	}
	err = spdk_bdev_open_ext(rest, !args->read_only, event, d, &d->desc);
	if (err == -ENODEV)
		err = error_set(e, ENODEV, "spdk:%s: SPDK has no bdev of that name", rest);
	else if (err)
		error_set(e, -err, "spdk:%s: SPDK does not open it for %s: %s", rest,
			  args->read_only ? "reading" : "reading and writing", strerror(-err));
	if (err)
		goto free;
	d->spdk = spdk_bdev_desc_get_bdev(d->desc);
	err = describe(d, args, e);
	if (err)
		goto close;
	*out = &d->bdev;
	return 0;
close:
	spdk_bdev_close(d->desc);
free:
	sdisk_free(d);
	return err;
}

static void sdisk_close(struct bdev *bdev)
{
	struct sdisk *d = container_of(bdev, struct sdisk, bdev);

	while (atomic_load(&d->nr_messages)) {
		if (spdk_thread_poll(host_app_thread(), 0, 0) <= 0)
			usleep(50);
	}
	if (d->desc)
		spdk_bdev_close(d->desc);
	sdisk_free(d);
}

static int sdisk_resize(struct bdev *bdev, struct error *e)
{
	struct sdisk *d = container_of(bdev, struct sdisk, bdev);

	if (!d->desc)
		return error_set(e, ENODEV, "spdk:%s is gone", d->name);
	bdev->info.size_bytes = size_of(d->spdk);
	return 0;
}

const struct bdev_ops spdk_ops = {
	.scheme = "spdk",
	.open = sdisk_open,
	.close = sdisk_close,
	.channel_create = sdisk_channel_create,
	.channel_destroy = sdisk_channel_destroy,
	.submit = sdisk_submit,
	.poll = sdisk_poll,
	.resize = sdisk_resize,
};
