/* SPDX-License-Identifier: BSD-2-Clause */
/* What becomes of a system call beyond the filter: the log names it, and it fails or ends us. */
#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "confine.h"
#include "log.h"

/* Enough for what kernels number; who makes up others is told of once. */
#define NR_CALLS 512

/* Written once, before there is a filter: a handler has no argument, and must not allocate. */
static const char *names[NR_CALLS + 1];
static atomic_flag named[NR_CALLS + 1];
static bool fatal;

static void set_result(ucontext_t *at, long result)
{
#if defined(__x86_64__)
	at->uc_mcontext.gregs[REG_RAX] = result;
#elif defined(__aarch64__)
	at->uc_mcontext.regs[0] = (unsigned long long)result;
#else
#error "where does a system call of this machine leave its result?"
#endif
}

static unsigned long second_argument(const ucontext_t *at)
{
#if defined(__x86_64__)
	return (unsigned long)at->uc_mcontext.gregs[REG_RSI];
#else
	return (unsigned long)at->uc_mcontext.regs[1];
#endif
}

/*
 * In the thread that made the call, at the call: what it interrupts is code that can make calls, so
 * this can too. The C library holds no lock of its own there, but around calls that are all allowed.
 */
static void refuse(int signo, siginfo_t *info, void *context)
{
	ucontext_t *at = context;
	unsigned int nr = (unsigned int)info->si_syscall;
	unsigned int slot = nr < NR_CALLS ? nr : NR_CALLS;
	int saved = errno;

	/* Once each: who makes them may make millions. */
	if (!atomic_flag_test_and_set(&named[slot])) {
		if (nr == SYS_ioctl)
			log_error("ioctl 0x%lx is beyond what the daemon may do: %s",
				  second_argument(at), fatal ? "ending" : "refused");
		else
			log_error("system call %s (%u) is beyond what the daemon may do: %s",
				  names[slot] ? names[slot] : "of no name", nr,
				  fatal ? "ending" : "refused");
	}
	if (fatal) {
		signal(SIGSYS, SIG_DFL);
		raise(SIGSYS); /* when we return */
	}
	errno = saved;
	set_result(at, -EPERM);
}

int refuse_install(enum confine_mode mode)
{
	struct sigaction action = { .sa_sigaction = refuse, .sa_flags = SA_SIGINFO };

	fatal = mode == CONFINE_KILL;
	for (int i = 0; i < NR_CALLS; i++) {
		if (!names[i])
			names[i] = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, i);
	}
	return sigaction(SIGSYS, &action, NULL) < 0 ? -errno : 0;
}
