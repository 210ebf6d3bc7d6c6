/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * input - what all fuzzers read their input with, and say what must hold.
 *
 * An input is a story: each read takes the next bytes, and past the end all is zero, so that every
 * prefix of a story is one. A fuzzer is a single function, LLVMFuzzerTestOneInput(), straight at a
 * parser; what must not be is a must() that fails, or what a sanitizer finds.
 */
#ifndef XENBLKD_FUZZ_INPUT_H
#define XENBLKD_FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define must(cond)                                                                         \
	do {                                                                               \
		if (!(cond)) {                                                             \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #cond); \
			abort();                                                           \
		}                                                                          \
	} while (0)

struct input {
	const uint8_t *at;
	size_t left;
};

static inline void input_bytes(struct input *in, void *out, size_t n)
{
	size_t have = n < in->left ? n : in->left;

	memset(out, 0, n);
	if (!have)
		return;
	memcpy(out, in->at, have);
	in->at += have;
	in->left -= have;
}

static inline uint8_t input_u8(struct input *in)
{
	uint8_t v;

	input_bytes(in, &v, sizeof(v));
	return v;
}

static inline uint16_t input_u16(struct input *in)
{
	uint16_t v;

	input_bytes(in, &v, sizeof(v));
	return v;
}

static inline uint32_t input_u32(struct input *in)
{
	uint32_t v;

	input_bytes(in, &v, sizeof(v));
	return v;
}

static inline uint64_t input_u64(struct input *in)
{
	uint64_t v;

	input_bytes(in, &v, sizeof(v));
	return v;
}

/* The next line, without its end, as a string to free; NULL behind the last. */
static inline char *input_line(struct input *in)
{
	const uint8_t *end;
	size_t n;
	char *line;

	if (!in->left)
		return NULL;
	end = memchr(in->at, '\n', in->left);
	n = end ? (size_t)(end - in->at) : in->left;
	line = malloc(n + 1);
	must(line);
	memcpy(line, in->at, n);
	line[n] = '\0';
	in->at += n + (end != NULL);
	in->left -= n + (end != NULL);
	return line;
}

#endif
