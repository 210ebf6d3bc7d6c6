/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vbd_store - a disk's nodes: what is read from them and written to them. vbd.c's other half.
 *
 * Node names: <xen/io/blkif.h> and xenstore-paths. Nothing is written into a backend directory that
 * the toolstack has removed.
 *
 * Thread: control.
 */
#ifndef XENBLKD_VBD_STORE_H
#define XENBLKD_VBD_STORE_H

#include "vbd.h"

/**
 * vbd_config_read - what the toolstack asks for in the backend directory @path
 *
 * Return: 0; -ENOENT if the directory is not (or no longer) complete; -EXDEV if the disk has a
 * hotplug script that is not ours, so that it is somebody else's; -errno.
 */
int vbd_config_read(struct store *s, const char *path, struct vbd_config *out);
void vbd_config_free(struct vbd_config *c);

/* The other side, as it stands now. */
struct vbd_view {
	bool removed; /* our nodes are gone, or are those of another disk by now */
	bool offline; /* the toolstack asks for the disk back */
	enum negotiate_event frontend;
};

void vbd_view_read(struct vbd *v, struct vbd_view *out);

/* vbd_discards - true if the guest is offered discards. */
bool vbd_discards(const struct vbd *v);

/* vbd_publish - features and properties, and no error any more; logs a failure. */
void vbd_publish(struct vbd *v);

/* vbd_report - v->error and v->err, where toolstacks and our hotplug script look. */
void vbd_report(struct vbd *v);
/* vbd_unreport - takes back what lies outside the backend directory. */
void vbd_unreport(struct vbd *v);

/* vbd_write_state - XenbusState*. Return: 0; -ENOENT if the nodes are gone; -errno. */
int vbd_write_state(struct vbd *v, uint32_t state);

#endif
