/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rows - plain columns, each as wide as what stands in it.
 *
 * The first row is the heading. Numbers (cells that begin with a digit or are "-") stand to the right.
 */
#ifndef XENBLKCTL_ROWS_H
#define XENBLKCTL_ROWS_H

#include <stdint.h>
#include <stdio.h>

#define ROWS_MAX_COLUMNS 16u

struct rows {
	uint32_t nr_columns, nr_cells;
	char **cells; /* NULL without memory: rows are lost then, and nothing else */
};

void rows_init(struct rows *r, uint32_t nr_columns);
void rows_fini(struct rows *r);

/* rows_add - the next cell, row by row; control characters in it become '?'. */
void rows_add(struct rows *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* rows_print - at most @max_rows of them, 0: all. */
void rows_print(const struct rows *r, FILE *f, uint32_t max_rows);

#endif
