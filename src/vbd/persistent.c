/* SPDX-License-Identifier: BSD-2-Clause */
#include "persistent.h"

#include <errno.h>
#include <stdlib.h>
#include <xengnttab.h>

#include "grant.h"
#include "list.h"

#define NR_BUCKETS 1024u

/* In one turn at most; what is more is copied, and wished for again when it is used again. */
#define MAX_WISHES 64u

/* A guest whose good grants cannot be mapped is asking for something else than it says. */
#define MAX_FAILURES 16u

struct page {
	struct list_node link; /* free, or mapped: by use, the latest first */
	struct page *next; /* in the same bucket */
	void *addr;
	uint32_t gref;
	uint64_t used_ns;
};

struct persistent {
	xengnttab_handle *gnttab;
	uint32_t domid;
	uint32_t nr_mapped, nr_failures;
	uint32_t nr_wishes;
	uint32_t wishes[MAX_WISHES];
	struct list free, mapped;
	struct page *buckets[NR_BUCKETS];
	struct page pages[PERSISTENT_MAX_PAGES];
};

_Static_assert((NR_BUCKETS & (NR_BUCKETS - 1)) == 0, "a mask");

/* Where the pointer to a grant's page stands, or the NULL where it would. */
static struct page **find(struct persistent *p, uint32_t gref)
{
	struct page **at = &p->buckets[gref & (NR_BUCKETS - 1)];

	while (*at && (*at)->gref != gref)
		at = &(*at)->next;
	return at;
}

int persistent_create(uint32_t domid, struct persistent **out)
{
	struct persistent *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return -ENOMEM;
	p->gnttab = xengnttab_open(NULL, 0);
	if (!p->gnttab) {
		err = errno ? -errno : -EIO;
		free(p);
		return err;
	}
	p->domid = domid;
	list_init(&p->free);
	list_init(&p->mapped);
	for (uint32_t i = 0; i < PERSISTENT_MAX_PAGES; i++)
		list_add_tail(&p->free, &p->pages[i].link);
	*out = p;
	return 0;
}

static struct page *oldest(struct persistent *p)
{
	return list_empty(&p->mapped) ? NULL : list_entry(p->mapped.head.prev, struct page, link);
}

static void unmap(struct persistent *p, struct page *page)
{
	*find(p, page->gref) = page->next;
	grant_unmap(p->gnttab, page->addr, 1);
	list_del(&page->link);
	list_add_head(&p->free, &page->link);
	p->nr_mapped--;
}

void persistent_destroy(struct persistent *p)
{
	struct page *page;

	while ((page = oldest(p)))
		unmap(p, page);
	xengnttab_close(p->gnttab);
	free(p);
}

void *persistent_find(struct persistent *p, uint32_t gref, uint64_t now_ns)
{
	struct page *page = *find(p, gref);

	if (!page)
		return NULL;
	page->used_ns = now_ns;
	list_del(&page->link);
	list_add_head(&p->mapped, &page->link);
	return page->addr;
}

void persistent_wish(struct persistent *p, uint32_t gref)
{
	if (p->nr_wishes < MAX_WISHES && p->nr_failures < MAX_FAILURES)
		p->wishes[p->nr_wishes++] = gref;
}

static bool make_room(struct persistent *p, uint64_t now_ns)
{
	struct page *page;

	if (!list_empty(&p->free))
		return true;
	page = oldest(p);
	if (now_ns - page->used_ns < PERSISTENT_YOUNG_NS)
		return false;
	unmap(p, page);
	return true;
}

static void map(struct persistent *p, uint32_t gref, uint64_t now_ns)
{
	struct page *page = list_entry(p->free.head.next, struct page, link);
	struct page **bucket;

	/* Writable, since the same page is read into the next time. */
	if (grant_map(p->gnttab, p->domid, &gref, 1, &page->addr)) {
		p->nr_failures++;
		return;
	}
	page->gref = gref;
	page->used_ns = now_ns;
	bucket = find(p, gref);
	page->next = NULL;
	*bucket = page;
	list_del(&page->link);
	list_add_head(&p->mapped, &page->link);
	p->nr_mapped++;
}

uint32_t persistent_map_wished(struct persistent *p, uint64_t now_ns)
{
	for (uint32_t i = 0; i < p->nr_wishes; i++) {
		/* One grant may have been wished for several times. */
		if (*find(p, p->wishes[i]))
			continue;
		if (!make_room(p, now_ns))
			break;
		map(p, p->wishes[i], now_ns);
	}
	p->nr_wishes = 0;
	return p->nr_mapped;
}

uint32_t persistent_trim(struct persistent *p, uint64_t now_ns)
{
	struct page *page;

	while ((page = oldest(p)) && now_ns - page->used_ns >= PERSISTENT_IDLE_NS)
		unmap(p, page);
	return p->nr_mapped;
}
