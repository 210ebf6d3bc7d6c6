/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nvme - what the NVM Express specification lays down: registers, entries, opcodes.
 *
 * Sections are those of the NVM Express Base Specification 1.4. Everything is little-endian, as is
 * every machine that Xen runs PV domains on.
 */
#ifndef XENBLKD_NVME_H
#define XENBLKD_NVME_H

#include <stdint.h>

/* The memory page size that we choose (CC.MPS), which PRP entries count in. */
#define NVME_PAGE_BYTES 4096u

/* Controller registers, 3.1. */
enum nvme_register {
	NVME_CAP = 0x00,
	NVME_CAP_HIGH = 0x04,
	NVME_VS = 0x08,
	NVME_INTMS = 0x0c,
	NVME_CC = 0x14,
	NVME_CSTS = 0x1c,
	NVME_AQA = 0x24,
	NVME_ASQ = 0x28,
	NVME_ACQ = 0x30,
	NVME_DOORBELLS = 0x1000,
};

/* 3.1.1, the low and the high half. */
#define NVME_CAP_MQES(low)    ((low)&0xffffu)
#define NVME_CAP_TO(low)      ((low) >> 24) /* in 500 ms */
#define NVME_CAP_DSTRD(high)  ((high)&0xfu)
#define NVME_CAP_CSS_NVM      (1u << 5) /* of the high half */
#define NVME_CAP_MPSMIN(high) (((high) >> 16) & 0xfu)

/* 3.1.5 */
#define NVME_CC_EN	   (1u << 0)
#define NVME_CC_SHN_MASK   (3u << 14)
#define NVME_CC_SHN_NORMAL (1u << 14)
#define NVME_CC_IOSQES	   (6u << 16) /* 2^6 bytes a submission entry */
#define NVME_CC_IOCQES	   (4u << 20) /* 2^4 a completion entry */

/* 3.1.6 */
#define NVME_CSTS_RDY	    (1u << 0)
#define NVME_CSTS_CFS	    (1u << 1)
#define NVME_CSTS_SHST_MASK (3u << 2)
#define NVME_CSTS_SHST_DONE (2u << 2)

/* What a register of a device reads as that is not there any more. */
#define NVME_ABSENT UINT32_MAX

/* Submission queue entry, 4.2. */
struct nvme_sqe {
	uint8_t opcode;
	uint8_t flags; /* no fused operation; PRPs, or NVME_SQE_SGL */
	uint16_t cid;
	uint32_t nsid;
	uint32_t cdw2, cdw3;
	uint64_t mptr;
	uint64_t prp1, prp2;
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};

_Static_assert(sizeof(struct nvme_sqe) == 64, "4.2");

/* A descriptor of a scatter gather list, 4.4. */
struct nvme_sgl {
	uint64_t address;
	uint32_t len_bytes;
	uint8_t reserved[3];
	uint8_t type;
};

_Static_assert(sizeof(struct nvme_sgl) == 16, "4.4");

#define NVME_SGL_DATA_BLOCK   0x00u
#define NVME_SGL_LAST_SEGMENT 0x30u

#define NVME_SQE_SGL	      (1u << 6)

/* Completion queue entry, 4.6. */
struct nvme_cqe {
	uint32_t result;
	uint32_t reserved;
	uint16_t sq_head;
	uint16_t sq_id;
	uint16_t cid;
	uint16_t status; /* bit 0 is the phase */
};

_Static_assert(sizeof(struct nvme_cqe) == 16, "4.6");

#define NVME_CQE_PHASE 1u

/* The status without the phase, 4.6.1. */
#define NVME_STATUS_CODE(status) ((status)&0x7ffu) /* type in bits 10:8, code in 7:0 */
#define NVME_STATUS_DNR		 (1u << 14) /* do not retry */

/* 5 and 6 (figures of opcodes) */
enum nvme_admin_opcode {
	NVME_ADMIN_DELETE_SQ = 0x00,
	NVME_ADMIN_CREATE_SQ = 0x01,
	NVME_ADMIN_GET_LOG = 0x02,
	NVME_ADMIN_DELETE_CQ = 0x04,
	NVME_ADMIN_CREATE_CQ = 0x05,
	NVME_ADMIN_IDENTIFY = 0x06,
	NVME_ADMIN_ABORT = 0x08,
	NVME_ADMIN_SET_FEATURES = 0x09,
	NVME_ADMIN_ASYNC_EVENT = 0x0c,
};

enum nvme_opcode {
	NVME_FLUSH = 0x00,
	NVME_WRITE = 0x01,
	NVME_READ = 0x02,
	NVME_WRITE_ZEROES = 0x08,
	NVME_DATASET_MANAGEMENT = 0x09,
};

/* Of CDW12 beside the number of blocks, 6.15 and 6.17. */
#define NVME_FUA	(1u << 30)
#define NVME_DEALLOCATE (1u << 25)

/* Dataset management, 6.7: CDW11, and an entry of its list. */
#define NVME_DSM_DEALLOCATE (1u << 2)

struct nvme_dsm_range {
	uint32_t attributes;
	uint32_t nr_blocks;
	uint64_t first_block;
};

_Static_assert(sizeof(struct nvme_dsm_range) == 16, "6.7");

/* 5.15.1 */
enum nvme_identify {
	NVME_IDENTIFY_NAMESPACE = 0,
	NVME_IDENTIFY_CONTROLLER = 1,
	NVME_IDENTIFY_ACTIVE = 2, /* namespaces that there are, behind one */
	NVME_IDENTIFY_LIMITS = 6, /* of the NVM command set; 2.0, 5.17.2.6 */
};

#define NVME_IDENTIFY_BYTES 4096u

/* 5.21.1.7 */
#define NVME_FEATURE_NUMBER_OF_QUEUES 0x07u

/* 5.21.1.11 */
#define NVME_FEATURE_EVENTS   0x0bu
#define NVME_EVENTS_HEALTH    0xffu
#define NVME_EVENTS_NAMESPACE (1u << 8)

/* 5.3, 5.4 */
#define NVME_QUEUE_CONTIGUOUS (1u << 0)

/* What ids of namespaces can be, 6.1. */
#define NVME_NSID_MAX 0xfffffffeu

#endif
