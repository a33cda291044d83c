/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Reading JSON value by value. */
#include "oci/json_scan.h"

#include <errno.h>
#include <string.h>

#include "base/hex.h"
#include "base/utf8.h"

void json_scan_init(struct json_scan *s, const void *data, size_t size)
{
	*s = (struct json_scan){.start = (const char *)data,
				.at = (const char *)data,
				.end = (const char *)data + size};
}

static int bad(struct json_scan *s, const char *why)
{
	if (!s->error)
		s->error = why;
	return -EINVAL;
}

/* The next byte that is no white space; -1: none. */
static int peek(struct json_scan *s)
{
	while (s->at < s->end &&
	       (*s->at == ' ' || *s->at == '\n' || *s->at == '\t' || *s->at == '\r'))
		s->at++;
	return s->at < s->end ? (unsigned char)*s->at : -1;
}

static int enter(struct json_scan *s, char open, const char *why)
{
	if (peek(s) != open)
		return bad(s, why);
	if (s->depth == JSON_SCAN_DEPTH)
		return bad(s, "nested too deep");
	s->at++;
	s->depth++;
	s->first = true;
	return 0;
}

int json_scan_object(struct json_scan *s)
{
	return enter(s, '{', "not an object");
}

int json_scan_array(struct json_scan *s)
{
	return enter(s, '[', "not an array");
}

/* Before an element: 1, or 0 at @close, which is taken. */
static int next(struct json_scan *s, char close)
{
	int c = peek(s);

	if (c == close) {
		s->at++;
		s->depth--;
		s->first = false;
		return 0;
	}
	if (!s->first) {
		if (c != ',')
			return bad(s, "a comma is missing");
		s->at++;
	}
	s->first = false;
	return 1;
}

int json_scan_element(struct json_scan *s)
{
	return next(s, ']');
}

static int read_hex4(struct json_scan *s, uint32_t *ret)
{
	uint32_t value = 0;

	if (s->end - s->at < 4)
		return bad(s, "a string without its end");
	for (int i = 0; i < 4; i++) {
		int digit = hex_digit(*s->at++);

		if (digit < 0)
			return bad(s, "an escape that is not hexadecimal");
		value = value << 4 | (uint32_t)digit;
	}
	*ret = value;
	return 0;
}

static size_t put_utf8(char out[4], uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | (c >> 6));
		out[1] = (char)(0x80 | (c & 63));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | (c >> 12));
		out[1] = (char)(0x80 | ((c >> 6) & 63));
		out[2] = (char)(0x80 | (c & 63));
		return 3;
	}
	out[0] = (char)(0xf0 | (c >> 18));
	out[1] = (char)(0x80 | ((c >> 12) & 63));
	out[2] = (char)(0x80 | ((c >> 6) & 63));
	out[3] = (char)(0x80 | (c & 63));
	return 4;
}

/* What follows a backslash. Returns the bytes put into @out. */
static int read_escape(struct json_scan *s, char out[4])
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	char c = s->at < s->end ? *s->at++ : '\0';
	const char *found = c ? strchr(names, c) : NULL;
	uint32_t value, low;
	int r;

	if (found) {
		out[0] = values[found - names];
		return 1;
	}
	if (c != 'u')
		return bad(s, "an unknown escape");
	r = read_hex4(s, &value);
	if (r < 0)
		return r;
	if (value >= 0xd800 && value < 0xdc00) {
		if (s->end - s->at < 6 || s->at[0] != '\\' || s->at[1] != 'u')
			return bad(s, "half of a surrogate pair");
		s->at += 2;
		r = read_hex4(s, &low);
		if (r < 0)
			return r;
		if (low < 0xdc00 || low > 0xdfff)
			return bad(s, "half of a surrogate pair");
		value = 0x10000 + ((value - 0xd800) << 10) + (low - 0xdc00);
	} else if ((value >= 0xdc00 && value < 0xe000) || !value) {
		return bad(s, "an escape that is no character");
	}
	return (int)put_utf8(out, value);
}

/* Into @text[0..@size), *@ret_len its full length: what does not fit is left out. */
static int read_text(struct json_scan *s, char *text, size_t size, size_t *ret_len)
{
	size_t len = 0;

	if (peek(s) != '"')
		return bad(s, "not a string");
	for (s->at++;;) {
		const char *run = s->at;
		char escaped[4];
		int n;

		while (s->at < s->end && *s->at != '"' && *s->at != '\\' &&
		       (unsigned char)*s->at >= 0x20)
			s->at++;
		if (size > len)
			memcpy(text + len, run, MIN((size_t)(s->at - run), size - len));
		len += (size_t)(s->at - run);
		if (s->at == s->end)
			return bad(s, "a string without its end");
		if (*s->at == '"')
			break;
		if (*s->at != '\\')
			return bad(s, "a control character in a string");
		s->at++;
		n = read_escape(s, escaped);
		if (n < 0)
			return n;
		if (size > len)
			memcpy(text + len, escaped, MIN((size_t)n, size - len));
		len += (size_t)n;
	}
	s->at++;
	*ret_len = len;
	return 0;
}

int json_scan_text(struct json_scan *s, char *text, size_t size, size_t *ret_len)
{
	size_t len;
	int r = read_text(s, text, size - 1, &len);

	if (r < 0)
		return r;
	if (len > size - 1)
		return bad(s, "a string that is too long");
	text[len] = '\0';
	if (!utf8_valid(text, len))
		return bad(s, "not UTF-8");
	if (ret_len)
		*ret_len = len;
	return 0;
}

int json_scan_name(struct json_scan *s, char *name, size_t size)
{
	size_t len;
	int r = next(s, '}');

	if (r <= 0)
		return r;
	r = read_text(s, name, size - 1, &len);
	if (r < 0)
		return r;
	name[len > size - 1 ? 0 : len] = '\0';
	if (peek(s) != ':')
		return bad(s, "a colon is missing");
	s->at++;
	return 1;
}

static bool take_word(struct json_scan *s, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(s->end - s->at) < len || memcmp(s->at, word, len))
		return false;
	s->at += len;
	return true;
}

int json_scan_size(struct json_scan *s, uint64_t *ret)
{
	uint64_t n = 0;
	const char *start;
	int c = peek(s);

	if (c == 'n' && take_word(s, "null")) {
		*ret = 0;
		return 0;
	}
	for (start = s->at; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++) {
		uint64_t digit = (uint64_t)(*s->at - '0');

		if (n > ((uint64_t)INT64_MAX - digit) / 10)
			return bad(s, "a number that is too large");
		n = n * 10 + digit;
	}
	if (s->at == start || (*start == '0' && s->at - start > 1))
		return bad(s, "not an integer from 0 on");
	if (s->at < s->end && (*s->at == '.' || *s->at == 'e' || *s->at == 'E'))
		return bad(s, "not an integer");
	*ret = n;
	return 0;
}

static int skip_number(struct json_scan *s)
{
	const char *start = s->at;

	while (s->at < s->end && *s->at && strchr("+-.0123456789eE", *s->at))
		s->at++;
	return s->at == start ? bad(s, "a value is missing") : 0;
}

/* Nested values cost a frame each, JSON_SCAN_DEPTH at most. */
int json_scan_skip(struct json_scan *s)
{
	char name[2];
	size_t len;
	int r;

	switch (peek(s)) {
	case '"':
		return read_text(s, NULL, 0, &len);
	case '{':
		r = json_scan_object(s);
		while (r == 0 && (r = json_scan_name(s, name, sizeof(name))) == 1)
			r = json_scan_skip(s);
		return r;
	case '[':
		r = json_scan_array(s);
		while (r == 0 && (r = json_scan_element(s)) == 1)
			r = json_scan_skip(s);
		return r;
	case 't':
		return take_word(s, "true") ? 0 : bad(s, "an unknown word");
	case 'f':
		return take_word(s, "false") ? 0 : bad(s, "an unknown word");
	case 'n':
		return take_word(s, "null") ? 0 : bad(s, "an unknown word");
	default:
		return skip_number(s);
	}
}

int json_scan_end(struct json_scan *s)
{
	return peek(s) < 0 ? 0 : bad(s, "more behind the end");
}
