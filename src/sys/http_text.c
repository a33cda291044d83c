/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Pieces of text in HTTP that mean something: no I/O here. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/error.h"
#include "sys/http-internal.h"

/* Digits only, no sign, fits 63 bits. Returns the end, or NULL. */
static const char *read_number(const char *p, uint64_t *ret)
{
	uint64_t n = 0;

	if (!isdigit((unsigned char)*p))
		return NULL;
	for (; isdigit((unsigned char)*p); p++) {
		unsigned int digit = (unsigned int)(*p - '0');

		if (n > ((uint64_t)INT64_MAX - digit) / 10)
			return NULL;
		n = n * 10 + digit;
	}
	*ret = n;
	return p;
}

int http_content_range(const char *value, uint64_t *ret_from, uint64_t *ret_to, uint64_t *ret_total)
{
	uint64_t from, to, total = UINT64_MAX;
	const char *p = value;

	if (strncasecmp(p, "bytes", 5) || p[5] != ' ')
		return -EINVAL;
	p += 6;
	p += strspn(p, " ");
	p = read_number(p, &from);
	if (!p || *p++ != '-')
		return -EINVAL;
	p = read_number(p, &to);
	if (!p || *p++ != '/')
		return -EINVAL;
	if (*p == '*')
		p++;
	else
		p = read_number(p, &total);
	if (!p || p[strspn(p, " \t")] || to < from || (total != UINT64_MAX && to >= total))
		return -EINVAL;
	*ret_from = from;
	*ret_to = to;
	*ret_total = total;
	return 0;
}

int http_retry_after(const char *value, int64_t now)
{
	struct tm tm = {0};
	uint64_t seconds;
	const char *end;

	end = read_number(value, &seconds);
	if (end)
		return end[strspn(end, " \t")] ? -1 : (int)MIN(seconds, HTTP_RETRY_AFTER_MAX);

	end = strptime(value, "%a, %d %b %Y %H:%M:%S GMT", &tm);
	if (!end || end[strspn(end, " \t")])
		return -1;
	return (int)MIN(MAX(timegm(&tm) - now, 0), HTTP_RETRY_AFTER_MAX);
}

bool http_is_loopback(const char *host)
{
	unsigned int a, b, c, d;
	char end;

	if (!strcasecmp(host, "localhost") || !strcmp(host, "::1") || !strcmp(host, "[::1]"))
		return true;
	return sscanf(host, "%3u.%3u.%3u.%3u%c", &a, &b, &c, &d, &end) == 4 && a == 127 &&
	       b < 256 && c < 256 && d < 256;
}

const char *http_header(const struct http_request *request, const char *name, unsigned int nth)
{
	const struct buf *head = &request->head;
	size_t len = strlen(name);

	for (size_t at = 0; at < head->len; at += strlen(head->data + at) + 1) {
		const char *line = head->data + at;

		if (strncasecmp(line, name, len) || line[len] != ':' || nth--)
			continue;
		return line + len + 1 + strspn(line + len + 1, " \t");
	}
	return NULL;
}

const char *http_url_text(const char *url, char out[URL_TEXT_MAX])
{
	char quoted[URL_TEXT_MAX];
	size_t len = strcspn(url, "?#");

	error_quote(url, MIN(len, (size_t)URL_TEXT_MAX), quoted, sizeof(quoted));
	snprintf(out, URL_TEXT_MAX, "%s", quoted);
	return out;
}
