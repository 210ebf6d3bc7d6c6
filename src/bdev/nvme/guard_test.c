/* SPDX-License-Identifier: BSD-2-Clause */
#include "guard.h"

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

#define BYTES 8192

/* A mapping of a file that becomes too short for it, as registers do whose device is gone. */
static volatile uint32_t *vanishing(int *fd)
{
	void *at;

	*fd = memfd_create("bar", MFD_CLOEXEC);
	if (ftruncate(*fd, BYTES))
		abort();
	at = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	return at;
}

static void registers_that_vanish_read_as_ones(void)
{
	int fd;
	volatile uint32_t *bar = vanishing(&fd);

	check_eq(guard_add((void *)bar, BYTES), 0);
	bar[7] = 5;
	check_eq(bar[7], 5);
	check(!ftruncate(fd, 0));
	bar[1025] = 1;
	check_eq(bar[7], UINT32_MAX);
	check_eq(bar[2047], UINT32_MAX);
	guard_del((void *)bar);
	munmap((void *)bar, BYTES);
	close(fd);
}

static void another_time_it_works_as_well(void)
{
	for (int i = 0; i < 200; i++)
		registers_that_vanish_read_as_ones();
}

static void any_other_error_still_kills(void)
{
	int fd, status = 0;
	volatile uint32_t *bar = vanishing(&fd);
	pid_t child;

	check(!ftruncate(fd, 0));
	child = fork();
	if (!child) {
		signal(SIGBUS, SIG_DFL);
		guard_add(malloc(BYTES), BYTES);
		_exit((int)bar[0] * 0);
	}
	waitpid(child, &status, 0);
	check(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	munmap((void *)bar, BYTES);
	close(fd);
}

int main(void)
{
	tap_run(registers_that_vanish_read_as_ones);
	tap_run(another_time_it_works_as_well);
	tap_run(any_other_error_still_kills);
	return tap_end();
}
