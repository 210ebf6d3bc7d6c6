/* SPDX-License-Identifier: BSD-2-Clause */
/* The system calls that the daemon makes after its start. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <xen/xen.h>
#include <xen/sys/evtchn.h>
#include <xen/sys/gntalloc.h>
#include <xen/sys/gntdev.h>
#include <xen/sys/privcmd.h>

#include "confine.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

static const int calls[] = {
	/* The loops: what they wait for, and what they are woken by. */
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(eventfd2),
	SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(futex),
	SCMP_SYS(restart_syscall),
	/* Time: a PV dom0 may have none in its vdso. */
	SCMP_SYS(clock_gettime),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	/* Memory; that which can be executed is below. */
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(mlock),
	SCMP_SYS(munlock),
	/* Threads of our own: of each drive, and of each device that discards. */
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_setaffinity),
	SCMP_SYS(sched_yield),
	SCMP_SYS(gettid),
	SCMP_SYS(exit),
	SCMP_SYS(membarrier),
	/* Signals, and the end. */
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(getpid),
	/* libsystemd, when it tells systemd */
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(tgkill),
	SCMP_SYS(exit_group),
	/* Disks: found, opened, locked, described; sysfs of a drive; files of the state directory. */
	SCMP_SYS(openat),
	SCMP_SYS(close),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(statx),
	SCMP_SYS(lseek),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(fcntl),
	SCMP_SYS(flock),
	SCMP_SYS(fallocate),
	SCMP_SYS(ftruncate),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(getdents64),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
	SCMP_SYS(rmdir),
	SCMP_SYS(rename),
	SCMP_SYS(access),
	/* Their data. */
	SCMP_SYS(io_uring_setup),
	SCMP_SYS(io_uring_enter),
	SCMP_SYS(io_uring_register),
	/* xenstore by its socket, which is open; libxenstore writes to it by these. */
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	/* The control socket and that of metrics, which are open; who asks is accepted. */
	SCMP_SYS(accept4),
	SCMP_SYS(shutdown),
	SCMP_SYS(uname),
	/* And what the C library does by itself. */
	SCMP_SYS(getrandom),
	SCMP_SYS(prlimit64),
	SCMP_SYS(sysinfo),
	SCMP_SYS(connect),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
#ifdef SANITIZED
	/* The leak checker stops all threads and looks into them. */
	SCMP_SYS(clone),
	SCMP_SYS(ptrace),
	SCMP_SYS(wait4),
	SCMP_SYS(prctl),
	SCMP_SYS(kill),
	SCMP_SYS(getppid),
	SCMP_SYS(arch_prctl),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(open),
	SCMP_SYS(stat),
	SCMP_SYS(getrusage),
	SCMP_SYS(dup),
	SCMP_SYS(dup2),
	SCMP_SYS(mincore),
	SCMP_SYS(msync),
	SCMP_SYS(pipe),
	SCMP_SYS(pipe2),
	SCMP_SYS(getdents),
#endif
};

/* With memory for DMA: hugepages are let go of, and unpinned, at the end. */
static const int dma_calls[] = {
	SCMP_SYS(statfs),
	SCMP_SYS(umount2),
};

/*
 * With SPDK: its RPC socket, disks by Linux's aio, and NVMe over TCP, all of which an operator may ask
 * for while it runs.
 */
static const int spdk_calls[] = {
	/* Disks by Linux's aio; a flush of theirs is a fsync(). */
	SCMP_SYS(io_setup),
	SCMP_SYS(io_submit),
	SCMP_SYS(io_getevents),
	SCMP_SYS(io_pgetevents),
	SCMP_SYS(io_destroy),
	SCMP_SYS(fsync),
	SCMP_SYS(fdatasync),
	SCMP_SYS(preadv),
	SCMP_SYS(pwritev),
	/* Sockets. */
	SCMP_SYS(accept),
	SCMP_SYS(bind),
	SCMP_SYS(listen),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(epoll_create1),
	/* What libuuid makes random numbers more random by. */
	SCMP_SYS(getppid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
};

static const unsigned long spdk_ioctls[] = {
	FIONBIO,
	FIONREAD,
};

static const unsigned long spdk_families[] = { AF_INET, AF_INET6, AF_NETLINK };

static const unsigned long ioctls[] = {
	IOCTL_GNTDEV_MAP_GRANT_REF,
	IOCTL_GNTDEV_UNMAP_GRANT_REF,
	IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR,
	IOCTL_GNTDEV_GRANT_COPY,
	IOCTL_EVTCHN_BIND_INTERDOMAIN,
	IOCTL_EVTCHN_UNBIND,
	IOCTL_EVTCHN_NOTIFY,
	BLKGETSIZE64,
	BLKSSZGET,
	BLKPBSZGET,
	BLKROGET,
	BLKDISCARD,
	BLKSECDISCARD,
	TCGETS, /* isatty(): the C library asks it of what it is to buffer */
};

static const unsigned long dma_ioctls[] = {
	IOCTL_PRIVCMD_HYPERCALL,
	IOCTL_GNTALLOC_DEALLOC_GREF,
};

static int allow(scmp_filter_ctx ctx, const int *list, size_t nr)
{
	int err = 0;

	for (size_t i = 0; i < nr && !err; i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, list[i], 0);
	return err;
}

/* The command is 32 bits; what stands above them the kernel does not look at. */
static int allow_ioctls(scmp_filter_ctx ctx, const unsigned long *list, size_t nr)
{
	int err = 0;

	for (size_t i = 0; i < nr && !err; i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				       SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, list[i]));
	return err;
}

#define NR(list) (sizeof(list) / sizeof((list)[0]))

static int allow_some(scmp_filter_ctx ctx, bool spdk)
{
	const uint64_t thread = CLONE_VM | CLONE_THREAD | CLONE_SIGHAND;
	int err;

	/* No memory that is executed. */
	err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
			       SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (!err)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				       SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
		/* Threads, no processes. What clone3() would make is in memory: glibc then asks clone(). */
#ifndef SANITIZED
	if (!err)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				       SCMP_A0(SCMP_CMP_MASKED_EQ, thread, thread));
#else
	(void)thread;
#endif
	if (!err)
		err = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	for (size_t i = 0; spdk && i < NR(spdk_families) && !err; i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				       SCMP_A0(SCMP_CMP_EQ, spdk_families[i]));
#ifndef SANITIZED
	/* Its NVMe driver looks whether other processes of its live: by no signal. */
	if (!err && spdk)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(kill), 1,
				       SCMP_A1(SCMP_CMP_EQ, 0));
#endif
	/* systemd is told of the end. */
	if (!err)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				       SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
	return err;
}

/* The program that a filter comes to, in c->filter. Return: 0 or -errno. */
static int compile(struct confine *c, scmp_filter_ctx ctx)
{
	int fd = memfd_create("filter", MFD_CLOEXEC);
	off_t size;
	int err;

	if (fd < 0)
		return -errno;
	err = seccomp_export_bpf(ctx, fd);
	size = lseek(fd, 0, SEEK_END);
	if (!err && (size <= 0 || size > BPF_MAXINSNS * (off_t)sizeof(struct sock_filter)))
		err = -EINVAL;
	c->filter = err ? NULL : malloc((size_t)size);
	if (!err && !c->filter)
		err = -ENOMEM;
	if (!err && pread(fd, c->filter, (size_t)size, 0) != size)
		err = -EIO;
	c->filter_len = err ? 0 : (uint16_t)((size_t)size / sizeof(struct sock_filter));
	close(fd);
	return err;
}

int filter_make(struct confine *c, struct error *e)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_TRAP);
	int err;

	if (!ctx)
		return error_set(e, ENOMEM, "no memory for a filter of system calls");
	/* A binary search: the datapath pays for it at each system call that it makes. */
	err = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!err)
		err = allow(ctx, calls, NR(calls));
	if (!err)
		err = allow_ioctls(ctx, ioctls, NR(ioctls));
	if (!err && c->dma)
		err = allow(ctx, dma_calls, NR(dma_calls));
	if (!err && c->dma)
		err = allow_ioctls(ctx, dma_ioctls, NR(dma_ioctls));
	if (!err && c->spdk)
		err = allow(ctx, spdk_calls, NR(spdk_calls));
	if (!err && c->spdk)
		err = allow_ioctls(ctx, spdk_ioctls, NR(spdk_ioctls));
	if (!err)
		err = allow_some(ctx, c->spdk);
	if (!err)
		err = compile(c, ctx);
	if (err) {
		free(c->filter);
		c->filter = NULL;
	}
	seccomp_release(ctx);
	return err ? error_set(e, -err, "cannot make a filter of system calls: %s", strerror(-err))
		   : 0;
}

int filter_load(struct confine *c, struct error *e)
{
	struct sock_fprog program = { c->filter_len, c->filter };
	int err = refuse_install(c->mode);
	long thread = 0;

	/* In all threads, or in none: then it says which one has another. */
	if (!err)
		thread = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC,
				 &program);
	if (thread)
		err = thread < 0 ? -errno : -ESRCH;
	free(c->filter);
	c->filter = NULL;
	return err ? error_set(e, -err, "cannot filter system calls: %s", strerror(-err)) : 0;
}
