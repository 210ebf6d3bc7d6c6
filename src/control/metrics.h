/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * metrics - what is counted, as Prometheus reads it (text format 0.0.4).
 *
 * Thread: control.
 */
#ifndef XENBLKD_METRICS_H
#define XENBLKD_METRICS_H

#include <stddef.h>
#include <stdio.h>

#include "control.h"

/* metrics_text - Return: a text to be freed, *@bytes long; or NULL without memory. */
char *metrics_text(const struct control_args *args, size_t *bytes);

/* For those who write parts of it: */

/* metrics_head - what stands before the lines of a metric. */
void metrics_head(FILE *f, const char *name, const char *type, const char *help);

/* metrics_label - @text as a label's value: nothing that ends it, and ASCII alone. */
void metrics_label(char *out, size_t size, const char *text);

/* metrics_controllers - the drives that we drive (metrics_controllers.c). */
void metrics_controllers(FILE *f);

#endif
