/* SPDX-License-Identifier: BSD-2-Clause */
#include "twin.h"

#include <string.h>

static bool is_twin(const struct vbd *a, const struct vbd *b)
{
	const struct vbd_config *x = &a->config, *y = &b->config;

	return x->domid != y->domid && x->machine && y->machine &&
	       !strcmp(x->machine, y->machine) && !strcmp(x->uri, y->uri) &&
	       x->read_only == y->read_only;
}

/* Numbers of domains have 15 bits and begin anew when they are used up. */
static bool is_newer(const struct vbd *a, const struct vbd *b)
{
	return (int16_t)(uint16_t)((a->config.domid - b->config.domid) << 1) > 0;
}

struct bdev *twin_bdev(const struct vbd *v)
{
	const struct vbd *t;

	list_for_each (t, v->host->vbds, link) {
		if (t->bdev && is_twin(v, t))
			return t->bdev;
	}
	return NULL;
}

bool twin_shares(const struct vbd *v)
{
	const struct vbd *t;

	list_for_each (t, v->host->vbds, link) {
		if (t != v && t->bdev && t->bdev == v->bdev)
			return true;
	}
	return false;
}

bool twin_newer(const struct vbd *v)
{
	const struct vbd *t;

	list_for_each (t, v->host->vbds, link) {
		if (t->nr_queues && is_twin(v, t) && is_newer(t, v))
			return true;
	}
	return false;
}

struct vbd *twin_older(const struct vbd *v)
{
	struct vbd *t;

	list_for_each (t, v->host->vbds, link) {
		if (t->state != NEGOTIATE_RELEASED && is_twin(v, t) && is_newer(v, t))
			return t;
	}
	return NULL;
}

void twin_look_again(const struct vbd *v)
{
	struct vbd *t;

	list_for_each (t, v->host->vbds, link) {
		if (is_twin(v, t))
			t->dirty = true;
	}
}
