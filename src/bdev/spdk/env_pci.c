/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NVMe controllers for SPDK's driver: taken from the kernel and given back as those that we drive
 * ourselves (pci.h), so that one that is left running by a daemon that was killed is found, and
 * stopped, by its successor.
 *
 * A controller is taken when it is named (bdev_nvme_attach_controller), never because it is there.
 */
#include <spdk/stdinc.h>
#include <spdk/env.h>

#include "clock.h"
#include "host_env.h"
#include "list.h"
#include "log.h"
#include "nvme.h"
#include "pci.h"

struct device {
	struct spdk_pci_device spdk;
	struct pci_device pci;
	struct list_node link;
};

static struct list devices = { { &devices.head, &devices.head } };
static int nvme_driver; /* its address stands for it */

static struct device *device_of(struct spdk_pci_device *spdk)
{
	return container_of(spdk, struct device, spdk);
}

static int map_bar(struct spdk_pci_device *spdk, uint32_t bar, void **mapped, uint64_t *phys,
		   uint64_t *size)
{
	struct device *d = device_of(spdk);

	if (bar)
		return -ENOTSUP;
	*mapped = (void *)(uintptr_t)d->pci.bar;
	*phys = 0;
	*size = d->pci.bar_bytes;
	return 0;
}

static int unmap_bar(struct spdk_pci_device *spdk, uint32_t bar, void *addr)
{
	return 0;
}

static int cfg_read(struct spdk_pci_device *spdk, void *value, uint32_t len, uint32_t offset)
{
	return pread(device_of(spdk)->pci.config_fd, value, len, offset) == (ssize_t)len ? 0 : -EIO;
}

static int cfg_write(struct spdk_pci_device *spdk, void *value, uint32_t len, uint32_t offset)
{
	return pwrite(device_of(spdk)->pci.config_fd, value, len, offset) == (ssize_t)len ? 0
											  : -EIO;
}

/*
 * DMA is off yet, and SPDK switches it on before it has stopped the controller: it must not go on
 * with queues that somebody else gave it.
 */
static int stop_controller(struct device *d)
{
	uint32_t cc = pci_read32(&d->pci, NVME_CC);
	uint64_t end_ns =
		clock_ns() + NS_PER_S / 2 * (NVME_CAP_TO(pci_read32(&d->pci, NVME_CAP)) + 1);

	if (cc & NVME_CC_EN)
		pci_write32(&d->pci, NVME_CC, cc & ~NVME_CC_EN);
	while (pci_read32(&d->pci, NVME_CSTS) & NVME_CSTS_RDY) {
		if (clock_ns() > end_ns)
			return -ETIMEDOUT;
		usleep(1000);
	}
	return 0;
}

static void describe(struct device *d, const struct spdk_pci_addr *addr)
{
	uint16_t ids[2] = { 0 }, sub[2] = { 0 };

	d->spdk = (struct spdk_pci_device){
		.addr = *addr,
		.numa_id = SPDK_ENV_NUMA_ID_ANY,
		.type = "pci",
		.map_bar = map_bar,
		.unmap_bar = unmap_bar,
		.cfg_read = cfg_read,
		.cfg_write = cfg_write,
	};
	cfg_read(&d->spdk, ids, sizeof(ids), 0);
	cfg_read(&d->spdk, sub, sizeof(sub), 0x2c);
	d->spdk.id = (struct spdk_pci_id){ SPDK_PCI_CLASS_NVME, ids[0], ids[1], sub[0], sub[1] };
}

static void give_back(struct device *d)
{
	list_del(&d->link);
	pci_stop_dma(&d->pci);
	pci_give_back(&d->pci);
	free(d);
}

int spdk_pci_device_attach(struct spdk_pci_driver *driver, spdk_pci_enum_cb enum_cb, void *enum_ctx,
			   struct spdk_pci_addr *addr)
{
	struct error e = { "" };
	struct device *d;
	char bdf[20];
	int err;

	list_for_each (d, &devices, link) {
		if (!spdk_pci_addr_compare(&d->spdk.addr, addr))
			return -1;
	}
	if ((void *)driver != &nvme_driver || spdk_pci_addr_fmt(bdf, sizeof(bdf), addr))
		return -1;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -1;
	err = pci_take(&d->pci, bdf, &e);
	if (err) {
		log_error("SPDK: %s", e.text);
		free(d);
		return -1;
	}
	describe(d, addr);
	list_add_tail(&devices, &d->link);
	err = stop_controller(d);
	if (err)
		log_error("SPDK: nvme:%s does not stop", bdf);
	if (err || enum_cb(enum_ctx, &d->spdk)) {
		give_back(d);
		return -1;
	}
	d->spdk.internal.attached = true;
	return 0;
}

void spdk_pci_device_detach(struct spdk_pci_device *spdk)
{
	give_back(device_of(spdk));
}

void env_pci_end(void)
{
	struct device *d, *tmp;

	list_for_each_safe (d, tmp, &devices, link)
		give_back(d);
}

int spdk_pci_enumerate(struct spdk_pci_driver *driver, spdk_pci_enum_cb enum_cb, void *enum_ctx)
{
	return 0;
}

void spdk_pci_for_each_device(void *ctx, void (*fn)(void *ctx, struct spdk_pci_device *dev))
{
	struct device *d, *tmp;

	list_for_each_safe (d, tmp, &devices, link)
		fn(ctx, &d->spdk);
}

void spdk_pci_driver_register(const char *name, struct spdk_pci_id *id_table, uint32_t flags)
{
}

struct spdk_pci_driver *spdk_pci_nvme_get_driver(void)
{
	return (struct spdk_pci_driver *)&nvme_driver;
}

/* Of these no device is taken. */
struct spdk_pci_driver *spdk_pci_ioat_get_driver(void)
{
	return NULL;
}

struct spdk_pci_driver *spdk_pci_vmd_get_driver(void)
{
	return NULL;
}

/* Not in the headers of all versions. */
struct spdk_pci_driver *spdk_pci_ae4dma_get_driver(void);

struct spdk_pci_driver *spdk_pci_ae4dma_get_driver(void)
{
	return NULL;
}

int spdk_pci_device_map_bar(struct spdk_pci_device *dev, uint32_t bar, void **mapped,
			    uint64_t *phys, uint64_t *size)
{
	return dev->map_bar(dev, bar, mapped, phys, size);
}

int spdk_pci_device_unmap_bar(struct spdk_pci_device *dev, uint32_t bar, void *mapped)
{
	return dev->unmap_bar(dev, bar, mapped);
}

int spdk_pci_device_cfg_read(struct spdk_pci_device *dev, void *value, uint32_t len,
			     uint32_t offset)
{
	return dev->cfg_read(dev, value, len, offset);
}

int spdk_pci_device_cfg_read16(struct spdk_pci_device *dev, uint16_t *value, uint32_t offset)
{
	return dev->cfg_read(dev, value, sizeof(*value), offset);
}

int spdk_pci_device_cfg_write16(struct spdk_pci_device *dev, uint16_t value, uint32_t offset)
{
	return dev->cfg_write(dev, &value, sizeof(value), offset);
}

int spdk_pci_device_cfg_read32(struct spdk_pci_device *dev, uint32_t *value, uint32_t offset)
{
	return dev->cfg_read(dev, value, sizeof(*value), offset);
}

int spdk_pci_device_cfg_write32(struct spdk_pci_device *dev, uint32_t value, uint32_t offset)
{
	return dev->cfg_write(dev, &value, sizeof(value), offset);
}

struct spdk_pci_addr spdk_pci_device_get_addr(struct spdk_pci_device *dev)
{
	return dev->addr;
}

struct spdk_pci_id spdk_pci_device_get_id(struct spdk_pci_device *dev)
{
	return dev->id;
}

uint16_t spdk_pci_device_get_vendor_id(struct spdk_pci_device *dev)
{
	return dev->id.vendor_id;
}

uint16_t spdk_pci_device_get_device_id(struct spdk_pci_device *dev)
{
	return dev->id.device_id;
}

int spdk_pci_device_get_numa_id(struct spdk_pci_device *dev)
{
	return dev->numa_id;
}

const char *spdk_pci_device_get_type(const struct spdk_pci_device *dev)
{
	return dev->type;
}

bool spdk_pci_device_is_removed(struct spdk_pci_device *dev)
{
	return pci_is_gone(&device_of(dev)->pci);
}

/* The lock of pci_take() keeps others away. */
int spdk_pci_device_claim(struct spdk_pci_device *dev)
{
	return 0;
}

void spdk_pci_device_unclaim(struct spdk_pci_device *dev)
{
}

int spdk_pci_device_allow(struct spdk_pci_addr *addr)
{
	return 0;
}

/* What is driven here is polled. */
int spdk_pci_device_enable_interrupts(struct spdk_pci_device *dev, uint32_t efd_count)
{
	return -ENOTSUP;
}

int spdk_pci_device_disable_interrupts(struct spdk_pci_device *dev)
{
	return -ENOTSUP;
}

int spdk_pci_device_get_interrupt_efd_by_index(struct spdk_pci_device *dev, uint32_t index)
{
	return -ENOTSUP;
}

/* That a device is gone is seen when it is asked (spdk_pci_device_is_removed()). */
int spdk_pci_event_listen(void)
{
	return -ENOTSUP;
}

int spdk_pci_get_event(int fd, struct spdk_pci_event *event)
{
	return 0;
}

/* guard.h has it. */
int spdk_pci_register_error_handler(spdk_pci_error_handler handler, void *ctx)
{
	return 0;
}

/* Devices behind others (VMD) are none of ours. */
int spdk_pci_hook_device(struct spdk_pci_driver *drv, struct spdk_pci_device *dev)
{
	return -ENOTSUP;
}

void spdk_pci_unhook_device(struct spdk_pci_device *dev)
{
}

void spdk_pci_register_device_provider(struct spdk_pci_device_provider *provider)
{
}

static uint64_t addr_number(const struct spdk_pci_addr *a)
{
	return (uint64_t)a->domain << 32 | (uint64_t)a->bus << 16 | (uint64_t)a->dev << 8 | a->func;
}

int spdk_pci_addr_compare(const struct spdk_pci_addr *a1, const struct spdk_pci_addr *a2)
{
	uint64_t n1 = addr_number(a1), n2 = addr_number(a2);

	return n1 < n2 ? -1 : n1 > n2;
}

int spdk_pci_addr_parse(struct spdk_pci_addr *addr, const char *bdf)
{
	unsigned int domain = 0, bus, dev, func;
	char end;

	if (sscanf(bdf, "%x:%x:%x.%x%c", &domain, &bus, &dev, &func, &end) != 4) {
		domain = 0;
		if (sscanf(bdf, "%x:%x.%x%c", &bus, &dev, &func, &end) != 3)
			return -EINVAL;
	}
	if (bus > 0xff || dev > 0x1f || func > 7)
		return -EINVAL;
	*addr = (struct spdk_pci_addr){ domain, (uint8_t)bus, (uint8_t)dev, (uint8_t)func };
	return 0;
}

int spdk_pci_addr_fmt(char *bdf, size_t size, const struct spdk_pci_addr *addr)
{
	int n = snprintf(bdf, size, "%04x:%02x:%02x.%x", addr->domain, addr->bus, addr->dev,
			 addr->func);

	return n > 0 && (size_t)n < size ? 0 : -1;
}
