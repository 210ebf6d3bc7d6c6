/* SPDX-License-Identifier: BSD-2-Clause */
#include "bdev.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kinds.h"
#include "rmw.h"

static const struct bdev_ops *const kinds[] = { &file_ops, &null_ops, &nvme_ops, &spdk_ops };

#define NR_KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* kind_find - Return: whose @uri it is, and in *@rest what follows the scheme; or NULL. */
static const struct bdev_ops *kind_find(const char *uri, const char **rest)
{
	if (uri[0] == '/') {
		*rest = uri;
		return &file_ops;
	}
	for (size_t i = 0; i < NR_KINDS; i++) {
		size_t n = strlen(kinds[i]->scheme);

		if (!strncmp(uri, kinds[i]->scheme, n) && uri[n] == ':') {
			*rest = uri + n + 1;
			return kinds[i];
		}
	}
	return NULL;
}

static int kind_unknown(const char *uri, struct error *e)
{
	char known[128] = "";
	size_t n = 0;

	for (size_t i = 0; i < NR_KINDS && n < sizeof(known); i++)
		n += (size_t)snprintf(known + n, sizeof(known) - n, "%s:, ", kinds[i]->scheme);
	return error_set(e, EINVAL, "\"%s\" names no block device; expected %sor an absolute path",
			 uri, known);
}

int bdev_open(const char *uri, const struct bdev_open_args *args, struct bdev **out,
	      struct error *e)
{
	const struct bdev_ops *ops;
	const char *rest;
	int err;

	ops = kind_find(uri, &rest);
	if (!ops)
		return kind_unknown(uri, e);
	err = ops->open(rest, args, out, e);
	if (err)
		return err;
	(*out)->ops = ops;
	if ((*out)->info.logical_block_bytes > 512)
		return rmw_open(*out, args->dmem, out, e);
	return 0;
}

void bdev_close(struct bdev *bdev)
{
	bdev->ops->close(bdev);
}

int bdev_resize(struct bdev *bdev, struct error *e)
{
	if (!bdev->ops->resize)
		return error_set(e, EOPNOTSUPP,
				 "another size of such a device is seen when it is opened anew");
	return bdev->ops->resize(bdev, e);
}

int bdev_stop_leftovers(struct error *e)
{
	int err = 0;

	for (size_t i = 0; i < NR_KINDS && !err; i++) {
		if (kinds[i]->stop_leftovers)
			err = kinds[i]->stop_leftovers(e);
	}
	return err;
}

void controllers_see(void (*see)(void *arg, const struct controller *c), void *arg)
{
	for (size_t i = 0; i < NR_KINDS; i++) {
		if (kinds[i]->see_controllers)
			kinds[i]->see_controllers(see, arg);
	}
}
