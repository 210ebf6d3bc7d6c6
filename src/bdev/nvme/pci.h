/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pci - takes an NVMe controller from the kernel, and gives it back.
 *
 * All by sysfs; no driver stands in for us. While we have it, the device's driver_override names us:
 * the kernel's driver leaves it alone, and should we die, our successor finds it by that (see
 * pci_find_leftover()) and knows that it was the kernel's. A lock on its config space keeps two
 * processes from having it at the same time.
 *
 * Thread: control, but for the registers.
 */
#ifndef XENBLKD_NVME_PCI_H
#define XENBLKD_NVME_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct pci_device {
	char bdf[20];
	int config_fd; /* locked */
	volatile uint8_t *bar; /* registers */
	size_t bar_bytes;
	uint16_t command; /* as it was found */
};

/**
 * pci_take - makes the device ours, its registers mapped
 *
 * Refuses one that the kernel uses: mounted, swapped to, part of LVM, md or another device, or open
 * exclusively.
 *
 * @bdf: as sysfs writes it
 *
 * Return: 0, or -errno and *@e: the kernel then has it as before.
 */
int pci_take(struct pci_device *d, const char *bdf, struct error *e);

/* pci_give_back - the reverse: no DMA from now on, and the kernel's driver gets it. */
void pci_give_back(struct pci_device *d);

/**
 * pci_start_dma - memory on, DMA on, interrupts off
 *
 * Not before the controller is known to be stopped: it may have been somebody else's that died.
 *
 * Return: 0 or -EIO.
 */
int pci_start_dma(struct pci_device *d);

/* pci_stop_dma - whatever the controller is at, nothing of it reaches memory any more. */
void pci_stop_dma(struct pci_device *d);

/* pci_is_gone - true if the device was pulled out; asks the kernel, so not for each request. */
bool pci_is_gone(const struct pci_device *d);

/*
 * pci_leave - as pci_give_back(), but the kernel does not get it, and it stays enabled, without DMA: who
 * takes it next need not wait for that.
 */
void pci_leave(struct pci_device *d);

/**
 * pci_leftovers - calls @fn for each device that is marked as ours
 *
 * Return: 0, or the first -errno of @fn.
 */
int pci_leftovers(int (*fn)(const char *bdf, struct error *e), struct error *e);

static inline uint32_t pci_read32(const struct pci_device *d, size_t offset)
{
	return *(const volatile uint32_t *)(d->bar + offset);
}

static inline void pci_write32(const struct pci_device *d, size_t offset, uint32_t value)
{
	*(volatile uint32_t *)(d->bar + offset) = value;
}

/* In two halves: not every controller takes 64 bits at once. */
static inline void pci_write64(const struct pci_device *d, size_t offset, uint64_t value)
{
	pci_write32(d, offset, (uint32_t)value);
	pci_write32(d, offset + 4, (uint32_t)(value >> 32));
}

#endif
