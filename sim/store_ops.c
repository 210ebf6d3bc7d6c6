/* SPDX-License-Identifier: BSD-2-Clause */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store.h"

/* A request taken apart. */
struct request {
	struct store *st;
	struct conn *c;
	struct transaction *t;
	struct node **root; /* the transaction's, or the store's */
	char path[XENSTORE_ABS_PATH_MAX]; /* absolute, of the first word */
	bool relative;
	const char *rest; /* behind it */
	uint32_t rest_len;
};

static void reply(struct request *r, const void *data, size_t len)
{
	struct xsd_sockmsg head = r->c->head;

	head.len = (uint32_t)len;
	conn_send(r->c, &head, data);
}

static void reply_ok(struct request *r)
{
	reply(r, "OK", 3);
}

static void reply_error(struct request *r, int err)
{
	const char *word = "EINVAL";

	for (size_t i = 0; i < sizeof(xsd_errors) / sizeof(xsd_errors[0]); i++) {
		if (xsd_errors[i].errnum == err)
			word = xsd_errors[i].errstring;
	}
	r->c->head.type = XS_ERROR;
	reply(r, word, strlen(word) + 1);
}

static bool is_valid(const char *path)
{
	size_t n = strlen(path);

	for (const char *p = path; *p; p++) {
		if (!isalnum((unsigned char)*p) && !strchr("-/_@:", *p))
			return false;
	}
	return n && !strstr(path, "//") && (n == 1 || path[n - 1] != '/');
}

/* The first word as an absolute path. @special: @introduceDomain is one too. */
static int take_path(struct request *r, bool special)
{
	const char *word = r->c->in;
	size_t len = strnlen(word, r->c->head.len);
	int n;

	if (len == r->c->head.len || !is_valid(word))
		return -EINVAL;
	r->relative = word[0] != '/' && word[0] != '@';
	if (word[0] == '@' && !special)
		return -EINVAL;
	if (r->relative)
		n = snprintf(r->path, sizeof(r->path), "/local/domain/%u/%s", r->c->domid, word);
	else
		n = snprintf(r->path, sizeof(r->path), "%s", word);
	if ((size_t)n >= sizeof(r->path) || (r->relative && len > XENSTORE_REL_PATH_MAX))
		return -EINVAL;
	r->rest = word + len + 1;
	r->rest_len = r->c->head.len - (uint32_t)len - 1;
	return 0;
}

/* A node that may be read. */
static int take_node(struct request *r, const struct node **out)
{
	const struct node *n;
	int err = take_path(r, false);

	if (err)
		return err;
	if (r->t)
		transaction_saw(r->t, r->path);
	n = tree_find(*r->root, r->path);
	if (!(node_allows(n ? n : tree_nearest(*r->root, r->path), r->c->domid) & XS_PERM_READ))
		return -EACCES;
	if (!n)
		return -ENOENT;
	*out = n;
	return 0;
}

static int do_read(struct request *r)
{
	const struct node *n;
	int err = take_node(r, &n);

	if (!err)
		reply(r, n->value, n->len);
	return err;
}

/* The names below a node. Return: their bytes. */
static size_t names(const struct node *n, char **out)
{
	size_t len = 0;
	FILE *f = open_memstream(out, &len);

	for (uint32_t i = 0; f && i < n->nr_children; i++)
		fwrite(n->children[i]->name, strlen(n->children[i]->name) + 1, 1, f);
	if (!f || fclose(f))
		abort();
	return len;
}

static int do_directory(struct request *r)
{
	const struct node *n;
	int err = take_node(r, &n);
	size_t len;
	char *text;

	if (err)
		return err;
	len = names(n, &text);
	if (len > XENSTORE_PAYLOAD_MAX)
		err = -E2BIG;
	else
		reply(r, text, len);
	free(text);
	return err;
}

/* As much as fits from an offset on, behind the generation; at the end an empty name. */
static int do_directory_part(struct request *r)
{
	char data[XENSTORE_PAYLOAD_MAX], *text;
	const struct node *n;
	int err = take_node(r, &n);
	size_t len, from, bytes, at;

	if (err)
		return err;
	len = names(n, &text);
	from = strtoul(r->rest, NULL, 10);
	if (from > len)
		from = len;
	bytes = (size_t)snprintf(data, sizeof(data), "%" PRIu64, n->generation) + 1;
	for (at = from; at < len; at += strlen(text + at) + 1) {
		if (bytes + (at - from) + strlen(text + at) + 2 > sizeof(data))
			break;
	}
	memcpy(data + bytes, text + from, at - from);
	bytes += at - from;
	if (at == len)
		data[bytes++] = '\0';
	reply(r, data, bytes);
	free(text);
	return 0;
}

static char perm_letter(unsigned int perms)
{
	switch (perms & (XS_PERM_READ | XS_PERM_WRITE)) {
	case XS_PERM_READ:
		return 'r';
	case XS_PERM_WRITE:
		return 'w';
	case XS_PERM_NONE:
		return 'n';
	default:
		return 'b';
	}
}

static int do_get_perms(struct request *r)
{
	char data[TREE_PERMS_MAX * 16];
	const struct node *n;
	int err = take_node(r, &n);
	size_t len = 0;

	if (err)
		return err;
	for (uint32_t i = 0; i < n->nr_perms; i++)
		len += (size_t)sprintf(data + len, "%c%u", perm_letter(n->perms[i].perms),
				       n->perms[i].id) +
		       1;
	reply(r, data, len);
	return 0;
}

/* What a transaction does it does to its own tree first. */
static int carry_out(struct request *r, struct change *ch)
{
	char *slash;
	int err;

	ch->path = strdup(r->path);
	if (r->t) {
		transaction_saw(r->t, r->path);
		/* The names in what it is in change with it. */
		slash = strrchr(r->path, '/');
		if (slash != r->path && (ch->type == XS_RM || !tree_find(r->t->base, r->path)))
			transaction_saw(r->t, (*slash = '\0', r->path));
	}
	err = change_apply(r->st, r->c->domid, r->root, !r->t, ch);
	if (r->t && !err) {
		transaction_add(r->t, ch);
	} else {
		free(ch->path);
		free(ch->data);
	}
	if (!err)
		reply_ok(r);
	return err;
}

static int do_write(struct request *r)
{
	struct change ch = { .type = XS_WRITE };
	int err = take_path(r, false);

	if (err)
		return err;
	ch.len = r->rest_len;
	ch.data = malloc(ch.len + 1);
	if (!ch.data)
		return -ENOMEM;
	memcpy(ch.data, r->rest, ch.len);
	return carry_out(r, &ch);
}

static int do_mkdir(struct request *r)
{
	struct change ch = { .type = XS_MKDIR };
	int err = take_path(r, false);

	return err ? err : carry_out(r, &ch);
}

static int do_rm(struct request *r)
{
	struct change ch = { .type = XS_RM };
	int err = take_path(r, false);

	return err ? err : carry_out(r, &ch);
}

static int parse_perm(const char *word, struct xs_permissions *perm)
{
	static const char letters[] = "nrwb";
	const char *letter = *word ? strchr(letters, *word) : NULL;
	char *end;

	if (!letter || !isdigit((unsigned char)word[1]))
		return -EINVAL;
	perm->perms = (unsigned int)(letter - letters);
	perm->id = (unsigned int)strtoul(word + 1, &end, 10);
	return *end ? -EINVAL : 0;
}

static int do_set_perms(struct request *r)
{
	struct change ch = { .type = XS_SET_PERMS };
	struct xs_permissions *perms;
	int err = take_path(r, false);
	uint32_t nr = 0;

	if (err)
		return err;
	perms = calloc(TREE_PERMS_MAX, sizeof(*perms));
	if (!perms)
		return -ENOMEM;
	for (const char *p = r->rest; p < r->rest + r->rest_len && !err; p += strlen(p) + 1)
		err = nr == TREE_PERMS_MAX ? -ENOSPC : parse_perm(p, &perms[nr++]);
	if (err || !nr) {
		free(perms);
		return err ? err : -EINVAL;
	}
	ch.data = perms;
	ch.len = nr * (uint32_t)sizeof(*perms);
	return carry_out(r, &ch);
}

static int do_watch(struct request *r)
{
	struct xsd_sockmsg event = { .type = XS_WATCH_EVENT };
	int err = take_path(r, true);

	if (err)
		return err;
	if (!r->rest_len)
		return -EINVAL;
	/* These two tell of other domains. */
	if (r->path[0] == '@' && r->c->domid)
		return -EACCES;
	err = watch_add(r->c, r->path, r->relative, r->rest);
	if (err)
		return err;
	reply_ok(r);
	/* Once at the start, whether it is there or not, in the client's own words. */
	event.len = r->c->head.len;
	conn_send(r->c, &event, r->c->in);
	return 0;
}

static int do_unwatch(struct request *r)
{
	int err = take_path(r, true);

	if (!err)
		err = r->rest_len ? watch_del(r->c, r->path, r->rest) : -EINVAL;
	if (!err)
		reply_ok(r);
	return err;
}

static int do_reset_watches(struct request *r)
{
	conn_clear(r->c);
	reply_ok(r);
	return 0;
}

static int do_transaction_start(struct request *r)
{
	char text[16];
	int id;

	if (r->t)
		return -EBUSY;
	id = transaction_start(r->st, r->c);
	if (id < 0)
		return id;
	reply(r, text, (size_t)sprintf(text, "%d", id) + 1);
	return 0;
}

static int do_transaction_end(struct request *r)
{
	int err;

	if (!r->t)
		return -ENOENT;
	if (r->c->head.len < 1 || (r->c->in[0] != 'T' && r->c->in[0] != 'F'))
		return -EINVAL;
	err = transaction_end(r->st, r->c, r->t->id, r->c->in[0] == 'T');
	if (!err)
		reply_ok(r);
	return err;
}

/* The domain of the first word. */
static int take_domid(struct request *r, uint16_t *domid)
{
	unsigned long id = strtoul(r->c->in, NULL, 10);

	if (!r->c->head.len || !isdigit((unsigned char)r->c->in[0]) || id >= SIM_DOMAINS)
		return -EINVAL;
	*domid = (uint16_t)id;
	return 0;
}

static int do_get_domain_path(struct request *r)
{
	char text[32];
	uint16_t domid;
	int err = take_domid(r, &domid);

	if (!err)
		reply(r, text, (size_t)sprintf(text, "/local/domain/%u", domid) + 1);
	return err;
}

static int do_is_introduced(struct request *r)
{
	uint16_t domid;
	int err = take_domid(r, &domid);

	if (!err)
		reply(r, r->st->introduced[domid] ? "T" : "F", 2);
	return err;
}

static int do_introduce(struct request *r)
{
	uint16_t domid;
	int err = r->c->domid ? -EACCES : take_domid(r, &domid);

	if (err)
		return err;
	sim_domain_create(domid);
	reply_ok(r);
	store_tick(r->st);
	return 0;
}

static int do_release(struct request *r)
{
	uint16_t domid;
	int err = r->c->domid ? -EACCES : take_domid(r, &domid);

	if (err)
		return err;
	if (!domid || !r->st->introduced[domid])
		return -EINVAL;
	r->st->introduced[domid] = false;
	reply_ok(r);
	watch_fire(r->st, "@releaseDomain", NULL);
	return 0;
}

/* Nothing to do for these. */
static int do_nothing(struct request *r)
{
	if (r->c->domid)
		return -EACCES;
	reply_ok(r);
	return 0;
}

static int (*const handlers[XS_TYPE_COUNT])(struct request *r) = {
	[XS_DIRECTORY] = do_directory,
	[XS_DIRECTORY_PART] = do_directory_part,
	[XS_READ] = do_read,
	[XS_GET_PERMS] = do_get_perms,
	[XS_SET_PERMS] = do_set_perms,
	[XS_WRITE] = do_write,
	[XS_MKDIR] = do_mkdir,
	[XS_RM] = do_rm,
	[XS_WATCH] = do_watch,
	[XS_UNWATCH] = do_unwatch,
	[XS_RESET_WATCHES] = do_reset_watches,
	[XS_TRANSACTION_START] = do_transaction_start,
	[XS_TRANSACTION_END] = do_transaction_end,
	[XS_GET_DOMAIN_PATH] = do_get_domain_path,
	[XS_IS_DOMAIN_INTRODUCED] = do_is_introduced,
	[XS_INTRODUCE] = do_introduce,
	[XS_RELEASE] = do_release,
	[XS_RESUME] = do_nothing,
	[XS_SET_TARGET] = do_nothing,
};

void store_request(struct store *st, struct conn *c)
{
	struct request r = { .st = st, .c = c, .root = &st->root };
	int err;

	SIM_COUNT(store_requests, 1);
	c->in[c->head.len] = '\0';
	r.t = c->head.tx_id ? transaction_find(c, c->head.tx_id) : NULL;
	if (r.t)
		r.root = &r.t->root;
	if (c->head.tx_id && !r.t)
		err = -ENOENT;
	else if (c->head.type >= XS_TYPE_COUNT || !handlers[c->head.type])
		err = -ENOSYS;
	else
		err = handlers[c->head.type](&r);
	if (err)
		reply_error(&r, -err);
}

static void add_node(struct store *st, uint32_t domid, const char *name, const char *prefix)
{
	char path[64], text[32];
	int n = snprintf(text, sizeof(text), "%s%u", prefix, domid);

	snprintf(path, sizeof(path), "/local/domain/%u/%s", domid, name);
	tree_set_value(tree_make(&st->root, path, 0), text, (uint32_t)n);
}

/* What a toolstack would have made of it, so that the domain can be found. */
static void add_domain(struct store *st, uint32_t domid)
{
	struct xs_permissions perms[2] = { { 0, XS_PERM_NONE }, { domid, XS_PERM_READ } };
	char path[64];

	snprintf(path, sizeof(path), "/local/domain/%u", domid);
	tree_set_perms(tree_make(&st->root, path, 0), perms, domid ? 2 : 1);
	add_node(st, domid, "domid", "");
	add_node(st, domid, "name", "Domain-");
}

void store_tick(struct store *st)
{
	for (uint16_t i = 0; i < SIM_DOMAINS; i++) {
		bool alive = sim()->domains[i].alive;

		if (alive == st->introduced[i])
			continue;
		st->introduced[i] = alive;
		if (alive)
			add_domain(st, i);
		watch_fire(st, alive ? "@introduceDomain" : "@releaseDomain", NULL);
	}
}

void store_init(struct store *st)
{
	*st = (struct store){ .root = tree_create() };
	tree_make(&st->root, "/tool/xenstored", 0);
	tree_make(&st->root, "/vm", 0);
	store_tick(st);
}

void store_fini(struct store *st)
{
	tree_put(st->root);
}
