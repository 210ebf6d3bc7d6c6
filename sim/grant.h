/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * grant - the rules of Xen's grant tables, on struct sim_state.
 *
 * Thread: under grants_lock, all of it.
 */
#ifndef XENSIM_GRANT_H
#define XENSIM_GRANT_H

#include <stdint.h>
#include <xen/xen.h>
#include <xen/grant_table.h>

#include "state.h"

/* sim_grant_share - grants a new page to @grantee. Return: 0, *@ref and *@frame; -ENOSPC, -ENOMEM. */
int sim_grant_share(uint16_t domid, uint16_t grantee, bool writable, uint32_t *ref,
		    uint32_t *frame);

/* sim_grant_end - the granter is done with it; whoever has it mapped keeps it. */
void sim_grant_end(uint16_t domid, uint32_t ref);

/**
 * sim_grant_map - what both kinds of mapping have in common
 *
 * @process: whose mapping it is; 0: a device map, of the domain
 *
 * Return: GNTST_okay, *@handle and *@frame; or why not.
 */
int16_t sim_grant_map(uint16_t domid, uint16_t process, uint16_t granter, uint32_t ref,
		      bool readonly, uint32_t *handle, uint32_t *frame);
int16_t sim_grant_unmap(uint16_t domid, uint32_t handle);

/**
 * sim_grant_ops - some operations of a hypercall
 *
 * @op: GNTTABOP_map_grant_ref, _unmap_grant_ref or _copy
 *
 * Return: 0; or -EFAULT: it stopped at one of them.
 */
int sim_grant_ops(uint16_t domid, unsigned int op, void *array, uint32_t nr);

/* sim_grant_acquire - the page behind a reference, for a copy. Return: GNTST_okay and *@page. */
int16_t sim_grant_acquire(uint16_t domid, uint16_t granter, uint32_t ref, bool readonly,
			  uint8_t **page);

/**
 * sim_grant_repair - after somebody was killed within any of these
 *
 * Counts and free lists are made anew from the entries. A map or unmap that was under way is undone,
 * whatever its caller was told or not; an unmap of it, by who comes next and cannot know, does well.
 */
void sim_grant_repair(void);

/* sim_grant_release - a process has ended. */
void sim_grant_release(uint16_t process);

/* sim_grant_end_domain - a domain has. */
void sim_grant_end_domain(uint16_t domid);

#endif
