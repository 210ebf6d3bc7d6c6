/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rings between threads: each slot has a turn, which says whether it is to be filled or emptied next,
 * so that producers and consumers meet in nothing but the place that they move. Pools are stacks under
 * a lock: SPDK keeps what each thread needs in caches of its own.
 */
#include <spdk/stdinc.h>
#include <spdk/env.h>

#include "host_env.h"

struct slot {
	_Atomic(size_t) turn;
	void *obj;
};

struct spdk_ring {
	_Atomic(size_t) tail __attribute__((aligned(64))); /* filled next */
	_Atomic(size_t) head __attribute__((aligned(64))); /* emptied next */
	size_t mask __attribute__((aligned(64)));
	struct env_waker *waker;
	struct slot slots[];
};

static __thread struct env_waker *next_waker;

void env_next_ring_wakes(struct env_waker *w)
{
	next_waker = w;
}

struct spdk_ring *spdk_ring_create(enum spdk_ring_type type, size_t count, int numa_id)
{
	struct spdk_ring *r;
	size_t n = 1;

	while (n < count)
		n <<= 1;
	r = aligned_alloc(64, (sizeof(*r) + n * sizeof(struct slot) + 63) & ~(size_t)63);
	if (!r)
		return NULL;
	atomic_init(&r->head, 0);
	atomic_init(&r->tail, 0);
	r->mask = n - 1;
	for (size_t i = 0; i < n; i++)
		atomic_init(&r->slots[i].turn, i);
	r->waker = next_waker;
	if (r->waker)
		r->waker->ring = r;
	next_waker = NULL;
	return r;
}

void spdk_ring_free(struct spdk_ring *r)
{
	free(r);
}

size_t spdk_ring_count(struct spdk_ring *r)
{
	size_t head = atomic_load(&r->head), tail = atomic_load(&r->tail);

	return tail > head ? tail - head : 0;
}

static bool put(struct spdk_ring *r, void *obj)
{
	size_t at = atomic_load_explicit(&r->tail, memory_order_relaxed);

	for (;;) {
		struct slot *s = &r->slots[at & r->mask];
		size_t turn = atomic_load_explicit(&s->turn, memory_order_acquire);

		if (turn == at) {
			if (atomic_compare_exchange_weak_explicit(&r->tail, &at, at + 1,
								  memory_order_relaxed,
								  memory_order_relaxed)) {
				s->obj = obj;
				atomic_store_explicit(&s->turn, at + 1, memory_order_release);
				return true;
			}
		} else if ((ptrdiff_t)(turn - at) < 0) {
			return false;
		} else {
			at = atomic_load_explicit(&r->tail, memory_order_relaxed);
		}
	}
}

static bool take(struct spdk_ring *r, void **obj)
{
	size_t at = atomic_load_explicit(&r->head, memory_order_relaxed);

	for (;;) {
		struct slot *s = &r->slots[at & r->mask];
		size_t turn = atomic_load_explicit(&s->turn, memory_order_acquire);

		if (turn == at + 1) {
			if (atomic_compare_exchange_weak_explicit(&r->head, &at, at + 1,
								  memory_order_relaxed,
								  memory_order_relaxed)) {
				*obj = s->obj;
				atomic_store_explicit(&s->turn, at + r->mask + 1,
						      memory_order_release);
				return true;
			}
		} else if ((ptrdiff_t)(turn - (at + 1)) < 0) {
			return false;
		} else {
			at = atomic_load_explicit(&r->head, memory_order_relaxed);
		}
	}
}

static void wake(struct env_waker *w)
{
	uint64_t one = 1;

	/* Either we see that it sleeps, or it sees what was put in before: see env_may_sleep(). */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&w->asleep, memory_order_relaxed) &&
	    write(w->fd, &one, sizeof(one)) < 0)
		return; /* only a full counter refuses, and that one is readable */
}

size_t spdk_ring_enqueue(struct spdk_ring *r, void **objs, size_t count, size_t *free_space)
{
	size_t n = 0;

	while (n < count && put(r, objs[n]))
		n++;
	if (n && r->waker)
		wake(r->waker);
	if (free_space)
		*free_space = r->mask + 1 - spdk_ring_count(r);
	return n;
}

size_t spdk_ring_dequeue(struct spdk_ring *r, void **objs, size_t count)
{
	size_t n = 0;

	while (n < count && take(r, &objs[n]))
		n++;
	return n;
}

bool env_may_sleep(struct env_waker *w)
{
	atomic_store_explicit(&w->asleep, true, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	if (!spdk_ring_count(w->ring))
		return true;
	env_is_awake(w);
	return false;
}

void env_is_awake(struct env_waker *w)
{
	atomic_store_explicit(&w->asleep, false, memory_order_relaxed);
}

struct spdk_mempool {
	pthread_mutex_t lock;
	void *memory;
	size_t nr_free;
	void *free[];
};

struct spdk_mempool *spdk_mempool_create(const char *name, size_t count, size_t ele_size,
					 size_t cache_size, int numa_id)
{
	size_t each = (ele_size + 63) & ~(size_t)63;
	struct spdk_mempool *mp = calloc(1, sizeof(*mp) + count * sizeof(void *));

	if (!mp)
		return NULL;
	mp->memory = aligned_alloc(64, count * each);
	if (!mp->memory) {
		free(mp);
		return NULL;
	}
	pthread_mutex_init(&mp->lock, NULL);
	for (size_t i = 0; i < count; i++)
		mp->free[i] = (uint8_t *)mp->memory + (count - 1 - i) * each;
	mp->nr_free = count;
	return mp;
}

void spdk_mempool_free(struct spdk_mempool *mp)
{
	if (!mp)
		return;
	pthread_mutex_destroy(&mp->lock);
	free(mp->memory);
	free(mp);
}

int spdk_mempool_get_bulk(struct spdk_mempool *mp, void **objs, size_t count)
{
	int err = -ENOMEM;

	pthread_mutex_lock(&mp->lock);
	if (mp->nr_free >= count) {
		for (size_t i = 0; i < count; i++)
			objs[i] = mp->free[--mp->nr_free];
		err = 0;
	}
	pthread_mutex_unlock(&mp->lock);
	return err;
}

void *spdk_mempool_get(struct spdk_mempool *mp)
{
	void *obj;

	return spdk_mempool_get_bulk(mp, &obj, 1) ? NULL : obj;
}

void spdk_mempool_put(struct spdk_mempool *mp, void *obj)
{
	pthread_mutex_lock(&mp->lock);
	mp->free[mp->nr_free++] = obj;
	pthread_mutex_unlock(&mp->lock);
}

size_t spdk_mempool_count(const struct spdk_mempool *pool)
{
	struct spdk_mempool *mp = (struct spdk_mempool *)(uintptr_t)pool;
	size_t n;

	pthread_mutex_lock(&mp->lock);
	n = mp->nr_free;
	pthread_mutex_unlock(&mp->lock);
	return n;
}
