/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * qmp - of QEMU's machine protocol what libxenstat asks: JSON objects, one after the other, each answered.
 */
#ifndef XENBLKCTL_QMP_H
#define XENBLKCTL_QMP_H

#include <json-c/json.h>

/* qmp_greeting - what comes first on each connection. */
struct json_object *qmp_greeting(void);

/**
 * qmp_answer - carries out a command
 *
 * @disks: an array of them, as the daemon shows them
 *
 * Return: the answer, which is an error if there is no such command.
 */
struct json_object *qmp_answer(struct json_object *command, struct json_object *disks);

#endif
