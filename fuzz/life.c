/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whole lives of a disk's queue, on the simulator's machine and the real datapath: a guest that asks,
 * lies, takes grants back, scribbles over its ring and its indirect pages, and connects anew; a device
 * that answers when and what it likes. Whatever it was: no byte changes that no read named, a queue
 * drains, an honest guest has one answer for each request, and all memory and all maps are given back.
 */
#include <errno.h>
#include <stdint.h>
#include <sys/stat.h>
#include <xenevtchn.h>

#include "../sim/state.h"
#include "input.h"
#include "log.h"
#include "queue.h"

#include <xen/io/blkif.h>

#define DATA_PAGES     16u
#define READ_PAGES     2u /* that may only be read */
#define INDIRECT_PAGES 2u
#define RING_PAGES     4u
#define FIRST_INDIRECT (DATA_PAGES + READ_PAGES)
#define NR_PAGES       (FIRST_INDIRECT + INDIRECT_PAGES)

#define POOL_PAGES     (PIPELINE_MIN_PAGES + 8u)
#define DISK_BYTES     (1u << 20)
#define MAX_HELD       QUEUE_MAX_IOS
#define MAX_STEPS      200
#define PATTERN	       0xa5
#define ANSWER	       0xd5 /* what the device reads */

/* What there is for all lives. */
static struct {
	struct reactor reactor;
	struct poller stopper;
	int turns; /* until it stops */
	struct pipeline pl[2]; /* of one reactor, in turns */
	struct dmem dmem;
	struct record pins;
	xengntshr_handle *gntshr;
	xengnttab_handle *gnttab;
	xenevtchn_handle *evtchn;
	uint8_t *pages[NR_PAGES], *ring;
	uint32_t refs[NR_PAGES], ring_refs[RING_PAGES];
	uint64_t mapped; /* pages of everybody's, before a life */
	char dir[64];
} world;

/* A device that holds what it is given until it is told. */
static struct {
	struct bdev bdev;
	struct bdev_channel ch;
	struct bdev_io *held[MAX_HELD];
	uint32_t nr_held, full; /* so often it has no room */
	struct bdev_io *ending;
	int status;
} device;

static struct {
	struct input *in;
	struct queue *q;
	void *mapped_ring;
	const struct abi *abi;
	uint32_t nr_pages, nr_entries, port;
	uint32_t req_prod, rsp_cons;
	uint8_t named[DATA_PAGES]; /* sectors that the device may have written to: a bit each */
	bool asked[QUEUE_MAX_IOS]; /* by id */
	bool honest, ended;
	bool flush_failed;
	struct throttle throttle;
} life;

static bool is_ours(const struct iovec *iov)
{
	const uint8_t *end = (uint8_t *)iov->iov_base + iov->iov_len - 1;

	return dmem_bus(&world.dmem, iov->iov_base) != DMEM_NO_BUS &&
	       dmem_bus(&world.dmem, end) != DMEM_NO_BUS;
}

static int device_submit(struct bdev_channel *ch, struct bdev_io *io)
{
	uint64_t sum = 0;

	(void)ch;
	must(io->offset_bytes <= DISK_BYTES && io->len_bytes <= DISK_BYTES - io->offset_bytes);
	must(!device.bdev.info.read_only || io->op == BDEV_READ || io->op == BDEV_FLUSH);
	if (device.full) {
		device.full--;
		return -EAGAIN;
	}
	for (uint32_t i = 0; i < io->nr_iov; i++) {
		must(io->iov[i].iov_len && io->iov[i].iov_len <= RING_PAGE_BYTES * 256u);
		sum += io->iov[i].iov_len;
		if (dmem_in_window(&world.dmem, io->iov[i].iov_base))
			must(device.bdev.info.dma && is_ours(&io->iov[i]));
		else if (io->op == BDEV_READ)
			memset(io->iov[i].iov_base, ANSWER, io->iov[i].iov_len);
	}
	must(io->op == BDEV_FLUSH || io->op == BDEV_DISCARD || sum == io->len_bytes);
	must(device.nr_held < MAX_HELD);
	device.held[device.nr_held++] = io;
	return 0;
}

static uint32_t device_poll(struct bdev_channel *ch)
{
	struct bdev_io *io = device.ending;

	(void)ch;
	device.ending = NULL;
	if (io)
		io->done(io, device.status);
	return io != NULL;
}

static int device_channel(struct bdev *bdev, uint32_t depth, struct bdev_channel **out)
{
	(void)depth;
	device.ch.bdev = bdev;
	*out = &device.ch;
	return 0;
}

static void device_channel_end(struct bdev_channel *ch)
{
	(void)ch;
	must(!device.nr_held);
}

static const struct bdev_ops device_ops = {
	.scheme = "fuzz",
	.submit = device_submit,
	.poll = device_poll,
	.channel_create = device_channel,
	.channel_destroy = device_channel_end,
};

static uint32_t stopper_poll(struct poller *p)
{
	(void)p;
	world.reactor.stop = !--world.turns;
	return 1;
}

static bool stopper_arm(struct poller *p)
{
	(void)p;
	return false;
}

/* Two of the reactor's: the first that has work leaves its file descriptors to the second. */
static void turn(void)
{
	world.turns = 2;
	world.reactor.stop = false;
	world.reactor.fds_ns = 0;
	reactor_run(&world.reactor);
}

static void device_end(uint32_t i, int status)
{
	if (!device.nr_held)
		return;
	i %= device.nr_held;
	device.ending = device.held[i];
	device.status = status;
	device.held[i] = device.held[--device.nr_held];
	turn();
	must(!device.ending);
}

/* What a guest writes anywhere could be a segment, and then its page is the device's to write to. */
static void name_sectors(uint32_t ref, uint8_t first, uint8_t last)
{
	for (uint32_t i = 0; i < DATA_PAGES; i++) {
		for (uint32_t s = first; ref == world.refs[i] && s <= last && s < 8; s++)
			life.named[i] |= (uint8_t)(1u << s);
	}
}

static uint32_t any_ref(void)
{
	uint8_t v = input_u8(life.in) % 32;

	switch (v) {
	case NR_PAGES:
		/* Who has data put there that goes to the ring breaks it. */
		life.honest = false;
		return world.ring_refs[0];
	case NR_PAGES + 1:
		return UINT32_MAX;
	case NR_PAGES + 2:
		return world.ring_refs[0] + 100000;
	default:
		return world.refs[v < NR_PAGES ? v : v % DATA_PAGES];
	}
}

static struct blkif_request_segment any_segment(void)
{
	struct blkif_request_segment s = { .gref = any_ref() };
	uint8_t v = input_u8(life.in);

	s.first_sect = v < 0xe0 ? v & 7 : input_u8(life.in);
	s.last_sect = v < 0xe0 ? s.first_sect + (v >> 3) % (8u - s.first_sect) : input_u8(life.in);
	name_sectors(s.gref, s.first_sect, s.last_sect);
	return s;
}

static uint8_t *slot_of(uint32_t idx)
{
	return world.ring + sizeof(struct blkif_sring) - sizeof(union blkif_sring_entry) +
	       (idx % life.nr_entries) * life.abi->entry_bytes;
}

static uint16_t fill_indirect(uint16_t nr)
{
	struct blkif_request_segment *segs = (void *)world.pages[FIRST_INDIRECT];

	for (uint16_t i = 0; i < nr && i < 512; i++)
		segs[i] = i < 12 ? any_segment() : segs[i % 12];
	/* Those that are copied were named by what they are copies of. */
	return nr;
}

/* Onto the ring; with the id of a slot that is free, if there is one. */
static void ask(void)
{
	static const uint8_t ops[] = { BLKIF_OP_READ,
				       BLKIF_OP_READ,
				       BLKIF_OP_WRITE,
				       BLKIF_OP_WRITE,
				       BLKIF_OP_FLUSH_DISKCACHE,
				       BLKIF_OP_WRITE_BARRIER,
				       BLKIF_OP_DISCARD,
				       BLKIF_OP_INDIRECT };
	uint8_t *slot = slot_of(life.req_prod), op = input_u8(life.in);
	uint16_t sector = input_u16(life.in), nr = input_u8(life.in) % 13;
	uint64_t id = life.req_prod % life.nr_entries,
		 at = sector & 0x8000 ? UINT64_MAX - sector : sector & 0xfff;

	if (life.req_prod - life.rsp_cons >= life.nr_entries)
		return;
	if (life.honest) {
		for (id = 0; id < QUEUE_MAX_IOS && life.asked[id]; id++)
			;
		must(id < QUEUE_MAX_IOS);
		life.asked[id] = true;
	}
	op = op < 0xf0 ? ops[op % 8] : op;
	memset(slot, 0, life.abi->entry_bytes);
	slot[0] = op;
	slot[1] = (uint8_t)nr;
	memcpy(slot + life.abi->id, &id, sizeof(id));
	memcpy(slot + life.abi->sector_number, &at, sizeof(at));
	if (op == BLKIF_OP_INDIRECT) {
		nr = fill_indirect(nr * 24);
		slot[1] = ops[sector % 8];
		memcpy(slot + 2, &nr, sizeof(nr));
		for (int i = 0; i < BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST; i++) {
			uint32_t ref = i < 1 ? world.refs[FIRST_INDIRECT] : any_ref();

			memcpy(slot + life.abi->indirect_grefs + i * sizeof(ref), &ref,
			       sizeof(ref));
		}
	} else if (op == BLKIF_OP_DISCARD) {
		uint64_t sectors = input_u16(life.in);

		memcpy(slot + life.abi->segments, &sectors, sizeof(sectors));
	} else {
		for (int i = 0; i < nr && i < 11; i++) {
			struct blkif_request_segment s = any_segment();

			memcpy(slot + life.abi->segments + i * sizeof(s), &s, sizeof(s));
		}
	}
	life.req_prod++;
}

static struct blkif_sring *sring(void)
{
	return (void *)world.ring;
}

static void push(void)
{
	__atomic_store_n(&sring()->req_prod, life.req_prod, __ATOMIC_RELEASE);
	xenevtchn_notify(world.evtchn, life.port);
}

/* An honest guest believes its backend, and checks what it believes. */
static void read_answers(void)
{
	uint32_t prod = __atomic_load_n(&sring()->rsp_prod, __ATOMIC_ACQUIRE);

	if (!life.honest)
		return;
	must(prod - life.rsp_cons <= life.req_prod - life.rsp_cons);
	for (; life.rsp_cons != prod; life.rsp_cons++) {
		const uint8_t *slot = slot_of(life.rsp_cons);
		uint64_t id;
		int16_t status;

		memcpy(&id, slot, sizeof(id));
		memcpy(&status, slot + offsetof(struct abi_response, status), sizeof(status));
		must(id < QUEUE_MAX_IOS && life.asked[id]);
		/* The last of them of a flush: see queue.c. */
		must((status <= BLKIF_RSP_OKAY && status >= BLKIF_RSP_EOPNOTSUPP) || status == -5);
		life.asked[id] = false;
	}
	sring()->rsp_event = life.rsp_cons + 1 + input_u8(life.in) % 4;
}

/* Over entries: what stands there then may name any page, whole. */
static void scribble(void)
{
	size_t at = input_u16(life.in) % (life.nr_pages * RING_PAGE_BYTES),
	       n = input_u8(life.in) % 64;

	life.honest = false;
	if (n > life.nr_pages * RING_PAGE_BYTES - at)
		n = life.nr_pages * RING_PAGE_BYTES - at;
	input_bytes(life.in, world.ring + at, n);
	memset(life.named, 0xff, sizeof(life.named));
}

static void scribble_indirect(void)
{
	struct blkif_request_segment *segs = (void *)world.pages[FIRST_INDIRECT];

	segs[input_u16(life.in) % 512] = any_segment();
}

/* Once: see queue.h. */
static void stop(void)
{
	if (!life.ended)
		queue_stop(life.q);
	life.ended = true;
}

static void on_broken(void *arg)
{
	(void)arg;
	must(!life.honest);
	stop();
}

static void on_drained(void *arg)
{
	(void)arg;
	queue_destroy(life.q);
	life.q = NULL;
}

static void set_limits(void)
{
	struct throttle_limits limits = { .burst_ms = 1 };
	uint8_t v = input_u8(life.in);

	limits.iops[THROTTLE_READS] = v & 1 ? 1 + (v >> 4) : 0;
	limits.bps[THROTTLE_WRITES] = v & 2 ? 4096 : 0;
	throttle_set(&life.throttle, &limits, clock_ns());
}

static void connect(void)
{
	uint8_t how = input_u8(life.in), what = input_u8(life.in);
	struct queue_args args = {
		.pipeline = &world.pl[0],
		.control = &world.reactor,
		.events = { .broken = on_broken, .drained = on_drained },
		.limits = { .size_bytes = DISK_BYTES,
			    .read_only = what & 1,
			    .flush = what & 2,
			    .discard = what & 4,
			    .max_indirect_segments = what & 8 ? 256 : 0 },
		.bdev = &device.bdev,
		.direct_from_bytes = how & 0x10	  ? 0
				     : how & 0x20 ? 8192
						  : UINT32_MAX,
		.persistent = (how & 0xc0) == 0xc0,
		.state_dir = world.dir,
		.name = "queue",
		.disk = "fuzz",
		.flush_failed = &life.flush_failed,
		.throttle = &life.throttle,
	};
	xenevtchn_port_or_error_t port = xenevtchn_bind_unbound_port(world.evtchn, 0);

	life.abi = how & 1 ? &abi_x86_32 : &abi_x86_64;
	life.nr_pages = 1u << (how >> 1) % 3;
	life.nr_entries = ring_entries(life.abi, life.nr_pages);
	life.honest = true;
	life.ended = false;
	life.req_prod = life.rsp_cons = input_u8(life.in) & 1 ? 0xfffffff0u : 0;
	memset(life.asked, 0, sizeof(life.asked));
	memset(world.ring, 0, life.nr_pages * RING_PAGE_BYTES);
	sring()->req_prod = sring()->rsp_prod = life.req_prod;
	sring()->req_event = sring()->rsp_event = life.req_prod + 1;
	device.bdev.info.dma = how & 0x30;
	device.bdev.info.read_only = what & 1;
	must(port >= 0 &&
	     !grant_map(world.gnttab, 0, world.ring_refs, life.nr_pages, &life.mapped_ring));
	life.port = (uint32_t)port;
	args.remote_port = life.port;
	must(!ring_attach(&args.ring, life.abi, life.mapped_ring, life.nr_pages));
	must(!queue_create(&args, &life.q) && !queue_bind(life.q));
	queue_start(life.q);
}

static void check_untouched(void)
{
	for (uint32_t page = 0; page < FIRST_INDIRECT; page++) {
		for (uint32_t s = 0; s < 8; s++) {
			const uint8_t *at = world.pages[page] + s * 512;

			if (page < DATA_PAGES && life.named[page] & 1u << s)
				continue;
			for (int i = 0; i < 512; i++)
				must(at[i] == PATTERN);
		}
	}
}

/* In order, whatever was before. */
static void disconnect(void)
{
	bool answers = life.honest;

	stop();
	for (int i = 0; life.q && i < 4 * (int)QUEUE_MAX_IOS; i++) {
		device.full = 0;
		if (device.nr_held)
			device_end(0, 0);
		else
			turn();
		if (life.honest)
			read_answers();
	}
	must(!life.q);
	/* It may have pushed more than had been taken. */
	must(!answers || sring()->rsp_prod - life.rsp_cons == 0);
	grant_unmap(world.gnttab, life.mapped_ring, life.nr_pages);
	must(!xenevtchn_unbind(world.evtchn, life.port));
	for (int i = 0; i < 2; i++) {
		struct pipeline *pl = &world.pl[i];

		must(pl->pool.nr_free == POOL_PAGES && !pl->promised && !pl->shares);
		must(!pl->nr_queues && list_empty(&pl->active) && !pl->hungry);
	}
	must(sim()->counters.mapped_pages == world.mapped);
	check_untouched();
}

static void move(void)
{
	if (!queue_moves(life.q))
		queue_move(life.q, &world.pl[life.q->pipeline == &world.pl[0]]);
}

static void step(uint8_t what)
{
	uint8_t v;

	if (!life.q || life.ended)
		what = 15;
	switch (what % 16) {
	case 0 ... 3:
		ask();
		break;
	case 4:
	case 5:
		push();
		turn();
		break;
	case 6:
		turn();
		break;
	case 7:
	case 8:
		v = input_u8(life.in);
		device_end(v & 0x7f, v & 0x80 ? -EIO : 0);
		break;
	case 9:
		device.full = input_u8(life.in) % 4;
		break;
	case 10:
		/* An index of its liking. */
		life.honest = false;
		sring()->req_prod = life.req_prod + (uint32_t)(int8_t)input_u8(life.in);
		xenevtchn_notify(world.evtchn, life.port);
		turn();
		break;
	case 11:
		if (what & 0x80)
			scribble();
		else
			scribble_indirect();
		break;
	case 12:
		queue_pause(life.q, what & 0x80);
		break;
	case 13:
		if (device.bdev.info.dma)
			queue_set_transfer(life.q, what & 0x80 ? UINT32_MAX : 0);
		set_limits();
		break;
	case 14:
		if (what & 0x40)
			move();
		else
			queue_resize(life.q, what & 0x80 ? DISK_BYTES : DISK_BYTES / 2);
		break;
	case 15:
		disconnect();
		connect();
		break;
	}
	if (life.q)
		read_answers();
}

static void share(uint32_t first, uint32_t nr, bool writable)
{
	uint8_t *at = xengntshr_share_pages(world.gntshr, 0, nr, world.refs + first, writable);

	must(at);
	for (uint32_t i = 0; i < nr; i++)
		world.pages[first + i] = at + i * RING_PAGE_BYTES;
}

static void make_memory(void)
{
	struct dmem_args args = { .nr_pages = 2 * POOL_PAGES, .state_dir = world.dir };
	struct error e;

	must(!record_create(&world.pins, world.dir, "pins", RECORD_PINS, 2 * POOL_PAGES,
			    dmem_pins_bytes(2 * POOL_PAGES)));
	dmem_pins_init(world.pins.mem, 2 * POOL_PAGES);
	args.pins = world.pins.mem;
	must(!dmem_create(&world.dmem, &args) && dmem_has_window(&world.dmem));
	for (uint32_t i = 0; i < 2; i++)
		must(!pipeline_create(&world.pl[i],
				      &(struct pipeline_args){ .reactor = &world.reactor,
							       .number = i,
							       .state_dir = world.dir,
							       .dmem = &world.dmem,
							       .buffer_pages = POOL_PAGES },
				      &e));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *machine = getenv("XENSIM_DIR");

	must(machine &&
	     snprintf(world.dir, sizeof(world.dir), "%s/run", machine) < (int)sizeof(world.dir));
	must(!mkdir(world.dir, 0700) || errno == EEXIST);
	log_set_level(0);
	must(!reactor_init(&world.reactor, 0));
	world.reactor.thread = pthread_self();
	world.stopper = (struct poller){ .poll = stopper_poll, .arm = stopper_arm };
	make_memory();
	reactor_add_poller(&world.reactor, &world.stopper);
	device.bdev.ops = &device_ops;
	device.bdev.info = (struct bdev_info){ .size_bytes = DISK_BYTES,
					       .logical_block_bytes = 512,
					       .physical_block_bytes = 4096,
					       .flush = true,
					       .discard_bytes = 512 };
	world.gntshr = xengntshr_open(NULL, 0);
	world.gnttab = xengnttab_open(NULL, 0);
	world.evtchn = xenevtchn_open(NULL, 0);
	must(world.gntshr && world.gnttab && world.evtchn);
	share(0, DATA_PAGES, true);
	share(DATA_PAGES, READ_PAGES, false);
	share(FIRST_INDIRECT, INDIRECT_PAGES, true);
	world.ring = xengntshr_share_pages(world.gntshr, 0, RING_PAGES, world.ring_refs, 1);
	must(world.ring);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };

	memset(&life, 0, sizeof(life));
	life.in = &in;
	for (uint32_t i = 0; i < FIRST_INDIRECT; i++)
		memset(world.pages[i], PATTERN, RING_PAGE_BYTES);
	device.full = 0;
	world.mapped = sim()->counters.mapped_pages;
	connect();
	for (int i = 0; i < MAX_STEPS && in.left; i++)
		step(input_u8(&in));
	disconnect();
	return 0;
}
