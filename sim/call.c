/* SPDX-License-Identifier: BSD-2-Clause */
/* libxencall on the machine of state.h: grant table operations, multicalls of them, and the version. */
#include <xencall.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <xen/version.h>

#include "grant.h"

/* Operations under one hold of the lock; others get their turn in between. */
#define SLICE 32u

struct xencall_handle {
	uint16_t domid;
	int fd;
};

static int answer(int err)
{
	if (err >= 0)
		return err;
	errno = -err;
	return -1;
}

xencall_handle *xencall_open(struct xentoollog_logger *logger, unsigned open_flags)
{
	xencall_handle *xcall;
	int err = sim_open();

	if (err) {
		errno = -err;
		return NULL;
	}
	xcall = calloc(1, sizeof(*xcall));
	if (!xcall)
		return NULL;
	xcall->domid = sim_domid();
	xcall->fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	return xcall;
}

int xencall_close(xencall_handle *xcall)
{
	if (xcall) {
		close(xcall->fd);
		free(xcall);
	}
	return 0;
}

int xencall_fd(xencall_handle *xcall)
{
	return xcall->fd;
}

static uint64_t cost_of(unsigned int op)
{
	const struct sim_controls *c = &sim()->controls;

	return op == GNTTABOP_copy	      ? c->cost_copy_ns
	       : op == GNTTABOP_map_grant_ref ? c->cost_map_ns
					      : c->cost_unmap_ns;
}

static size_t bytes_of(unsigned int op)
{
	return op == GNTTABOP_copy	      ? sizeof(struct gnttab_copy)
	       : op == GNTTABOP_map_grant_ref ? sizeof(struct gnttab_map_grant_ref)
					      : sizeof(struct gnttab_unmap_grant_ref);
}

static int grant_table_op(uint16_t domid, unsigned int op, void *array, uint32_t nr)
{
	int err = 0;

	if (op != GNTTABOP_map_grant_ref && op != GNTTABOP_unmap_grant_ref && op != GNTTABOP_copy)
		return -ENOSYS;
	sim_cost(nr * cost_of(op));
	for (uint32_t i = 0; i < nr && !err; i += SLICE) {
		sim_lock(&sim()->grants_lock);
		err = sim_grant_ops(domid, op, (uint8_t *)array + i * bytes_of(op),
				    nr - i < SLICE ? nr - i : SLICE);
		sim_unlock(&sim()->grants_lock);
	}
	return err;
}

/* An entry that fails does not keep the next from running. */
static int multicall(uint16_t domid, struct multicall_entry *entries, uint32_t nr)
{
	if (sim()->controls.no_multicall)
		return -ENOSYS;
	SIM_COUNT(multicalls, 1);
	for (uint32_t i = 0; i < nr; i++) {
		struct multicall_entry *e = &entries[i];
		int result = -ENOSYS;

		if (e->op == __HYPERVISOR_grant_table_op)
			result =
				grant_table_op(domid, (unsigned int)e->args[0],
					       (void *)(uintptr_t)e->args[1], (uint32_t)e->args[2]);
		e->result = (xen_ulong_t)result;
	}
	return 0;
}

static int call(xencall_handle *xcall, unsigned int op, uint64_t arg1, uint64_t arg2, uint64_t arg3)
{
	sim_cost(sim()->controls.cost_hypercall_ns);
	if (op == __HYPERVISOR_grant_table_op)
		return answer(grant_table_op(xcall->domid, (unsigned int)arg1,
					     (void *)(uintptr_t)arg2, (uint32_t)arg3));
	if (op == __HYPERVISOR_multicall)
		return answer(multicall(xcall->domid, (void *)(uintptr_t)arg1, (uint32_t)arg2));
	if (op == __HYPERVISOR_xen_version && arg1 == XENVER_version)
		return 4 << 16 | 17;
	if (op == __HYPERVISOR_xen_version && arg1 == XENVER_get_features) {
		struct xen_feature_info *info = (void *)(uintptr_t)arg2;

		/* A PV domain: nothing is translated, and no other feature is asked for. */
		info->submap = 0;
		return 0;
	}
	return answer(-ENOSYS);
}

static int hypercall(xencall_handle *xcall, unsigned int op, uint64_t arg1, uint64_t arg2,
		     uint64_t arg3)
{
	uint64_t start_ns = sim()->controls.account ? sim_now_ns() : 0;
	int result;

	SIM_COUNT(hypercalls, 1);
	result = call(xcall, op, arg1, arg2, arg3);
	if (start_ns)
		SIM_COUNT(hypercall_ns, sim_now_ns() - start_ns);
	return result;
}

int xencall0(xencall_handle *xcall, unsigned int op)
{
	return hypercall(xcall, op, 0, 0, 0);
}

int xencall1(xencall_handle *xcall, unsigned int op, uint64_t arg1)
{
	return hypercall(xcall, op, arg1, 0, 0);
}

int xencall2(xencall_handle *xcall, unsigned int op, uint64_t arg1, uint64_t arg2)
{
	return hypercall(xcall, op, arg1, arg2, 0);
}

long xencall2L(xencall_handle *xcall, unsigned int op, uint64_t arg1, uint64_t arg2)
{
	return hypercall(xcall, op, arg1, arg2, 0);
}

int xencall3(xencall_handle *xcall, unsigned int op, uint64_t arg1, uint64_t arg2, uint64_t arg3)
{
	return hypercall(xcall, op, arg1, arg2, arg3);
}

int xencall4(xencall_handle *xcall, unsigned int op, uint64_t arg1, uint64_t arg2, uint64_t arg3,
	     uint64_t arg4)
{
	return hypercall(xcall, op, arg1, arg2, arg3);
}

int xencall5(xencall_handle *xcall, unsigned int op, uint64_t arg1, uint64_t arg2, uint64_t arg3,
	     uint64_t arg4, uint64_t arg5)
{
	return hypercall(xcall, op, arg1, arg2, arg3);
}

void *xencall_alloc_buffer(xencall_handle *xcall, size_t size)
{
	size_t bytes = (size + SIM_PAGE_BYTES - 1) & ~(size_t)(SIM_PAGE_BYTES - 1);

	return aligned_alloc(SIM_PAGE_BYTES, bytes ? bytes : SIM_PAGE_BYTES);
}

void xencall_free_buffer(xencall_handle *xcall, void *p)
{
	free(p);
}

void *xencall_alloc_buffer_pages(xencall_handle *xcall, size_t nr_pages)
{
	return xencall_alloc_buffer(xcall, nr_pages * SIM_PAGE_BYTES);
}

void xencall_free_buffer_pages(xencall_handle *xcall, void *p, size_t nr_pages)
{
	free(p);
}

int xencall_buffers_never_fault(xencall_handle *xcall)
{
	return 1;
}
