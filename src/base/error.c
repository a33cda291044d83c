/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Filling struct cairn_error. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__printf_like(5, 0) static int set_text(struct cairn_error *err, int code,
					enum cairn_error_kind kind, const char *tail,
					const char *fmt, va_list ap)
{
	int len;

	if (!err)
		return code;

	err->code = code;
	err->kind = kind;
	len = vsnprintf(err->text, sizeof(err->text), fmt, ap);
	if (len < 0)
		len = 0;
	if (tail && (size_t)len < sizeof(err->text))
		snprintf(err->text + len, sizeof(err->text) - (size_t)len, ": %s", tail);
	return code;
}

int error_set(struct cairn_error *err, int code, enum cairn_error_kind kind, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_text(err, code, kind, NULL, fmt, ap);
	va_end(ap);
	return code;
}

int error_errno(struct cairn_error *err, int code, const char *fmt, ...)
{
	char words[128];
	va_list ap;

	va_start(ap, fmt);
	set_text(err, code, CAIRN_ERROR_SYSTEM, strerror_r(-code, words, sizeof(words)), fmt, ap);
	va_end(ap);
	return code;
}

int error_prepend(struct cairn_error *err, const char *fmt, ...)
{
	char noun[CAIRN_ERROR_TEXT_MAX - 2];
	size_t len;
	va_list ap;

	if (!err)
		return 0;

	va_start(ap, fmt);
	(void)vsnprintf(noun, sizeof(noun), fmt, ap);
	va_end(ap);
	len = strlen(noun);
	memmove(err->text + len + 2, err->text, sizeof(err->text) - len - 2);
	memcpy(err->text, noun, len);
	memcpy(err->text + len, ": ", 2);
	err->text[sizeof(err->text) - 1] = '\0';
	return err->code;
}

const char *error_quote(const char *name, size_t len, char *out, size_t out_size)
{
	static const char digits[] = "0123456789abcdef";
	size_t o = 0;

	for (size_t i = 0; i < len && o + 5 < out_size; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c >= 0x20 && c != 0x7f) {
			out[o++] = (char)c;
			continue;
		}
		out[o++] = '\\';
		out[o++] = 'x';
		out[o++] = digits[c >> 4];
		out[o++] = digits[c & 15];
	}
	out[o] = '\0';
	return out;
}
