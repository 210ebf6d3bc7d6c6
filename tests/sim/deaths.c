/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * deaths - daemons one after the other, each killed somewhere, for points.sh: what it takes of a shell's
 * processes and waits is most of what a life costs otherwise.
 *
 *   sim_deaths SEED KILLS PLACES ENOUGH LOG PRELOAD DAEMON ARG...
 *
 * SEED is that of the choices; a daemon that is to die at one of so many PLACES dies at the ENOUGHth
 * passing of any, if it does not come there. One has to die by SIGKILL, and to complain of nothing. On
 * stdout: "visited PLACE" for each at which one died, "held COUNT" of those whose commands no device has
 * seen, "killed COUNT" of all. What the last one said is in LOG.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "control.h"
#include "state.h"

#define MAX_PLACES	  1024
#define MAX_LOG		  (1u << 20)
#define CONNECT_TIMEOUT_S 120

/* Dead ones that are not reaped yet. */
#define MAX_ZOMBIES 32

extern char **environ;

static struct {
	char **argv; /* the daemon and its arguments */
	const char *log;
	long nr_places, enough;
	uint64_t random;
	bool visited[MAX_PLACES];
	long killed, held;
	pid_t zombies[MAX_ZOMBIES];

	/* The one that lives. */
	pid_t pid;
	int fd; /* what it says */
	char said[MAX_LOG];
	size_t len;
} deaths;

static void fail(const char *fmt, ...)
{
	FILE *f = fopen(deaths.log, "w");
	va_list args;

	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\nin life %ld\n", deaths.killed + 1);
	if (f) {
		fwrite(deaths.said, 1, deaths.len, f);
		fclose(f);
	}
	if (deaths.pid)
		kill(deaths.pid, SIGKILL);
	exit(EXIT_FAILURE);
}

/* random_below - from 0 to @n - 1 (splitmix64) */
static long random_below(long n)
{
	uint64_t x = deaths.random += 0x9e3779b97f4a7c15ull;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return (long)((x ^ (x >> 31)) % (uint64_t)n);
}

static void set(const char *words)
{
	if (sim_set(words))
		fail("cannot set %s", words);
}

static void begin(const char *plan)
{
	posix_spawn_file_actions_t actions;
	int fds[2], err;

	setenv("XENBLKD_POINTS", plan, 1);
	if (pipe2(fds, O_CLOEXEC))
		fail("pipe: %s", strerror(errno));
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], STDERR_FILENO);
	err = posix_spawn(&deaths.pid, deaths.argv[0], &actions, NULL, deaths.argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	if (err)
		fail("%s: %s", deaths.argv[0], strerror(err));
	deaths.fd = fds[0];
	deaths.len = 0;
	deaths.said[0] = '\0';
}

/* Waits for more to be said, so long. Return: false if there is none. */
static bool hear(int timeout_ms)
{
	struct pollfd p = { .fd = deaths.fd, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, timeout_ms) <= 0)
		return false;
	n = read(deaths.fd, deaths.said + deaths.len, MAX_LOG - 1 - deaths.len);
	if (n <= 0)
		return false;
	deaths.len += (size_t)n;
	deaths.said[deaths.len] = '\0';
	return true;
}

static void wait_connected(void)
{
	uint64_t end = clock_ns() + CONNECT_TIMEOUT_S * NS_PER_S;

	while (!strstr(deaths.said, "connected:")) {
		if (!hear(1000) && (clock_ns() > end || waitpid(deaths.pid, NULL, WNOHANG)))
			fail("it has not connected its disk");
	}
}

/* What it has said to its end is heard meanwhile. */
static void nap(long ms)
{
	uint64_t now = clock_ns(), end = now + (uint64_t)ms * 1000 * NS_PER_US;

	for (; now < end; now = clock_ns())
		hear((int)((end - now) / (1000 * NS_PER_US)) + 1);
}

/* A daemon whose predecessor was killed says so, and that the kernel has not done with it yet. */
static bool is_expected(const char *line)
{
	static const char *const words[] = { " is locked: another disk or program",
					     "requests were in flight", "a predecessor was killed",
					     "carried out again" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strstr(line, words[i]))
			return true;
	}
	return !strstr(line, " warning: ") && !strstr(line, " error: ");
}

static void look_at_log(void)
{
	char copy[MAX_LOG], *rest = copy, *line;
	long place;

	memcpy(copy, deaths.said, deaths.len + 1);
	while ((line = strsep(&rest, "\n"))) {
		if (sscanf(line, "died at %ld ", &place) == 1 && place < MAX_PLACES)
			deaths.visited[place] = true;
		else if (!is_expected(line))
			fail("%s", line);
	}
}

/* Who reaps a process spins in the kernel while a thread of it, which may not get a CPU, cleans /proc. */
static void reap_later(pid_t pid)
{
	pid_t *at = &deaths.zombies[deaths.killed % MAX_ZOMBIES];

	if (*at)
		waitpid(*at, NULL, 0);
	*at = pid;
}

static void end(void)
{
	siginfo_t info = { 0 };

	while (hear(-1)) {
	}
	close(deaths.fd);
	if (waitid(P_PID, (id_t)deaths.pid, &info, WEXITED | WNOWAIT) ||
	    info.si_code != CLD_KILLED || info.si_status != SIGKILL)
		fail("a daemon ended with status %d, and was to be killed", info.si_status);
	reap_later(deaths.pid);
	deaths.pid = 0;
	look_at_log();
	deaths.killed++;
}

static void kill_now(void)
{
	kill(deaths.pid, SIGKILL);
	end();
}

static void dies(const char *fmt, ...)
{
	char plan[64];
	va_list args;

	va_start(args, fmt);
	vsnprintf(plan, sizeof(plan), fmt, args);
	va_end(args);
	begin(plan);
	end();
}

static void killed_after(long ms)
{
	begin("none");
	wait_connected();
	nap(ms);
	kill_now();
}

/* Wherever it is then. */
static void killed_starting(long ms)
{
	begin("none");
	nap(ms);
	kill_now();
}

/* Commands that the controller sees neither before the kill nor after: not until it was reset. */
static void killed_with_commands_held(void)
{
	set("nvme_hold=1");
	killed_after(random_below(20));
	deaths.held++;
	begin("none");
	wait_connected();
	set("nvme_hold=0");
	nap(random_below(20));
	kill_now();
}

static void one(void)
{
	switch (random_below(16)) {
	case 0:
		killed_after(random_below(60));
		break;
	case 1:
		killed_starting(random_below(60) + 1);
		break;
	case 2:
		killed_with_commands_held();
		break;
	case 3:
	case 4:
	case 5:
	case 6:
		dies("die:any:%ld", random_below(2000) + 1);
		break;
	case 7:
		dies("die:any:%ld", random_below(30000) + 300);
		break;
	default:
		dies("die:%ld:%ld:%ld", random_below(deaths.nr_places), random_below(20) + 1,
		     deaths.enough);
	}
}

int main(int argc, char **argv)
{
	long kills;

	if (argc < 8 || sim_open()) {
		fprintf(stderr, "see the head of deaths.c\n");
		return 2;
	}
	deaths.random = strtoull(argv[1], NULL, 10);
	kills = atol(argv[2]);
	deaths.nr_places = atol(argv[3]);
	deaths.enough = atol(argv[4]);
	deaths.log = argv[5];
	setenv("LD_PRELOAD", argv[6], 1);
	deaths.argv = argv + 7;
	while (deaths.killed < kills)
		one();
	for (long k = 0; k < MAX_PLACES; k++) {
		if (deaths.visited[k])
			printf("visited %ld\n", k);
	}
	printf("held %ld\nkilled %ld\n", deaths.held, deaths.killed);
	return EXIT_SUCCESS;
}
