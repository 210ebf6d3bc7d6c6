/* SPDX-License-Identifier: BSD-2-Clause */
/* The store, as the real libxenstore sees it. */
#include <errno.h>
#include <poll.h>

#include "machine.h"
#include "tap.h"

#define GUEST 1
#define BASE  "/local/domain/1"

static struct xs_handle *dom0, *guest;

static bool is_read(struct xs_handle *h, const char *path, const char *want)
{
	unsigned int len = 0;
	char *value = xs_read(h, XBT_NULL, path, &len);
	bool same = value && !strcmp(value, want) && len == strlen(want);

	if (!same)
		printf("# %s is %s, expected %s\n", path, value ? value : strerror(errno), want);
	free(value);
	return same;
}

static bool put(struct xs_handle *h, xs_transaction_t t, const char *path, const char *value)
{
	return xs_write(h, t, path, value, (unsigned int)strlen(value));
}

/* The errno of a read that must fail; 0 if it does not. */
static int read_error(struct xs_handle *h, const char *path)
{
	unsigned int len;
	char *value = xs_read(h, XBT_NULL, path, &len);
	int err = value ? 0 : errno;

	free(value);
	return err;
}

static bool next_event(struct xs_handle *h, const char *path, const char *token)
{
	struct pollfd p = { xs_fileno(h), POLLIN, 0 };
	bool same = false;
	char **event;

	for (int i = 0; i < 100 && !same; i++) {
		event = xs_check_watch(h);
		if (event) {
			same = !strcmp(event[XS_WATCH_PATH], path) &&
			       !strcmp(event[XS_WATCH_TOKEN], token);
			if (!same)
				printf("# event %s %s, expected %s %s\n", event[XS_WATCH_PATH],
				       event[XS_WATCH_TOKEN], path, token);
			free(event);
			return same;
		}
		poll(&p, 1, 100);
	}
	printf("# no event, expected %s %s\n", path, token);
	return false;
}

static bool no_event(struct xs_handle *h)
{
	char **event;

	/* Whatever was sent for it comes before the answer to this. */
	read_error(h, "/");
	event = xs_check_watch(h);
	if (event)
		printf("# event %s %s, expected none\n", event[XS_WATCH_PATH],
		       event[XS_WATCH_TOKEN]);
	free(event);
	return !event;
}

static void what_is_written_is_read(void)
{
	check(put(dom0, XBT_NULL, "/test/a/b", "value"));
	check(is_read(dom0, "/test/a/b", "value"));
	check(is_read(dom0, "/test/a", ""));
	check(put(dom0, XBT_NULL, "/test/a/b", ""));
	check(is_read(dom0, "/test/a/b", ""));
	check(xs_rm(dom0, XBT_NULL, "/test/a"));
	check_eq(read_error(dom0, "/test/a/b"), ENOENT);
	check_eq(read_error(dom0, "/test/a"), ENOENT);
	check(xs_rm(dom0, XBT_NULL, "/test/a"));
	check(!xs_rm(dom0, XBT_NULL, "/test/x/y"));
	check_eq(errno, ENOENT);
}

static void names_are_listed_in_order(void)
{
	unsigned int nr;
	char **names;

	check(xs_mkdir(dom0, XBT_NULL, "/test/dir"));
	check(put(dom0, XBT_NULL, "/test/dir/b", ""));
	check(put(dom0, XBT_NULL, "/test/dir/a", ""));
	check(put(dom0, XBT_NULL, "/test/dir/ab", ""));
	names = xs_directory(dom0, XBT_NULL, "/test/dir", &nr);
	check(names);
	check_eq(nr, 3);
	check(!strcmp(names[0], "a") && !strcmp(names[1], "ab") && !strcmp(names[2], "b"));
	free(names);
	names = xs_directory(dom0, XBT_NULL, "/test/dir/a", &nr);
	check(names);
	check_eq(nr, 0);
	free(names);
}

static void long_directories_come_in_parts(void)
{
	char path[64];
	unsigned int nr;
	char **names;

	for (int i = 0; i < 600; i++) {
		snprintf(path, sizeof(path), "/test/long/a-name-of-some-length-%d", i);
		check(put(dom0, XBT_NULL, path, ""));
	}
	names = xs_directory(dom0, XBT_NULL, "/test/long", &nr);
	check(names);
	check_eq(nr, 600);
	check(!strcmp(names[599], "a-name-of-some-length-99"));
	free(names);
}

static void bad_paths_are_refused(void)
{
	check_eq(read_error(dom0, "/test//a"), EINVAL);
	check_eq(read_error(dom0, "/test/"), EINVAL);
	check_eq(read_error(dom0, "/te st"), EINVAL);
	check_eq(read_error(dom0, "@introduceDomain"), EINVAL);
	check(!xs_rm(dom0, XBT_NULL, "/"));
	check_eq(errno, EINVAL);
}

static void relative_paths_are_below_ones_own_domain(void)
{
	char *path = xs_get_domain_path(guest, GUEST);

	check(path && !strcmp(path, BASE));
	free(path);
	check(is_read(guest, "domid", "1"));
	check(is_read(dom0, "domid", "0"));
	check(put(dom0, XBT_NULL, BASE "/data", "x"));
	check(is_read(guest, "data", "x"));
}

static void a_guest_does_what_it_is_allowed(void)
{
	struct xs_permissions perms[2] = { { GUEST, XS_PERM_NONE }, { 0, XS_PERM_READ } };
	struct xs_permissions *got;
	unsigned int nr;

	check(!put(guest, XBT_NULL, "device/x", "1"));
	check_eq(errno, EACCES);
	check(xs_mkdir(dom0, XBT_NULL, BASE "/device"));
	check(xs_set_permissions(dom0, XBT_NULL, BASE "/device", perms, 2));
	check(put(guest, XBT_NULL, "device/x", "1"));
	got = xs_get_permissions(dom0, XBT_NULL, BASE "/device/x", &nr);
	check(got);
	check_eq(nr, 2);
	check_eq(got[0].id, GUEST);
	check_eq(got[1].perms, XS_PERM_READ);
	free(got);
	check(put(dom0, XBT_NULL, "/test/secret", "s"));
	check_eq(read_error(guest, "/test/secret"), EACCES);
	check_eq(read_error(guest, "/test/none"), EACCES);
	check_eq(read_error(guest, "device/none"), ENOENT);
	perms[0].id = 0;
	check(!xs_set_permissions(guest, XBT_NULL, BASE "/device/x", perms, 2));
	check_eq(errno, EPERM);
	check(!xs_set_permissions(guest, XBT_NULL, "/test/secret", perms, 2));
	check_eq(errno, EACCES);
	check(xs_rm(dom0, XBT_NULL, BASE "/device"));
}

static void transactions_are_all_or_nothing(void)
{
	xs_transaction_t t = xs_transaction_start(dom0);

	check(t);
	check(put(dom0, t, "/test/t1", "in"));
	check(put(dom0, t, "/test/t2", "in"));
	check_eq(read_error(dom0, "/test/t1"), ENOENT);
	check(xs_transaction_end(dom0, t, true));
	check_eq(read_error(dom0, "/test/t1"), ENOENT);
	t = xs_transaction_start(dom0);
	check(put(dom0, t, "/test/t1", "in"));
	check(xs_rm(dom0, t, "/test/dir"));
	check(xs_transaction_end(dom0, t, false));
	check(is_read(dom0, "/test/t1", "in"));
	check_eq(read_error(dom0, "/test/dir"), ENOENT);
	check(!xs_transaction_end(dom0, t, false));
	check_eq(errno, ENOENT);
}

static void transactions_that_conflict_are_done_again(void)
{
	xs_transaction_t t = xs_transaction_start(dom0);
	struct xs_handle *other = store_as(0);
	unsigned int len;

	/* It has read what the other one writes. */
	free(xs_read(dom0, t, "/test/t1", &len));
	check(put(other, XBT_NULL, "/test/t1", "other"));
	check(put(dom0, t, "/test/t3", "mine"));
	check(!xs_transaction_end(dom0, t, false));
	check_eq(errno, EAGAIN);
	check_eq(read_error(dom0, "/test/t3"), ENOENT);
	/* It has looked for what the other one makes. */
	t = xs_transaction_start(dom0);
	xs_read(dom0, t, "/test/t4", &len);
	check(put(other, XBT_NULL, "/test/t4", "other"));
	check(!xs_transaction_end(dom0, t, false));
	check_eq(errno, EAGAIN);
	/* They have nothing to do with each other. */
	t = xs_transaction_start(dom0);
	free(xs_read(dom0, t, "/test/t4", &len));
	check(put(dom0, t, "/test/own/a", "mine"));
	check(put(other, XBT_NULL, "/test/t1", "again"));
	check(xs_transaction_end(dom0, t, false));
	check(is_read(dom0, "/test/own/a", "mine"));
	xs_close(other);
}

static void transactions_fail_on_request(void)
{
	xs_transaction_t t = xs_transaction_start(dom0);

	check_eq(sim_set("store_again=1"), 0);
	check(put(dom0, t, "/test/t5", "in"));
	check(!xs_transaction_end(dom0, t, false));
	check_eq(errno, EAGAIN);
	t = xs_transaction_start(dom0);
	check(put(dom0, t, "/test/t5", "in"));
	check(xs_transaction_end(dom0, t, false));
}

static void watches_fire_at_once_and_for_all_below(void)
{
	struct xs_handle *h = store_as(0);

	check(put(dom0, XBT_NULL, "/test/w/a/b", "1"));
	check(xs_watch(h, "/test/w", "token"));
	check(next_event(h, "/test/w", "token"));
	check(!xs_watch(h, "/test/w", "token"));
	check_eq(errno, EEXIST);
	check(put(dom0, XBT_NULL, "/test/w/a/b", "2"));
	check(next_event(h, "/test/w/a/b", "token"));
	check(put(dom0, XBT_NULL, "/test/ww", "2"));
	check(no_event(h));
	check(xs_watch(h, "/test/w/a/b", "deep"));
	check(next_event(h, "/test/w/a/b", "deep"));
	check(xs_rm(dom0, XBT_NULL, "/test/w/a"));
	check(next_event(h, "/test/w/a", "token"));
	check(next_event(h, "/test/w/a/b", "deep"));
	check(xs_unwatch(h, "/test/w", "token"));
	check(!xs_unwatch(h, "/test/w", "token"));
	check_eq(errno, ENOENT);
	check(put(dom0, XBT_NULL, "/test/w/c", "2"));
	check(no_event(h));
	xs_close(h);
}

static void relative_watches_answer_in_kind(void)
{
	struct xs_handle *h = store_as(GUEST);

	check(xs_watch(h, "data", "r"));
	check(next_event(h, "data", "r"));
	check(put(dom0, XBT_NULL, BASE "/data/x", "1"));
	check(next_event(h, "data/x", "r"));
	xs_close(h);
}

static void a_guest_hears_nothing_of_what_it_may_not_read(void)
{
	struct xs_handle *h = store_as(GUEST);

	check(xs_watch(h, "/test", "t"));
	check(next_event(h, "/test", "t"));
	check(put(dom0, XBT_NULL, "/test/secret", "1"));
	check(no_event(h));
	check(!xs_watch(h, "@releaseDomain", "t"));
	check_eq(errno, EACCES);
	xs_close(h);
}

static void what_a_transaction_does_fires_when_it_ends(void)
{
	struct xs_handle *h = store_as(0);
	xs_transaction_t t;

	check(xs_watch(h, "/test/late", "t"));
	check(next_event(h, "/test/late", "t"));
	t = xs_transaction_start(dom0);
	check(put(dom0, t, "/test/late/a", "1"));
	check(no_event(h));
	check(xs_transaction_end(dom0, t, false));
	check(next_event(h, "/test/late/a", "t"));
	xs_close(h);
}

static void domains_come_and_go(void)
{
	struct xs_handle *h = store_as(0);

	check(xs_watch(h, "@introduceDomain", "i"));
	check(next_event(h, "@introduceDomain", "i"));
	check(xs_watch(h, "@releaseDomain", "r"));
	check(next_event(h, "@releaseDomain", "r"));
	check(!xs_is_domain_introduced(dom0, 9));
	check(xs_introduce_domain(dom0, 9, 0, 0));
	check(next_event(h, "@introduceDomain", "i"));
	check(xs_is_domain_introduced(dom0, 9));
	sim_domain_destroy(9);
	check(next_event(h, "@releaseDomain", "r"));
	check(!xs_is_domain_introduced(dom0, 9));
	xs_close(h);
}

static void guests_have_quotas(void)
{
	struct xs_permissions perms = { GUEST, XS_PERM_NONE };
	char path[64], big[2100];
	int i;

	check(xs_mkdir(dom0, XBT_NULL, BASE "/many"));
	check(xs_set_permissions(dom0, XBT_NULL, BASE "/many", &perms, 1));
	for (i = 0; i < 1100; i++) {
		snprintf(path, sizeof(path), "many/%d", i);
		if (!put(guest, XBT_NULL, path, ""))
			break;
	}
	check_eq(errno, ENOSPC);
	check(i > 900 && i <= 1000);
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	check(!put(guest, XBT_NULL, "many/1", big));
	check_eq(errno, ENOSPC);
	check(put(dom0, XBT_NULL, BASE "/many/1", big));
	for (i = 0; i < 100 && xs_transaction_start(guest); i++)
		;
	check_eq(errno, ENOSPC);
	check_eq(i, 10);
	for (i = 0; i < 200; i++) {
		snprintf(path, sizeof(path), "%d", i);
		if (!xs_watch(guest, "data", path))
			break;
	}
	check_eq(errno, E2BIG);
	check_eq(i, 128);
}

static void the_tools_work(void)
{
	char line[256] = "";
	FILE *f;

	if (system("xenstore-ls / >/dev/null 2>&1"))
		skip("no xenstore-ls here");
	check_eq(system("xenstore-write /test/tool here"), 0);
	f = popen("xenstore-read /test/tool", "r");
	check(f && fgets(line, sizeof(line), f));
	pclose(f);
	check(!strcmp(line, "here\n"));
}

int main(void)
{
	pid_t store;

	machine_create();
	sim_domain_create(GUEST);
	store = machine_store();
	dom0 = store_as(0);
	guest = store_as(GUEST);
	tap_run(what_is_written_is_read);
	tap_run(names_are_listed_in_order);
	tap_run(long_directories_come_in_parts);
	tap_run(bad_paths_are_refused);
	tap_run(relative_paths_are_below_ones_own_domain);
	tap_run(a_guest_does_what_it_is_allowed);
	tap_run(transactions_are_all_or_nothing);
	tap_run(transactions_that_conflict_are_done_again);
	tap_run(transactions_fail_on_request);
	tap_run(watches_fire_at_once_and_for_all_below);
	tap_run(relative_watches_answer_in_kind);
	tap_run(a_guest_hears_nothing_of_what_it_may_not_read);
	tap_run(what_a_transaction_does_fires_when_it_ends);
	tap_run(domains_come_and_go);
	tap_run(guests_have_quotas);
	xs_close(store_as(0));
	tap_run(the_tools_work);
	xs_close(guest);
	xs_close(dom0);
	machine_end(store);
	return tap_end();
}
