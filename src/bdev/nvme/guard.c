/* SPDX-License-Identifier: BSD-2-Clause */
#include "guard.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define MAX_BARS 64

/* A signal handler has no argument of ours: what it is to know has to be here. */
static struct {
	_Atomic uintptr_t bar; /* 0: free */
	size_t bytes;
	void *spare; /* as many bytes of ones */
	atomic_bool used; /* the spare has taken the registers' place */
} guarded[MAX_BARS];

static void handle_sigbus(int signo, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr;
	int saved = errno;

	(void)context;
	for (int i = 0; i < MAX_BARS; i++) {
		uintptr_t bar = atomic_load(&guarded[i].bar);
		size_t bytes = guarded[i].bytes;

		if (!bar || at < bar || at - bar >= bytes)
			continue;
		/* Unless another thread has done it since the fault. */
		if (!atomic_exchange(&guarded[i].used, true))
			mremap(guarded[i].spare, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED,
			       (void *)bar);
		errno = saved;
		return;
	}
	signal(signo, SIG_DFL);
}

static int install(void)
{
	struct sigaction action = { .sa_sigaction = handle_sigbus, .sa_flags = SA_SIGINFO };

	sigemptyset(&action.sa_mask);
	return sigaction(SIGBUS, &action, NULL) ? -errno : 0;
}

int guard_add(void *bar, size_t bytes)
{
	int i = 0, err = install();
	void *spare;

	if (err)
		return err;
	while (i < MAX_BARS && atomic_load(&guarded[i].bar))
		i++;
	if (i == MAX_BARS)
		return -ENOSPC;
	spare = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (spare == MAP_FAILED)
		return -errno;
	memset(spare, 0xff, bytes);
	guarded[i].bytes = bytes;
	guarded[i].spare = spare;
	atomic_store(&guarded[i].used, false);
	atomic_store(&guarded[i].bar, (uintptr_t)bar);
	return 0;
}

void guard_del(void *bar)
{
	int i = 0;

	while (i < MAX_BARS && atomic_load(&guarded[i].bar) != (uintptr_t)bar)
		i++;
	if (i == MAX_BARS)
		return;
	atomic_store(&guarded[i].bar, 0);
	/* What took the registers' place is unmapped with them. */
	if (!atomic_load(&guarded[i].used))
		munmap(guarded[i].spare, guarded[i].bytes);
}
