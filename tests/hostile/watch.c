/* SPDX-License-Identifier: BSD-2-Clause */
#include "watch.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

/* What an allocator, or a sanitizer, keeps to itself. */
#define MEMORY_SLACK_KIB 8192u

static FILE *open_proc(pid_t pid, const char *file)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	return fopen(path, "r");
}

/* Pages that the process has mapped by gntdev. */
static uint64_t gntdev_pages(pid_t pid)
{
	FILE *f = open_proc(pid, "maps");
	uint64_t pages = 0, from, to;
	char line[512];

	while (f && fgets(line, sizeof(line), f)) {
		if (strstr(line, "/dev/xen/gntdev") &&
		    sscanf(line, "%" SCNx64 "-%" SCNx64, &from, &to) == 2)
			pages += (to - from) >> 12;
	}
	if (f)
		fclose(f);
	return pages;
}

static uint64_t held(const struct watch *w)
{
	uint64_t pages = 0, ports = 0;

	if (!w->sim_get)
		return w->pid ? gntdev_pages(w->pid) : 0;
	w->sim_get("mapped_pages", &pages);
	w->sim_get("ports", &ports);
	return pages << 20 | ports;
}

static uint64_t memory_kib(pid_t pid)
{
	FILE *f = pid ? open_proc(pid, "status") : NULL;
	uint64_t kib = 0;
	char line[256];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "VmRSS: %" SCNu64, &kib) == 1)
			break;
	}
	if (f)
		fclose(f);
	return kib;
}

static uint64_t log_size(const struct watch *w)
{
	FILE *f = w->log ? fopen(w->log, "r") : NULL;
	long size = 0;

	if (f && !fseek(f, 0, SEEK_END))
		size = ftell(f);
	if (f)
		fclose(f);
	return (uint64_t)size;
}

bool watch_init(struct watch *w, const char *log, pid_t pid)
{
	/* In a program that is linked with the libraries it plays, libxensim is what was preloaded. */
	*w = (struct watch){ .log = log, .pid = pid };
	*(void **)&w->sim_get = dlsym(RTLD_DEFAULT, "sim_get");
	w->held = held(w);
	w->memory_kib = memory_kib(pid);
	return !pid || w->memory_kib;
}

void watch_alive(const struct watch *w)
{
	/* One that nobody has waited for has a number still, but no memory. */
	if (!w->pid || memory_kib(w->pid))
		return;
	printf("Bail out! the daemon has died\n");
	fflush(stdout);
	_exit(EXIT_FAILURE);
}

void watch_begin(struct watch *w)
{
	w->log_bytes = log_size(w);
}

bool watch_lines(struct watch *w, uint32_t max, char *why, size_t size)
{
	FILE *f = w->log ? fopen(w->log, "r") : NULL;
	uint32_t lines = 0;
	char line[1200];

	if (f)
		fseek(f, (long)w->log_bytes, SEEK_SET);
	while (f && fgets(line, sizeof(line), f))
		lines++;
	if (f)
		fclose(f);
	snprintf(why, size, "it caused %u lines in the daemon's log", lines);
	return lines <= max;
}

bool watch_left(struct watch *w, uint32_t timeout_ms, char *why, size_t size)
{
	uint64_t end_ns = clock_ns() + timeout_ms * 1000000ull, now;
	struct timespec pause = { .tv_nsec = 1000000 };

	while ((now = held(w)) != w->held && clock_ns() < end_ns)
		nanosleep(&pause, NULL);
	snprintf(why, size,
		 "held are %" PRIu64 " pages and %" PRIu64 " ports, not %" PRIu64 " and %" PRIu64,
		 now >> 20, now & 0xfffff, w->held >> 20, w->held & 0xfffff);
	return now == w->held;
}

bool watch_memory(struct watch *w, char *why, size_t size)
{
	uint64_t kib = memory_kib(w->pid);

	snprintf(why, size, "it uses %" PRIu64 " KiB, and used %" PRIu64 " KiB", kib,
		 w->memory_kib);
	return kib <= w->memory_kib + MEMORY_SLACK_KIB;
}
