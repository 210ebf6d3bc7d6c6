/* SPDX-License-Identifier: BSD-2-Clause */
#include "grant.h"

#include <errno.h>
#include <string.h>

static struct sim_domain *domain(uint16_t domid)
{
	return &sim()->domains[domid];
}

static bool exists(uint16_t domid)
{
	return domid < SIM_DOMAINS && domain(domid)->alive;
}

int sim_grant_share(uint16_t domid, uint16_t grantee, bool writable, uint32_t *ref, uint32_t *frame)
{
	struct sim_domain *d = domain(domid);
	uint32_t at = d->grants_free, page;

	if (!at && d->grants_used == SIM_GRANTS)
		return -ENOSPC;
	page = sim_frame_get(domid);
	if (!page)
		return -ENOMEM;
	if (at)
		d->grants_free = d->grants[at].next;
	else
		at = d->grants_used++;
	d->grants[at] = (struct sim_grant){
		.flags = (uint8_t)(SIM_GRANTED | (writable ? 0 : SIM_GRANT_READONLY)),
		.grantee = grantee,
		.process = sim_process(),
		.frame = page,
	};
	SIM_COUNT_GRANTS(shared_pages, 1);
	*ref = at;
	*frame = page;
	return 0;
}

static void forget(struct sim_domain *d, uint32_t ref)
{
	uint32_t frame = d->grants[ref].frame;

	d->grants[ref] = (struct sim_grant){ .next = d->grants_free };
	d->grants_free = ref;
	sim_frame_put(frame);
	SIM_COUNT_GRANTS(shared_pages, -1);
}

void sim_grant_end(uint16_t domid, uint32_t ref)
{
	struct sim_grant *g = &domain(domid)->grants[ref];

	if (g->nr_maps) {
		g->flags |= SIM_GRANT_ENDED;
		g->process = 0;
	} else {
		forget(domain(domid), ref);
	}
}

/* As in Xen: a table too short is one thing, an entry that does not say so another. */
static int16_t check_entry(uint16_t domid, uint16_t granter, uint32_t ref, bool readonly)
{
	const struct sim_grant *g;

	if (!exists(granter))
		return GNTST_bad_domain;
	if (ref >= SIM_GRANTS)
		return GNTST_bad_gntref;
	g = &domain(granter)->grants[ref];
	if (!(g->flags & SIM_GRANTED) || g->grantee != domid)
		return GNTST_general_error;
	if ((g->flags & SIM_GRANT_READONLY) && !readonly)
		return GNTST_general_error;
	return GNTST_okay;
}

/* A device map that began and did not end is undone: its caller may not have been told. */
static void begin(uint16_t domid, uint32_t handle)
{
	sim()->doing.domid = domid;
	sim()->doing.handle = handle;
	__atomic_store_n(&sim()->doing.active, true, __ATOMIC_RELEASE);
}

static void end(void)
{
	__atomic_store_n(&sim()->doing.active, false, __ATOMIC_RELEASE);
}

/* Both are the hot half of a hypercall: by whom is known where they are called, and goes in there. */
#define HOT static inline __attribute__((always_inline))

HOT int16_t map_page(uint16_t domid, uint16_t process, uint16_t granter, uint32_t ref,
		     bool readonly, uint32_t *handle, uint32_t *frame)
{
	struct sim_state *s = sim();
	struct sim_domain *d = &s->domains[domid];
	int16_t status = check_entry(domid, granter, ref, readonly);
	uint32_t at = d->maps_free;
	struct sim_grant *g;

	if (status != GNTST_okay)
		return status;
	if (!at && d->maps_used == SIM_MAPS)
		return GNTST_no_space;
	if (at)
		d->maps_free = d->maps[at].next;
	else
		at = d->maps_used++;
	if (!process)
		begin(domid, at);
	g = &s->domains[granter].grants[ref];
	g->nr_maps++;
	g->nr_writable += !readonly;
	if (!process)
		s->frames[g->frame].nr_device++;
	d->maps[at] = (struct sim_map){
		.flags = (uint8_t)(SIM_MAPPED | (readonly ? SIM_MAP_READONLY : 0) |
				   (process ? 0 : SIM_MAP_DEVICE)),
		.granter = granter,
		.process = process,
		.ref = ref,
	};
	SIM_COUNT_GRANTS(mapped_pages, 1);
	*handle = at;
	*frame = g->frame;
	return GNTST_okay;
}

HOT void unmap_page(uint16_t domid, uint32_t handle, struct sim_map *m, struct sim_grant *g)
{
	struct sim_state *s = sim();
	struct sim_domain *d = &s->domains[domid];
	struct sim_map map = *m;

	if (map.flags & SIM_MAP_DEVICE)
		begin(domid, handle);
	*m = (struct sim_map){ .next = d->maps_free };
	d->maps_free = handle;
	g->nr_maps--;
	g->nr_writable -= !(map.flags & SIM_MAP_READONLY);
	if (map.flags & SIM_MAP_DEVICE)
		s->frames[g->frame].nr_device--;
	if (!g->nr_maps && (g->flags & SIM_GRANT_ENDED))
		forget(&s->domains[map.granter], map.ref);
	SIM_COUNT_GRANTS(mapped_pages, -1);
}

int16_t sim_grant_map(uint16_t domid, uint16_t process, uint16_t granter, uint32_t ref,
		      bool readonly, uint32_t *handle, uint32_t *frame)
{
	return map_page(domid, process, granter, ref, readonly, handle, frame);
}

int16_t sim_grant_unmap(uint16_t domid, uint32_t handle)
{
	struct sim_map *m;

	if (handle >= SIM_MAPS || !(domain(domid)->maps[handle].flags & SIM_MAPPED))
		return GNTST_bad_handle;
	m = &domain(domid)->maps[handle];
	unmap_page(domid, handle, m, &domain(m->granter)->grants[m->ref]);
	return GNTST_okay;
}

void sim_grant_op_map(uint16_t domid, struct gnttab_map_grant_ref *op)
{
	bool readonly = op->flags & GNTMAP_readonly;
	uint32_t handle = 0, frame = 0;
	int16_t status;

	SIM_COUNT_GRANTS(maps, 1);
	/* User space has no page tables to map into. */
	if (!(op->flags & GNTMAP_device_map) || (op->flags & GNTMAP_host_map))
		status = GNTST_general_error;
	else if (sim_fault(&sim()->controls.fail_map))
		status = sim_fault_status();
	else
		status = map_page(domid, 0, op->dom, op->ref, readonly, &handle, &frame);
	if (status == GNTST_okay) {
		op->handle = handle;
		op->dev_bus_addr = (uint64_t)frame * SIM_PAGE_BYTES;
	} else {
		SIM_COUNT(bad_operations, 1);
	}
	/* Last: a record that is read after a kill goes by it. */
	__atomic_store_n(&op->status, status, __ATOMIC_RELEASE);
	end();
}

HOT int16_t unmap(uint16_t domid, const struct gnttab_unmap_grant_ref *op)
{
	struct sim_domain *d = domain(domid);
	struct sim_grant *g;
	struct sim_map *map;

	if (op->handle >= SIM_MAPS)
		return GNTST_bad_handle;
	map = &d->maps[op->handle];
	if (map->flags & SIM_MAP_INTERRUPTED) {
		*map = (struct sim_map){ .next = d->maps_free };
		d->maps_free = (uint32_t)op->handle;
		return GNTST_okay;
	}
	/* Those of gntdev are mapped for the host, which user space cannot undo. */
	if (!(map->flags & SIM_MAPPED) || !(map->flags & SIM_MAP_DEVICE))
		return GNTST_bad_handle;
	/* Without the address nothing is undone, and Xen calls that well. */
	if (!op->dev_bus_addr)
		return GNTST_okay;
	g = &domain(map->granter)->grants[map->ref];
	if (op->dev_bus_addr != (uint64_t)g->frame * SIM_PAGE_BYTES)
		return GNTST_general_error;
	unmap_page(domid, op->handle, map, g);
	return GNTST_okay;
}

void sim_grant_op_unmap(uint16_t domid, struct gnttab_unmap_grant_ref *op)
{
	int16_t status;

	SIM_COUNT_GRANTS(unmaps, 1);
	if (sim_fault(&sim()->controls.fail_unmap))
		status = sim_fault_status();
	else
		status = unmap(domid, op);
	if (status != GNTST_okay)
		SIM_COUNT(bad_operations, 1);
	__atomic_store_n(&op->status, status, __ATOMIC_RELEASE);
	end();
}

int16_t sim_grant_acquire(uint16_t domid, uint16_t granter, uint32_t ref, bool readonly,
			  uint8_t **page)
{
	int16_t status = check_entry(domid, granter, ref, readonly);

	if (status == GNTST_okay)
		*page = sim_page(domain(granter)->grants[ref].frame);
	return status;
}

/* One side of a copy. */
static int16_t acquire(uint16_t domid, const struct gnttab_copy_ptr *ptr, bool by_ref,
		       bool readonly, uint8_t **page)
{
	uint64_t frame = ptr->u.gmfn;

	if (by_ref)
		return sim_grant_acquire(domid, ptr->domid == DOMID_SELF ? domid : ptr->domid,
					 ptr->u.ref, readonly, page);
	if (ptr->domid != DOMID_SELF && ptr->domid != domid)
		return GNTST_permission_denied;
	if (frame >= SIM_FRAMES || !sim()->frames[frame].used ||
	    sim()->frames[frame].owner != domid)
		return GNTST_general_error;
	*page = sim_page((uint32_t)frame);
	return GNTST_okay;
}

static int16_t copy(uint16_t domid, const struct gnttab_copy *op)
{
	uint8_t *from, *to;
	int16_t status;

	if (op->source.offset + (uint32_t)op->len > SIM_PAGE_BYTES ||
	    op->dest.offset + (uint32_t)op->len > SIM_PAGE_BYTES)
		return GNTST_bad_copy_arg;
	status = acquire(domid, &op->source, op->flags & GNTCOPY_source_gref, true, &from);
	if (status != GNTST_okay)
		return status;
	status = acquire(domid, &op->dest, op->flags & GNTCOPY_dest_gref, false, &to);
	if (status != GNTST_okay)
		return status;
	memmove(to + op->dest.offset, from + op->source.offset, op->len);
	return GNTST_okay;
}

void sim_grant_op_copy(uint16_t domid, struct gnttab_copy *op)
{
	int16_t status;

	SIM_COUNT_GRANTS(copies, 1);
	if (sim_fault(&sim()->controls.fail_copy))
		status = sim_fault_status();
	else
		status = copy(domid, op);
	if (status != GNTST_okay)
		SIM_COUNT(bad_operations, 1);
	__atomic_store_n(&op->status, status, __ATOMIC_RELEASE);
}

/* Which pages there are is said by the grants. */
static void repair_frames(void)
{
	struct sim_state *s = sim();

	s->frames_free = 0;
	for (uint32_t i = SIM_FRAME_FIRST; i < s->frames_used; i++)
		s->frames[i ^ 1] = (struct sim_frame){ 0 };
	for (uint16_t domid = 0; domid < SIM_DOMAINS; domid++) {
		for (uint32_t i = SIM_GRANT_RESERVED; i < domain(domid)->grants_used; i++) {
			struct sim_grant *g = &domain(domid)->grants[i];

			if (g->flags & SIM_GRANTED)
				s->frames[g->frame] =
					(struct sim_frame){ .used = true, .owner = domid };
		}
	}
	for (uint32_t i = SIM_FRAME_FIRST; i < s->frames_used; i++) {
		if (!s->frames[i ^ 1].used)
			sim_frame_put(i ^ 1);
	}
}

static void repair_grants(struct sim_domain *d)
{
	d->grants_free = 0;
	for (uint32_t i = SIM_GRANT_RESERVED; i < d->grants_used; i++) {
		struct sim_grant *g = &d->grants[i];

		g->nr_maps = g->nr_writable = 0;
		sim()->counters.shared_pages += g->flags & SIM_GRANTED;
		if (!(g->flags & SIM_GRANTED)) {
			*g = (struct sim_grant){ .next = d->grants_free };
			d->grants_free = i;
		}
	}
}

static void repair_maps(struct sim_domain *d)
{
	d->maps_free = 0;
	for (uint32_t i = 1; i < d->maps_used; i++) {
		struct sim_map *map = &d->maps[i];
		struct sim_grant *g = &domain(map->granter)->grants[map->ref];

		/* Its handle waits for who comes next. */
		if (map->flags & SIM_MAP_INTERRUPTED)
			continue;
		if (!(map->flags & SIM_MAPPED)) {
			map->next = d->maps_free;
			d->maps_free = i;
			continue;
		}
		g->nr_maps++;
		g->nr_writable += !(map->flags & SIM_MAP_READONLY);
		sim()->frames[g->frame].nr_device += !!(map->flags & SIM_MAP_DEVICE);
		sim()->counters.mapped_pages++;
	}
}

void sim_grant_repair(void)
{
	struct sim_state *s = sim();

	if (s->doing.active)
		domain(s->doing.domid)->maps[s->doing.handle].flags = SIM_MAP_INTERRUPTED;
	s->counters.shared_pages = s->counters.mapped_pages = 0;
	repair_frames();
	for (uint16_t domid = 0; domid < SIM_DOMAINS; domid++)
		repair_grants(domain(domid));
	for (uint16_t domid = 0; domid < SIM_DOMAINS; domid++)
		repair_maps(domain(domid));
	/* What was ended went with its last map, but for who was killed just there. */
	for (uint16_t domid = 0; domid < SIM_DOMAINS; domid++) {
		for (uint32_t i = SIM_GRANT_RESERVED; i < domain(domid)->grants_used; i++) {
			struct sim_grant *g = &domain(domid)->grants[i];

			if ((g->flags & SIM_GRANT_ENDED) && !g->nr_maps)
				forget(domain(domid), i);
		}
	}
	end();
}

void sim_grant_release(uint16_t process)
{
	for (uint16_t domid = 0; domid < SIM_DOMAINS; domid++) {
		struct sim_domain *d = domain(domid);

		for (uint32_t i = 1; i < d->maps_used; i++) {
			if ((d->maps[i].flags & SIM_MAPPED) && d->maps[i].process == process)
				sim_grant_unmap(domid, i);
		}
		for (uint32_t i = SIM_GRANT_RESERVED; i < d->grants_used; i++) {
			if ((d->grants[i].flags & SIM_GRANTED) && d->grants[i].process == process)
				sim_grant_end(domid, i);
		}
	}
}

void sim_grant_end_domain(uint16_t domid)
{
	struct sim_domain *d = domain(domid);

	for (uint32_t i = 1; i < d->maps_used; i++) {
		if (d->maps[i].flags & SIM_MAPPED)
			sim_grant_unmap(domid, i);
	}
	end();
	for (uint32_t i = SIM_GRANT_RESERVED; i < d->grants_used; i++) {
		if ((d->grants[i].flags & (SIM_GRANTED | SIM_GRANT_ENDED)) == SIM_GRANTED)
			sim_grant_end(domid, i);
	}
}
