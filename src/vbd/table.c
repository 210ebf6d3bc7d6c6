/* SPDX-License-Identifier: BSD-2-Clause */
#include "table.h"

#include <errno.h>
#include <stdlib.h>

#include "point.h"

int table_pool_create(struct table_pool *p, const char *dir, const char *name, uint32_t nr)
{
	struct table *tables = calloc(nr, sizeof(*tables));
	struct table_record *records;
	int err;

	if (!tables)
		return -ENOMEM;
	err = record_create(&p->record, dir, name, RECORD_TABLES, nr, table_record_bytes(nr));
	if (err) {
		free(tables);
		return err;
	}
	records = p->record.mem;
	list_init(&p->free);
	for (uint32_t i = 0; i < nr; i++) {
		tables[i].record = &records[i];
		list_add_tail(&p->free, &tables[i].link);
	}
	p->tables = tables;
	p->nr_free = nr;
	POINT();
	record_commit(&p->record);
	POINT();
	return 0;
}

void table_pool_destroy(struct table_pool *p)
{
	record_destroy(&p->record);
	free(p->tables);
}

struct table *table_get(struct table_pool *p)
{
	struct list_node *n = list_pop(&p->free);

	p->nr_free -= n != NULL;
	return n ? list_entry(n, struct table, link) : NULL;
}

void table_put(struct table_pool *p, struct table *t)
{
	/* The one used last is the one in the cache. */
	list_add_head(&p->free, &t->link);
	p->nr_free++;
}
