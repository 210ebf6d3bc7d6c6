/* SPDX-License-Identifier: BSD-2-Clause */
#include "confine.h"

#include <cap-ng.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

int confine_mode_parse(const char *text, enum confine_mode *out, struct error *e)
{
	static const char *const words[] = {
		[CONFINE_NO] = "no",
		[CONFINE_YES] = "yes",
		[CONFINE_KILL] = "kill",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!strcmp(text, words[i])) {
			*out = (enum confine_mode)i;
			return 0;
		}
	}
	return error_set(e, EINVAL, "is \"%s\", expected yes, kill or no", text);
}

int confine_find_user(struct confine *c, struct error *e)
{
	struct passwd *pw;

	if (!c->user)
		return 0;
	errno = 0;
	pw = getpwnam(c->user);
	if (!pw)
		return error_set(e, errno ? errno : ENOENT, "is \"%s\": there is no such user",
				 c->user);
	if (!pw->pw_uid)
		return error_set(e, EINVAL, "is \"%s\", which is root; expected another", c->user);
	c->uid = pw->pw_uid;
	c->gid = pw->pw_gid;
	return 0;
}

int confine_give_dir(const struct confine *c, const char *path, struct error *e)
{
	struct dirent *entry;
	DIR *dir;
	int err = 0;

	if (!c->user)
		return 0;
	dir = opendir(path);
	if (!dir)
		return error_set(e, errno, "cannot look into %s: %s", path, strerror(errno));
	/* The directory itself is one of them. */
	while (!err && (entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".."))
			continue;
		if (fchownat(dirfd(dir), entry->d_name, c->uid, c->gid, AT_SYMLINK_NOFOLLOW) < 0)
			err = error_set(e, errno, "cannot give %s/%s to %s: %s", path,
					entry->d_name, c->user, strerror(errno));
	}
	closedir(dir);
	return err;
}

/* Records of guests' queues are locked in memory, and each disk has descriptors. */
static void lift_limits(void)
{
	const struct rlimit infinite = { RLIM_INFINITY, RLIM_INFINITY };
	struct rlimit files;

	/* Without the right to, what there is has to do. */
	setrlimit(RLIMIT_MEMLOCK, &infinite);
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

static int drop_capabilities(const struct confine *c, struct error *e)
{
	capng_clear(CAPNG_SELECT_BOTH);
	/* Disks are opened later, whoever owns them. */
	capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET,
		     CAP_DAC_OVERRIDE);
	/* To enable a PCI device in sysfs, and to unmount our hugepages at the end. */
	if (c->dma)
		capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET,
			     CAP_SYS_ADMIN);
	if (capng_have_permitted_capabilities() < CAPNG_PARTIAL)
		return 0;
	return capng_apply(CAPNG_SELECT_BOTH)
		       ? error_set(e, EPERM, "cannot drop capabilities: %s", strerror(errno))
		       : 0;
}

int confine_privileges(struct confine *c, struct error *e)
{
	int err;

	if (c->mode == CONFINE_NO)
		return 0;
	/*
	 * libxenstore ends its thread by pthread_cancel(), for which glibc loads this then, and that
	 * would take memory to be made executable.
	 */
	dlopen("libgcc_s.so.1", RTLD_NOW);
	err = filter_make(c, e);
	if (err)
		return err;
	lift_limits();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return error_set(e, errno, "cannot give up new privileges: %s", strerror(errno));
	/* Those of root are given up with the user. */
	if (c->user || geteuid())
		return 0;
	return drop_capabilities(c, e);
}

/* glibc does it in all threads, and the kernel takes their capabilities with it. */
static int become_user(const struct confine *c, struct error *e)
{
	if (!c->user)
		return 0;
	/* With the groups that may open disks. */
	if (initgroups(c->user, c->gid) || setresgid(c->gid, c->gid, c->gid) ||
	    setresuid(c->uid, c->uid, c->uid))
		return error_set(e, errno, "cannot become %s: %s", c->user, strerror(errno));
	return 0;
}

int confine_lock(struct confine *c, struct error *e)
{
	int err = become_user(c, e);

	if (err || c->mode == CONFINE_NO)
		return err;
	return filter_load(c, e);
}
