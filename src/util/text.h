/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * text - words of somebody else's, made fit for a line that an operator reads.
 *
 * Thread: any.
 */
#ifndef XENBLKD_TEXT_H
#define XENBLKD_TEXT_H

/*
 * text_printable - puts '?' for each control character in @text
 *
 * A guest's words could else end a line and begin one of their own making, with a priority for the
 * journal, or tell the operator's terminal what to do.
 */
static inline void text_printable(char *text)
{
	for (unsigned char *c = (unsigned char *)text; *c; c++) {
		if (*c < ' ' || *c == 0x7f)
			*c = '?';
	}
}

#endif
