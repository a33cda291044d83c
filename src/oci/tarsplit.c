/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* tar-split: lines of JSON, each raw bytes of a tar or a place where a content belongs. */
#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#include "oci/json_scan.h"
#include "oci/toc.h"

#define LINE_NAME_MAX TOC_NAME_MAX

struct split_line {
	uint64_t type, size;
	char name[LINE_NAME_MAX];
	size_t name_len;
	size_t payload; /* characters of it in split_reader.raw */
	bool named;
};

int split_reader_init(struct split_reader *r, const struct split_handler *handler)
{
	*r = (struct split_reader){.handler = *handler, .line = BUF_INIT(SPLIT_LINE_MAX)};
	r->raw = (char *)malloc(SPLIT_LINE_MAX);
	r->parsed = (struct split_line *)malloc(sizeof(*r->parsed));
	return r->raw && r->parsed ? 0 : -ENOMEM;
}

void split_reader_fini(struct split_reader *r)
{
	buf_fini(&r->line);
	free(r->raw);
	free(r->parsed);
	r->raw = NULL;
	r->parsed = NULL;
}

static int bad(const struct split_reader *r, const char *why, struct cairn_error *err)
{
	return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "tar-split, line %llu: %s",
			 (unsigned long long)r->nr_lines, why);
}

static int decode(const char *text, size_t len, void *out)
{
	size_t padding = 0;
	int n;

	if (len % 4 || strcspn(text, " \t\r\n-") < len)
		return -EINVAL;
	while (padding < len && padding < 2 && text[len - 1 - padding] == '=')
		padding++;
	n = EVP_DecodeBlock((unsigned char *)out, (const unsigned char *)text, (int)len);
	return n < (int)padding ? -EINVAL : n - (int)padding;
}

static int read_payload(struct split_reader *r, struct json_scan *s, struct split_line *l)
{
	while (s->at < s->end && *s->at == ' ')
		s->at++;
	if (s->at < s->end && *s->at == 'n')
		return json_scan_skip(s);
	return json_scan_text(s, r->raw, SPLIT_LINE_MAX, &l->payload);
}

static int read_line(struct split_reader *r, struct json_scan *s, struct split_line *l)
{
	char name[16], *encoded = NULL;
	int code = json_scan_object(s);

	while (code == 0 && (code = json_scan_name(s, name, sizeof(name))) == 1) {
		if (!strcmp(name, "type")) {
			code = json_scan_size(s, &l->type);
		} else if (!strcmp(name, "size")) {
			code = json_scan_size(s, &l->size);
		} else if (!strcmp(name, "payload")) {
			code = read_payload(r, s, l);
		} else if (!strcmp(name, "name")) {
			l->named = true;
			code = json_scan_text(s, l->name, sizeof(l->name), &l->name_len);
		} else if (!strcmp(name, "name_raw")) {
			l->named = true;
			code = json_scan_text(s, l->name, sizeof(l->name), &l->name_len);
			encoded = l->name;
			if (code == 0)
				code = decode(encoded, l->name_len, encoded);
			if (code >= 0) {
				l->name_len = (size_t)code;
				l->name[l->name_len] = '\0';
				code = 0;
			}
		} else {
			code = json_scan_skip(s);
		}
	}
	return code == 0 ? json_scan_end(s) : code;
}

static int take_line(struct split_reader *r, const char *text, size_t len, struct cairn_error *err)
{
	struct split_line *l = r->parsed;
	struct json_scan s;
	int n;

	l->type = l->size = l->payload = l->name_len = 0;
	l->named = false;
	r->nr_lines++;
	json_scan_init(&s, text, len);
	n = read_line(r, &s, l);
	if (n < 0)
		return bad(r, s.error ? s.error : "not base64", err);
	if (l->type == 1) {
		if (!l->named || l->name_len != strlen(l->name))
			return bad(r, "a content without a name", err);
		return l->size ? r->handler.file(r->handler.arg, l->name, l->size, err) : 0;
	}
	if (l->type != 2)
		return bad(r, "of an unknown type", err);
	n = decode(r->raw, l->payload, r->raw);
	if (n < 0)
		return bad(r, "not base64", err);
	return n ? r->handler.raw(r->handler.arg, r->raw, (size_t)n, err) : 0;
}

int split_reader_feed(void *reader, const void *data, size_t size, struct cairn_error *err)
{
	struct split_reader *r = (struct split_reader *)reader;
	const char *at = (const char *)data, *end = at + size;
	int code = 0;

	while (at < end && code == 0) {
		const char *newline = (const char *)memchr(at, '\n', (size_t)(end - at));
		size_t len = (size_t)((newline ? newline : end) - at);

		if (!newline || r->line.len) {
			if (buf_put(&r->line, at, len) < 0)
				return bad(r, "a line that is too long", err);
		}
		if (newline && r->line.len) {
			code = take_line(r, r->line.data, r->line.len, err);
			r->line.len = 0;
		} else if (newline && len) {
			code = take_line(r, at, len, err);
		}
		at += len + (newline != NULL);
	}
	return code;
}

int split_reader_finish(struct split_reader *r, struct cairn_error *err)
{
	int code = r->line.len ? take_line(r, r->line.data, r->line.len, err) : 0;

	r->line.len = 0;
	return code;
}
