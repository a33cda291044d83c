/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Hexadecimal text. */
#ifndef BASE_HEX_H
#define BASE_HEX_H

#include <stddef.h>
#include <stdint.h>

extern const uint8_t hex_value_plus_one[256];

/* Value of a digit of either case, -1 for anything else. */
static inline int hex_digit(char c)
{
	return hex_value_plus_one[(unsigned char)c] - 1;
}

/* Writes 2 * @size lower-case digits, no NUL. Returns the end. */
char *hex_put(char *out, const uint8_t *bytes, size_t size);

/* Reads @size bytes from 2 * @size digits of either case. Returns 0 or -1; @out is then undefined. */
int hex_get(const char *text, uint8_t *out, size_t size);

#endif
