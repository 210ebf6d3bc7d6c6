/* SPDX-License-Identifier: BSD-2-Clause */
/* The NVMe controller, as a driver that does wrong sees it. */
#include <fcntl.h>
#include <sys/mman.h>
#include <xencall.h>
#include <xengnttab.h>
#include <xen/grant_table.h>

#include "machine.h"
#include "nvme_device.h"
#include "tap.h"

#define BDF	 "0000:00:06.0"
#define DEPTH	 16u
#define NR_PAGES 8

/* Our pages: four queues, and data. */
enum {
	ADMIN_SQ,
	ADMIN_CQ,
	IO_SQ,
	IO_CQ,
	LIST,
	DATA
};

static volatile uint32_t *bar;
static uint8_t *config, *pages;
static uint64_t bus[NR_PAGES];
static uint32_t tails[2], heads[2];
static uint16_t cids;

static volatile uint32_t *reg(size_t offset)
{
	return bar + offset / 4;
}

static void *map_shared(const char *name, size_t bytes)
{
	char path[256];
	void *at;
	int fd;

	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/" BDF "/%s", machine_dir, name);
	fd = openat(AT_FDCWD, path, O_RDWR | O_CLOEXEC);
	at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd < 0 || at == MAP_FAILED)
		abort();
	close(fd);
	return at;
}

static void make_pages(void)
{
	xengntshr_handle *shr = xengntshr_open(NULL, 0);
	xencall_handle *call = xencall_open(NULL, 0);
	uint32_t refs[NR_PAGES];

	pages = xengntshr_share_pages(shr, 0, NR_PAGES, refs, 1);
	if (!pages)
		abort();
	for (int i = 0; i < NR_PAGES; i++) {
		struct gnttab_map_grant_ref op = { .flags = GNTMAP_device_map, .ref = refs[i] };

		if (xencall3(call, __HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref,
			     (uintptr_t)&op, 1) ||
		    op.status)
			abort();
		bus[i] = op.dev_bus_addr;
	}
	xencall_close(call);
	xengntshr_close(shr);
}

static bool becomes(volatile uint32_t *at, uint32_t mask, uint32_t want)
{
	for (int i = 0; i < 5000; i++) {
		if ((*at & mask) == want)
			return true;
		usleep(1000);
	}
	return false;
}

/* On queue 0 or 1. Return: the status; 0xffff if there is no answer. */
static uint16_t command(uint32_t qid, struct nvme_sqe sqe)
{
	struct nvme_sqe *sq = (struct nvme_sqe *)(pages + 4096 * (qid ? IO_SQ : ADMIN_SQ));
	struct nvme_cqe *cq = (struct nvme_cqe *)(pages + 4096 * (qid ? IO_CQ : ADMIN_CQ));
	volatile struct nvme_cqe *cqe = &cq[heads[qid] % DEPTH];
	uint16_t phase = !(heads[qid] / DEPTH & 1);

	sqe.cid = ++cids;
	sq[tails[qid]++ % DEPTH] = sqe;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	*reg(NVME_DOORBELLS + 8 * qid) = tails[qid] % DEPTH;
	for (int i = 0; i < 5000; i++) {
		if ((cqe->status & 1) == phase) {
			*reg(NVME_DOORBELLS + 8 * qid + 4) = ++heads[qid] % DEPTH;
			return cqe->cid == cids ? cqe->status >> 1 : 0xfffe;
		}
		usleep(1000);
	}
	return 0xffff;
}

static bool restart(void)
{
	*reg(NVME_CC) = 0;
	if (!becomes(reg(NVME_CSTS), 3, 0))
		return false;
	memset(pages, 0, 4096 * NR_PAGES);
	memset(tails, 0, sizeof(tails));
	memset(heads, 0, sizeof(heads));
	config[4] = 6;
	*reg(NVME_AQA) = (DEPTH - 1) | (DEPTH - 1) << 16;
	*reg(NVME_ASQ) = (uint32_t)bus[ADMIN_SQ];
	*reg(NVME_ASQ + 4) = (uint32_t)(bus[ADMIN_SQ] >> 32);
	*reg(NVME_ACQ) = (uint32_t)bus[ADMIN_CQ];
	*reg(NVME_ACQ + 4) = (uint32_t)(bus[ADMIN_CQ] >> 32);
	*reg(NVME_CC) = NVME_CC_EN;
	return becomes(reg(NVME_CSTS), 3, NVME_CSTS_RDY);
}

static struct nvme_sqe queue(uint8_t opcode, uint32_t qid, uint32_t depth, uint64_t at,
			     uint32_t cqid)
{
	return (struct nvme_sqe){ .opcode = opcode,
				  .prp1 = at,
				  .cdw10 = qid | (depth - 1) << 16,
				  .cdw11 = NVME_QUEUE_CONTIGUOUS | cqid << 16 };
}

static bool start_io(void)
{
	return restart() && !command(0, queue(NVME_ADMIN_CREATE_CQ, 1, DEPTH, bus[IO_CQ], 0)) &&
	       !command(0, queue(NVME_ADMIN_CREATE_SQ, 1, DEPTH, bus[IO_SQ], 1));
}

static struct nvme_sqe io(uint8_t opcode, uint64_t lba, uint32_t nr, uint64_t prp1, uint64_t prp2)
{
	return (struct nvme_sqe){ .opcode = opcode,
				  .nsid = 1,
				  .prp1 = prp1,
				  .prp2 = prp2,
				  .cdw10 = (uint32_t)lba,
				  .cdw11 = (uint32_t)(lba >> 32),
				  .cdw12 = nr - 1 };
}

static void it_identifies_itself(void)
{
	struct nvme_sqe sqe = { .opcode = NVME_ADMIN_IDENTIFY, .prp1 = bus[DATA], .cdw10 = 1 };

	check(restart());
	check_eq(command(0, sqe), STATUS_OK);
	check(!memcmp(pages + 4096 * DATA + 24, "xensim", 6));
	sqe.cdw10 = 0;
	sqe.nsid = 1;
	check_eq(command(0, sqe), STATUS_OK);
	check_eq(*(uint64_t *)(pages + 4096 * DATA), 2048);
	sqe.nsid = 2;
	check_eq(command(0, sqe), STATUS_INVALID_NAMESPACE);
}

static void queues_that_cannot_be_are_refused(void)
{
	check(restart());
	check_eq(command(0, queue(NVME_ADMIN_CREATE_SQ, 1, DEPTH, bus[IO_SQ], 1)), STATUS_NO_CQ);
	check_eq(command(0, queue(NVME_ADMIN_CREATE_CQ, 0, DEPTH, bus[IO_CQ], 0)),
		 STATUS_INVALID_QID);
	check_eq(command(0, queue(NVME_ADMIN_CREATE_CQ, 99, DEPTH, bus[IO_CQ], 0)),
		 STATUS_INVALID_QID);
	check_eq(command(0, queue(NVME_ADMIN_CREATE_CQ, 1, 4096, bus[IO_CQ], 0)),
		 STATUS_INVALID_DEPTH);
	check_eq(command(0, queue(NVME_ADMIN_CREATE_CQ, 1, DEPTH, bus[IO_CQ] + 8, 0)),
		 STATUS_INVALID_FIELD);
	check(start_io());
	check_eq(command(0, queue(NVME_ADMIN_CREATE_CQ, 1, DEPTH, bus[IO_CQ], 0)),
		 STATUS_INVALID_QID);
	check_eq(command(0, queue(NVME_ADMIN_DELETE_CQ, 1, DEPTH, 0, 0)), STATUS_INVALID_DELETION);
	check_eq(command(0, queue(NVME_ADMIN_DELETE_SQ, 1, DEPTH, 0, 0)), STATUS_OK);
	check_eq(command(0, queue(NVME_ADMIN_DELETE_CQ, 1, DEPTH, 0, 0)), STATUS_OK);
}

static void what_is_written_is_read(void)
{
	uint64_t *list = (uint64_t *)(pages + 4096 * LIST + 4096 - 16);

	check(start_io());
	memset(pages + 4096 * DATA, 'a', 4096);
	memset(pages + 4096 * (DATA + 1), 'b', 4096);
	memset(pages + 4096 * (DATA + 2), 'c', 4096);
	/* Three pages and a bit, by a list of two entries at the end of its page. */
	list[0] = bus[DATA + 1];
	list[1] = bus[DATA + 2];
	check_eq(command(1, io(NVME_WRITE, 8, 17, bus[DATA] + 3584, bus[LIST] + 4096 - 16)),
		 STATUS_OK);
	memset(pages + 4096 * DATA, 0, 3 * 4096);
	check_eq(command(1, io(NVME_READ, 8, 1, bus[DATA], 0)), STATUS_OK);
	check(pages[4096 * DATA] == 'a' && pages[4096 * DATA + 511] == 'a');
	check(!pages[4096 * DATA + 512]);
	check_eq(command(1, io(NVME_READ, 9, 16, bus[DATA], bus[DATA + 1])), STATUS_OK);
	check(pages[4096 * DATA] == 'b' && pages[4096 * DATA + 4095] == 'b');
	check(pages[4096 * (DATA + 1)] == 'c');
	check_eq(command(1, (struct nvme_sqe){ .opcode = NVME_FLUSH, .nsid = 1 }), STATUS_OK);
	check_eq(count("device_strays"), 0);
}

static void nothing_beyond_the_end(void)
{
	check(start_io());
	check_eq(command(1, io(NVME_READ, 2047, 1, bus[DATA], 0)), STATUS_OK);
	check_eq(command(1, io(NVME_READ, 2047, 2, bus[DATA], 0)), STATUS_OUT_OF_RANGE);
	check_eq(command(1, io(NVME_READ, UINT64_MAX, 1, bus[DATA], 0)), STATUS_OUT_OF_RANGE);
	check_eq(command(1, io(NVME_READ, 0, 2000, bus[DATA], 0)), STATUS_INVALID_FIELD);
	check_eq(command(1, io(0x55, 0, 1, bus[DATA], 0)), STATUS_INVALID_OPCODE);
}

static void what_is_not_for_devices_is_not_reached(void)
{
	xengntshr_handle *shr = xengntshr_open(NULL, 0);
	uint32_t ref;
	uint8_t *other = xengntshr_share_pages(shr, 0, 1, &ref, 1);
	uint64_t frame = sim()->domains[0].grants[ref].frame;

	check(other && start_io());
	memset(other, 'x', 4096);
	check_eq(command(1, io(NVME_READ, 0, 8, frame * 4096, 0)), STATUS_TRANSFER_ERROR);
	check_eq(other[0], 'x');
	check_eq(count("device_strays"), 1);
	check_eq(command(1, io(NVME_READ, 0, 8, 1ull << 50, 0)), STATUS_TRANSFER_ERROR);
	check_eq(count("device_strays"), 2);
	xengntshr_unshare(shr, other, 1);
	xengntshr_close(shr);
}

static void a_doorbell_that_cannot_be_is_fatal(void)
{
	check(start_io());
	*reg(NVME_DOORBELLS + 8) = DEPTH;
	check(becomes(reg(NVME_CSTS), NVME_CSTS_CFS, NVME_CSTS_CFS));
	check(start_io());
	check_eq(command(1, io(NVME_READ, 0, 1, bus[DATA], 0)), STATUS_OK);
}

static void without_bus_mastering_nothing_is_reached(void)
{
	check(start_io());
	config[4] = 2;
	tails[1]++;
	*reg(NVME_DOORBELLS + 8) = tails[1] % DEPTH;
	check(becomes(reg(NVME_CSTS), NVME_CSTS_CFS, NVME_CSTS_CFS));
	check_eq(*(volatile uint16_t *)(pages + 4096 * IO_CQ + 14), 0);
}

static void a_drive_that_is_gone_reads_as_ones(void)
{
	check_eq(sim_set("nvme_gone=1"), 0);
	check(becomes(reg(NVME_CSTS), UINT32_MAX, UINT32_MAX));
	check_eq(config[0], 0xff);
	check_eq(sim_set("nvme_gone=0"), 0);
	check(becomes(reg(NVME_CSTS), UINT32_MAX, 0));
	check(start_io());
}

static pid_t start_controller(void)
{
	char path[128];
	pid_t pid;
	int fd;

	snprintf(path, sizeof(path), "%s/disk", machine_dir);
	fd = openat(AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, 1 << 20))
		abort();
	close(fd);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl(XENSIM_BIN "/xensim-nvme", "xensim-nvme", BDF, path, NULL);
		_exit(127);
	}
	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/" BDF "/driver", machine_dir);
	for (int i = 0; i < 1000 && access(path, F_OK); i++)
		usleep(10000);
	return pid;
}

int main(void)
{
	pid_t pid;

	machine_create();
	pid = start_controller();
	bar = map_shared("resource0", DEVICE_BAR_BYTES);
	config = map_shared("config", 256);
	make_pages();
	if (!becomes(reg(NVME_VS), UINT32_MAX, 0x00010400))
		abort();
	tap_run(it_identifies_itself);
	tap_run(queues_that_cannot_be_are_refused);
	tap_run(what_is_written_is_read);
	tap_run(nothing_beyond_the_end);
	tap_run(what_is_not_for_devices_is_not_reached);
	tap_run(a_doorbell_that_cannot_be_is_fatal);
	tap_run(without_bus_mastering_nothing_is_reached);
	tap_run(a_drive_that_is_gone_reads_as_ones);
	machine_end(pid);
	return tap_end();
}
