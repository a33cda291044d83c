/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Fields of a dump line: numbers and escapes. */
#include <errno.h>

#include "base/hex.h"
#include "dump/field-internal.h"

bool field_number(struct span f, unsigned int base, uint64_t *ret)
{
	uint64_t value = 0;
	bool negative = false;
	size_t i = 0;

	while (i < f.len && (f.p[i] == ' ' || (f.p[i] >= '\t' && f.p[i] <= '\r')))
		i++;
	if (i < f.len && (f.p[i] == '+' || f.p[i] == '-'))
		negative = f.p[i++] == '-';
	if (i == f.len)
		return false;

	for (bool saturated = false; i < f.len; i++) {
		unsigned int digit = (unsigned char)f.p[i] - (unsigned int)'0';

		if (digit >= base)
			return false;
		if (__builtin_mul_overflow(value, base, &value) ||
		    __builtin_add_overflow(value, digit, &value))
			saturated = true;
		if (saturated) {
			value = UINT64_MAX;
			/* As strtoull: a sign does not matter then. */
			negative = false;
		}
	}
	*ret = negative ? -value : value;
	return true;
}

ssize_t field_unescape(struct span f, char *out, struct cairn_error *err)
{
	char *o = out;

	for (size_t i = 0; i < f.len; i++) {
		int high, low;

		if (f.p[i] != '\\') {
			*o++ = f.p[i];
			continue;
		}
		if (++i == f.len)
			return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
					 "No character after escape");
		switch (f.p[i]) {
		case '\\':
			*o++ = '\\';
			break;
		case 'n':
			*o++ = '\n';
			break;
		case 'r':
			*o++ = '\r';
			break;
		case 't':
			*o++ = '\t';
			break;
		case 'x':
			if (f.len - i < 3)
				return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
						 "No hex characters after hex escape");
			high = hex_digit(f.p[i + 1]);
			low = hex_digit(f.p[i + 2]);
			if (high < 0 || low < 0)
				return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
						 "Invalid hex characters after hex escape");
			*o++ = (char)(high << 4 | low);
			i += 2;
			break;
		default:
			return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
					 "Unsupported escape type %c", f.p[i]);
		}
	}
	return o - out;
}
