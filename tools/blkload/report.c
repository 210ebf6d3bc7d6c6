/* SPDX-License-Identifier: BSD-2-Clause */
#include "report.h"

#include <inttypes.h>

#include "clock.h"

static const char *const kind_names[OP_NR_KINDS] = {
	[OP_READ] = "read",	  [OP_WRITE] = "write",	    [OP_FLUSH] = "flush",
	[OP_BARRIER] = "barrier", [OP_DISCARD] = "discard",
};

static const double percentiles[] = { 50, 90, 99, 99.9, 99.99 };

#define NR_PERCENTILES (sizeof(percentiles) / sizeof(percentiles[0]))

void report_add_result(struct report *r, const struct load_result *from)
{
	struct load_result *to = &r->result;

	for (int i = 0; i < OP_NR_KINDS; i++) {
		histogram_merge(&to->kinds[i].latency, &from->kinds[i].latency);
		to->kinds[i].bytes += from->kinds[i].bytes;
		to->kinds[i].errors += from->kinds[i].errors;
		to->kinds[i].unsupported += from->kinds[i].unsupported;
	}
	for (int i = 0; i < STAMP_NR_VERDICTS; i++)
		to->wrong[i] += from->wrong[i];
	to->failed += from->failed;
	to->protocol_errors += from->protocol_errors;
	to->lost += from->lost;
	to->checked += from->checked;
	to->touched += from->touched;
}

void report_add_stats(struct report *r, const struct front_queue_stats *from)
{
	r->stats.requests += from->requests;
	r->stats.responses += from->responses;
	r->stats.events_sent += from->events_sent;
	r->stats.events_received += from->events_received;
}

bool report_good(const struct report *r)
{
	return !r->error[0] && !load_wrong(&r->result);
}

static double per_second(const struct report *r, uint64_t n)
{
	return r->elapsed_ns ? (double)n * (double)NS_PER_S / (double)r->elapsed_ns : 0;
}

static double us(uint64_t ns)
{
	return (double)ns / (double)NS_PER_US;
}

static uint64_t wrong_sectors(const struct load_result *res)
{
	uint64_t n = 0;

	for (int i = 0; i < STAMP_NR_VERDICTS; i++)
		n += res->wrong[i];
	return n;
}

static void print_kind(const struct report *r, int i, FILE *f)
{
	const struct load_kind_result *k = &r->result.kinds[i];
	const struct histogram *h = &k->latency;

	if (!h->count && !k->errors && !k->unsupported)
		return;
	fprintf(f, "%-8s %10" PRIu64 " requests %10.0f IOPS %9.1f MB/s", kind_names[i], h->count,
		per_second(r, h->count), per_second(r, k->bytes) / 1e6);
	if (k->errors || k->unsupported)
		fprintf(f, "   %" PRIu64 " failed, %" PRIu64 " not supported", k->errors,
			k->unsupported);
	fprintf(f, "\n         us: min %.1f  mean %.1f", us(h->min), us(histogram_mean(h)));
	for (size_t p = 0; p < NR_PERCENTILES; p++)
		fprintf(f, "  p%g %.1f", percentiles[p],
			us(histogram_percentile(h, percentiles[p])));
	fprintf(f, "  max %.1f\n", us(h->max));
}

static void print_verification(const struct load_result *res, FILE *f)
{
	fprintf(f, "verified %" PRIu64 " sectors: %" PRIu64 " wrong", res->checked,
		wrong_sectors(res));
	for (int i = 0; i < STAMP_NR_VERDICTS; i++) {
		if (res->wrong[i])
			fprintf(f, ", %" PRIu64 " %s", res->wrong[i], stamp_verdict_name(i));
	}
	fprintf(f, "; %" PRIu64 " pages touched beside the data\n", res->touched);
}

void report_print(const struct report *r, FILE *f)
{
	const struct load_result *res = &r->result;

	fprintf(f,
		"disk %u of domain %u: %" PRIu64 " MB; %u queue%s of %u entries, %u segments a "
		"request\n",
		r->device.devid, r->device.frontend_domid,
		r->offer.sectors * FRONT_SECTOR_BYTES / 1000000, r->nr_queues,
		r->nr_queues == 1 ? "" : "s", r->ring_entries, r->max_segments);
	for (int i = 0; i < OP_NR_KINDS; i++)
		print_kind(r, i, f);
	fprintf(f,
		"events: %" PRIu64 " sent, %" PRIu64 " received, for %" PRIu64
		" requests on %" PRIu64 " connection%s\n",
		r->stats.events_sent, r->stats.events_received, r->stats.requests, r->connections,
		r->connections == 1 ? "" : "s");
	if (r->options->verify)
		print_verification(res, f);
	if (res->protocol_errors || res->lost)
		fprintf(f, "protocol errors: %" PRIu64 "; requests not answered: %" PRIu64 "\n",
			res->protocol_errors, res->lost);
}

/* As a JSON string: what a backend wrote may hold anything. */
static void json_text(const char *text, FILE *f)
{
	fputc('"', f);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', f);
		fputc((unsigned char)*text < ' ' ? '?' : *text, f);
	}
	fputc('"', f);
}

static void json_kind(const struct report *r, int i, FILE *f)
{
	const struct load_kind_result *k = &r->result.kinds[i];
	const struct histogram *h = &k->latency;

	fprintf(f,
		"    \"%s\": {\"requests\": %" PRIu64 ", \"bytes\": %" PRIu64
		", \"iops\": %.1f, \"mb_s\": %.3f, \"errors\": %" PRIu64
		", \"unsupported\": %" PRIu64 ",\n      \"latency_us\": {\"min\": %.3f, "
		"\"mean\": %.3f, \"max\": %.3f",
		kind_names[i], h->count, k->bytes, per_second(r, h->count),
		per_second(r, k->bytes) / 1e6, k->errors, k->unsupported, us(h->min),
		us(histogram_mean(h)), us(h->max));
	for (size_t p = 0; p < NR_PERCENTILES; p++)
		fprintf(f, ", \"p%g\": %.3f", percentiles[p],
			us(histogram_percentile(h, percentiles[p])));
	fprintf(f, "}}");
}

void report_json(const struct report *r, FILE *f)
{
	const struct load_result *res = &r->result;
	const char *comma = "";

	fprintf(f,
		"{\n  \"good\": %s,\n  \"disk\": {\"devid\": %u, \"bytes\": %" PRIu64
		", \"queues\": %u, \"ring_order\": %u, \"ring_entries\": %u, \"segments\": %u},\n"
		"  \"seed\": %" PRIu64 ",\n  \"seconds\": %.6f,\n  \"connections\": %" PRIu64
		",\n  \"kinds\": {\n",
		report_good(r) ? "true" : "false", r->device.devid,
		r->offer.sectors * FRONT_SECTOR_BYTES, r->nr_queues, r->ring_order, r->ring_entries,
		r->max_segments, r->options->seed, (double)r->elapsed_ns / (double)NS_PER_S,
		r->connections);
	for (int i = 0; i < OP_NR_KINDS; i++) {
		const struct load_kind_result *k = &res->kinds[i];

		if (!k->latency.count && !k->errors && !k->unsupported)
			continue;
		fputs(comma, f);
		json_kind(r, i, f);
		comma = ",\n";
	}
	fprintf(f,
		"\n  },\n  \"events\": {\"sent\": %" PRIu64 ", \"received\": %" PRIu64
		", \"requests\": %" PRIu64 "},\n  \"verify\": {\"sectors\": %" PRIu64
		", \"wrong\": %" PRIu64,
		r->stats.events_sent, r->stats.events_received, r->stats.requests, res->checked,
		wrong_sectors(res));
	for (int i = STAMP_GOOD + 1; i < STAMP_NR_VERDICTS; i++)
		fprintf(f, ", \"%s\": %" PRIu64, stamp_verdict_name(i), res->wrong[i]);
	fprintf(f,
		", \"touched\": %" PRIu64 "},\n  \"failed\": %" PRIu64
		", \"protocol_errors\": %" PRIu64 ", \"lost\": %" PRIu64 ",\n  \"error\": ",
		res->touched, res->failed, res->protocol_errors, res->lost);
	json_text(r->error, f);
	fprintf(f, "\n}\n");
}
