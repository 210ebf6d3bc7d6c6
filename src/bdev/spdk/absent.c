/* SPDX-License-Identifier: BSD-2-Clause */
/* Instead of all that is in this folder, in a build without SPDK. */
#include <errno.h>

#include "bdev.h"
#include "host.h"
#include "kinds.h"

#define WORDS "this xenblkd was built without SPDK"

static int absent_open(const char *rest, const struct bdev_open_args *args, struct bdev **out,
		       struct error *e)
{
	return error_set(e, EOPNOTSUPP, "spdk:%s cannot be opened: " WORDS, rest);
}

const struct bdev_ops spdk_ops = {
	.scheme = "spdk",
	.open = absent_open,
};

bool spdk_host_built(void)
{
	return false;
}

const char *spdk_host_version(void)
{
	return "";
}

int spdk_host_start(const struct spdk_host_args *args, struct error *e)
{
	return error_set(e, EOPNOTSUPP, "%s: " WORDS,
			 args->config ? "--spdk-config" : "--spdk-rpc");
}

int spdk_host_join(struct reactor *r, uint32_t number, struct error *e)
{
	return error_set(e, EOPNOTSUPP, WORDS);
}

void spdk_host_stop(void)
{
}
