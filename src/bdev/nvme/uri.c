/* SPDX-License-Identifier: BSD-2-Clause */
#include "uri.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "nvme.h"

/* Hex digits, @min to @max of them, in the lower case that sysfs uses. */
static const char *hex_digits(const char *p, size_t min, size_t max, char **out)
{
	size_t n = 0;

	while (n < max && isxdigit((unsigned char)p[n]))
		*(*out)++ = (char)tolower((unsigned char)p[n++]);
	return n < min ? NULL : p + n;
}

static const char *one_char(const char *p, char c, char **out)
{
	if (!p || *p != c)
		return NULL;
	*(*out)++ = c;
	return p + 1;
}

/* bdf_parse - Return: what follows DOMAIN:BUS:DEVICE.FUNCTION, or NULL. */
static const char *bdf_parse(const char *p, char *bdf)
{
	p = hex_digits(p, 4, 8, &bdf);
	p = one_char(p, ':', &bdf);
	p = p ? hex_digits(p, 2, 2, &bdf) : NULL;
	p = one_char(p, ':', &bdf);
	p = p ? hex_digits(p, 2, 2, &bdf) : NULL;
	p = one_char(p, '.', &bdf);
	if (!p || *p < '0' || *p > '7')
		return NULL;
	*bdf++ = *p;
	*bdf = '\0';
	return p + 1;
}

/* nsid_parse - Return: what follows the number, or NULL. */
static const char *nsid_parse(const char *p, uint32_t *nsid)
{
	uint64_t n = 0;

	if (*p < '1' || *p > '9')
		return NULL;
	for (; *p >= '0' && *p <= '9'; p++) {
		n = n * 10 + (uint64_t)(*p - '0');
		if (n > NVME_NSID_MAX)
			return NULL;
	}
	*nsid = (uint32_t)n;
	return p;
}

int nvme_uri_parse(const char *rest, struct nvme_uri *out, struct error *e)
{
	struct nvme_uri uri = { "" };
	const char *p = bdf_parse(rest, uri.bdf);

	if (!p || *p != '/')
		return error_set(e, EINVAL,
				 "nvme:%s does not begin with a PCI address and a slash; expected "
				 "DOMAIN:BUS:DEVICE.FUNCTION/NAMESPACE, as in nvme:0000:00:05.0/1",
				 rest);
	p = nsid_parse(p + 1, &uri.nsid);
	if (!p || (*p && *p != '/'))
		return error_set(e, EINVAL,
				 "nvme:%s names no namespace; expected a number from 1 after the "
				 "PCI address, as in nvme:0000:00:05.0/1",
				 rest);
	if (*p == '/') {
		size_t n = strlen(++p);

		if (!n || n >= sizeof(uri.partition))
			return error_set(e, EINVAL,
					 "nvme:%s names no partition after its last slash; "
					 "expected a number, a PARTLABEL or a PARTUUID, as in "
					 "nvme:0000:00:05.0/1/3",
					 rest);
		memcpy(uri.partition, p, n + 1);
	}
	*out = uri;
	return 0;
}
