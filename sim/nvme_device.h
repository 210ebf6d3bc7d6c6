/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nvme_device - an NVMe controller in software: registers in a file that a driver maps, queues and
 * data in the memory of the machine, namespaces in files.
 *
 * It is found in sysfs like a real one (see sysfs.c and nvme_pci.c). Nothing tells it that a register
 * was written: it looks. It reaches only pages that are mapped for devices, as behind an IOMMU; what
 * goes elsewhere is counted and fails. Sections are those of the NVM Express Base Specification 1.4.
 *
 * Thread: one.
 */
#ifndef XENSIM_NVME_DEVICE_H
#define XENSIM_NVME_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nvme.h"
#include "state.h"

#define DEVICE_BAR_BYTES  16384u
#define DEVICE_QUEUES	  16u /* the admin queue included */
#define DEVICE_MAX_DEPTH  256u
#define DEVICE_MDTS	  7u /* 2^7 pages a command */
#define DEVICE_NAMESPACES 8u
#define DEVICE_EVENTS	  4u
#define DEVICE_DONE 64u
#define DEVICE_LATE	  4096u

/* Status codes with their type, 4.6.1. */
enum device_status {
	STATUS_OK = 0,
	STATUS_INVALID_OPCODE = 0x001,
	STATUS_INVALID_FIELD = 0x002,
	STATUS_TRANSFER_ERROR = 0x004,
	STATUS_INTERNAL = 0x006,
	STATUS_INVALID_NAMESPACE = 0x00b,
	STATUS_OUT_OF_RANGE = 0x080,
	STATUS_NO_CQ = 0x100,
	STATUS_INVALID_QID = 0x101,
	STATUS_INVALID_DEPTH = 0x102,
	STATUS_INVALID_DELETION = 0x10c,
	STATUS_NO_ANSWER = 0xffff, /* not of the specification: there will be none */
};

struct device_sq {
	uint64_t bus; /* 0: there is none */
	uint32_t depth, head;
	uint16_t cqid;
};

struct device_cq {
	uint64_t bus;
	uint32_t depth, tail;
	bool phase;
};

struct device_namespace {
	int fd;
	uint64_t bytes;
};

/* A command that was taken and is not carried out yet. */
struct device_done {
	uint16_t cqid;
	struct nvme_cqe cqe;
};

struct device_late {
	uint64_t due_ns;
	uint16_t qid;
	struct nvme_sqe sqe;
};

struct device {
	char bdf[20];
	uint8_t *bar; /* shared with the driver */
	uint8_t *config; /* PCI configuration space, shared too */
	bool ready, gone, broken;
	uint32_t block_bytes;
	bool prps_alone; /* no SGLs */
	bool zeroes_alone; /* deallocates by write zeroes, and has no dataset management */
	struct device_namespace namespaces[DEVICE_NAMESPACES]; /* [0] is 1 */
	uint32_t nr_namespaces;
	struct device_sq sqs[DEVICE_QUEUES];
	struct device_cq cqs[DEVICE_QUEUES];
	struct device_late late[DEVICE_LATE];
	uint32_t nr_late;
	struct device_done done[DEVICE_DONE]; /* to be posted when the turn is over */
	uint32_t nr_done;
};

/* device_dma - @bytes, within a page, at a bus address. Return: where, or NULL: it may not. */
void *device_dma(struct device *d, uint64_t bus, uint32_t bytes);

/* device_reset - no queues, doorbells at 0. */
void device_reset(struct device *d);

/* device_forget - commands of a queue that were taken. */
void device_forget(struct device *d, uint16_t qid);

/* device_poll - takes commands off all queues. Return: true if there was something to do. */
bool device_poll(struct device *d);

/* device_admin, device_io - carry out a command. Return: its status; *@result as it says. */
uint16_t device_admin(struct device *d, const struct nvme_sqe *sqe, uint32_t *result);
uint16_t device_io(struct device *d, const struct nvme_sqe *sqe);

/* device_plug - its files in sysfs. device_unplug - the reverse. Return: 0 or -errno. */
int device_plug(struct device *d);
void device_unplug(struct device *d);

static inline volatile uint32_t *device_register(struct device *d, size_t offset)
{
	return (volatile uint32_t *)(d->bar + offset);
}

/* 3.1.24, 3.1.25; CAP.DSTRD is 0. */
static inline volatile uint32_t *device_sq_doorbell(struct device *d, uint32_t qid)
{
	return device_register(d, NVME_DOORBELLS + 8 * (size_t)qid);
}

static inline volatile uint32_t *device_cq_doorbell(struct device *d, uint32_t qid)
{
	return device_register(d, NVME_DOORBELLS + 8 * (size_t)qid + 4);
}

#endif
