/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * error - why something an operator asked for did not work, in words.
 *
 * Functions below the one that decides do not log: they return -errno, and where an operator will
 * read it they fill a struct error with one sentence that says what was found and what was
 * expected. The caller that decides prints it, once, with the name of the disk before it.
 *
 * Thread: any; the struct is the caller's.
 */
#ifndef XENBLKD_ERROR_H
#define XENBLKD_ERROR_H

struct error {
	char text[512];
};

/**
 * error_set - writes the sentence and gives back its number
 *
 * @e:   where to write; may be NULL
 * @err: a positive errno
 * @fmt: one sentence without a full stop; cut if it is longer than the buffer, and without control
 *       characters whatever a guest has put into it
 *
 * Return: -@err, so that a caller can write "return error_set(...)".
 */
int error_set(struct error *e, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
