/* SPDX-License-Identifier: BSD-2-Clause */
/* machine - a machine of its own for a test, gone when the test ends. For *_test.c files alone. */
#ifndef XENSIM_MACHINE_H
#define XENSIM_MACHINE_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "state.h"

static char machine_dir[64];
static pid_t machine_owner;

static inline void machine_remove(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", machine_dir);
	if (getpid() == machine_owner && system(command))
		fprintf(stderr, "cannot remove %s\n", machine_dir);
}

static inline void machine_create(void)
{
	snprintf(machine_dir, sizeof(machine_dir), "/dev/shm/xensim.XXXXXX");
	if (!mkdtemp(machine_dir))
		abort();
	machine_owner = getpid();
	setenv("XENSIM_DIR", machine_dir, 1);
	unsetenv("XENSIM_DOMID");
	unsetenv("XENSTORED_PATH");
	atexit(machine_remove);
	if (sim_open())
		abort();
}

/* be - what is opened from now on is opened by this domain. */
static inline void be(unsigned int domid)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", domid);
	setenv("XENSIM_DOMID", text, 1);
}

static inline uint64_t count(const char *name)
{
	uint64_t value = 0;

	if (sim_get(name, &value))
		abort();
	return value;
}

#endif
