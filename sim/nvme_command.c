/* SPDX-License-Identifier: BSD-2-Clause */
/* What commands do. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "nvme_device.h"

#define PAGE		   SIM_PAGE_BYTES
#define MAX_PIECES	   (2u << DEVICE_MDTS)

#define ADMIN_GET_FEATURES 0x0au

#define IDENTIFY_NAMES	   3u

static void put32(uint8_t *at, uint32_t value)
{
	memcpy(at, &value, sizeof(value));
}

static void put64(uint8_t *at, uint64_t value)
{
	memcpy(at, &value, sizeof(value));
}

/* 5.15.2.2 */
static void identify_controller(const struct device *d, uint8_t *page)
{
	memset(page + 4, ' ', 68);
	memcpy(page + 4, d->bdf, strlen(d->bdf));
	memcpy(page + 24, "xensim NVMe controller", 22);
	memcpy(page + 64, "1", 1);
	page[77] = DEVICE_MDTS;
	put32(page + 80, 0x00010400);
	page[259] = DEVICE_EVENTS - 1;
	page[512] = 0x66;
	page[513] = 0x44;
	put32(page + 516, d->nr_namespaces);
	page[520] = d->zeroes_alone ? 8 : 12; /* ONCS: write zeroes, dataset management */
	page[525] = 1; /* a volatile write cache: the page cache */
	page[536] = d->prps_alone ? 0 : 1; /* SGLS: any alignment */
}

/* 5.15.2.1 */
static void identify_namespace(const struct device *d, uint32_t nsid, uint8_t *page)
{
	uint64_t blocks = d->namespaces[nsid - 1].bytes / d->block_bytes;

	put64(page, blocks);
	put64(page + 8, blocks);
	put64(page + 16, blocks);
	page[33] = 1 | 8; /* DLFEAT: as zeroes, and by write zeroes too */
	page[128 + 2] = (uint8_t)__builtin_ctz(d->block_bytes);
}

/* 5.15.2.3: their numbers in order, those that are larger than @nsid. */
static void identify_active(const struct device *d, uint32_t nsid, uint8_t *page)
{
	uint32_t *list = (uint32_t *)page;

	for (uint32_t i = nsid; i < d->nr_namespaces && i - nsid < PAGE / sizeof(*list); i++)
		list[i - nsid] = i + 1;
}

/* 5.15.2.4: of 1.3 on there is one at least; an EUI-64, of nobody's. */
static void identify_names(uint32_t nsid, uint8_t *page)
{
	page[0] = 1;
	page[1] = 8;
	put32(page + 4 + 4, nsid);
}

static uint16_t identify(struct device *d, const struct nvme_sqe *sqe)
{
	uint8_t *page = device_dma(d, sqe->prp1, PAGE);

	if (!page)
		return STATUS_TRANSFER_ERROR;
	memset(page, 0, PAGE);
	switch (sqe->cdw10 & 0xff) {
	case NVME_IDENTIFY_CONTROLLER:
		identify_controller(d, page);
		return STATUS_OK;
	case NVME_IDENTIFY_NAMESPACE:
		if (!sqe->nsid || sqe->nsid > d->nr_namespaces)
			return STATUS_INVALID_NAMESPACE;
		identify_namespace(d, sqe->nsid, page);
		return STATUS_OK;
	case NVME_IDENTIFY_ACTIVE:
		identify_active(d, sqe->nsid, page);
		return STATUS_OK;
	case IDENTIFY_NAMES:
		if (!sqe->nsid || sqe->nsid > d->nr_namespaces)
			return STATUS_INVALID_NAMESPACE;
		identify_names(sqe->nsid, page);
		return STATUS_OK;
	default:
		return STATUS_INVALID_FIELD;
	}
}

/* 5.14.1.2: a drive that was used a little, and is as warm as it is told to be. */
static uint16_t get_log(struct device *d, const struct nvme_sqe *sqe)
{
	const struct sim_controls *c = &sim()->controls;
	uint8_t *page = device_dma(d, sqe->prp1, 512);

	if (!page)
		return STATUS_TRANSFER_ERROR;
	memset(page, 0, 512);
	if ((sqe->cdw10 & 0xff) != 2)
		return STATUS_OK;
	page[0] = (uint8_t)c->nvme_warnings;
	page[1] = 310 & 0xff;
	page[2] = 310 >> 8;
	page[3] = 100;
	page[4] = 10;
	page[5] = 3;
	put64(page + 32, 1000);
	put64(page + 48, 2000);
	put64(page + 112, 7);
	put64(page + 128, 100);
	put64(page + 160, c->nvme_media_errors);
	return STATUS_OK;
}

/* 5.3, 5.4: what both kinds of queue have in common. */
static uint16_t check_new_queue(const struct nvme_sqe *sqe, bool taken)
{
	uint32_t qid = sqe->cdw10 & 0xffff, depth = (sqe->cdw10 >> 16) + 1;

	if (!qid || qid >= DEVICE_QUEUES || taken)
		return STATUS_INVALID_QID;
	if (depth < 2 || depth > DEVICE_MAX_DEPTH)
		return STATUS_INVALID_DEPTH;
	if (!(sqe->cdw11 & NVME_QUEUE_CONTIGUOUS) || sqe->prp1 % PAGE || !sqe->prp1)
		return STATUS_INVALID_FIELD;
	return STATUS_OK;
}

static uint16_t create_cq(struct device *d, const struct nvme_sqe *sqe)
{
	uint32_t qid = sqe->cdw10 & 0xffff;
	uint16_t status = check_new_queue(sqe, qid < DEVICE_QUEUES && d->cqs[qid].bus);

	if (status == STATUS_OK) {
		d->cqs[qid] = (struct device_cq){ sqe->prp1, (sqe->cdw10 >> 16) + 1, 0, true };
		*device_cq_doorbell(d, qid) = 0;
	}
	return status;
}

static uint16_t create_sq(struct device *d, const struct nvme_sqe *sqe)
{
	uint32_t qid = sqe->cdw10 & 0xffff, cqid = sqe->cdw11 >> 16;
	uint16_t status = check_new_queue(sqe, qid < DEVICE_QUEUES && d->sqs[qid].bus);

	if (status != STATUS_OK)
		return status;
	if (!cqid || cqid >= DEVICE_QUEUES || !d->cqs[cqid].bus)
		return STATUS_NO_CQ;
	d->sqs[qid] = (struct device_sq){ sqe->prp1, (sqe->cdw10 >> 16) + 1, 0, (uint16_t)cqid };
	*device_sq_doorbell(d, qid) = 0;
	return STATUS_OK;
}

static uint16_t delete_sq(struct device *d, uint32_t qid)
{
	if (!qid || qid >= DEVICE_QUEUES || !d->sqs[qid].bus)
		return STATUS_INVALID_QID;
	d->sqs[qid] = (struct device_sq){ 0 };
	device_forget(d, (uint16_t)qid);
	return STATUS_OK;
}

static uint16_t delete_cq(struct device *d, uint32_t qid)
{
	if (!qid || qid >= DEVICE_QUEUES || !d->cqs[qid].bus)
		return STATUS_INVALID_QID;
	for (uint32_t i = 1; i < DEVICE_QUEUES; i++) {
		if (d->sqs[i].bus && d->sqs[i].cqid == qid)
			return STATUS_INVALID_DELETION;
	}
	d->cqs[qid] = (struct device_cq){ 0 };
	return STATUS_OK;
}

static uint16_t features(const struct nvme_sqe *sqe, uint32_t *result)
{
	if ((sqe->cdw10 & 0xff) == NVME_FEATURE_NUMBER_OF_QUEUES)
		*result = (DEVICE_QUEUES - 2) | (DEVICE_QUEUES - 2) << 16;
	return STATUS_OK;
}

uint16_t device_admin(struct device *d, const struct nvme_sqe *sqe, uint32_t *result)
{
	switch (sqe->opcode) {
	case NVME_ADMIN_IDENTIFY:
		return identify(d, sqe);
	case NVME_ADMIN_CREATE_CQ:
		return create_cq(d, sqe);
	case NVME_ADMIN_CREATE_SQ:
		return create_sq(d, sqe);
	case NVME_ADMIN_DELETE_SQ:
		return delete_sq(d, sqe->cdw10 & 0xffff);
	case NVME_ADMIN_DELETE_CQ:
		return delete_cq(d, sqe->cdw10 & 0xffff);
	case NVME_ADMIN_SET_FEATURES:
	case ADMIN_GET_FEATURES:
		return features(sqe, result);
	case NVME_ADMIN_ABORT:
		*result = 1; /* not aborted */
		return STATUS_OK;
	case NVME_ADMIN_GET_LOG:
		return get_log(d, sqe);
	case NVME_ADMIN_ASYNC_EVENT:
		return STATUS_NO_ANSWER;
	default:
		return STATUS_INVALID_OPCODE;
	}
}

/* A page of PRPs, as it is walked through. */
struct prp_list {
	const uint64_t *entries;
	uint32_t nr;
};

static bool list_open(struct device *d, uint64_t bus, struct prp_list *list)
{
	uint32_t bytes = PAGE - (uint32_t)(bus % PAGE);

	list->entries = bus % 8 ? NULL : device_dma(d, bus, bytes);
	list->nr = bytes / 8;
	return list->entries;
}

/*
 * 4.3: the first entry may begin within a page; the second is a page, or where a list begins, whose
 * last entry is, if there is more than fits, where it goes on.
 *
 * Return: the number of pieces, 0 if one of them is not well.
 */
static uint32_t prp_pieces(struct device *d, const struct nvme_sqe *sqe, uint32_t bytes,
			   struct iovec *iov)
{
	uint32_t n = PAGE - (uint32_t)(sqe->prp1 % PAGE), nr = 0;
	struct prp_list list = { &sqe->prp2, 1 };
	uint64_t bus = sqe->prp1;

	n = n < bytes ? n : bytes;
	if (sqe->prp1 % 4 || (bytes - n > PAGE && !list_open(d, sqe->prp2, &list)))
		return 0;
	for (;;) {
		iov[nr].iov_base = device_dma(d, bus, n);
		iov[nr].iov_len = n;
		if (!iov[nr++].iov_base)
			return 0;
		bytes -= n;
		if (!bytes)
			return nr;
		n = bytes < PAGE ? bytes : PAGE;
		if (list.nr == 1 && bytes > PAGE && !list_open(d, *list.entries, &list))
			return 0;
		bus = *list.entries++;
		list.nr--;
		if (bus % PAGE)
			return 0;
	}
}

/* What a descriptor names, page by page. Return: the number of pieces, 0 if it is not well. */
static uint32_t block_pieces(struct device *d, uint64_t bus, uint32_t bytes, struct iovec *iov,
			     uint32_t max)
{
	uint32_t nr = 0;

	while (bytes && nr < max) {
		uint32_t n = PAGE - (uint32_t)(bus % PAGE);

		n = n < bytes ? n : bytes;
		iov[nr].iov_base = device_dma(d, bus, n);
		iov[nr].iov_len = n;
		if (!iov[nr++].iov_base)
			return 0;
		bus += n;
		bytes -= n;
	}
	return bytes ? 0 : nr;
}

/* 4.4: a block of data, or a last segment, which is an array of them. */
static uint32_t sgl_pieces(struct device *d, const struct nvme_sqe *sqe, uint32_t bytes,
			   struct iovec *iov)
{
	struct nvme_sgl entry;
	const struct nvme_sgl *list = &entry;
	uint32_t nr_entries = 1, nr = 0;

	memcpy(&entry, &sqe->prp1, sizeof(entry));
	if (entry.type == NVME_SGL_LAST_SEGMENT) {
		nr_entries = entry.len_bytes / (uint32_t)sizeof(entry);
		list = entry.len_bytes % sizeof(entry)
			       ? NULL
			       : device_dma(d, entry.address, entry.len_bytes);
	}
	for (uint32_t i = 0; list && i < nr_entries; i++) {
		uint32_t n = block_pieces(d, list[i].address, list[i].len_bytes, iov + nr,
					  MAX_PIECES - nr);

		if (!n || list[i].type != NVME_SGL_DATA_BLOCK || list[i].len_bytes > bytes)
			return 0;
		nr += n;
		bytes -= list[i].len_bytes;
	}
	return bytes ? 0 : nr;
}

static uint16_t transfer(struct device *d, const struct nvme_sqe *sqe)
{
	const struct device_namespace *ns = &d->namespaces[sqe->nsid - 1];
	uint64_t lba = sqe->cdw10 | (uint64_t)sqe->cdw11 << 32, end = ns->bytes / d->block_bytes;
	uint32_t nr = (sqe->cdw12 & 0xffff) + 1, bytes = nr * d->block_bytes;
	struct iovec iov[MAX_PIECES];
	off_t at = (off_t)(lba * d->block_bytes);
	uint32_t nr_pieces;
	ssize_t n;

	if (lba >= end || nr > end - lba)
		return STATUS_OUT_OF_RANGE;
	if (bytes > PAGE << DEVICE_MDTS)
		return STATUS_INVALID_FIELD;
	if (sqe->flags == NVME_SQE_SGL && !d->prps_alone) {
		SIM_COUNT(nvme_sgls, 1);
		nr_pieces = sgl_pieces(d, sqe, bytes, iov);
	} else if (!sqe->flags) {
		nr_pieces = prp_pieces(d, sqe, bytes, iov);
	} else {
		return STATUS_INVALID_FIELD;
	}
	if (!nr_pieces)
		return STATUS_TRANSFER_ERROR;
	if (sqe->opcode == NVME_WRITE) {
		SIM_COUNT(device_reads, bytes);
		n = pwritev2(ns->fd, iov, (int)nr_pieces, at,
			     sqe->cdw12 & NVME_FUA ? RWF_DSYNC : 0);
	} else {
		SIM_COUNT(device_writes, bytes);
		n = preadv(ns->fd, iov, (int)nr_pieces, at);
	}
	return n == (ssize_t)bytes ? STATUS_OK : STATUS_INTERNAL;
}

static uint16_t deallocate(struct device *d, uint32_t nsid, uint64_t lba, uint32_t nr)
{
	const struct device_namespace *ns = &d->namespaces[nsid - 1];
	uint64_t end = ns->bytes / d->block_bytes, bytes = (uint64_t)nr * d->block_bytes;

	if (lba >= end || nr > end - lba)
		return STATUS_OUT_OF_RANGE;
	SIM_COUNT(nvme_deallocated_bytes, bytes);
	return fallocate(ns->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 (off_t)(lba * d->block_bytes), (off_t)bytes)
		       ? STATUS_INTERNAL
		       : STATUS_OK;
}

/* 6.7; of its ranges those that are in one page. */
static uint16_t manage(struct device *d, const struct nvme_sqe *sqe)
{
	uint32_t nr = (sqe->cdw10 & 0xff) + 1;
	const struct nvme_dsm_range *ranges =
		device_dma(d, sqe->prp1, nr * (uint32_t)sizeof(*ranges));
	uint16_t status = STATUS_OK;

	if (!ranges || sqe->prp1 % 4)
		return STATUS_TRANSFER_ERROR;
	if (!(sqe->cdw11 & NVME_DSM_DEALLOCATE))
		return STATUS_OK;
	for (uint32_t i = 0; i < nr && status == STATUS_OK; i++)
		status = deallocate(d, sqe->nsid, ranges[i].first_block, ranges[i].nr_blocks);
	return status;
}

static uint16_t flush(struct device *d, uint32_t nsid)
{
	for (uint32_t i = 0; i < d->nr_namespaces; i++) {
		if ((nsid == UINT32_MAX || nsid == i + 1) && fdatasync(d->namespaces[i].fd))
			return STATUS_INTERNAL;
	}
	return STATUS_OK;
}

uint16_t device_io(struct device *d, const struct nvme_sqe *sqe)
{
	struct sim_controls *c = &sim()->controls;

	SIM_COUNT(nvme_commands, 1);
	if (sim_fault(&c->nvme_silent))
		return STATUS_NO_ANSWER;
	if (sim_fault(&c->nvme_fail))
		return c->nvme_status ? (uint16_t)c->nvme_status : (uint16_t)STATUS_INTERNAL;
	if (sqe->opcode == NVME_FLUSH)
		return flush(d, sqe->nsid);
	if (!sqe->nsid || sqe->nsid > d->nr_namespaces)
		return STATUS_INVALID_NAMESPACE;
	switch (sqe->opcode) {
	case NVME_READ:
	case NVME_WRITE:
		return transfer(d, sqe);
	case NVME_WRITE_ZEROES:
		return deallocate(d, sqe->nsid, sqe->cdw10 | (uint64_t)sqe->cdw11 << 32,
				  (sqe->cdw12 & 0xffff) + 1);
	case NVME_DATASET_MANAGEMENT:
		return d->zeroes_alone ? STATUS_INVALID_OPCODE : manage(d, sqe);
	default:
		return STATUS_INVALID_OPCODE;
	}
}
