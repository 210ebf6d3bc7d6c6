/* SPDX-License-Identifier: BSD-2-Clause */
/* ask_cases - how tables write down a case of one request. */
#ifndef HOSTILE_ASK_CASES_H
#define HOSTILE_ASK_CASES_H

#include "hostile.h"

#include <xen/io/blkif.h>

#define R	BLKIF_OP_READ
#define W	BLKIF_OP_WRITE
#define F	BLKIF_OP_FLUSH_DISKCACHE
#define B	BLKIF_OP_WRITE_BARRIER
#define D	BLKIF_OP_DISCARD

#define REFUSED (ERROR | UNSUPPORTED)

#define ASK(name_, does_, answers_, ...)                                           \
	{                                                                          \
		.name = name_, .does = does_, .answers = answers_, .run = ask_run, \
		.ask = { __VA_ARGS__ }                                             \
	}

/* The same on the disk that is to be read alone. */
#define ASK_READ_ONLY(name_, does_, answers_, ...)                                 \
	{                                                                          \
		.name = name_, .does = does_, .answers = answers_, .run = ask_run, \
		.disk = DISK_READ_ONLY,                                            \
		.ask = { __VA_ARGS__ }                                             \
	}

#endif
