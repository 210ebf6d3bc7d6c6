/* SPDX-License-Identifier: BSD-2-Clause */
#include "control.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <stdint.h>
#include <xen/xen.h>
#include <xen/grant_table.h>

#include "state.h"

struct word {
	const char *name;
	size_t offset; /* in struct sim_state */
};

#define COUNTER(field)                                             \
	{                                                          \
#field, offsetof(struct sim_state, counters.field) \
	}
#define NUMBER(field)                                              \
	{                                                          \
#field, offsetof(struct sim_state, controls.field) \
	}
#define FAULT(field)                                                                    \
	{ #field, offsetof(struct sim_state, controls.field.after) },                   \
	{                                                                               \
#field "_permille", offsetof(struct sim_state, controls.field.permille) \
	}

static const struct word counters[] = {
	COUNTER(hypercalls),	COUNTER(copies),	 COUNTER(maps),
	COUNTER(unmaps),	COUNTER(gntdev_calls),	 COUNTER(gntdev_copies),
	COUNTER(gntdev_maps),	COUNTER(gntdev_unmaps),	 COUNTER(shared_pages),
	COUNTER(mapped_pages),	COUNTER(bad_operations), COUNTER(events),
	COUNTER(events_lost),	COUNTER(store_requests), COUNTER(device_reads),
	COUNTER(device_writes), COUNTER(device_strays),	 COUNTER(nvme_commands),
	COUNTER(nvme_sgls),	COUNTER(nvme_resets),	 COUNTER(nvme_deallocated_bytes),
	COUNTER(ports),		COUNTER(hypercall_ns),	 COUNTER(multicalls),
};

static const struct word controls[] = {
	FAULT(fail_copy),	FAULT(fail_map),
	FAULT(fail_unmap),	FAULT(fail_gntdev_map),
	FAULT(fail_share),	FAULT(interrupt_map),
	FAULT(efault),		NUMBER(no_multicall),
	FAULT(lose_event),	FAULT(delay_event),
	FAULT(store_again),	NUMBER(fail_status),
	NUMBER(delay_event_us), NUMBER(cost_hypercall_ns),
	NUMBER(cost_copy_ns),	NUMBER(cost_map_ns),
	NUMBER(cost_unmap_ns),	NUMBER(cost_event_ns),
	FAULT(nvme_fail),	FAULT(nvme_silent),
	NUMBER(nvme_status),	NUMBER(nvme_delay_us),
	NUMBER(nvme_burst),	NUMBER(nvme_hold),
	NUMBER(nvme_fatal),	NUMBER(nvme_gone),
	NUMBER(nvme_warnings),	NUMBER(nvme_media_errors),
	NUMBER(account),
};

#define NR(table) (sizeof(table) / sizeof((table)[0]))

static uint64_t *find(const struct word *words, size_t nr, const char *name, size_t len)
{
	for (size_t i = 0; i < nr; i++) {
		if (strlen(words[i].name) == len && !memcmp(words[i].name, name, len))
			return (uint64_t *)((uint8_t *)sim() + words[i].offset);
	}
	return NULL;
}

static bool chance(uint64_t permille)
{
	static __thread uint32_t x = 2463534242u;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x % 1000 < permille;
}

bool sim_fault_due(struct sim_fault *f)
{
	uint64_t after = __atomic_load_n(&f->after, __ATOMIC_RELAXED);
	uint64_t permille = __atomic_load_n(&f->permille, __ATOMIC_RELAXED);

	while (after) {
		if (__atomic_compare_exchange_n(&f->after, &after, after - 1, false,
						__ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return after == 1;
	}
	return permille && chance(permille);
}

int16_t sim_fault_status(void)
{
	uint64_t status = __atomic_load_n(&sim()->controls.fail_status, __ATOMIC_RELAXED);

	return status ? (int16_t) - (int16_t)status : GNTST_general_error;
}

uint64_t sim_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void sim_cost(uint64_t ns)
{
	uint64_t end;

	if (!ns)
		return;
	end = sim_now_ns() + ns;
	while (sim_now_ns() < end)
		;
}

int sim_set(const char *words)
{
	while (*(words += strspn(words, " ,\n"))) {
		size_t len = strcspn(words, "= ,\n");
		uint64_t *value = find(controls, NR(controls), words, len);
		char *end;

		if (!value || words[len] != '=' || words[len + 1] < '0' || words[len + 1] > '9')
			return -EINVAL;
		__atomic_store_n(value, strtoull(words + len + 1, &end, 10), __ATOMIC_RELAXED);
		words = end;
	}
	return 0;
}

int sim_get(const char *name, uint64_t *value)
{
	uint64_t *at = find(counters, NR(counters), name, strlen(name));

	if (!at)
		at = find(controls, NR(controls), name, strlen(name));
	if (!at)
		return -ENOENT;
	*value = __atomic_load_n(at, __ATOMIC_RELAXED);
	return 0;
}

static void show(FILE *f, const struct word *words, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		fprintf(f, "%s=%" PRIu64 "\n", words[i].name,
			*find(words, nr, words[i].name, strlen(words[i].name)));
}

void sim_show(FILE *f)
{
	show(f, counters, NR(counters));
	show(f, controls, NR(controls));
}
