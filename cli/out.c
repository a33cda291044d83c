/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Output: buffers, and bytes from outside made harmless for terminals and for JSON. */
#include "out.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static char result_data[64 * 1024];
static char talk_data[4 * 1024];

struct out out_result = {.fd = STDOUT_FILENO, .size = sizeof(result_data), .data = result_data};
struct out out_talk = {.fd = STDERR_FILENO, .size = sizeof(talk_data), .data = talk_data};
bool out_json;

static void write_through(struct out *o, const char *data, size_t size)
{
	while (size && !o->error) {
		ssize_t n = write(o->fd, data, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			o->error = -errno;
			return;
		}
		data += n;
		size -= (size_t)n;
	}
}

int out_flush(struct out *o)
{
	write_through(o, o->data, o->len);
	o->len = 0;
	return o->error;
}

void out_put(struct out *o, const void *data, size_t size)
{
	if (size > o->size - o->len)
		out_flush(o);
	if (size > o->size) {
		write_through(o, data, size);
		return;
	}
	memcpy(o->data + o->len, data, size);
	o->len += size;
}

void out_puts(struct out *o, const char *text)
{
	out_put(o, text, strlen(text));
}

void out_printf(struct out *o, const char *fmt, ...)
{
	char text[1500]; /* longer texts go through out_puts() */
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (len > 0)
		out_put(o, text, MIN((size_t)len, sizeof(text) - 1));
}

void out_number(struct out *o, uint64_t number, unsigned int width)
{
	char text[20];
	char *end = text + sizeof(text), *p = end;

	do {
		*--p = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	while (p > text && (size_t)(end - p) < width)
		*--p = ' ';
	out_put(o, p, (size_t)(end - p));
}

int out_write(void *arg, const void *data, unsigned long size)
{
	struct out *o = arg;

	out_put(o, data, size);
	return o->error;
}

/* Bytes of the UTF-8 character at @s: 1 to 4; 0 when it is none (overlong forms, surrogates and
 * values above U+10FFFF are none). */
static size_t utf8_char(const unsigned char *s, size_t len)
{
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

	if (!n || n > len || s[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

/* Bytes at the beginning of @s that are printable ASCII and neither @a nor @b: most names are
 * nothing else. */
static size_t plain_span(const unsigned char *s, size_t len, unsigned char a, unsigned char b)
{
	size_t n = 0;

	while (n < len && s[n] >= 0x20 && s[n] < 0x7f && s[n] != a && s[n] != b)
		n++;
	return n;
}

static void put_escape(struct out *o, unsigned char c)
{
	static const char digits[] = "0123456789abcdef";
	const char hex[] = {'\\', 'x', digits[c >> 4], digits[c & 15]};

	switch (c) {
	case '\\':
		out_put(o, "\\\\", 2);
		break;
	case '\n':
		out_put(o, "\\n", 2);
		break;
	case '\r':
		out_put(o, "\\r", 2);
		break;
	case '\t':
		out_put(o, "\\t", 2);
		break;
	default:
		out_put(o, hex, sizeof(hex));
	}
}

/* @escape: one more character that is to be escaped. */
static void put_harmless(struct out *o, const void *text, size_t len, unsigned char escape)
{
	const unsigned char *s = text;

	while (len) {
		size_t plain = plain_span(s, len, escape, escape), n;
		bool control;

		out_put(o, s, plain);
		s += plain;
		len -= plain;
		if (!len)
			return;
		n = utf8_char(s, len);
		control = n == 2 && s[0] == 0xc2 && s[1] < 0xa0;

		if (n == 1)
			control = s[0] < 0x20 || s[0] == 0x7f || s[0] == escape;
		if (n && !control) {
			out_put(o, s, n);
		} else {
			n = MAX(n, (size_t)1);
			for (size_t i = 0; i < n; i++)
				put_escape(o, s[i]);
		}
		s += n;
		len -= n;
	}
}

void out_name(struct out *o, const void *name, size_t len)
{
	put_harmless(o, name, len, '\\');
}

void out_words(struct out *o, const char *text)
{
	put_harmless(o, text, strlen(text), 0);
}

void out_json_string(struct out *o, const void *text, size_t len)
{
	const unsigned char *s = text;

	out_put(o, "\"", 1);
	while (len) {
		size_t plain = plain_span(s, len, '"', '\\'), n;

		out_put(o, s, plain);
		s += plain;
		len -= plain;
		if (!len)
			break;
		n = utf8_char(s, len);
		if (!n)
			out_put(o, "\xef\xbf\xbd", 3);
		else if (s[0] == '"' || s[0] == '\\')
			out_printf(o, "\\%c", s[0]);
		else if (s[0] < 0x20 || s[0] == 0x7f)
			out_printf(o, "\\u%04x", s[0]);
		else
			out_put(o, s, n);
		n = MAX(n, (size_t)1);
		s += n;
		len -= n;
	}
	out_put(o, "\"", 1);
}

bool out_is_utf8(const void *text, size_t len)
{
	const unsigned char *s = text;

	while (len) {
		size_t n = utf8_char(s, len);

		if (!n)
			return false;
		s += n;
		len -= n;
	}
	return true;
}

void out_size(struct out *o, uint64_t bytes)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double size = (double)bytes / 1024;
	size_t u = 0;

	if (bytes < 1024) {
		out_printf(o, "%u B", (unsigned int)bytes);
		return;
	}
	for (; size >= 1023.95 && u + 1 < ARRAY_SIZE(units); u++)
		size /= 1024;
	out_printf(o, "%.1f %s", size, units[u]);
}
