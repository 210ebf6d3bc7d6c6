/* SPDX-License-Identifier: BSD-2-Clause */
#include "share.h"

#include <stdlib.h>

struct share *share_get(struct share **all, uint32_t domid)
{
	struct share *s = *all;

	while (s && s->domid != domid)
		s = s->next;
	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return NULL;
		s->domid = domid;
		s->next = *all;
		__atomic_store_n(all, s, __ATOMIC_RELEASE);
	}
	s->nr_queues++;
	return s;
}

void share_put(struct share **all, struct share *s)
{
	if (--s->nr_queues)
		return;
	while (*all != s)
		all = &(*all)->next;
	__atomic_store_n(all, s->next, __ATOMIC_RELEASE);
	free(s);
}
