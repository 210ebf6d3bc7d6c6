/* SPDX-License-Identifier: BSD-2-Clause */
/* Metrics of the drives that we drive. One of which something is not known has no line there. */
#include <stdio.h>

#include "controller.h"
#include "metrics.h"

struct metric {
	const char *name, *type, *help;
	bool (*value)(const struct controller *c, double *out); /* false: not known */
};

/* One metric of all controllers, as they are seen. */
struct page {
	FILE *f;
	const struct metric *metric;
	bool told; /* its head */
};

static bool up(const struct controller *c, double *out)
{
	*out = !c->failed;
	return true;
}

static bool resets(const struct controller *c, double *out)
{
	*out = c->nr_resets;
	return true;
}

static bool warnings(const struct controller *c, double *out)
{
	*out = c->health.warnings;
	return c->health.known;
}

static bool celsius(const struct controller *c, double *out)
{
	*out = (double)c->health.kelvin - 273;
	return c->health.known && c->health.kelvin;
}

static bool used(const struct controller *c, double *out)
{
	*out = c->health.used_percent / 100.0;
	return c->health.known;
}

static bool spare(const struct controller *c, double *out)
{
	*out = c->health.spare_percent / 100.0;
	return c->health.known;
}

static bool media_errors(const struct controller *c, double *out)
{
	*out = (double)c->health.media_errors;
	return c->health.known;
}

static bool bytes_read(const struct controller *c, double *out)
{
	*out = (double)c->health.bytes_read;
	return c->health.known;
}

static bool bytes_written(const struct controller *c, double *out)
{
	*out = (double)c->health.bytes_written;
	return c->health.known;
}

static const struct metric metrics[] = {
	{ "controller_up", "gauge", "Whether it works; 0: all that it is sent fails.", up },
	{ "controller_resets_total", "counter",
	  "Times that it was reset, for it did not do what it should.", resets },
	{ "controller_critical_warning", "gauge",
	  "Bits: 1 spare, 2 temperature, 4 reliability, 8 read-only, 16 backup.", warnings },
	{ "controller_temperature_celsius", "gauge", "Its temperature.", celsius },
	{ "controller_used_ratio", "gauge", "Of the life that it is made for; may be more than 1.",
	  used },
	{ "controller_spare_ratio", "gauge", "Of its spare blocks, those that are left.", spare },
	{ "controller_media_errors_total", "counter", "Data that it could not read or write, ever.",
	  media_errors },
	{ "controller_read_bytes_total", "counter", "Read from it, ever.", bytes_read },
	{ "controller_written_bytes_total", "counter", "Written to it, ever.", bytes_written },
};

static void line(void *arg, const struct controller *c)
{
	struct page *p = arg;
	const struct metric *m = p->metric;
	char uri[64], model[96], serial[64];
	double value;

	if (!m->value(c, &value))
		return;
	if (!p->told)
		metrics_head(p->f, m->name, m->type, m->help);
	p->told = true;
	metrics_label(uri, sizeof(uri), c->uri);
	metrics_label(model, sizeof(model), c->model);
	metrics_label(serial, sizeof(serial), c->serial);
	fprintf(p->f, "xenblkd_%s{controller=\"%s\",model=\"%s\",serial=\"%s\"} %.15g\n", m->name,
		uri, model, serial, value);
}

void metrics_controllers(FILE *f)
{
	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
		struct page p = { .f = f, .metric = &metrics[i] };

		controllers_see(line, &p);
	}
}
