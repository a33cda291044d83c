/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Rows: the same cells as text through a template and as a JSON object. */
#include <assert.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <time.h>

#include "base/hex.h"
#include "out.h"

/* --- text ------------------------------------------------------------------------------------ */

static void mode_text(struct out *o, uint32_t mode)
{
	static const char types[] = "?pc?d?b?-?l?s???";
	char text[10] = "?rwxrwxrwx";

	text[0] = types[(mode & S_IFMT) >> 12];
	for (unsigned int i = 0; i < 9; i++) {
		if (!(mode & (0400u >> i)))
			text[1 + i] = '-';
	}
	if (mode & S_ISUID)
		text[3] = mode & S_IXUSR ? 's' : 'S';
	if (mode & S_ISGID)
		text[6] = mode & S_IXGRP ? 's' : 'S';
	if (mode & S_ISVTX)
		text[9] = mode & S_IXOTH ? 't' : 'T';
	out_put(o, text, sizeof(text));
}

static void time_text(struct out *o, int64_t seconds)
{
	time_t t = (time_t)seconds;
	struct tm tm;
	char text[64];

	if (gmtime_r(&t, &tm) && strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm))
		out_puts(o, text);
	else
		out_printf(o, "@%" PRId64, seconds);
}

static void digest_text(struct out *o, const struct cairn_digest *digest)
{
	char hex[CAIRN_DIGEST_HEX_MAX];

	out_put(o, hex, cairn_digest_to_hex(digest, hex));
}

static void names_text(struct out *o, const struct cell *c)
{
	for (size_t i = 0; i < c->len; i++) {
		out_puts(o, i ? "," : "");
		out_name(o, c->names[i], strlen(c->names[i]));
	}
	if (!c->len)
		out_puts(o, "-");
}

static void cell_text(struct out *o, const struct cell *c, unsigned int width)
{
	switch (c->type) {
	case CELL_NONE:
		out_printf(o, "%*s", (int)width, "-");
		break;
	case CELL_WORD:
		out_words(o, c->text);
		break;
	case CELL_NAME:
		out_name(o, c->text, c->len);
		break;
	case CELL_NUMBER:
		out_number(o, c->number, width);
		break;
	case CELL_SIZE:
		out_size(o, c->number);
		break;
	case CELL_SECONDS:
		out_printf(o, "%.2f s", c->seconds);
		break;
	case CELL_BOOL:
		out_puts(o, c->number ? "yes" : "no");
		break;
	case CELL_MODE:
		mode_text(o, (uint32_t)c->number);
		break;
	case CELL_TIME:
		time_text(o, c->time);
		break;
	case CELL_DIGEST:
		digest_text(o, c->digest);
		break;
	case CELL_XATTRS:
		out_printf(o, "%zu", c->len);
		break;
	case CELL_NAMES:
		names_text(o, c);
		break;
	}
}

static const struct cell *find_cell(const char *const *keys, const struct cell *cells,
				    const char *key, size_t len)
{
	for (size_t i = 0; keys[i]; i++) {
		if (!strncmp(keys[i], key, len) && !keys[i][len])
			return &cells[i];
	}
	assert(!"template names a key that the row has not");
	return cells;
}

void out_text(struct out *o, const char *const *keys, const char *text, const struct cell *cells)
{
	for (;;) {
		size_t len = strcspn(text, "{");
		const struct cell *c;
		unsigned int width = 0;

		out_put(o, text, len);
		text += len;
		if (!*text)
			break;
		len = strcspn(++text, ":}");
		c = find_cell(keys, cells, text, len);
		if (text[len] == ':')
			width = (unsigned int)atoi(text + len + 1);
		if (text[len] == ':' && text[len + 1] == 's')
			out_puts(o, c->number == 1 ? "" : "s");
		else
			cell_text(o, c, width);
		text += strcspn(text, "}") + 1;
	}
}

/* --- JSON ------------------------------------------------------------------------------------ */

static void json_key(struct out *o, const char *key, const char *suffix)
{
	out_put(o, "\"", 1);
	out_puts(o, key);
	out_puts(o, suffix);
	out_put(o, "\":", 2);
}

static void json_hex(struct out *o, const char *data, size_t len)
{
	char hex[512];

	out_put(o, "\"", 1);
	while (len) {
		size_t n = MIN(len, sizeof(hex) / 2);

		hex_put(hex, (const uint8_t *)data, n);
		out_put(o, hex, 2 * n);
		data += n;
		len -= n;
	}
	out_put(o, "\"", 1);
}

static void json_name(struct out *o, const char *key, const char *data, size_t len)
{
	json_key(o, key, "");
	out_json_string(o, data, len);
	if (out_is_utf8(data, len))
		return;
	out_put(o, ",", 1);
	json_key(o, key, "_hex");
	json_hex(o, data, len);
}

static void json_xattrs(struct out *o, const struct cairn_xattr *x, size_t nr)
{
	out_put(o, "[", 1);
	for (size_t i = 0; i < nr; i++) {
		out_puts(o, i ? ",{" : "{");
		json_name(o, "name", x[i].name, strlen(x[i].name));
		out_put(o, ",", 1);
		json_name(o, "value", x[i].value, x[i].size);
		out_put(o, "}", 1);
	}
	out_put(o, "]", 1);
}

static void json_names(struct out *o, const char *const *names, size_t nr)
{
	out_put(o, "[", 1);
	for (size_t i = 0; i < nr; i++) {
		out_puts(o, i ? "," : "");
		out_json_string(o, names[i], strlen(names[i]));
	}
	out_put(o, "]", 1);
}

static void json_value(struct out *o, const struct cell *c)
{
	switch (c->type) {
	case CELL_NONE:
		out_puts(o, "null");
		break;
	case CELL_WORD:
		out_json_string(o, c->text, strlen(c->text));
		break;
	case CELL_NAME:
		out_json_string(o, c->text, c->len);
		break;
	case CELL_NUMBER:
	case CELL_SIZE:
		out_number(o, c->number, 0);
		break;
	case CELL_SECONDS:
		out_printf(o, "%.3f", c->seconds);
		break;
	case CELL_BOOL:
		out_puts(o, c->number ? "true" : "false");
		break;
	case CELL_MODE:
		out_printf(o, "\"%" PRIo64 "\"", c->number);
		break;
	case CELL_TIME:
		out_printf(o, "%" PRId64, c->time);
		break;
	case CELL_DIGEST:
		out_put(o, "\"", 1);
		digest_text(o, c->digest);
		out_put(o, "\"", 1);
		break;
	case CELL_XATTRS:
		json_xattrs(o, c->xattrs, c->len);
		break;
	case CELL_NAMES:
		json_names(o, c->names, c->len);
		break;
	}
}

static void json_row(struct out *o, const char *const *keys, const struct cell *cells)
{
	out_put(o, "{", 1);
	for (size_t i = 0; keys[i]; i++) {
		if (i)
			out_put(o, ",", 1);
		if (cells[i].type == CELL_NAME) {
			json_name(o, keys[i], cells[i].text, cells[i].len);
		} else {
			json_key(o, keys[i], "");
			json_value(o, &cells[i]);
		}
	}
	out_put(o, "}\n", 2);
}

void out_row(const char *const *keys, const char *text, const struct cell *cells)
{
	if (out_json)
		json_row(&out_result, keys, cells);
	else
		out_text(&out_result, keys, text, cells);
}
