/* SPDX-License-Identifier: BSD-2-Clause */
/* commands - what xenblkctl can do; the table is in main.c. */
#ifndef XENBLKCTL_COMMANDS_H
#define XENBLKCTL_COMMANDS_H

#include <stdbool.h>
#include <stdint.h>

#include "client.h"

struct context {
	struct client client;
	bool json;
	bool no_wait; /* attach: for the guest */
	double interval_s; /* between two looks */
	uint64_t count; /* looks of top; 0: for ever */
	int argc; /* what follows the command's name */
	char **argv;
};

enum status cmd_list(struct context *ctx);
enum status cmd_show(struct context *ctx);
enum status cmd_stats(struct context *ctx);
enum status cmd_bdevs(struct context *ctx);
enum status cmd_controllers(struct context *ctx);
enum status cmd_set(struct context *ctx);
enum status cmd_pause(struct context *ctx);
enum status cmd_resume(struct context *ctx);
enum status cmd_upgrade(struct context *ctx);
enum status cmd_attach(struct context *ctx);
enum status cmd_detach(struct context *ctx);
enum status cmd_top(struct context *ctx);
enum status cmd_resize(struct context *ctx);
enum status cmd_insert(struct context *ctx);
enum status cmd_trace(struct context *ctx);
enum status cmd_log(struct context *ctx);
enum status cmd_xentop(struct context *ctx);

/* simple - calls a method, and prints what it says if that is wanted. Takes @params. */
enum status call_and_print(struct context *ctx, const char *method, struct json_object *params);

/* with_disk - parameters with the disk that the first argument names. */
struct json_object *params_disk(const struct context *ctx);

void sleep_s(double seconds);

#endif
