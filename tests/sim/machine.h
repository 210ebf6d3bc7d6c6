/* SPDX-License-Identifier: BSD-2-Clause */
/* machine - a machine of its own for a test, gone when the test ends. For *_test.c files alone. */
#ifndef XENSIM_MACHINE_H
#define XENSIM_MACHINE_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xenstore.h>

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

/* machine_store - starts its store. Return: its process, which ends at the latest with ours. */
static inline pid_t machine_store(void)
{
	char path[128];
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		unsetenv("XENSIM_DOMID");
		execl(XENSIM_BIN "/xensim-store", "xensim-store", NULL);
		_exit(127);
	}
	snprintf(path, sizeof(path), "%s/store.0", machine_dir);
	for (int i = 0; i < 1000 && access(path, F_OK); i++)
		usleep(10000);
	usleep(10000);
	return pid;
}

static inline void machine_end(pid_t pid)
{
	int status;

	kill(pid, SIGTERM);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status))
		fprintf(stderr, "a process of the machine ended badly: %#x\n", status);
}

/* store_as - a connection to the store as this domain has it. */
static inline struct xs_handle *store_as(unsigned int domid)
{
	struct xs_handle *xs;
	char path[128];

	snprintf(path, sizeof(path), "%s/store.%u", machine_dir, domid);
	setenv("XENSTORED_PATH", path, 1);
	xs = xs_open(0);
	if (!xs)
		abort();
	return xs;
}

#endif
