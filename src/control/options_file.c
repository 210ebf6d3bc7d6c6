/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration file: a setting a line, NAME = VALUE. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "options.h"

#define BLANKS	       " \t\r"
#define MAX_FILE_BYTES 65536

/* @text without blanks at either end, cut in place. */
static char *trimmed(char *text)
{
	size_t len;

	text += strspn(text, BLANKS);
	len = strlen(text);
	while (len && strchr(BLANKS, text[len - 1]))
		text[--len] = '\0';
	return text;
}

/* A comment begins with the line, or behind a blank: a value may have a '#' within. */
static void cut_comment(char *text)
{
	for (char *c = text; *c; c++) {
		if (*c == '#' && (c == text || strchr(BLANKS, c[-1]))) {
			*c = '\0';
			return;
		}
	}
}

static int read_line(struct options *o, char *text, uint32_t nr, struct error *e)
{
	struct option_origin origin = { .source = OPTION_FILE, .line = nr };
	char *equals, *value;

	cut_comment(text);
	text = trimmed(text);
	if (!*text)
		return 0;
	equals = strchr(text, '=');
	if (!equals || equals == text)
		return error_set(e, EINVAL, "%s:%u: found \"%.64s\", expected NAME = VALUE",
				 o->config, nr, text);
	*equals = '\0';
	value = trimmed(equals + 1);
	text = trimmed(text);
	if (!*value)
		return error_set(e, EINVAL, "%s:%u: %s has no value; expected %s = VALUE",
				 o->config, nr, text, text);
	return options_set(o, text, value, &origin, e);
}

static int read_lines(struct options *o, char *text, struct error *e)
{
	uint32_t nr = 0;
	char *line;
	int err = 0;

	while (!err && (line = strsep(&text, "\n")))
		err = read_line(o, line, ++nr, e);
	return err;
}

/* What stands there is done as root: nobody else may have written it. */
static int check_file(const struct options *o, const struct stat *st, struct error *e)
{
	if (S_ISDIR(st->st_mode))
		return error_set(e, EISDIR, "%s is a directory, expected a file", o->config);
	if (S_ISREG(st->st_mode) && st->st_mode & (S_IWGRP | S_IWOTH))
		return error_set(e, EPERM,
				 "%s is of mode %04o: others may write to it; expected 0644 "
				 "(chmod go-w)",
				 o->config, st->st_mode & 07777);
	if (st->st_size > MAX_FILE_BYTES)
		return error_set(e, EFBIG, "%s has %lld bytes, expected at most %d", o->config,
				 (long long)st->st_size, MAX_FILE_BYTES);
	return 0;
}

static int read_text(struct options *o, int fd, struct error *e)
{
	char *text = malloc(MAX_FILE_BYTES + 1);
	size_t len = 0;
	ssize_t n = 1;
	int err = 0;

	if (!text)
		return error_set(e, ENOMEM, "no memory to read %s", o->config);
	while (n > 0 && len < MAX_FILE_BYTES) {
		n = read(fd, text + len, MAX_FILE_BYTES - len);
		len += n > 0 ? (size_t)n : 0;
	}
	text[len] = '\0';
	if (n < 0)
		err = error_set(e, errno, "cannot read %s: %s", o->config, strerror(errno));
	else if (memchr(text, '\0', len))
		err = error_set(e, EINVAL, "%s has bytes that are no text", o->config);
	else
		err = read_lines(o, text, e);
	free(text);
	return err;
}

int options_read_file(struct options *o, bool required, struct error *e)
{
	int fd = open(o->config, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int err;

	if (fd < 0 && errno == ENOENT && !required)
		return 0;
	if (fd < 0 || fstat(fd, &st))
		err = error_set(e, errno, "cannot open %s: %s", o->config, strerror(errno));
	else
		err = check_file(o, &st, e);
	if (!err)
		err = read_text(o, fd, e);
	if (fd >= 0)
		close(fd);
	return err;
}
