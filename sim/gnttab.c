/* SPDX-License-Identifier: BSD-2-Clause */
/* libxengnttab: gntdev and gntalloc, as Linux has them, on the machine of state.h. */
#include <xengnttab.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "grant.h"

/* Pages of one call: handles of what was mapped, or references of what was shared. */
struct range {
	struct range *next;
	uint8_t *addr;
	uint32_t count;
	uint32_t ids[];
};

/* For both libraries, as in the real one. */
struct xengntdev_handle {
	uint16_t domid;
	int fd;
	pthread_mutex_t lock; /* for the list */
	struct range *ranges;
};

static struct xengntdev_handle *open_device(void)
{
	struct xengntdev_handle *h;
	int err = sim_open();

	if (err) {
		errno = -err;
		return NULL;
	}
	h = calloc(1, sizeof(*h));
	if (!h)
		return NULL;
	h->fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	h->domid = sim_domid();
	pthread_mutex_init(&h->lock, NULL);
	return h;
}

/* What is still mapped stays so, as with the device's file, until the process ends. */
static int close_device(struct xengntdev_handle *h)
{
	struct range *r;

	if (!h)
		return 0;
	while ((r = h->ranges)) {
		h->ranges = r->next;
		free(r);
	}
	pthread_mutex_destroy(&h->lock);
	close(h->fd);
	free(h);
	return 0;
}

static struct range *range_create(uint32_t count)
{
	struct range *r = calloc(1, sizeof(*r) + count * sizeof(r->ids[0]));

	if (!r)
		return NULL;
	r->count = count;
	r->addr = mmap(NULL, (size_t)count * SIM_PAGE_BYTES, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (r->addr != MAP_FAILED)
		return r;
	free(r);
	return NULL;
}

static void range_destroy(struct range *r)
{
	munmap(r->addr, (size_t)r->count * SIM_PAGE_BYTES);
	free(r);
}

static bool range_place(struct range *r, uint32_t i, uint32_t frame, int prot)
{
	return mmap(r->addr + (size_t)i * SIM_PAGE_BYTES, SIM_PAGE_BYTES, prot,
		    MAP_SHARED | MAP_FIXED | MAP_POPULATE, sim_memory_fd(),
		    (off_t)frame * SIM_PAGE_BYTES) != MAP_FAILED;
}

static void range_add(struct xengntdev_handle *h, struct range *r)
{
	pthread_mutex_lock(&h->lock);
	r->next = h->ranges;
	h->ranges = r;
	pthread_mutex_unlock(&h->lock);
}

xengnttab_handle *xengnttab_open(struct xentoollog_logger *logger, unsigned open_flags)
{
	return open_device();
}

int xengnttab_close(xengnttab_handle *xgt)
{
	return close_device(xgt);
}

int xengnttab_fd(xengnttab_handle *xgt)
{
	return xgt->fd;
}

int xengnttab_set_max_grants(xengnttab_handle *xgt, uint32_t nr_grants)
{
	return 0;
}

/* Return: how many of the pages could be mapped. */
static uint32_t map_all(xengnttab_handle *xgt, struct range *r, const uint32_t *domids,
			uint32_t domid_step, const uint32_t *refs, int prot)
{
	struct sim_state *s = sim();
	uint32_t i, frame;

	sim_lock(&s->grants_lock);
	for (i = 0; i < r->count; i++) {
		uint32_t domid = domids[i * domid_step];
		int16_t status = GNTST_bad_domain;

		SIM_COUNT(gntdev_maps, 1);
		if (sim_fault(&s->controls.fail_gntdev_map))
			status = sim_fault_status();
		else if (domid < SIM_DOMAINS)
			status = sim_grant_map(xgt->domid, sim_process(), (uint16_t)domid, refs[i],
					       !(prot & PROT_WRITE), &r->ids[i], &frame);
		if (status != GNTST_okay) {
			SIM_COUNT(bad_operations, 1);
			break;
		}
		if (!range_place(r, i, frame, prot)) {
			sim_grant_unmap(xgt->domid, r->ids[i]);
			break;
		}
	}
	sim_unlock(&s->grants_lock);
	return i;
}

static void unmap_all(uint16_t domid, struct range *r, uint32_t count)
{
	sim_lock(&sim()->grants_lock);
	for (uint32_t i = 0; i < count; i++) {
		SIM_COUNT(gntdev_unmaps, 1);
		sim_grant_unmap(domid, r->ids[i]);
	}
	sim_unlock(&sim()->grants_lock);
}

static void *map(xengnttab_handle *xgt, uint32_t count, const uint32_t *domids, uint32_t domid_step,
		 const uint32_t *refs, int prot)
{
	bool interrupted = sim_fault(&sim()->controls.interrupt_map);
	struct range *r = count && !interrupted ? range_create(count) : NULL;
	uint32_t nr;

	if (!r) {
		errno = interrupted ? EINTR : count ? ENOMEM : EINVAL;
		return NULL;
	}
	SIM_COUNT(gntdev_calls, 1);
	sim_cost(sim()->controls.cost_hypercall_ns + count * sim()->controls.cost_map_ns);
	nr = map_all(xgt, r, domids, domid_step, refs, prot);
	if (nr == count) {
		range_add(xgt, r);
		return r->addr;
	}
	/* One that fails fails all. */
	unmap_all(xgt->domid, r, nr);
	range_destroy(r);
	errno = EINVAL;
	return NULL;
}

void *xengnttab_map_grant_ref(xengnttab_handle *xgt, uint32_t domid, uint32_t ref, int prot)
{
	return map(xgt, 1, &domid, 0, &ref, prot);
}

void *xengnttab_map_grant_refs(xengnttab_handle *xgt, uint32_t count, uint32_t *domids,
			       uint32_t *refs, int prot)
{
	return map(xgt, count, domids, 1, refs, prot);
}

void *xengnttab_map_domain_grant_refs(xengnttab_handle *xgt, uint32_t count, uint32_t domid,
				      uint32_t *refs, int prot)
{
	return map(xgt, count, &domid, 0, refs, prot);
}

/* Notices at the end of a mapping are not played: only callers that want none are served. */
void *xengnttab_map_grant_ref_notify(xengnttab_handle *xgt, uint32_t domid, uint32_t ref, int prot,
				     uint32_t notify_offset, evtchn_port_t notify_port)
{
	if (notify_offset < SIM_PAGE_BYTES || notify_port != (evtchn_port_t)-1) {
		errno = ENOSYS;
		return NULL;
	}
	return map(xgt, 1, &domid, 0, &ref, prot);
}

int xengnttab_unmap(xengnttab_handle *xgt, void *start_address, uint32_t count)
{
	struct range **at, *r;

	pthread_mutex_lock(&xgt->lock);
	for (at = &xgt->ranges; *at; at = &(*at)->next) {
		if ((*at)->addr == start_address && (*at)->count == count)
			break;
	}
	r = *at;
	if (r)
		*at = r->next;
	pthread_mutex_unlock(&xgt->lock);
	if (!r) {
		errno = EINVAL;
		return -1;
	}
	SIM_COUNT(gntdev_calls, 1);
	sim_cost(sim()->controls.cost_hypercall_ns + count * sim()->controls.cost_unmap_ns);
	munmap(r->addr, (size_t)count * SIM_PAGE_BYTES);
	unmap_all(xgt->domid, r, count);
	free(r);
	return 0;
}

/* One side of a copy: a page of somebody's, or our own memory. */
static int16_t copy_side(uint16_t domid, const union xengnttab_copy_ptr *ptr, bool by_ref,
			 bool readonly, uint8_t **at)
{
	int16_t status;

	if (!by_ref) {
		*at = ptr->virt;
		return GNTST_okay;
	}
	status = sim_grant_acquire(domid, ptr->foreign.domid, ptr->foreign.ref, readonly, at);
	if (status == GNTST_okay)
		*at += ptr->foreign.offset;
	return status;
}

static int16_t copy_one(uint16_t domid, const xengnttab_grant_copy_segment_t *seg)
{
	uint8_t *from = NULL, *to = NULL;
	int16_t status;

	SIM_COUNT(gntdev_copies, 1);
	if (sim_fault(&sim()->controls.fail_copy))
		return sim_fault_status();
	status = copy_side(domid, &seg->source, seg->flags & GNTCOPY_source_gref, true, &from);
	if (status == GNTST_okay)
		status = copy_side(domid, &seg->dest, seg->flags & GNTCOPY_dest_gref, false, &to);
	if (status == GNTST_okay)
		memmove(to, from, seg->len);
	return status;
}

static bool crosses(const xengnttab_grant_copy_segment_t *seg)
{
	return ((seg->flags & GNTCOPY_source_gref) &&
		seg->source.foreign.offset + (uint32_t)seg->len > SIM_PAGE_BYTES) ||
	       ((seg->flags & GNTCOPY_dest_gref) &&
		seg->dest.foreign.offset + (uint32_t)seg->len > SIM_PAGE_BYTES);
}

int xengnttab_grant_copy(xengnttab_handle *xgt, uint32_t count,
			 xengnttab_grant_copy_segment_t *segs)
{
	struct sim_state *s = sim();
	int err = 0;

	SIM_COUNT(gntdev_calls, 1);
	sim_cost(s->controls.cost_hypercall_ns + count * s->controls.cost_copy_ns);
	sim_lock(&s->grants_lock);
	for (uint32_t i = 0; i < count && !err; i++) {
		/* The driver stops there, and says so of the call as a whole. */
		if (sim_fault(&s->controls.efault))
			err = EFAULT;
		else if (crosses(&segs[i]))
			err = EINVAL;
		else
			segs[i].status = copy_one(xgt->domid, &segs[i]);
		if (!err && segs[i].status != GNTST_okay)
			SIM_COUNT(bad_operations, 1);
	}
	sim_unlock(&s->grants_lock);
	if (!err)
		return 0;
	errno = err;
	return -1;
}

/* There are no dma-bufs here. */
static int no_dmabuf(void)
{
	errno = ENOSYS;
	return -1;
}

int xengnttab_dmabuf_exp_from_refs(xengnttab_handle *xgt, uint32_t domid, uint32_t flags,
				   uint32_t count, const uint32_t *refs, uint32_t *fd)
{
	return no_dmabuf();
}

int xengnttab_dmabuf_exp_wait_released(xengnttab_handle *xgt, uint32_t fd, uint32_t wait_to_ms)
{
	return no_dmabuf();
}

int xengnttab_dmabuf_imp_to_refs(xengnttab_handle *xgt, uint32_t domid, uint32_t fd, uint32_t count,
				 uint32_t *refs)
{
	return no_dmabuf();
}

int xengnttab_dmabuf_imp_release(xengnttab_handle *xgt, uint32_t fd)
{
	return no_dmabuf();
}

xengntshr_handle *xengntshr_open(struct xentoollog_logger *logger, unsigned open_flags)
{
	return open_device();
}

int xengntshr_close(xengntshr_handle *xgs)
{
	return close_device(xgs);
}

int xengntshr_fd(xengntshr_handle *xgs)
{
	return xgs->fd;
}

void *xengntshr_share_pages(xengntshr_handle *xgs, uint32_t domid, int count, uint32_t *refs,
			    int writable)
{
	struct range *r;
	uint32_t i, frame;
	int err = 0;

	if (sim_fault(&sim()->controls.fail_share)) {
		errno = ENOSPC;
		return NULL;
	}
	r = count > 0 ? range_create((uint32_t)count) : NULL;
	if (!r) {
		errno = count > 0 ? ENOMEM : EINVAL;
		return NULL;
	}
	sim_lock(&sim()->grants_lock);
	for (i = 0; i < r->count; i++) {
		err = sim_grant_share(xgs->domid, (uint16_t)domid, writable, &r->ids[i], &frame);
		if (err)
			break;
		if (!range_place(r, i, frame, PROT_READ | PROT_WRITE)) {
			sim_grant_end(xgs->domid, r->ids[i]);
			err = -ENOMEM;
			break;
		}
	}
	while (err && i--)
		sim_grant_end(xgs->domid, r->ids[i]);
	sim_unlock(&sim()->grants_lock);
	if (err) {
		range_destroy(r);
		errno = -err;
		return NULL;
	}
	memcpy(refs, r->ids, r->count * sizeof(*refs));
	range_add(xgs, r);
	return r->addr;
}

void *xengntshr_share_page_notify(xengntshr_handle *xgs, uint32_t domid, uint32_t *ref,
				  int writable, uint32_t notify_offset, evtchn_port_t notify_port)
{
	if (notify_offset < SIM_PAGE_BYTES || notify_port != (evtchn_port_t)-1) {
		errno = ENOSYS;
		return NULL;
	}
	return xengntshr_share_pages(xgs, domid, 1, ref, writable);
}

/* Any part of what was shared in one call. */
static bool take_back(xengntshr_handle *xgs, struct range *r, uint8_t *start, size_t bytes)
{
	if (start < r->addr || start + bytes > r->addr + (size_t)r->count * SIM_PAGE_BYTES)
		return false;
	sim_lock(&sim()->grants_lock);
	for (size_t at = 0; at < bytes; at += SIM_PAGE_BYTES) {
		uint32_t *ref = &r->ids[(size_t)(start + at - r->addr) / SIM_PAGE_BYTES];

		if (*ref)
			sim_grant_end(xgs->domid, *ref);
		*ref = 0;
	}
	sim_unlock(&sim()->grants_lock);
	munmap(start, bytes);
	return true;
}

static bool is_empty(const struct range *r)
{
	for (uint32_t i = 0; i < r->count; i++) {
		if (r->ids[i])
			return false;
	}
	return true;
}

int xengntshr_unshare(xengntshr_handle *xgs, void *start_address, uint32_t count)
{
	struct range **at, *r;
	bool found = false;

	pthread_mutex_lock(&xgs->lock);
	for (at = &xgs->ranges; *at && !found; at = found ? at : &(*at)->next)
		found = take_back(xgs, *at, start_address, (size_t)count * SIM_PAGE_BYTES);
	r = found ? *at : NULL;
	/* Its addresses may be somebody else's by now. */
	if (r && is_empty(r)) {
		*at = r->next;
		free(r);
	}
	pthread_mutex_unlock(&xgs->lock);
	if (found)
		return 0;
	errno = EINVAL;
	return -1;
}
