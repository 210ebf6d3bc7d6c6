/* SPDX-License-Identifier: BSD-2-Clause */
/* That the filter bites; that the daemon lives beneath it, the stories on the simulator show. */
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xen/xen.h>
#include <xen/sys/privcmd.h>

#include "tap.h"

/* What a child does under the filter becomes its status. */
static int beneath(const struct confine *c, int (*fn)(void))
{
	struct confine own = *c;
	struct error e;
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return -1;
	if (!pid) {
		if (confine_privileges(&own, &e) || confine_lock(&own, &e))
			_exit(99);
		_exit(fn());
	}
	while (waitpid(pid, &status, 0) < 0)
		;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static const struct confine refusing = { .mode = CONFINE_YES };
static const struct confine killing = { .mode = CONFINE_KILL };
static const struct confine with_dma = { .mode = CONFINE_KILL, .dma = true };

static int errno_of(long ret)
{
	return ret < 0 ? errno : 0;
}

static int run_a_program(void)
{
	return errno_of(execl("/bin/true", "true", NULL));
}

static int open_a_network_socket(void)
{
	return errno_of(socket(AF_INET, SOCK_STREAM, 0));
}

static int make_a_process(void)
{
	return errno_of(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

static int make_memory_executable(void)
{
	return errno_of(
		(long)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static int become_root_again(void)
{
	return errno_of(syscall(SYS_setuid, 0));
}

static int mount_something(void)
{
	return errno_of(syscall(SYS_mount, "none", "/mnt", "tmpfs", 0, NULL));
}

/* -1 is no descriptor: what comes back says who refused it. */
static int do_a_hypercall(void)
{
	return errno_of(ioctl(-1, IOCTL_PRIVCMD_HYPERCALL, NULL));
}

static int do_another_ioctl(void)
{
	return errno_of(ioctl(-1, TIOCSTI, "x"));
}

static int ask_a_disk_for_its_size(void)
{
	return errno_of(ioctl(-1, BLKGETSIZE64, NULL));
}

static void *nothing(void *arg)
{
	return arg;
}

static int make_a_thread(void)
{
	pthread_t thread;

	return pthread_create(&thread, NULL, nothing, NULL) || pthread_join(thread, NULL);
}

static void *wait_for_ever(void *arg)
{
	poll(NULL, 0, -1);
	return arg;
}

static int end_a_thread_as_libxenstore_does(void)
{
	pthread_t thread;

	return pthread_create(&thread, NULL, wait_for_ever, NULL) || pthread_cancel(thread) ||
	       pthread_join(thread, NULL);
}

static void refuses_what_the_daemon_never_does(void)
{
	int (*const forbidden[])(void) = {
		run_a_program,	open_a_network_socket, make_memory_executable, mount_something,
		do_a_hypercall, do_another_ioctl,      become_root_again,
	};

	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
		check_eq(beneath(&refusing, forbidden[i]), EPERM);
}

static int say_what_they_run_for_ever(void)
{
	for (int i = 0; i < 1000; i++) {
		run_a_program();
		do_another_ioctl();
	}
	return 0;
}

/* Who tries is told of, once for each call. */
static void names_what_it_refuses_once(void)
{
	char text[4096] = "";
	int saved = dup(2), p[2];
	ssize_t n;

	check(saved >= 0 && pipe(p) == 0);
	dup2(p[1], 2);
	check_eq(beneath(&refusing, say_what_they_run_for_ever), 0);
	dup2(saved, 2);
	close(p[1]);
	n = read(p[0], text, sizeof(text) - 1);
	check(n > 0 && n < 300);
	check(strstr(text, "system call execve (59) is beyond what the daemon may do: refused\n"));
	check(strstr(text, "ioctl 0x5412 is beyond what the daemon may do: refused\n"));
	close(p[0]);
	close(saved);
}

static void kills_if_it_is_told_to(void)
{
	check_eq(beneath(&killing, run_a_program), 128 + SIGSYS);
	check_eq(beneath(&killing, do_another_ioctl), 128 + SIGSYS);
	check_eq(beneath(&with_dma, mount_something), 128 + SIGSYS);
}

static void makes_threads_but_no_process(void)
{
	check_eq(beneath(&killing, make_a_thread), 0);
#if !defined(__SANITIZE_ADDRESS__)
	check_eq(beneath(&refusing, make_a_process), EPERM);
#else
	(void)make_a_process;
#endif
}

static void ends_threads_without_loading_anything(void)
{
	check_eq(beneath(&killing, end_a_thread_as_libxenstore_does), 0);
}

static void lets_through_what_disks_need(void)
{
	check_eq(beneath(&killing, ask_a_disk_for_its_size), EBADF);
}

static void has_hypercalls_only_with_memory_for_dma(void)
{
	check_eq(beneath(&with_dma, do_a_hypercall), EBADF);
	check_eq(beneath(&killing, do_a_hypercall), 128 + SIGSYS);
}

static void does_nothing_if_it_is_not_to(void)
{
	const struct confine no = { .mode = CONFINE_NO };

	check_eq(beneath(&no, do_a_hypercall), EBADF);
	check_eq(beneath(&no, open_a_network_socket), 0);
}

static void knows_its_modes_and_users(void)
{
	struct confine c = { .user = "nobody" };
	struct error e;

	check_eq(confine_mode_parse("kill", &c.mode, &e), 0);
	check_eq(c.mode, CONFINE_KILL);
	check_eq(confine_mode_parse("maybe", &c.mode, &e), -EINVAL);
	check(strstr(e.text, "expected yes, kill or no"));
	check_eq(confine_find_user(&c, &e), 0);
	check(c.uid && c.gid);
	c.user = "no such user";
	check_eq(confine_find_user(&c, &e), -ENOENT);
	c.user = "root";
	check_eq(confine_find_user(&c, &e), -EINVAL);
}

int main(void)
{
	tap_run(refuses_what_the_daemon_never_does);
	tap_run(names_what_it_refuses_once);
	tap_run(kills_if_it_is_told_to);
	tap_run(makes_threads_but_no_process);
	tap_run(ends_threads_without_loading_anything);
	tap_run(lets_through_what_disks_need);
	tap_run(has_hypercalls_only_with_memory_for_dma);
	tap_run(does_nothing_if_it_is_not_to);
	tap_run(knows_its_modes_and_users);
	return tap_end();
}
