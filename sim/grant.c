/* SPDX-License-Identifier: BSD-2-Clause */
#include "grant.h"

#include <errno.h>
#include <string.h>

static struct sim_domain *domain(uint16_t domid)
{
	return &sim()->domains[domid];
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

/* Both halves of a hypercall are hot: by whom is known where they are called, and goes in there. */
#define HOT static inline __attribute__((always_inline))

/* As in Xen: a table too short is one thing, an entry that does not say so another. */
HOT int16_t check_entry(struct sim_state *s, uint16_t domid, uint16_t granter, uint32_t ref,
			bool readonly, struct sim_grant **out)
{
	struct sim_grant *g;

	if (granter >= SIM_DOMAINS || !s->domains[granter].alive)
		return GNTST_bad_domain;
	if (ref >= SIM_GRANTS)
		return GNTST_bad_gntref;
	g = &s->domains[granter].grants[ref];
	if (!(g->flags & SIM_GRANTED) || g->grantee != domid)
		return GNTST_general_error;
	if ((g->flags & SIM_GRANT_READONLY) && !readonly)
		return GNTST_general_error;
	*out = g;
	return GNTST_okay;
}

/* A device map that began and did not end is undone: its caller may not have been told. */
HOT void begin(struct sim_state *s, uint16_t domid, uint32_t handle)
{
	s->doing.domid = domid;
	s->doing.handle = handle;
	__atomic_store_n(&s->doing.active, true, __ATOMIC_RELEASE);
}

HOT void end(struct sim_state *s)
{
	__atomic_store_n(&s->doing.active, false, __ATOMIC_RELEASE);
}

HOT int16_t map_page(struct sim_state *s, uint16_t domid, uint16_t process, uint16_t granter,
		     uint32_t ref, bool readonly, uint32_t *handle, uint32_t *frame)
{
	struct sim_domain *d = &s->domains[domid];
	struct sim_grant *g = NULL;
	int16_t status = check_entry(s, domid, granter, ref, readonly, &g);
	uint32_t at = d->maps_free;

	if (status != GNTST_okay)
		return status;
	if (!at && d->maps_used == SIM_MAPS)
		return GNTST_no_space;
	if (at)
		d->maps_free = d->maps[at].next;
	else
		at = d->maps_used++;
	if (!process)
		begin(s, domid, at);
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
	*handle = at;
	*frame = g->frame;
	return GNTST_okay;
}

HOT void unmap_page(struct sim_state *s, uint16_t domid, uint32_t handle, struct sim_map *m,
		    struct sim_grant *g)
{
	struct sim_domain *d = &s->domains[domid];
	struct sim_map map = *m;

	if (map.flags & SIM_MAP_DEVICE)
		begin(s, domid, handle);
	*m = (struct sim_map){ .next = d->maps_free };
	d->maps_free = handle;
	g->nr_maps--;
	g->nr_writable -= !(map.flags & SIM_MAP_READONLY);
	if (map.flags & SIM_MAP_DEVICE)
		s->frames[g->frame].nr_device--;
	if (__builtin_expect(!g->nr_maps && (g->flags & SIM_GRANT_ENDED), 0))
		forget(&s->domains[map.granter], map.ref);
}

int16_t sim_grant_map(uint16_t domid, uint16_t process, uint16_t granter, uint32_t ref,
		      bool readonly, uint32_t *handle, uint32_t *frame)
{
	int16_t status = map_page(sim(), domid, process, granter, ref, readonly, handle, frame);

	if (status == GNTST_okay)
		SIM_COUNT_GRANTS(mapped_pages, 1);
	return status;
}

int16_t sim_grant_unmap(uint16_t domid, uint32_t handle)
{
	struct sim_map *m;

	if (handle >= SIM_MAPS || !(domain(domid)->maps[handle].flags & SIM_MAPPED))
		return GNTST_bad_handle;
	m = &domain(domid)->maps[handle];
	unmap_page(sim(), domid, handle, m, &domain(m->granter)->grants[m->ref]);
	SIM_COUNT_GRANTS(mapped_pages, -1);
	return GNTST_okay;
}

/* Return: pages mapped. */
HOT uint32_t op_map(struct sim_state *s, uint16_t domid, struct gnttab_map_grant_ref *op,
		    bool faults)
{
	bool readonly = op->flags & GNTMAP_readonly;
	uint32_t handle = 0, frame = 0;
	int16_t status;

	/* User space has no page tables to map into. */
	if (!(op->flags & GNTMAP_device_map) || (op->flags & GNTMAP_host_map))
		status = GNTST_general_error;
	else if (faults && sim_fault(&s->controls.fail_map))
		status = sim_fault_status();
	else
		status = map_page(s, domid, 0, op->dom, op->ref, readonly, &handle, &frame);
	if (status == GNTST_okay) {
		op->handle = handle;
		op->dev_bus_addr = (uint64_t)frame * SIM_PAGE_BYTES;
	} else {
		SIM_COUNT(bad_operations, 1);
	}
	/* Last: a record that is read after a kill goes by it. */
	__atomic_store_n(&op->status, status, __ATOMIC_RELEASE);
	end(s);
	return status == GNTST_okay;
}

/* @nr_undone: one more, if so. */
HOT int16_t unmap(struct sim_state *s, uint16_t domid, const struct gnttab_unmap_grant_ref *op,
		  uint32_t *nr_undone)
{
	struct sim_domain *d = &s->domains[domid];
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
	g = &s->domains[map->granter].grants[map->ref];
	if (op->dev_bus_addr != (uint64_t)g->frame * SIM_PAGE_BYTES)
		return GNTST_general_error;
	unmap_page(s, domid, op->handle, map, g);
	++*nr_undone;
	return GNTST_okay;
}

/* Return: pages unmapped. */
HOT uint32_t op_unmap(struct sim_state *s, uint16_t domid, struct gnttab_unmap_grant_ref *op,
		      bool faults)
{
	uint32_t nr_undone = 0;
	int16_t status;

	if (faults && sim_fault(&s->controls.fail_unmap))
		status = sim_fault_status();
	else
		status = unmap(s, domid, op, &nr_undone);
	if (status != GNTST_okay)
		SIM_COUNT(bad_operations, 1);
	__atomic_store_n(&op->status, status, __ATOMIC_RELEASE);
	end(s);
	return nr_undone;
}

int16_t sim_grant_acquire(uint16_t domid, uint16_t granter, uint32_t ref, bool readonly,
			  uint8_t **page)
{
	struct sim_grant *g = NULL;
	int16_t status = check_entry(sim(), domid, granter, ref, readonly, &g);

	if (status == GNTST_okay)
		*page = sim_page(g->frame);
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

static void op_copy(struct sim_state *s, uint16_t domid, struct gnttab_copy *op)
{
	int16_t status;

	if (sim_fault(&s->controls.fail_copy))
		status = sim_fault_status();
	else
		status = copy(domid, op);
	if (status != GNTST_okay)
		SIM_COUNT(bad_operations, 1);
	__atomic_store_n(&op->status, status, __ATOMIC_RELEASE);
}

/* Of @nr operations, how many run until one stops the hypercall; *@err is -EFAULT if one does. */
static uint32_t until_fault(struct sim_state *s, uint32_t nr, int *err)
{
	*err = 0;
	for (uint32_t i = 0; i < nr && sim_fault_is_set(&s->controls.efault); i++) {
		if (sim_fault(&s->controls.efault)) {
			*err = -EFAULT;
			return i;
		}
	}
	return nr;
}

int sim_grant_ops(uint16_t domid, unsigned int op, void *array, uint32_t nr)
{
	struct sim_state *s = sim();
	struct gnttab_unmap_grant_ref *unmaps = array;
	struct gnttab_map_grant_ref *maps = array;
	struct gnttab_copy *copies = array;
	bool faults;
	uint32_t changed = 0;
	int err;

	nr = until_fault(s, nr, &err);
	switch (op) {
	case GNTTABOP_map_grant_ref:
		faults = sim_fault_is_set(&s->controls.fail_map);
		for (uint32_t i = 0; i < nr; i++)
			changed += op_map(s, domid, &maps[i], faults);
		SIM_COUNT_GRANTS(maps, nr);
		SIM_COUNT_GRANTS(mapped_pages, changed);
		break;
	case GNTTABOP_unmap_grant_ref:
		faults = sim_fault_is_set(&s->controls.fail_unmap);
		for (uint32_t i = 0; i < nr; i++)
			changed += op_unmap(s, domid, &unmaps[i], faults);
		SIM_COUNT_GRANTS(unmaps, nr);
		SIM_COUNT_GRANTS(mapped_pages, -(uint64_t)changed);
		break;
	case GNTTABOP_copy:
		for (uint32_t i = 0; i < nr; i++)
			op_copy(s, domid, &copies[i]);
		SIM_COUNT_GRANTS(copies, nr);
		break;
	}
	return err;
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
	end(sim());
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
	end(sim());
	for (uint32_t i = SIM_GRANT_RESERVED; i < d->grants_used; i++) {
		if ((d->grants[i].flags & (SIM_GRANTED | SIM_GRANT_ENDED)) == SIM_GRANTED)
			sim_grant_end(domid, i);
	}
}
