/* SPDX-License-Identifier: BSD-2-Clause */
#include "disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gpt.h"
#include "kinds.h"
#include "uri.h"

static int read_fn(void *arg, uint64_t offset_bytes, void *buf, uint32_t len_bytes)
{
	return disk_read(arg, offset_bytes, buf, len_bytes);
}

/* Narrows the disk from all of the namespace to a partition. */
static int find_partition(struct disk *d, const struct nvme_uri *uri, struct error *e)
{
	uint32_t block_bytes = 1u << d->block_shift;
	struct gpt_extent extent;
	struct error why = { "" };
	int err;

	err = gpt_find(read_fn, d, d->bdev.info.size_bytes, block_bytes, uri->partition, &extent,
		       &why);
	if (err)
		return error_set(e, -err, "nvme:%s/%u %s", uri->bdf, uri->nsid, why.text);
	if (extent.first_byte % block_bytes || extent.size_bytes % block_bytes ||
	    !extent.size_bytes || extent.first_byte > d->bdev.info.size_bytes ||
	    extent.size_bytes > d->bdev.info.size_bytes - extent.first_byte)
		return error_set(e, EINVAL, "nvme:%s/%u: partition %s is not within it", uri->bdf,
				 uri->nsid, uri->partition);
	d->first_byte = extent.first_byte;
	d->bdev.info.size_bytes = extent.size_bytes;
	return 0;
}

void disk_choose_discard(struct disk *d, const struct identify_ns *ns)
{
	const struct identify_ctrl *id = &d->ctrl->id;
	struct bdev_info *info = &d->bdev.info;
	uint64_t past;

	if (info->read_only)
		return;
	/* A drive's usual way; one without it may have the other. */
	if (id->dataset_management)
		d->discard = DISCARD_DEALLOCATE;
	else if (id->write_zeroes && ns->zeroes_deallocate)
		d->discard = DISCARD_ZERO;
	else
		return;
	past = d->first_byte % ns->deallocate_bytes;
	info->discard_bytes = ns->deallocate_bytes;
	info->discard_offset_bytes = past ? ns->deallocate_bytes - (uint32_t)past : 0;
	info->discard_zeroes = d->discard == DISCARD_ZERO;
}

static int describe(struct disk *d, const struct nvme_uri *uri, bool read_only, struct error *e)
{
	struct identify_ns ns;
	int err = ctrl_identify_ns(d->ctrl, uri->nsid, &ns, e);

	if (err)
		return err;
	d->nsid = uri->nsid;
	d->block_shift = (uint32_t)__builtin_ctz(ns.block_bytes);
	d->bdev.info = (struct bdev_info){
		.size_bytes = ns.size_bytes,
		.logical_block_bytes = ns.block_bytes,
		.physical_block_bytes = ns.preferred_bytes,
		.read_only = read_only,
		.dma = true,
		.flush = d->ctrl->id.volatile_cache,
	};
	if (uri->partition[0])
		err = find_partition(d, uri, e);
	if (!err)
		disk_choose_discard(d, &ns);
	return err;
}

static bool overlap(const struct disk *a, const struct disk *b)
{
	return a->nsid == b->nsid && a->first_byte < b->first_byte + b->bdev.info.size_bytes &&
	       b->first_byte < a->first_byte + a->bdev.info.size_bytes;
}

/* As with files: who writes is alone. */
static int claim(struct disk *d, const char *rest, struct error *e)
{
	const struct disk *other;

	list_for_each (other, &d->ctrl->disks, link) {
		if (overlap(d, other) && (!d->bdev.info.read_only || !other->bdev.info.read_only))
			return error_set(e, EBUSY,
					 "nvme:%s is in use: another disk has it, or a part of it, "
					 "open; expected to be the only one, or readers alone",
					 rest);
	}
	list_add_tail(&d->ctrl->disks, &d->link);
	return 0;
}

static int nvme_open(const char *rest, const struct bdev_open_args *args, struct bdev **out,
		     struct error *e)
{
	struct nvme_uri uri;
	struct disk *d;
	int err = nvme_uri_parse(rest, &uri, e);

	if (err)
		return err;
	if (!args->dmem || !dmem_has_bus(args->dmem))
		return error_set(e, EOPNOTSUPP, "nvme:%s needs memory for DMA: %s", rest,
				 args->dmem ? args->dmem->why.text : "there is none here");
	d = calloc(1, sizeof(*d));
	if (!d)
		return error_set(e, ENOMEM, "nvme:%s found no memory", rest);
	err = ctrl_get(uri.bdf, args->dmem, &d->ctrl, e);
	if (err)
		goto free;
	err = describe(d, &uri, args->read_only, e);
	if (!err)
		err = claim(d, rest, e);
	if (err)
		goto put_ctrl;
	*out = &d->bdev;
	return 0;
put_ctrl:
	ctrl_put(d->ctrl);
free:
	free(d);
	return err;
}

static void nvme_close(struct bdev *bdev)
{
	struct disk *d = container_of(bdev, struct disk, bdev);

	list_del(&d->link);
	ctrl_put(d->ctrl);
	free(d);
}

const struct bdev_ops nvme_ops = {
	.scheme = "nvme",
	.open = nvme_open,
	.close = nvme_close,
	.channel_create = disk_channel_create,
	.channel_destroy = disk_channel_destroy,
	.submit = disk_submit,
	.poll = disk_poll,
	.stop_leftovers = ctrl_stop_leftovers,
	.see_controllers = ctrl_see,
};
