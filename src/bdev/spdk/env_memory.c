/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory for devices: one area of dmem, given out by whole pages.
 *
 * SPDK allocates when it starts, and when something is configured: a search is fast enough, and what
 * is smaller than a page wastes the rest of it, but never crosses into a page that is elsewhere on the
 * bus. Who asks for alignment to more than a page, and for no more than that, wants memory that is
 * contiguous on the bus (rings of an NVMe controller): it is found, or there is none.
 *
 * What is for processes to share and not for devices is ordinary memory. SPDK's locks are there, and on
 * pages of dmem Linux lets no thread wait for a lock: glibc then ends the process.
 */
#include <spdk/stdinc.h>
#include <spdk/env.h>

#include "host_env.h"
#include "log.h"

#define PAGE DMEM_PAGE_BYTES

/* What is larger than this part of the area is a disk in memory, or the like: no device is told of it. */
#define LARGE_PART 4

/* The largest ring that a controller may have: 4096 commands. */
#define RING_MAX_BYTES 262144u

/* Made to follow one another on the bus: 64 rings of the 256 commands that SPDK asks for. */
#define RING_PAGES 256u
#define RING_PIECE 4u

static struct {
	struct dmem *dmem;
	void **pages; /* as dmem_alloc() gave them */
	uint8_t *base;
	uint32_t nr;
	uint32_t *
		run; /* of the first page of an allocation: its length; of the others of it: INSIDE */
	pthread_mutex_t lock;
	bool said_full;
} area = { .lock = PTHREAD_MUTEX_INITIALIZER };

#define INSIDE UINT32_MAX

/* Ordinary memory that was asked for here begins with this, one alignment before its address. */
struct ordinary {
	void *start;
	size_t size;
};

static bool area_has(const void *ptr)
{
	return (uintptr_t)ptr - (uintptr_t)area.base < (size_t)area.nr * PAGE;
}

int env_start(struct dmem *dmem, uint32_t nr_pages, struct error *e)
{
	int err = -ENOMEM;

	area.pages = calloc(nr_pages, sizeof(*area.pages));
	area.run = calloc(nr_pages, sizeof(*area.run));
	if (area.pages && area.run)
		err = dmem_alloc(dmem, nr_pages, area.pages);
	for (uint32_t i = 1; i < nr_pages && !err; i++) {
		if ((uint8_t *)area.pages[i] != (uint8_t *)area.pages[0] + (size_t)i * PAGE) {
			dmem_free(dmem, nr_pages, area.pages);
			err = -ENOMEM;
		}
	}
	if (err) {
		free(area.pages);
		free(area.run);
		return error_set(e, -err, "no memory for SPDK: %u pages in a row", nr_pages);
	}
	/* Without it there is less in one piece, perhaps too little for a controller's rings. */
	err = dmem_line_up(dmem, area.pages[0], nr_pages, RING_PAGES, RING_PIECE);
	if (err)
		log_warning("SPDK: its memory for devices cannot be lined up: %s", strerror(-err));
	area.dmem = dmem;
	area.base = area.pages[0];
	area.nr = nr_pages;
	env_time_start();
	return 0;
}

void env_end(void)
{
	env_pci_end();
	dmem_free(area.dmem, area.nr, area.pages);
	free(area.pages);
	free(area.run);
	area.base = NULL;
	area.nr = 0;
}

static bool follows_on_bus(uint32_t page)
{
	return !dmem_has_bus(area.dmem) ||
	       dmem_bus(area.dmem, area.base + (size_t)page * PAGE) ==
		       dmem_bus(area.dmem, area.base + (size_t)(page - 1) * PAGE) + PAGE;
}

/* Return: how many pages from @first on are free, and on the bus one behind the other if asked; @nr at most. */
static uint32_t run_length(uint32_t first, uint32_t nr, bool contiguous)
{
	uint32_t n = 0;

	while (n < nr && first + n < area.nr && !area.run[first + n] &&
	       (!n || !contiguous || follows_on_bus(first + n)))
		n++;
	return n;
}

static void *area_alloc(size_t size, size_t align, bool contiguous)
{
	uint32_t nr = (uint32_t)((size + PAGE - 1) / PAGE);
	/* On the bus it begins anywhere. */
	uintptr_t mask = contiguous || align < PAGE ? PAGE - 1 : align - 1;
	void *found = NULL;

	pthread_mutex_lock(&area.lock);
	/* What may be anywhere leaves the front to what may not. */
	for (uint32_t i = contiguous ? 0 : RING_PAGES; i + nr <= area.nr && !found;) {
		uint32_t n = run_length(i, nr, contiguous);

		if (n == nr && !((uintptr_t)(area.base + (size_t)i * PAGE) & mask)) {
			found = area.base + (size_t)i * PAGE;
			area.run[i] = nr;
			for (uint32_t k = 1; k < nr; k++)
				area.run[i + k] = INSIDE;
		}
		i += n && n < nr ? n : 1;
	}
	pthread_mutex_unlock(&area.lock);
	return found;
}

static void area_free(void *ptr)
{
	uint32_t first = (uint32_t)(((uint8_t *)ptr - area.base) / PAGE);
	uint32_t nr;

	pthread_mutex_lock(&area.lock);
	nr = area.run[first];
	memset(area.run + first, 0, nr * sizeof(*area.run));
	pthread_mutex_unlock(&area.lock);
}

static void *ordinary_alloc(size_t size, size_t align)
{
	struct ordinary *o;
	uint8_t *start, *ptr;

	if (align < 64)
		align = 64;
	start = malloc(size + align + sizeof(*o));
	if (!start)
		return NULL;
	ptr = (uint8_t *)(((uintptr_t)start + sizeof(*o) + align - 1) & ~(uintptr_t)(align - 1));
	o = (struct ordinary *)ptr - 1;
	o->start = start;
	o->size = size;
	return ptr;
}

void *spdk_malloc(size_t size, size_t align, uint64_t *unused, int numa_id, uint32_t flags)
{
	bool contiguous = align > PAGE && size > PAGE && size <= align && size <= RING_MAX_BYTES;
	/* Of its NVMe driver's command lists, which begin at pages, 25.09 does not say that they are. */
	bool for_devices = (flags & SPDK_MALLOC_DMA || align >= PAGE) &&
			   size <= (size_t)area.nr * PAGE / LARGE_PART;
	void *ptr = NULL;

	if (!size)
		size = 1;
	if (for_devices)
		ptr = area_alloc(size, align, contiguous);
	if (ptr)
		return ptr;
	/* A device is never told of what has no address, and says so. */
	if (for_devices && !area.said_full) {
		area.said_full = true;
		log_warning(
			"SPDK: no %zu bytes%s are left of its memory for devices; see --spdk-mib",
			size, contiguous ? " in one piece" : "");
	}
	return ordinary_alloc(size, align);
}

void *spdk_zmalloc(size_t size, size_t align, uint64_t *unused, int numa_id, uint32_t flags)
{
	void *ptr = spdk_malloc(size, align, unused, numa_id, flags);

	if (ptr)
		memset(ptr, 0, size);
	return ptr;
}

void spdk_free(void *ptr)
{
	if (!ptr)
		return;
	if (area_has(ptr))
		area_free(ptr);
	else
		free(((struct ordinary *)ptr - 1)->start);
}

static size_t size_of(const void *ptr)
{
	if (area_has(ptr))
		return (size_t)area.run[((const uint8_t *)ptr - area.base) / PAGE] * PAGE;
	return ((const struct ordinary *)ptr - 1)->size;
}

void *spdk_realloc(void *buf, size_t size, size_t align)
{
	void *ptr = spdk_malloc(size, align, NULL, SPDK_ENV_NUMA_ID_ANY, SPDK_MALLOC_DMA);

	if (buf && ptr) {
		memcpy(ptr, buf, size_of(buf) < size ? size_of(buf) : size);
		spdk_free(buf);
	}
	return ptr;
}

void *spdk_dma_malloc(size_t size, size_t align, uint64_t *unused)
{
	return spdk_malloc(size, align, unused, SPDK_ENV_NUMA_ID_ANY, SPDK_MALLOC_DMA);
}

void *spdk_dma_malloc_socket(size_t size, size_t align, uint64_t *unused, int numa_id)
{
	return spdk_dma_malloc(size, align, unused);
}

void *spdk_dma_zmalloc(size_t size, size_t align, uint64_t *unused)
{
	return spdk_zmalloc(size, align, unused, SPDK_ENV_NUMA_ID_ANY, SPDK_MALLOC_DMA);
}

void *spdk_dma_zmalloc_socket(size_t size, size_t align, uint64_t *unused, int numa_id)
{
	return spdk_dma_zmalloc(size, align, unused);
}

void *spdk_dma_realloc(void *buf, size_t size, size_t align, uint64_t *unused)
{
	return spdk_realloc(buf, size, align);
}

void spdk_dma_free(void *buf)
{
	spdk_free(buf);
}

/* For several processes, which there are not: SPDK's trace has the only one, and none is found by name. */
void *spdk_memzone_reserve(const char *name, size_t len, int numa_id, unsigned flags)
{
	return spdk_zmalloc(len, 64, NULL, numa_id, flags);
}

void *spdk_memzone_lookup(const char *name)
{
	return NULL;
}

int spdk_memzone_free(const char *name)
{
	return -ENOENT;
}

uint64_t spdk_vtophys(const void *buf, uint64_t *size)
{
	uint64_t bus = dmem_bus(area.dmem, buf);
	uint64_t n = PAGE - (uintptr_t)buf % PAGE;

	if (bus == DMEM_NO_BUS)
		return SPDK_VTOPHYS_ERROR;
	while (size && n < *size && dmem_bus(area.dmem, (const uint8_t *)buf + n) == bus + n)
		n += PAGE;
	if (size && n < *size)
		*size = n;
	return bus;
}

int spdk_mem_register(void *vaddr, size_t len)
{
	return 0;
}

int spdk_mem_unregister(void *vaddr, size_t len)
{
	return 0;
}

int32_t spdk_mem_get_numa_id(const void *buf, uint64_t *size)
{
	return SPDK_ENV_NUMA_ID_ANY;
}
