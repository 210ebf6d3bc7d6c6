/* SPDX-License-Identifier: BSD-2-Clause */
#include "host.h"

#include <spdk/stdinc.h>
#include <spdk/accel.h>
#include <spdk/bdev.h>
#include <spdk/bdev_module.h>
#include <spdk/init.h>
#include <spdk/log.h>
#include <spdk/module/bdev/nvme.h>
#include <spdk/rpc.h>
#include <spdk/thread.h>
#include <spdk/version.h>

#include "clock.h"
#include "sdisk.h"
#include "host_env.h"
#include "host_thread.h"
#include "log.h"

#define MAX_REACTORS 16u

/* Buffers that SPDK's layers take for what needs one: for all threads, and for each. */
#define SMALL_BUFFERS	   256u
#define SMALL_BUFFERS_EACH 64u
#define SMALL_CACHE	   32u
#define LARGE_BUFFERS	   16u
#define LARGE_BUFFERS_EACH 8u
#define LARGE_CACHE	   4u

/* So long it may take to end; some of it never does: see fini_subsystems(). */
#define FINI_MAX_NS (5 * NS_PER_S)

/* Messages between threads; each keeps 1024 for itself. */
#define MESSAGES_EACH 4096u

/* SPDK is one for the process, and so is this. */
static struct {
	bool running;
	bool changed; /* since changed() was called last */
	struct spdk_host_args args;
	struct host_thread app;
	struct host_thread reactors[MAX_REACTORS];
	uint32_t nr_reactors;
	struct log_limit log_limit;
	pthread_mutex_t log_lock;
} host = { .log_lock = PTHREAD_MUTEX_INITIALIZER };

bool spdk_host_built(void)
{
	return true;
}

const char *spdk_host_version(void)
{
	return SPDK_VERSION_STRING;
}

/* --- Its log is ours. --- */

static enum log_level level_of(int spdk_level)
{
	return spdk_level <= SPDK_LOG_ERROR  ? LOG_LEVEL_ERROR
	       : spdk_level == SPDK_LOG_WARN ? LOG_LEVEL_WARNING
					     : LOG_LEVEL_DEBUG;
}

/* A guest's requests that fail are worth a line to SPDK, each. */
static bool may_log(void)
{
	bool allowed;

	pthread_mutex_lock(&host.log_lock);
	allowed = log_allowed(&host.log_limit, clock_ns());
	pthread_mutex_unlock(&host.log_lock);
	return allowed;
}

static void log_cb(int level, const char *file, const int line, const char *func,
		   const char *format, va_list args)
{
	char text[512];

	if (host.running && level <= SPDK_LOG_WARN && !may_log())
		return;
	vsnprintf(text, sizeof(text), format, args);
	text[strcspn(text, "\n")] = '\0';
	log_line(level_of(level), "SPDK: %s: %s", func ? func : "", text);
}

/* --- What comes and changes. --- */

void host_note_change(void)
{
	host.changed = true;
}

static void app_polled(struct host_thread *t)
{
	/* Not from within SPDK: what follows may ask it for more. */
	if (host.running && host.changed) {
		host.changed = false;
		host.args.changed(host.args.arg);
	}
}

static struct spdk_bdev_module module;

static int module_init(void)
{
	return 0;
}

/* Of each bdev that is registered, whoever makes it. */
static void examine(struct spdk_bdev *bdev)
{
	host_note_change();
	spdk_bdev_module_examine_done(&module);
}

static struct spdk_bdev_module module = {
	.name = "xenblkd",
	.module_init = module_init,
	.examine_config = examine,
};

SPDK_BDEV_MODULE_REGISTER(xenblkd, &module)

/* --- Start and end, on the control thread. --- */

struct waiting {
	bool done;
	int err;
};

static void wait_done(int err, void *arg)
{
	struct waiting *w = arg;

	w->err = err;
	w->done = true;
}

static void wait_end(void *arg)
{
	wait_done(0, arg);
}

static void wait_until(const bool *done, uint64_t end_ns)
{
	while (!__atomic_load_n(done, __ATOMIC_ACQUIRE) && clock_ns() < end_ns) {
		if (spdk_thread_poll(host.app.spdk, 0, 0) <= 0)
			usleep(50);
	}
}

static void host_wait(const bool *done)
{
	wait_until(done, UINT64_MAX);
}

static int set_sizes(uint32_t nr_threads, struct error *e)
{
	struct spdk_iobuf_opts iobuf = { .opts_size = sizeof(iobuf) };
	struct spdk_accel_opts accel = { .opts_size = sizeof(accel) };
	struct spdk_bdev_opts bdev = { .opts_size = sizeof(bdev) };
	int err;

	spdk_iobuf_get_opts(&iobuf, sizeof(iobuf));
	iobuf.small_pool_count = SMALL_BUFFERS + SMALL_BUFFERS_EACH * nr_threads;
	iobuf.large_pool_count = LARGE_BUFFERS + LARGE_BUFFERS_EACH * nr_threads;
	err = spdk_iobuf_set_opts(&iobuf);
	spdk_bdev_get_opts(&bdev, sizeof(bdev));
	bdev.opts_size = sizeof(bdev);
	bdev.iobuf_small_cache_size = SMALL_CACHE;
	bdev.iobuf_large_cache_size = LARGE_CACHE;
	if (!err)
		err = spdk_bdev_set_opts(&bdev);
	spdk_accel_get_opts(&accel, sizeof(accel));
	accel.opts_size = sizeof(accel);
	accel.small_cache_size = SMALL_CACHE;
	accel.large_cache_size = LARGE_CACHE;
	if (!err)
		err = spdk_accel_set_opts(&accel);
	return err ? error_set(e, EINVAL, "SPDK takes no options: %d", err) : 0;
}

/*
 * SPDK's NVMe driver answers flushes without asking the drive unless it is told to ask. A guest
 * that has flushed has its data on the drive; what configuration says of it later holds.
 */
static int set_flush(struct error *e)
{
	struct spdk_bdev_nvme_opts opts;
	int err;

	spdk_bdev_nvme_get_opts(&opts, sizeof(opts));
	opts.enable_flush = true;
	err = spdk_bdev_nvme_set_opts(&opts);
	return err ? error_set(e, EINVAL, "SPDK does not pass on flushes: %d", err) : 0;
}

static int read_file(const char *path, char **text, size_t *size, struct error *e)
{
	FILE *f = fopen(path, "re");
	size_t room = 0;
	int err = 0;

	*text = NULL;
	*size = 0;
	if (!f)
		return error_set(e, errno, "--spdk-config: cannot open %s: %s", path,
				 strerror(errno));
	for (;;) {
		char *grown = realloc(*text, room + 65536);

		if (!grown) {
			err = error_set(e, ENOMEM, "--spdk-config: no memory for %s", path);
			break;
		}
		*text = grown;
		room += 65536;
		*size += fread(*text + *size, 1, room - *size, f);
		if (*size < room)
			break;
	}
	if (!err && ferror(f))
		err = error_set(e, EIO, "--spdk-config: cannot read %s", path);
	fclose(f);
	if (err)
		free(*text);
	return err;
}

/* What belongs before the start of the subsystems, and after it; each passes over what is the other's. */
static int load(char *text, size_t size, struct error *e)
{
	struct waiting w = { 0 };
	char *copy;

	if (!text)
		return 0;
	/* It is parsed in place. */
	copy = malloc(size);
	if (!copy)
		return error_set(e, ENOMEM, "no memory for SPDK's configuration");
	memcpy(copy, text, size);
	spdk_subsystem_load_config(copy, (ssize_t)size, wait_done, &w, true);
	host_wait(&w.done);
	free(copy);
	return w.err ? error_set(e, EINVAL,
				 "--spdk-config: SPDK does not take %s (%d): it says why above",
				 host.args.config, w.err)
		     : 0;
}

static int configure(struct error *e)
{
	struct waiting w = { 0 };
	char *text = NULL;
	size_t size = 0;
	int err = 0;

	if (host.args.config)
		err = read_file(host.args.config, &text, &size, e);
	if (!err)
		err = load(text, size, e);
	if (!err) {
		spdk_subsystem_init(wait_done, &w);
		host_wait(&w.done);
		if (w.err)
			err = error_set(e, EIO, "SPDK does not start: %d", w.err);
	}
	if (!err) {
		spdk_rpc_set_state(SPDK_RPC_RUNTIME);
		err = load(text, size, e);
	}
	free(text);
	if (!err && host.args.rpc_path && spdk_rpc_initialize(host.args.rpc_path, NULL))
		err = error_set(e, EADDRINUSE, "--spdk-rpc: SPDK makes no socket at %s",
				host.args.rpc_path);
	return err;
}

static void end_app(void)
{
	host_thread_end(&host.app);
	while (!host_thread_is_over(&host.app))
		spdk_thread_poll(host.app.spdk, 0, 0);
	host_thread_free(&host.app);
}

/*
 * A store of volumes whose drive was pulled out cannot be written any more, and SPDK does not let go of
 * the drive then, nor come to an end. All of it is ended with its threads.
 */
static void fini_subsystems(void)
{
	/* It may be told after we have given up. */
	static struct waiting w;

	spdk_subsystem_fini(wait_end, &w);
	wait_until(&w.done, clock_ns() + FINI_MAX_NS);
	if (!w.done)
		log_warning("SPDK does not end by itself, and is ended");
}

int spdk_host_start(const struct spdk_host_args *args, struct error *e)
{
	uint32_t nr_threads = args->nr_reactors + 1;
	mode_t mask;
	int err;

	host.args = *args;
	err = env_start(args->dmem, args->nr_pages, e);
	if (err)
		return err;
	spdk_log_open(log_cb);
	spdk_log_set_print_level(SPDK_LOG_DEBUG);
	err = spdk_thread_lib_init_ext(NULL, NULL, 0, MESSAGES_EACH * nr_threads);
	if (err) {
		error_set(e, -err, "no memory for SPDK's threads");
		goto end_env;
	}
	err = host_thread_start(&host.app, args->control, "app", 0, nr_threads);
	if (err) {
		error_set(e, -err, "SPDK makes no thread");
		goto fini_lib;
	}
	host.app.idle_min_ns = 1000 * NS_PER_US;
	host.app.polled = app_polled;
	err = set_sizes(nr_threads, e);
	if (!err)
		err = set_flush(e);
	if (err)
		goto end_thread;
	/* Its sockets are root's alone. */
	mask = umask(0177);
	err = configure(e);
	umask(mask);
	if (err)
		goto fini_subsystems;
	host.running = true;
	log_info("SPDK: %s, with %u MiB of memory for devices%s%s", SPDK_VERSION_STRING,
		 args->nr_pages / (1024 * 1024 / DMEM_PAGE_BYTES),
		 args->rpc_path ? ", answers at " : "", args->rpc_path ? args->rpc_path : "");
	return 0;
fini_subsystems:
	fini_subsystems();
end_thread:
	end_app();
fini_lib:
	spdk_thread_lib_fini();
end_env:
	spdk_log_close();
	env_end();
	return err;
}

struct join {
	struct reactor *reactor;
	uint32_t number;
};

static int join_fn(void *arg)
{
	struct join *j = arg;
	char name[16];

	snprintf(name, sizeof(name), "reactor-%u", j->number);
	return host_thread_start(&host.reactors[j->number], j->reactor, name, j->number + 1,
				 host.args.nr_reactors + 1);
}

int spdk_host_join(struct reactor *r, uint32_t number, struct error *e)
{
	struct join j = { r, number };
	int err;

	if (!host.running)
		return 0;
	err = reactor_call(r, join_fn, &j);
	if (err)
		return error_set(e, -err, "SPDK makes no thread for reactor %u", number);
	host.nr_reactors = number + 1;
	return 0;
}

static int end_fn(void *arg)
{
	host_thread_end(arg);
	return 0;
}

static int is_over_fn(void *arg)
{
	return host_thread_is_over(arg);
}

static int free_fn(void *arg)
{
	host_thread_free(arg);
	return 0;
}

static void end_reactor(struct host_thread *t)
{
	reactor_call(t->reactor, end_fn, t);
	while (!reactor_call(t->reactor, is_over_fn, t)) {
		spdk_thread_poll(host.app.spdk, 0, 0);
		usleep(100);
	}
	reactor_call(t->reactor, free_fn, t);
}

bool host_is_running(void)
{
	return host.running;
}

void host_for_each_reactor(void (*fn)(void *arg), void *arg)
{
	for (uint32_t i = 0; i < host.nr_reactors; i++)
		spdk_thread_send_msg(host.reactors[i].spdk, fn, arg);
}

uint32_t host_nr_reactors(void)
{
	return host.nr_reactors;
}

struct spdk_thread *host_app_thread(void)
{
	return host.app.spdk;
}

void spdk_host_stop(void)
{
	if (!host.running)
		return;
	host.running = false;
	if (host.args.rpc_path)
		spdk_rpc_server_finish(host.args.rpc_path);
	fini_subsystems();
	while (host.nr_reactors)
		end_reactor(&host.reactors[--host.nr_reactors]);
	end_app();
	spdk_thread_lib_fini();
	spdk_log_close();
	env_end();
}
