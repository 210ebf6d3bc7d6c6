/* SPDX-License-Identifier: BSD-2-Clause */
#include "grant.h"

#include <errno.h>
#include <sys/mman.h>
#include <xencall.h>
#include <xengnttab.h>

#include "machine.h"
#include "tap.h"

#define FRONT 1
#define BACK  0

static xengntshr_handle *shr;
static xengnttab_handle *tab;
static xencall_handle *call;

static void open_all(void)
{
	be(FRONT);
	shr = xengntshr_open(NULL, 0);
	be(BACK);
	tab = xengnttab_open(NULL, 0);
	call = xencall_open(NULL, 0);
	if (!shr || !tab || !call)
		abort();
}

static int grant_op(unsigned int op, void *arg, unsigned int nr)
{
	return xencall3(call, __HYPERVISOR_grant_table_op, op, (uintptr_t)arg, nr);
}

static int16_t map_device(uint32_t domid, uint32_t ref, uint32_t flags,
			  struct gnttab_map_grant_ref *op)
{
	*op = (struct gnttab_map_grant_ref){
		.flags = GNTMAP_device_map | flags, .dom = (domid_t)domid, .ref = ref, .status = 77
	};
	return grant_op(GNTTABOP_map_grant_ref, op, 1) ? 99 : op->status;
}

static int16_t unmap_device(uint32_t handle, uint64_t bus)
{
	struct gnttab_unmap_grant_ref op = { .handle = handle, .dev_bus_addr = bus, .status = 77 };

	return grant_op(GNTTABOP_unmap_grant_ref, &op, 1) ? 99 : op.status;
}

static void a_mapped_page_is_the_same_memory(void)
{
	uint32_t refs[3];
	char *front = xengntshr_share_pages(shr, BACK, 3, refs, 1), *back;

	check(front);
	back = xengnttab_map_domain_grant_refs(tab, 3, FRONT, refs, PROT_READ | PROT_WRITE);
	check(back);
	strcpy(front + 4096 + 17, "from the front");
	check(!strcmp(back + 4096 + 17, "from the front"));
	strcpy(back + 8192, "from the back");
	check(!strcmp(front + 8192, "from the back"));
	check_eq(count("mapped_pages"), 3);
	check_eq(xengnttab_unmap(tab, back, 2), -1);
	check_eq(xengnttab_unmap(tab, back, 3), 0);
	check_eq(xengntshr_unshare(shr, front, 3), 0);
	check_eq(count("mapped_pages"), 0);
	check_eq(count("shared_pages"), 0);
}

static void new_pages_are_zero(void)
{
	uint32_t ref;
	char *front = xengntshr_share_pages(shr, BACK, 1, &ref, 1);

	check(front);
	memset(front, 0xff, 4096);
	check_eq(xengntshr_unshare(shr, front, 1), 0);
	front = xengntshr_share_pages(shr, BACK, 1, &ref, 1);
	for (int i = 0; i < 4096; i++)
		check_eq(front[i], 0);
	xengntshr_unshare(shr, front, 1);
}

static void only_the_grantee_maps(void)
{
	struct gnttab_map_grant_ref op;
	uint32_t ref;
	char *front = xengntshr_share_pages(shr, 5, 1, &ref, 1);

	check(front);
	check_eq(map_device(FRONT, ref, 0, &op), GNTST_general_error);
	errno = 0;
	check(!xengnttab_map_grant_ref(tab, FRONT, ref, PROT_READ));
	check_eq(errno, EINVAL);
	xengntshr_unshare(shr, front, 1);
}

static void bad_references_have_their_own_words(void)
{
	struct gnttab_map_grant_ref op;

	check_eq(map_device(FRONT, 4000, 0, &op), GNTST_general_error);
	check_eq(map_device(FRONT, 32768, 0, &op), GNTST_bad_gntref);
	check_eq(map_device(FRONT, UINT32_MAX, 0, &op), GNTST_bad_gntref);
	check_eq(map_device(99, 8, 0, &op), GNTST_bad_domain);
	check_eq(map_device(DOMID_SELF, 8, 0, &op), GNTST_bad_domain);
	check_eq(map_device(FRONT, 8, GNTMAP_host_map, &op), GNTST_general_error);
}

static void read_only_grants_are_read_only(void)
{
	struct gnttab_map_grant_ref op;
	struct gnttab_copy copy = { .flags = GNTCOPY_source_gref | GNTCOPY_dest_gref, .len = 8 };
	uint32_t ref, writable;
	char *front = xengntshr_share_pages(shr, BACK, 1, &ref, 0);
	char *other = xengntshr_share_pages(shr, BACK, 1, &writable, 1);
	char *back;

	check(front && other);
	check(!xengnttab_map_grant_ref(tab, FRONT, ref, PROT_READ | PROT_WRITE));
	back = xengnttab_map_grant_ref(tab, FRONT, ref, PROT_READ);
	check(back);
	check_eq(xengnttab_unmap(tab, back, 1), 0);
	check_eq(map_device(FRONT, ref, 0, &op), GNTST_general_error);
	check_eq(map_device(FRONT, ref, GNTMAP_readonly, &op), GNTST_okay);
	check_eq(unmap_device(op.handle, op.dev_bus_addr), GNTST_okay);
	copy.source.domid = copy.dest.domid = FRONT;
	copy.source.u.ref = writable;
	copy.dest.u.ref = ref;
	check_eq(grant_op(GNTTABOP_copy, &copy, 1), 0);
	check_eq(copy.status, GNTST_general_error);
	copy.source.u.ref = ref;
	copy.dest.u.ref = writable;
	check_eq(grant_op(GNTTABOP_copy, &copy, 1), 0);
	check_eq(copy.status, GNTST_okay);
	xengntshr_unshare(shr, front, 1);
	xengntshr_unshare(shr, other, 1);
}

static void one_bad_page_fails_a_map_of_many(void)
{
	uint32_t refs[3];
	char *front = xengntshr_share_pages(shr, BACK, 2, refs, 1);

	check(front);
	refs[2] = 5000;
	check(!xengnttab_map_domain_grant_refs(tab, 3, FRONT, refs, PROT_READ | PROT_WRITE));
	check_eq(count("mapped_pages"), 0);
	xengntshr_unshare(shr, front, 2);
}

static void a_bus_address_is_an_offset_in_memory(void)
{
	struct gnttab_map_grant_ref op;
	uint32_t ref;
	char *front = xengntshr_share_pages(shr, BACK, 1, &ref, 1);
	char text[16] = "";

	check(front);
	check_eq(map_device(FRONT, ref, 0, &op), GNTST_okay);
	check_eq(op.dev_bus_addr % 4096, 0);
	check(op.dev_bus_addr != 0);
	strcpy(front + 100, "for the device");
	check_eq(pread(sim_memory_fd(), text, 15, (off_t)op.dev_bus_addr + 100), 15);
	check(!strcmp(text, "for the device"));
	check_eq(unmap_device(op.handle, op.dev_bus_addr), GNTST_okay);
	xengntshr_unshare(shr, front, 1);
}

static void an_unmap_wants_handle_and_address(void)
{
	struct gnttab_map_grant_ref op;
	uint32_t ref;
	char *front = xengntshr_share_pages(shr, BACK, 1, &ref, 1);

	check(front);
	check_eq(map_device(FRONT, ref, 0, &op), GNTST_okay);
	check_eq(unmap_device(op.handle + 1, op.dev_bus_addr), GNTST_bad_handle);
	check_eq(unmap_device(op.handle, op.dev_bus_addr + 4096), GNTST_general_error);
	check_eq(unmap_device(op.handle, 0), GNTST_okay);
	check_eq(count("mapped_pages"), 1);
	check_eq(unmap_device(op.handle, op.dev_bus_addr), GNTST_okay);
	check_eq(unmap_device(op.handle, op.dev_bus_addr), GNTST_bad_handle);
	check_eq(count("mapped_pages"), 0);
	xengntshr_unshare(shr, front, 1);
}

static void a_page_in_use_outlives_its_grant(void)
{
	uint32_t ref, other;
	char *front = xengntshr_share_pages(shr, BACK, 1, &ref, 1), *back;

	check(front);
	back = xengnttab_map_grant_ref(tab, FRONT, ref, PROT_READ | PROT_WRITE);
	check(back);
	check_eq(xengntshr_unshare(shr, front, 1), 0);
	check_eq(count("shared_pages"), 1);
	strcpy(back, "still here");
	front = xengntshr_share_pages(shr, BACK, 1, &other, 1);
	check(front && other != ref);
	check(!strcmp(back, "still here"));
	check_eq(xengnttab_unmap(tab, back, 1), 0);
	check_eq(count("shared_pages"), 1);
	xengntshr_unshare(shr, front, 1);
	check_eq(count("shared_pages"), 0);
}

static void copies_go_both_ways(void)
{
	struct gnttab_map_grant_ref pin;
	uint32_t ref, own;
	char *front = xengntshr_share_pages(shr, BACK, 1, &ref, 1);
	xengntshr_handle *mine = xengntshr_open(NULL, 0);
	char *back = xengntshr_share_pages(mine, BACK, 1, &own, 1);
	struct gnttab_copy ops[2] = { { .flags = GNTCOPY_source_gref, .len = 512 },
				      { .flags = GNTCOPY_dest_gref, .len = 512 } };

	check(front && back);
	check_eq(map_device(BACK, own, 0, &pin), GNTST_okay);
	memset(front, 'a', 512);
	ops[0].source = (struct gnttab_copy_ptr){ { .ref = ref }, FRONT, 0 };
	ops[0].dest =
		(struct gnttab_copy_ptr){ { .gmfn = pin.dev_bus_addr >> 12 }, DOMID_SELF, 1024 };
	ops[1].source = ops[0].dest;
	ops[1].dest = (struct gnttab_copy_ptr){ { .ref = ref }, FRONT, 2048 };
	check_eq(grant_op(GNTTABOP_copy, ops, 2), 0);
	check_eq(ops[0].status, GNTST_okay);
	check_eq(ops[1].status, GNTST_okay);
	check(back[1024] == 'a' && back[1535] == 'a' && !back[1023] && !back[1536]);
	check(front[2048] == 'a' && front[2559] == 'a' && !front[2047] && !front[2560]);
	ops[0].dest.offset = 3585;
	check_eq(grant_op(GNTTABOP_copy, ops, 1), 0);
	check_eq(ops[0].status, GNTST_bad_copy_arg);
	check_eq(unmap_device(pin.handle, pin.dev_bus_addr), GNTST_okay);
	xengntshr_unshare(mine, back, 1);
	xengntshr_close(mine);
	xengntshr_unshare(shr, front, 1);
}

static void no_copy_by_frame_from_others(void)
{
	struct gnttab_map_grant_ref theirs;
	struct gnttab_copy op = { .flags = GNTCOPY_dest_gref, .len = 8 };
	uint32_t refs[2];
	char *front = xengntshr_share_pages(shr, BACK, 2, refs, 1);

	check(front);
	check_eq(map_device(FRONT, refs[0], 0, &theirs), GNTST_okay);
	op.source.u.gmfn = theirs.dev_bus_addr >> 12;
	op.source.domid = DOMID_SELF;
	op.dest.u.ref = refs[1];
	op.dest.domid = FRONT;
	check_eq(grant_op(GNTTABOP_copy, &op, 1), 0);
	check_eq(op.status, GNTST_general_error);
	op.source.domid = FRONT;
	check_eq(grant_op(GNTTABOP_copy, &op, 1), 0);
	check_eq(op.status, GNTST_permission_denied);
	check_eq(unmap_device(theirs.handle, theirs.dev_bus_addr), GNTST_okay);
	xengntshr_unshare(shr, front, 2);
}

static void gntdev_copies_to_ordinary_memory(void)
{
	uint32_t ref;
	char *front = xengntshr_share_pages(shr, BACK, 1, &ref, 1);
	char ours[512] = "ours";
	xengnttab_grant_copy_segment_t segs[2] = { { .flags = GNTCOPY_dest_gref, .len = 512 },
						   { .flags = GNTCOPY_dest_gref, .len = 512 } };

	check(front);
	segs[0].source.virt = segs[1].source.virt = ours;
	segs[0].dest.foreign.ref = ref;
	segs[0].dest.foreign.domid = FRONT;
	segs[1].dest.foreign.ref = ref + 1;
	segs[1].dest.foreign.domid = FRONT;
	check_eq(xengnttab_grant_copy(tab, 2, segs), 0);
	check_eq(segs[0].status, GNTST_okay);
	check_eq(segs[1].status, GNTST_general_error);
	check(!strcmp(front, "ours"));
	segs[0].dest.foreign.offset = 3585;
	check_eq(xengnttab_grant_copy(tab, 1, segs), -1);
	check_eq(errno, EINVAL);
	xengntshr_unshare(shr, front, 1);
}

/* Return: what @fn leaves behind in a process that is then killed. */
static void in_a_process_that_dies(void (*fn)(void *arg), void *arg)
{
	int done[2];
	char c;
	pid_t pid;

	if (pipe(done))
		abort();
	pid = fork();
	if (!pid) {
		fn(arg);
		if (write(done[1], "x", 1) != 1)
			abort();
		pause();
	}
	if (read(done[0], &c, 1) != 1)
		abort();
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(done[0]);
	close(done[1]);
	sim_reap();
}

struct victim {
	uint32_t ref;
	struct gnttab_map_grant_ref *device;
};

static void map_both_ways(void *arg)
{
	struct victim *v = arg;

	be(BACK);
	tab = xengnttab_open(NULL, 0);
	call = xencall_open(NULL, 0);
	if (!xengnttab_map_grant_ref(tab, FRONT, v->ref, PROT_READ) ||
	    map_device(FRONT, v->ref, 0, v->device))
		abort();
}

static void device_maps_outlive_their_process_and_others_do_not(void)
{
	struct victim v;
	char *front = xengntshr_share_pages(shr, BACK, 1, &v.ref, 1);

	check(front);
	v.device = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	in_a_process_that_dies(map_both_ways, &v);
	check_eq(count("mapped_pages"), 1);
	xengntshr_unshare(shr, front, 1);
	check_eq(count("shared_pages"), 1);
	check_eq(unmap_device(v.device->handle, v.device->dev_bus_addr), GNTST_okay);
	check_eq(count("shared_pages"), 0);
	munmap(v.device, 4096);
}

static void share_one(void *arg)
{
	be(FRONT);
	shr = xengntshr_open(NULL, 0);
	if (!xengntshr_share_pages(shr, BACK, 1, arg, 1))
		abort();
}

static void grants_end_with_their_process(void)
{
	struct gnttab_map_grant_ref op;
	uint32_t *ref = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	in_a_process_that_dies(share_one, ref);
	check(*ref);
	check_eq(count("shared_pages"), 0);
	check_eq(map_device(FRONT, *ref, 0, &op), GNTST_general_error);
	munmap(ref, 4096);
}

static void a_destroyed_domain_lives_on_in_what_is_mapped(void)
{
	struct gnttab_map_grant_ref op;
	xengntshr_handle *doomed;
	uint32_t refs[2];

	be(7);
	doomed = xengntshr_open(NULL, 0);
	be(BACK);
	check(xengntshr_share_pages(doomed, BACK, 2, refs, 1));
	check_eq(map_device(7, refs[0], 0, &op), GNTST_okay);
	sim_domain_destroy(7);
	check_eq(count("shared_pages"), 1);
	check_eq(unmap_device(op.handle, op.dev_bus_addr), GNTST_okay);
	check_eq(count("shared_pages"), 0);
	check_eq(map_device(7, refs[1], 0, &op), GNTST_bad_domain);
	xengntshr_close(doomed);
}

static void a_table_has_an_end(void)
{
	static uint32_t refs[SIM_GRANTS];
	char *all = xengntshr_share_pages(shr, BACK, SIM_GRANTS - SIM_GRANT_RESERVED, refs, 1);
	uint32_t ref;

	check(all);
	check(!xengntshr_share_pages(shr, BACK, 1, &ref, 1));
	check_eq(errno, ENOSPC);
	check_eq(xengntshr_unshare(shr, all, SIM_GRANTS - SIM_GRANT_RESERVED), 0);
	check_eq(count("shared_pages"), 0);
}

static void operations_fail_on_request(void)
{
	struct gnttab_map_grant_ref ops[3];
	uint32_t ref;
	char *front = xengntshr_share_pages(shr, BACK, 1, &ref, 1);

	check(front);
	check_eq(sim_set("fail_map=2 fail_status=13"), 0);
	check_eq(map_device(FRONT, ref, 0, &ops[0]), GNTST_okay);
	check_eq(map_device(FRONT, ref, 0, &ops[1]), GNTST_no_space);
	check_eq(map_device(FRONT, ref, 0, &ops[2]), GNTST_okay);
	check_eq(sim_set("fail_unmap_permille=1000 fail_status=0"), 0);
	check_eq(unmap_device(ops[0].handle, ops[0].dev_bus_addr), GNTST_general_error);
	check_eq(sim_set("fail_unmap_permille=0"), 0);
	check_eq(unmap_device(ops[0].handle, ops[0].dev_bus_addr), GNTST_okay);
	check_eq(unmap_device(ops[2].handle, ops[2].dev_bus_addr), GNTST_okay);
	check_eq(sim_set("no_such_word=1"), -EINVAL);
	xengntshr_unshare(shr, front, 1);
}

static void a_hypercall_stops_in_the_middle_on_request(void)
{
	struct gnttab_map_grant_ref ops[3];

	for (int i = 0; i < 3; i++)
		ops[i] = (struct gnttab_map_grant_ref){ .flags = GNTMAP_device_map,
							.dom = 99,
							.status = 77 };
	check_eq(sim_set("efault=2"), 0);
	check_eq(grant_op(GNTTABOP_map_grant_ref, ops, 3), -1);
	check_eq(errno, EFAULT);
	check_eq(ops[0].status, GNTST_bad_domain);
	check_eq(ops[1].status, 77);
	check_eq(ops[2].status, 77);
}

static void a_domain_that_cannot_be_opens_nothing(void)
{
	be(SIM_DOMAINS);
	check(!xencall_open(NULL, 0));
	check_eq(errno, EINVAL);
	setenv("XENSIM_DOMID", "x", 1);
	check(!xengnttab_open(NULL, 0));
	be(BACK);
}

int main(void)
{
	machine_create();
	open_all();
	tap_run(a_mapped_page_is_the_same_memory);
	tap_run(new_pages_are_zero);
	tap_run(only_the_grantee_maps);
	tap_run(bad_references_have_their_own_words);
	tap_run(read_only_grants_are_read_only);
	tap_run(one_bad_page_fails_a_map_of_many);
	tap_run(a_bus_address_is_an_offset_in_memory);
	tap_run(an_unmap_wants_handle_and_address);
	tap_run(a_page_in_use_outlives_its_grant);
	tap_run(copies_go_both_ways);
	tap_run(no_copy_by_frame_from_others);
	tap_run(gntdev_copies_to_ordinary_memory);
	tap_run(device_maps_outlive_their_process_and_others_do_not);
	tap_run(grants_end_with_their_process);
	tap_run(a_destroyed_domain_lives_on_in_what_is_mapped);
	tap_run(a_table_has_an_end);
	tap_run(operations_fail_on_request);
	tap_run(a_hypercall_stops_in_the_middle_on_request);
	tap_run(a_domain_that_cannot_be_opens_nothing);
	xencall_close(call);
	xengnttab_close(tab);
	xengntshr_close(shr);
	return tap_end();
}
