/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * persistent - pages of a guest that stay mapped from one request to the next (feature-persistent).
 *
 * A frontend that has announced it puts its data into pages that it grants once, and ends none of
 * these grants while its backend has them mapped. So a page is looked up by its grant, and where it
 * is found nothing is asked of the hypervisor. What is not found is copied, as without this, and
 * then mapped before the response: a frontend ends a grant that is not mapped by then. That a page is
 * here is never needed for data to be right, so any can be let go of at any time between two turns.
 *
 * Bounded in number; the one least recently used makes room, but not one that was just used: a
 * guest that brings other grants each time is served by copies and not by maps without end. What was
 * idle is given back. The mappings are gntdev's, and end with the process, however it ends:
 * a successor finds nothing to undo.
 *
 * Thread: create and destroy on the control thread while the queue is not started; the rest on the
 * reactor.
 */
#ifndef XENBLKD_PERSISTENT_H
#define XENBLKD_PERSISTENT_H

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"

#define PERSISTENT_MAX_PAGES 1024u /* of a queue; Linux' backend has 1056 */
#define PERSISTENT_IDLE_NS   (3 * NS_PER_S) /* unused for so long: given back */
#define PERSISTENT_YOUNG_NS  NS_PER_S /* used within: does not make room */

struct persistent;

/* persistent_create - for the grants of @domid; Return: 0 or -errno. */
int persistent_create(uint32_t domid, struct persistent **out);

/* persistent_destroy - unmaps all that is mapped. */
void persistent_destroy(struct persistent *p);

/* persistent_find - Return: the page of a grant; NULL if it is not mapped. */
void *persistent_find(struct persistent *p, uint32_t gref, uint64_t now_ns);

/* persistent_wish - a grant that is good, and was not found: to be mapped with the next ones. */
void persistent_wish(struct persistent *p, uint32_t gref);

/*
 * persistent_map_wished - maps them, as far as there is room. Two system calls for each.
 *
 * Return: how many are mapped in all.
 */
uint32_t persistent_map_wished(struct persistent *p, uint64_t now_ns);

/* persistent_trim - unmaps what was idle. Return: how many are left. */
uint32_t persistent_trim(struct persistent *p, uint64_t now_ns);

#endif
