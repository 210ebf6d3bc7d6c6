/* SPDX-License-Identifier: BSD-2-Clause */
#include "transfer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define QUERY "?transfer="

static bool parse_auto(const char *text, struct transfer *out)
{
	char *end;
	unsigned long bytes = TRANSFER_AUTO_BYTES;

	if (strncmp(text, "auto", 4))
		return false;
	if (text[4] == ':') {
		if (text[5] < '0' || text[5] > '9')
			return false;
		bytes = strtoul(text + 5, &end, 10);
		if (*end || bytes >= TRANSFER_COPY_ALL)
			return false;
	} else if (text[4]) {
		return false;
	}
	out->direct_from_bytes = (uint32_t)bytes;
	return true;
}

int transfer_parse(const char *text, struct transfer *out, struct error *e)
{
	struct transfer t = { .direct_from_bytes = TRANSFER_COPY_ALL };

	if (!strcmp(text, "persistent"))
		t.persistent = true;
	else if (!strcmp(text, "direct"))
		t.direct_from_bytes = 0;
	else if (strcmp(text, "copy") && !parse_auto(text, &t))
		return error_set(
			e, EINVAL,
			"the transfer is \"%s\", expected auto, auto:BYTES, direct, copy or "
			"persistent",
			text);
	*out = t;
	return 0;
}

int transfer_cut(char *target, struct transfer *out, bool *found, struct error *e)
{
	char *query = strrchr(target, '?');
	int err;

	*found = query && !strncmp(query, QUERY, strlen(QUERY));
	if (!*found)
		return 0;
	err = transfer_parse(query + strlen(QUERY), out, e);
	if (!err)
		*query = '\0';
	return err;
}
