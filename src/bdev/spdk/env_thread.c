/* SPDX-License-Identifier: BSD-2-Clause */
/* Cores, which are our threads: the control thread is 0, reactors follow. And time. */
#include <spdk/stdinc.h>
#include <spdk/env.h>

#include "clock.h"
#include "host_env.h"

#define CALIBRATION_US 20000u

static __thread uint32_t this_core;
static uint32_t nr_all_cores = 1;
static uint64_t ticks_hz;

void env_set_core(uint32_t core, uint32_t nr_cores)
{
	this_core = core;
	nr_all_cores = nr_cores;
}

uint32_t spdk_env_get_current_core(void)
{
	return this_core;
}

uint32_t spdk_env_get_core_count(void)
{
	return nr_all_cores;
}

uint32_t spdk_env_get_first_core(void)
{
	return 0;
}

uint32_t spdk_env_get_next_core(uint32_t prev_core)
{
	return prev_core + 1 < nr_all_cores ? prev_core + 1 : UINT32_MAX;
}

int32_t spdk_env_get_first_numa_id(void)
{
	return 0;
}

int32_t spdk_env_get_last_numa_id(void)
{
	return 0;
}

int32_t spdk_env_get_next_numa_id(int32_t prev_numa_id)
{
	return INT32_MAX;
}

bool spdk_process_is_primary(void)
{
	return true;
}

/* Several for each request: too many for a system call, which clock_gettime() is in a PV dom0. */
uint64_t spdk_get_ticks(void)
{
#ifdef __x86_64__
	return __builtin_ia32_rdtsc();
#else
	return clock_ns();
#endif
}

uint64_t spdk_get_ticks_hz(void)
{
	return ticks_hz;
}

void env_time_start(void)
{
	uint64_t begin_ns = clock_ns(), begin = spdk_get_ticks(), ns, ticks;

	usleep(CALIBRATION_US);
	ns = clock_ns() - begin_ns;
	ticks = spdk_get_ticks() - begin;
	ticks_hz = (uint64_t)((unsigned __int128)ticks * NS_PER_S / ns);
}

uint64_t env_ns_until(uint64_t tick)
{
	uint64_t now = spdk_get_ticks();

	return tick <= now ? 0 : (uint64_t)((unsigned __int128)(tick - now) * NS_PER_S / ticks_hz);
}

void spdk_delay_us(unsigned int us)
{
	usleep(us);
}
