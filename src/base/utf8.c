/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* UTF-8. */
#include "base/utf8.h"

#include <stdint.h>

bool utf8_valid(const char *text, size_t len)
{
	const uint8_t *p = (const uint8_t *)text;

	for (size_t i = 0; i < len;) {
		uint8_t c = p[i++];
		unsigned int more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
		/* Only the second byte can make a form too long, a surrogate or too large. */
		uint8_t low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
		uint8_t high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;

		if ((c >= 0x80 && c < 0xc2) || c > 0xf4 || more > len - i)
			return false;
		for (; more; more--, low = 0x80, high = 0xbf) {
			if (p[i] < low || p[i] > high)
				return false;
			i++;
		}
	}
	return true;
}
