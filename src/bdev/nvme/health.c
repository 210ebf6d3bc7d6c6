/* SPDX-License-Identifier: BSD-2-Clause */
#include "health.h"

#include <string.h>

#include "ctrl.h"

/* So that events that this log tells of too stay to be told (5.14, RAE). */
#define RETAIN_EVENT (1u << 15)

/* Numbers of 16 bytes: what does not fit is as much as does. */
static uint64_t le128(const uint8_t *p)
{
	uint64_t n = 0;

	for (int i = 15; i >= 8; i--) {
		if (p[i])
			return UINT64_MAX;
	}
	for (int i = 7; i >= 0; i--)
		n = n << 8 | p[i];
	return n;
}

/* In thousands of 512 bytes. */
static uint64_t units_bytes(const uint8_t *p)
{
	uint64_t n = le128(p), bytes;

	return __builtin_mul_overflow(n, 512000u, &bytes) ? UINT64_MAX : bytes;
}

void health_parse(const uint8_t *raw, struct controller_health *out)
{
	*out = (struct controller_health){
		.known = true,
		.warnings = raw[0],
		.kelvin = (uint16_t)(raw[1] | raw[2] << 8),
		.spare_percent = raw[3],
		.spare_threshold_percent = raw[4],
		.used_percent = raw[5],
		.bytes_read = units_bytes(raw + 32),
		.bytes_written = units_bytes(raw + 48),
		.power_cycles = le128(raw + 112),
		.power_on_hours = le128(raw + 128),
		.unsafe_shutdowns = le128(raw + 144),
		.media_errors = le128(raw + 160),
		.log_errors = le128(raw + 176),
	};
}

void health_look(struct ctrl *c)
{
	struct nvme_sqe get_log = {
		.opcode = NVME_ADMIN_GET_LOG,
		.nsid = UINT32_MAX,
		.prp1 = dmem_bus(c->dmem, c->pages[CTRL_DATA]),
		.cdw10 = HEALTH_LOG_PAGE | (HEALTH_LOG_BYTES / 4 - 1) << 16 | RETAIN_EVENT,
	};
	struct controller_health log = { .known = false };
	int err;

	if (c->health.untold)
		return;
	memset(c->pages[CTRL_DATA], 0, HEALTH_LOG_BYTES);
	err = ctrl_admin(c, &get_log, c->admin_timeout_ms, NULL);
	if (!err)
		health_parse(c->pages[CTRL_DATA], &log);
	pthread_mutex_lock(&c->health.lock);
	c->health.log = log;
	c->health.untold = err && !c->lost;
	pthread_mutex_unlock(&c->health.lock);
}

void health_count_reset(struct health *h)
{
	pthread_mutex_lock(&h->lock);
	h->nr_resets++;
	pthread_mutex_unlock(&h->lock);
}

void health_fail(struct health *h)
{
	pthread_mutex_lock(&h->lock);
	h->failed = true;
	pthread_mutex_unlock(&h->lock);
}
