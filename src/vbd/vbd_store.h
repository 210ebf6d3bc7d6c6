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

/* The directory of settings (settings.h) in a disk's backend directory. */
#define VBD_SETTINGS "xenblkd"

/* In the backend directory of a disk that we made ourselves: its nodes are ours to remove. */
#define ATTACH_MARK "xenblkd-attached"

/**
 * vbd_each - all disks that a class has in xenstore, whosever they are
 *
 * @class_path: "/local/domain/0/backend/vbd"
 * @fn: is given the backend directory of each, "/local/domain/0/backend/vbd/3/51712"
 *
 * Return: 0; -ENOENT if there is no such class; -errno.
 */
int vbd_each(struct store *s, const char *class_path, void (*fn)(void *arg, const char *path),
	     void *arg);

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
	bool guest_gone; /* its domain is no more */
	bool offline; /* the toolstack asks for the disk back */
	enum negotiate_event frontend;
};

void vbd_view_read(struct vbd *v, struct vbd_view *out);

/* vbd_settings_read - what stands in xenstore; what is wrong there is logged and left out. */
void vbd_settings_read(struct vbd *v, struct settings *out);

/* vbd_setting_write - one of them. Return: 0; -ENOENT if the nodes are gone; -errno. */
int vbd_setting_write(struct vbd *v, const char *key, const char *value);

/* vbd_params_write - another target. Return: 0; -ENOENT if the nodes are gone; -errno. */
int vbd_params_write(struct vbd *v, const char *uri);

/* vbd_abandon - asks for a disk of ours back, as a toolstack would. Return: 0 or -errno. */
int vbd_abandon(struct vbd *v);

/* vbd_remove_nodes - those of a disk of ours that is closed. */
void vbd_remove_nodes(struct vbd *v);

/* vbd_discards - true if the guest is offered discards. */
bool vbd_discards(const struct vbd *v);

/* vbd_offered_queues - how many stand there from an earlier daemon; 0: none. */
uint32_t vbd_offered_queues(const struct vbd *v);

/* vbd_publish - features and properties, and no error any more; logs a failure. */
void vbd_publish(struct vbd *v);

/*
 * vbd_publish_size - properties that follow from the size; the frontend of a connected disk is told
 *
 * Return: 0 or -errno.
 */
int vbd_publish_size(struct vbd *v);

/* vbd_report - v->error and v->err, where toolstacks and our hotplug script look. */
void vbd_report(struct vbd *v);
/* vbd_unreport - takes back what lies outside the backend directory. */
void vbd_unreport(struct vbd *v);

/* vbd_write_state - XenbusState*. Return: 0; -ENOENT if the nodes are gone; -errno. */
int vbd_write_state(struct vbd *v, uint32_t state);

#endif
