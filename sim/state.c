/* SPDX-License-Identifier: BSD-2-Clause */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

#include "event.h"
#include "grant.h"

#define MAGIC 0x3130306d69736e78ull /* "xnsim001" */

struct sim_state *sim_machine;

static struct {
	pthread_mutex_t lock;
	uint8_t *memory;
	int memory_fd, processes_fd;
	uint16_t process;
} self = { .lock = PTHREAD_MUTEX_INITIALIZER, .memory_fd = -1, .processes_fd = -1 };

uint16_t sim_process(void)
{
	return self.process;
}

void *sim_page(uint32_t frame)
{
	return self.memory + (size_t)frame * SIM_PAGE_BYTES;
}

int sim_memory_fd(void)
{
	return self.memory_fd;
}

int sim_path(char *path, size_t size, const char *fmt, ...)
{
	const char *dir = getenv("XENSIM_DIR");
	va_list ap;
	int n, m;

	n = snprintf(path, size, "%s/", dir ? dir : "");
	if (n < 0 || (size_t)n >= size)
		return -ENAMETOOLONG;
	va_start(ap, fmt);
	m = vsnprintf(path + n, size - (size_t)n, fmt, ap);
	va_end(ap);
	return m < 0 || (size_t)m >= size - (size_t)n ? -ENAMETOOLONG : 0;
}

/* Return: 0 and *@domid, or -EINVAL: no such domain can be. */
static int parse_domid(uint16_t *domid)
{
	const char *text = getenv("XENSIM_DOMID");
	char *end = NULL;
	unsigned long n = text ? strtoul(text, &end, 10) : 0;

	if (text && (end == text || *end || n >= SIM_DOMAINS))
		return -EINVAL;
	*domid = (uint16_t)n;
	return 0;
}

uint16_t sim_domid(void)
{
	uint16_t domid = 0;

	parse_domid(&domid);
	return domid;
}

/* How often who waits for a lock looks for itself. */
#define LOOK_NS (20 * 1000000l)

/* TSan does not know that who is told EOWNERDEAD by pthread_mutex_timedlock() has the lock. */
static void tell_sanitizer(pthread_mutex_t *lock)
{
#ifdef __SANITIZE_THREAD__
	__tsan_mutex_pre_lock(lock, __tsan_mutex_try_lock);
	__tsan_mutex_post_lock(lock, __tsan_mutex_try_lock, 0);
#else
	(void)lock;
#endif
}

/*
 * Who lets go of it wakes one of those that wait, and that one may be a guest that a story stops just then: it would
 * neither take the lock nor wake the next.
 */
static int lock_patiently(pthread_mutex_t *lock)
{
	int err = pthread_mutex_trylock(lock);
	struct timespec until;

	while (err == EBUSY || err == ETIMEDOUT) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += LOOK_NS;
		until.tv_sec += until.tv_nsec / 1000000000l;
		until.tv_nsec %= 1000000000l;
		err = pthread_mutex_timedlock(lock, &until);
		if (err == EOWNERDEAD)
			tell_sanitizer(lock);
	}
	return err;
}

void sim_lock(pthread_mutex_t *lock)
{
	if (lock_patiently(lock) != EOWNERDEAD)
		return;
	/* Who had it was killed in the middle; a hypervisor would have gone on to the end. */
	if (lock == &sim_machine->grants_lock)
		sim_grant_repair();
	pthread_mutex_consistent(lock);
}

void sim_unlock(pthread_mutex_t *lock)
{
	pthread_mutex_unlock(lock);
}

/*
 * Consecutive pages of a process are not consecutive on the bus, as on a real machine: fresh frames
 * come in the order 1, 0, 3, 2.
 */
uint32_t sim_frame_get(uint16_t owner)
{
	struct sim_state *s = sim_machine;
	uint32_t frame = s->frames_free;

	if (frame)
		s->frames_free = s->frames[frame].next;
	else if (s->frames_used < SIM_FRAMES)
		frame = s->frames_used++ ^ 1;
	else
		return 0;
	s->frames[frame] = (struct sim_frame){ .used = true, .owner = owner };
	memset(sim_page(frame), 0, SIM_PAGE_BYTES);
	return frame;
}

void sim_frame_put(uint32_t frame)
{
	struct sim_state *s = sim_machine;

	s->frames[frame] = (struct sim_frame){ .next = s->frames_free };
	s->frames_free = frame;
}

static void lock_init(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(lock, &attr);
	pthread_mutexattr_destroy(&attr);
}

static void state_init(struct sim_state *s)
{
	lock_init(&s->grants_lock);
	lock_init(&s->events_lock);
	s->frames_used = SIM_FRAME_FIRST;
	for (uint32_t i = 0; i < SIM_DOMAINS; i++) {
		s->domains[i].grants_used = SIM_GRANT_RESERVED;
		s->domains[i].maps_used = 1;
	}
	s->domains[0].alive = true;
	__atomic_store_n(&s->magic, MAGIC, __ATOMIC_RELEASE);
}

/* Return: what of @name is mapped, and *@fd; or NULL and errno. */
static void *map_file(const char *name, size_t bytes, int *fd)
{
	char path[4096];
	struct stat st;
	void *at;

	if (sim_path(path, sizeof(path), "%s", name)) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (*fd < 0)
		return NULL;
	if (!fstat(*fd, &st) && (size_t)st.st_size < bytes && ftruncate(*fd, (off_t)bytes) < 0)
		goto fail;
	at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, *fd, 0);
	if (at == MAP_FAILED)
		goto fail;
	madvise(at, bytes, MADV_DONTDUMP);
	return at;
fail:
	close(*fd);
	return NULL;
}

/* A process is alive while it holds the lock on its byte: the kernel lets go of it in any case. */
static int hold(uint16_t process)
{
	struct flock lock = { .l_type = F_WRLCK, .l_start = process, .l_len = 1 };

	return fcntl(self.processes_fd, F_OFD_SETLK, &lock);
}

static bool is_alive(uint16_t process)
{
	struct flock lock = { .l_type = F_WRLCK, .l_start = process, .l_len = 1 };

	return process == self.process || fcntl(self.processes_fd, F_OFD_GETLK, &lock) < 0 ||
	       lock.l_type != F_UNLCK;
}

void sim_reap(void)
{
	struct sim_state *s = sim_machine;

	sim_lock(&s->grants_lock);
	for (uint16_t i = 1; i < SIM_PROCESSES; i++) {
		if (!s->processes[i].alive || is_alive(i))
			continue;
		sim_grant_release(i);
		sim_lock(&s->events_lock);
		sim_event_release(i);
		sim_unlock(&s->events_lock);
		s->processes[i].alive = false;
	}
	sim_unlock(&s->grants_lock);
}

static int enter(void)
{
	struct sim_state *s = sim_machine;
	int err = -ENFILE;

	sim_reap();
	sim_lock(&s->grants_lock);
	for (uint16_t i = 1; i < SIM_PROCESSES && err; i++) {
		if (s->processes[i].alive || hold(i) < 0)
			continue;
		s->processes[i] = (struct sim_process){ true, sim_domid(), getpid() };
		self.process = i;
		err = 0;
	}
	sim_unlock(&s->grants_lock);
	return err;
}

static int attach(void)
{
	char path[4096];
	int fd;

	if (!getenv("XENSIM_DIR"))
		return -ENODEV;
	if (sim_path(path, sizeof(path), "processes"))
		return -ENAMETOOLONG;
	self.processes_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (self.processes_fd < 0)
		return -errno;
	flock(self.processes_fd, LOCK_EX);
	sim_machine = map_file("state", sizeof(*sim_machine), &fd);
	if (!sim_machine)
		goto fail;
	close(fd);
	self.memory = map_file("memory", (size_t)SIM_FRAMES * SIM_PAGE_BYTES, &self.memory_fd);
	if (!self.memory)
		goto unmap_state;
	if (__atomic_load_n(&sim_machine->magic, __ATOMIC_ACQUIRE) != MAGIC)
		state_init(sim_machine);
	flock(self.processes_fd, LOCK_UN);
	return enter();
unmap_state:
	munmap(sim_machine, sizeof(*sim_machine));
	sim_machine = NULL;
fail:
	close(self.processes_fd);
	return -errno;
}

int sim_open(void)
{
	uint16_t domid;
	int err = parse_domid(&domid);

	if (err)
		return err;
	pthread_mutex_lock(&self.lock);
	if (!sim_machine)
		err = attach();
	else if (!self.process)
		err = enter();
	pthread_mutex_unlock(&self.lock);
	if (!err && !sim_machine->domains[domid].alive)
		sim_domain_create(domid);
	return err;
}

/* A child is a process of its own as soon as it opens something; what it inherited is its parent's. */
static void forked(void)
{
	char path[4096];

	if (!sim_machine)
		return;
	close(self.processes_fd);
	self.process = 0;
	sim_path(path, sizeof(path), "processes");
	self.processes_fd = open(path, O_RDWR | O_CLOEXEC);
}

/* Who uses the store of the machine needs no other words than who uses its grants. */
__attribute__((constructor)) static void loaded(void)
{
	char path[4096];

	pthread_atfork(NULL, NULL, forked);
	if (getenv("XENSIM_DIR") && !sim_path(path, sizeof(path), "store.%u", sim_domid()))
		setenv("XENSTORED_PATH", path, 0);
}

void sim_domain_create(uint16_t domid)
{
	sim_lock(&sim_machine->grants_lock);
	sim_machine->domains[domid].alive = true;
	sim_unlock(&sim_machine->grants_lock);
}

void sim_domain_destroy(uint16_t domid)
{
	struct sim_state *s = sim_machine;

	sim_lock(&s->grants_lock);
	s->domains[domid].alive = false;
	for (uint32_t i = 1; i < SIM_PROCESSES; i++) {
		if (s->processes[i].alive && s->processes[i].domid == domid && i != self.process)
			kill(s->processes[i].pid, SIGKILL);
	}
	sim_grant_end_domain(domid);
	sim_lock(&s->events_lock);
	sim_event_end_domain(domid);
	sim_unlock(&s->events_lock);
	sim_unlock(&s->grants_lock);
}
