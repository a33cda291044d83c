/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* A small reader of TOML, by descent. */
#include "oci/toml.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/hex.h"
#include "base/utf8.h"

struct toml {
	const char *at, *end;
	unsigned int line;
	char table[TOML_PATH_MAX]; /* of the last header */
	char text[TOML_TEXT_MAX];
	toml_fn fn;
	void *arg;
	struct cairn_error *err;
};

static int bad(struct toml *t, const char *why)
{
	return error_set(t->err, -EINVAL, CAIRN_ERROR_FORMAT, "line %u: %s", t->line, why);
}

static int peek(const struct toml *t)
{
	return t->at < t->end ? (unsigned char)*t->at : -1;
}

static void skip_blanks(struct toml *t)
{
	while (peek(t) == ' ' || peek(t) == '\t')
		t->at++;
}

static void skip_comment(struct toml *t)
{
	if (peek(t) == '#')
		while (t->at < t->end && *t->at != '\n')
			t->at++;
}

/* Blanks, comments and ends of lines, inside of arrays and between statements. */
static void skip_lines(struct toml *t)
{
	for (;;) {
		skip_blanks(t);
		skip_comment(t);
		if (peek(t) == '\r' && t->at + 1 < t->end && t->at[1] == '\n')
			t->at++;
		if (peek(t) != '\n')
			return;
		t->at++;
		t->line++;
	}
}

static int end_of_line(struct toml *t)
{
	skip_blanks(t);
	skip_comment(t);
	if (peek(t) == '\r')
		t->at++;
	return peek(t) == '\n' || peek(t) < 0 ? 0 : bad(t, "more on the line than one statement");
}

static int report(struct toml *t, enum toml_kind kind, const char *path, int64_t number)
{
	unsigned int line = t->line;
	int r = t->fn(t->arg, kind, path, kind == TOML_STRING ? t->text : "", number, t->err);

	if (r < 0)
		error_prepend(t->err, "line %u", line);
	return r;
}

/* --- strings --------------------------------------------------------------------------------- */

static int put_utf8(struct toml *t, size_t *len, uint32_t c)
{
	char *out = t->text + *len;

	if (c == 0 || (c >= 0xd800 && c < 0xe000) || c > 0x10ffff)
		return bad(t, "an escape that is no character");
	if (c < 0x80) {
		out[0] = (char)c;
		*len += 1;
	} else if (c < 0x800) {
		out[0] = (char)(0xc0 | (c >> 6));
		out[1] = (char)(0x80 | (c & 63));
		*len += 2;
	} else if (c < 0x10000) {
		out[0] = (char)(0xe0 | (c >> 12));
		out[1] = (char)(0x80 | ((c >> 6) & 63));
		out[2] = (char)(0x80 | (c & 63));
		*len += 3;
	} else {
		out[0] = (char)(0xf0 | (c >> 18));
		out[1] = (char)(0x80 | ((c >> 12) & 63));
		out[2] = (char)(0x80 | ((c >> 6) & 63));
		out[3] = (char)(0x80 | (c & 63));
		*len += 4;
	}
	return 0;
}

static int read_escape(struct toml *t, size_t *len)
{
	static const char names[] = "btnfr\"\\", values[] = "\b\t\n\f\r\"\\";
	int c = peek(t), digits = c == 'u' ? 4 : c == 'U' ? 8 : 0;
	const char *found = c > 0 && !digits ? strchr(names, c) : NULL;
	uint32_t value = 0;

	t->at++;
	if (found) {
		t->text[(*len)++] = values[found - names];
		return 0;
	}
	if (!digits)
		return bad(t, "an unknown escape");
	for (; digits; digits--, t->at++) {
		int digit = peek(t) < 0 ? -1 : hex_digit((char)peek(t));

		if (digit < 0)
			return bad(t, "an escape that is not hexadecimal");
		value = value << 4 | (uint32_t)digit;
	}
	return put_utf8(t, len, value);
}

/* "basic" or 'literal', into text. */
static int read_string(struct toml *t)
{
	int quote = peek(t);
	size_t len = 0;
	int r;

	if (t->end - t->at >= 3 && t->at[1] == quote && t->at[2] == quote)
		return bad(t, "strings of several lines are not read");
	for (t->at++; peek(t) != quote;) {
		int c = peek(t);

		if (c < 0 || c == '\n')
			return bad(t, "a string without its end");
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return bad(t, "a control character in a string");
		if (len + 5 > sizeof(t->text))
			return bad(t, "a string that is too long");
		t->at++;
		if (c == '\\' && quote == '"') {
			r = read_escape(t, &len);
			if (r < 0)
				return r;
		} else {
			t->text[len++] = (char)c;
		}
	}
	t->at++;
	t->text[len] = '\0';
	return utf8_valid(t->text, len) ? 0 : bad(t, "not UTF-8");
}

/* --- names ----------------------------------------------------------------------------------- */

static bool is_bare(int c)
{
	return c > 0 && (isalnum(c) || c == '_' || c == '-');
}

/* Appends one name. */
static int read_name(struct toml *t, char path[TOML_PATH_MAX])
{
	size_t len = strlen(path), name = 0;
	int r;

	if (peek(t) == '"' || peek(t) == '\'') {
		r = read_string(t);
		if (r < 0)
			return r;
	} else {
		while (is_bare(peek(t)) && name + 1 < sizeof(t->text))
			t->text[name++] = *t->at++;
		t->text[name] = '\0';
		if (!name)
			return bad(t, "a name is missing");
	}
	if (len + 1 + strlen(t->text) >= TOML_PATH_MAX)
		return bad(t, "a name that is too long");
	sprintf(path + len, "%s%s", len ? "." : "", t->text);
	return 0;
}

/* a.b."c" after what is in @path. */
static int read_path(struct toml *t, char path[TOML_PATH_MAX])
{
	for (;;) {
		int r;

		skip_blanks(t);
		r = read_name(t, path);
		if (r < 0)
			return r;
		skip_blanks(t);
		if (peek(t) != '.')
			return 0;
		t->at++;
	}
}

/* --- values ---------------------------------------------------------------------------------- */

static int read_value(struct toml *t, const char *path, unsigned int depth);

static int read_pair(struct toml *t, const char *table, unsigned int depth)
{
	char path[TOML_PATH_MAX];
	int r;

	snprintf(path, sizeof(path), "%s", table);
	r = read_path(t, path);
	if (r < 0)
		return r;
	if (peek(t) != '=')
		return bad(t, "'=' is missing");
	t->at++;
	skip_blanks(t);
	return read_value(t, path, depth);
}

static int read_array(struct toml *t, const char *path, unsigned int depth)
{
	int r = 0;

	t->at++;
	for (;;) {
		skip_lines(t);
		if (peek(t) == ']') {
			t->at++;
			return 0;
		}
		if (peek(t) == '{')
			r = report(t, TOML_ELEMENT, path, 0);
		if (r == 0)
			r = read_value(t, path, depth + 1);
		if (r < 0)
			return r;
		skip_lines(t);
		if (peek(t) == ',')
			t->at++;
		else if (peek(t) != ']')
			return bad(t, "an array without its end");
	}
}

static int read_inline_table(struct toml *t, const char *path, unsigned int depth)
{
	int r;

	t->at++;
	skip_blanks(t);
	if (peek(t) == '}') {
		t->at++;
		return 0;
	}
	for (;;) {
		r = read_pair(t, path, depth + 1);
		if (r < 0)
			return r;
		skip_blanks(t);
		if (peek(t) == '}') {
			t->at++;
			return 0;
		}
		if (peek(t) != ',')
			return bad(t, "a table without its end");
		t->at++;
	}
}

static int read_word(struct toml *t, const char *path)
{
	char word[32];
	size_t len = 0;
	int64_t number;
	char *end;

	while (peek(t) > 0 && (is_bare(peek(t)) || strchr("+.:", peek(t))) &&
	       len + 1 < sizeof(word))
		word[len++] = *t->at++;
	word[len] = '\0';
	if (!strcmp(word, "true") || !strcmp(word, "false"))
		return report(t, TOML_BOOLEAN, path, word[0] == 't');
	errno = 0;
	number = strtoll(word, &end, 10);
	if (!len || *end || errno)
		return bad(t, "a value that is not read: neither string, integer, true nor false");
	return report(t, TOML_INTEGER, path, number);
}

static int read_value(struct toml *t, const char *path, unsigned int depth)
{
	int r;

	if (depth > TOML_DEPTH_MAX)
		return bad(t, "nested too deep");
	switch (peek(t)) {
	case '"':
	case '\'':
		r = read_string(t);
		return r < 0 ? r : report(t, TOML_STRING, path, 0);
	case '[':
		return read_array(t, path, depth);
	case '{':
		return read_inline_table(t, path, depth);
	default:
		return read_word(t, path);
	}
}

/* [a.b] or [[a.b]] */
static int read_header(struct toml *t)
{
	bool element = t->at + 1 < t->end && t->at[1] == '[';
	int r;

	t->at += element ? 2 : 1;
	t->table[0] = '\0';
	r = read_path(t, t->table);
	if (r < 0)
		return r;
	for (unsigned int i = element ? 2 : 1; i; i--, t->at++) {
		if (peek(t) != ']')
			return bad(t, "']' is missing");
	}
	return report(t, element ? TOML_ELEMENT : TOML_TABLE, t->table, 0);
}

int toml_read(const char *text, size_t size, toml_fn fn, void *arg, struct cairn_error *err)
{
	struct toml *t cleanup_free = (struct toml *)malloc(sizeof(*t));
	int r = 0;

	if (!t)
		return error_errno(err, -ENOMEM, "reading");
	t->at = text;
	t->end = text + size;
	t->line = 1;
	t->table[0] = '\0';
	t->fn = fn;
	t->arg = arg;
	t->err = err;
	for (;;) {
		skip_lines(t);
		if (peek(t) < 0)
			return 0;
		r = peek(t) == '[' ? read_header(t) : read_pair(t, t->table, 0);
		if (r == 0)
			r = end_of_line(t);
		if (r < 0)
			return r;
	}
}
