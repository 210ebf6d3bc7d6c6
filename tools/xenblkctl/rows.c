/* SPDX-License-Identifier: BSD-2-Clause */
#include "rows.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

void rows_init(struct rows *r, uint32_t nr_columns)
{
	*r = (struct rows){ .nr_columns = nr_columns };
}

void rows_fini(struct rows *r)
{
	for (uint32_t i = 0; i < r->nr_cells; i++)
		free(r->cells[i]);
	free(r->cells);
}

void rows_add(struct rows *r, const char *fmt, ...)
{
	char **grown = reallocarray(r->cells, r->nr_cells + 1, sizeof(*grown));
	char *cell;
	va_list ap;

	if (!grown)
		return;
	r->cells = grown;
	va_start(ap, fmt);
	if (vasprintf(&cell, fmt, ap) < 0)
		cell = NULL;
	va_end(ap);
	if (!cell)
		return;
	text_printable(cell);
	r->cells[r->nr_cells++] = cell;
}

static bool is_number(const char *cell)
{
	return isdigit((unsigned char)cell[0]) || !strcmp(cell, "-");
}

/* By what stands below its heading. */
static bool is_numeric(const struct rows *r, uint32_t column)
{
	bool any = false;

	for (uint32_t i = r->nr_columns + column; i < r->nr_cells; i += r->nr_columns) {
		if (!is_number(r->cells[i]) || strchr(r->cells[i], '/'))
			return false;
		any = true;
	}
	return any;
}

void rows_print(const struct rows *r, FILE *f, uint32_t max_rows)
{
	int width[ROWS_MAX_COLUMNS] = { 0 };
	bool right[ROWS_MAX_COLUMNS];
	uint32_t nr = r->nr_cells / r->nr_columns;

	for (uint32_t i = 0; i < r->nr_cells; i++) {
		int n = (int)strlen(r->cells[i]);

		if (n > width[i % r->nr_columns])
			width[i % r->nr_columns] = n;
	}
	for (uint32_t i = 0; i < r->nr_columns; i++)
		right[i] = is_numeric(r, i);
	if (max_rows && nr > max_rows)
		nr = max_rows;
	for (uint32_t i = 0; i < nr * r->nr_columns; i++) {
		uint32_t column = i % r->nr_columns;
		bool last = column + 1 == r->nr_columns;

		if (right[column])
			fprintf(f, "%*s", width[column], r->cells[i]);
		else if (last)
			fputs(r->cells[i], f);
		else
			fprintf(f, "%-*s", width[column], r->cells[i]);
		fputs(last ? "\n" : "  ", f);
	}
}
