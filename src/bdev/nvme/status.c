/* SPDX-License-Identifier: BSD-2-Clause */
#include "status.h"

#include <errno.h>
#include <stddef.h>

#include "nvme.h"

enum retry {
	FINAL,
	AGAIN,
	NOT_RUN, /* again, and it had no effect */
};

/* NVMe 1.4, 4.6.1.2: type in bits 10:8, code in bits 7:0. */
static const struct {
	uint16_t code;
	int16_t err;
	enum retry retry;
	const char *words;
} table[] = {
	/* Generic. */
	{ 0x000, 0, FINAL, "success" },
	{ 0x001, EIO, FINAL, "invalid command opcode" },
	{ 0x002, EIO, FINAL, "invalid field in command" },
	{ 0x003, EIO, NOT_RUN, "command id conflict" },
	{ 0x004, EIO, AGAIN, "data transfer error" },
	{ 0x005, EIO, AGAIN, "aborted due to power loss" },
	{ 0x006, EIO, AGAIN, "internal error" },
	{ 0x007, EIO, NOT_RUN, "aborted as requested" },
	{ 0x008, EIO, NOT_RUN, "aborted with its queue" },
	{ 0x00b, ENODEV, FINAL, "invalid namespace or format" },
	{ 0x00c, EIO, AGAIN, "command sequence error" },
	{ 0x013, EIO, FINAL, "PRP offset invalid" },
	{ 0x015, EIO, FINAL, "operation denied" },
	{ 0x01c, EIO, FINAL, "sanitize failed" },
	{ 0x01d, EBUSY, FINAL, "sanitize in progress" },
	{ 0x020, EROFS, FINAL, "namespace is write protected" },
	{ 0x021, EIO, NOT_RUN, "command interrupted" },
	{ 0x022, EIO, NOT_RUN, "transient transport error" },
	{ 0x080, EIO, FINAL, "LBA out of range" },
	{ 0x081, ENOSPC, FINAL, "capacity exceeded" },
	{ 0x082, EIO, NOT_RUN, "namespace not ready" },
	{ 0x083, EBUSY, FINAL, "reservation conflict" },
	{ 0x084, EBUSY, NOT_RUN, "format in progress" },
	/* Command specific. */
	{ 0x100, EIO, FINAL, "completion queue invalid" },
	{ 0x101, EIO, FINAL, "invalid queue identifier" },
	{ 0x102, EIO, FINAL, "invalid queue size" },
	{ 0x103, EIO, FINAL, "abort command limit exceeded" },
	{ 0x10c, EIO, FINAL, "invalid queue deletion" },
	{ 0x10d, EIO, FINAL, "feature identifier not saveable" },
	{ 0x180, EIO, FINAL, "conflicting attributes" },
	{ 0x182, EROFS, FINAL, "attempted write to read only range" },
	/* Media and data integrity. */
	{ 0x280, EIO, AGAIN, "write fault" },
	{ 0x281, EIO, AGAIN, "unrecovered read error" },
	{ 0x282, EIO, FINAL, "guard check error" },
	{ 0x283, EIO, FINAL, "application tag check error" },
	{ 0x284, EIO, FINAL, "reference tag check error" },
	{ 0x285, EIO, FINAL, "compare failure" },
	{ 0x286, EACCES, FINAL, "access denied" },
	{ 0x287, EIO, FINAL, "deallocated or unwritten block" },
	/* Path. */
	{ 0x300, EIO, AGAIN, "internal path error" },
	{ 0x301, ENODEV, FINAL, "namespace persistently inaccessible" },
	{ 0x302, EIO, NOT_RUN, "namespace inaccessible" },
	{ 0x303, EIO, NOT_RUN, "namespace access in transition" },
	{ 0x370, EIO, NOT_RUN, "host path error" },
};

#define NR_TABLE (sizeof(table) / sizeof(table[0]))

static size_t find(uint16_t status)
{
	size_t i = 0;

	while (i < NR_TABLE && table[i].code != NVME_STATUS_CODE(status))
		i++;
	return i;
}

const char *nvme_status_words(uint16_t status)
{
	size_t i = find(status);

	return i < NR_TABLE ? table[i].words : "unknown status";
}

int nvme_status_errno(uint16_t status)
{
	size_t i;

	if (!NVME_STATUS_CODE(status))
		return 0;
	i = find(status);
	return i < NR_TABLE ? -table[i].err : -EIO;
}

bool nvme_status_again(uint16_t status, bool flush)
{
	size_t i = find(status);

	if (status & NVME_STATUS_DNR || i == NR_TABLE)
		return false;
	return table[i].retry == NOT_RUN || (table[i].retry == AGAIN && !flush);
}
