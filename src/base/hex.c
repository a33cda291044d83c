/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Hexadecimal text. */
#include "base/hex.h"

#include <string.h>

#define ROW(h)                                                                                     \
	h "0" h "1" h "2" h "3" h "4" h "5" h "6" h "7" h "8" h "9" h "a" h "b" h "c" h "d" h      \
	  "e" h "f"

/* The two digits of every byte, one after the other. */
static const char pairs[] = ROW("0") ROW("1") ROW("2") ROW("3") ROW("4") ROW("5") ROW("6") ROW("7")
	ROW("8") ROW("9") ROW("a") ROW("b") ROW("c") ROW("d") ROW("e") ROW("f");

const uint8_t hex_value_plus_one[256] = {
	['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,
	['6'] = 7,  ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12,
	['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16, ['A'] = 11, ['B'] = 12,
	['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

char *hex_put(char *out, const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++, out += 2)
		memcpy(out, pairs + 2 * bytes[i], 2);
	return out;
}

int hex_get(const char *text, uint8_t *out, size_t size)
{
	int bad = 0;

	for (size_t i = 0; i < size; i++) {
		int high = hex_digit(text[2 * i]);
		int low = hex_digit(text[2 * i + 1]);

		bad |= high | low;
		out[i] = (uint8_t)((unsigned int)high << 4 | (unsigned int)low);
	}
	return bad < 0 ? -1 : 0;
}
