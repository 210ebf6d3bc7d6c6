/* SPDX-License-Identifier: BSD-2-Clause */
/* What a controller says unasked (NVMe 1.4, 5.2): logged, and nothing more. */
#include <inttypes.h>

#include "clock.h"
#include "ctrl.h"
#include "log.h"

#define LOG_BYTES 512u

static const char *const smart_words[] = {
	"its reliability is degraded",
	"its temperature is beyond a threshold",
	"its spare blocks are below a threshold",
};

/* Type in bits 2:0, what it is in 15:8. */
static const char *event_words(uint32_t event)
{
	uint32_t info = event >> 8 & 0xff;

	switch (event & 7) {
	case 0:
		return "an error of the controller";
	case 1:
		return info < 3 ? smart_words[info] : "its health has changed";
	case 2:
		return "a notice: namespaces or firmware have changed";
	default:
		return "an event";
	}
}

void ctrl_ask_events(struct ctrl *c)
{
	struct nvme_sqe config = {
		.opcode = NVME_ADMIN_SET_FEATURES,
		.cdw10 = NVME_FEATURE_EVENTS,
		.cdw11 = NVME_EVENTS_HEALTH | NVME_EVENTS_NAMESPACE,
	};

	/* One that has no such feature tells by itself what it wants to tell. */
	ctrl_admin(c, &config, c->admin_timeout_ms, NULL);
	c->has_event = false;
	ctrl_admin_event(c);
}

bool ctrl_look_events(struct ctrl *c)
{
	struct nvme_sqe get_log = {
		.opcode = NVME_ADMIN_GET_LOG,
		.nsid = UINT32_MAX,
		.prp1 = dmem_bus(c->dmem, c->pages[CTRL_DATA]),
	};

	ctrl_admin_look(c);
	if (!c->has_event)
		return false;
	c->has_event = false;
	if (log_allowed(&c->log_limit, clock_ns()))
		log_warning("nvme:%s reports %s (0x%06" PRIx32 ")", c->pci.bdf,
			    event_words(c->event), c->event);
	/* Until its page is read the controller does not tell of the next of this kind. */
	get_log.cdw10 = (c->event >> 16 & 0xff) | (LOG_BYTES / 4 - 1) << 16;
	ctrl_admin(c, &get_log, c->admin_timeout_ms, NULL);
	ctrl_admin_event(c);
	return true;
}
