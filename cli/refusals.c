/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* What an export could not set. */
#include "refusals.h"

#include <stdio.h>
#include <string.h>

static const char *const words[CAIRN_REFUSED_KINDS] = {
	[CAIRN_REFUSED_OWNER] = "owner",
	[CAIRN_REFUSED_MODE] = "mode",
	[CAIRN_REFUSED_XATTR] = "extended attribute",
	[CAIRN_REFUSED_TIME] = "time",
	[CAIRN_REFUSED_NODE] = "the file itself",
};

/* In a sentence: "1 owner", "7 owners". */
static const char *const plurals[CAIRN_REFUSED_KINDS] = {
	[CAIRN_REFUSED_OWNER] = "owners",
	[CAIRN_REFUSED_MODE] = "modes",
	[CAIRN_REFUSED_XATTR] = "extended attributes",
	[CAIRN_REFUSED_TIME] = "times",
	[CAIRN_REFUSED_NODE] = "special files",
};

static const char *const singulars[CAIRN_REFUSED_KINDS] = {
	[CAIRN_REFUSED_OWNER] = "owner",
	[CAIRN_REFUSED_MODE] = "mode",
	[CAIRN_REFUSED_XATTR] = "extended attribute",
	[CAIRN_REFUSED_TIME] = "time",
	[CAIRN_REFUSED_NODE] = "special file",
};

void refusals_add(void *arg, const struct cairn_refusal *f)
{
	struct refusals *r = arg;
	const char *parts[] = {f->path,
			       ": ",
			       words[f->what],
			       f->xattr ? " " : "",
			       f->xattr ? f->xattr : "",
			       ": ",
			       strerror(-f->code)};
	size_t len = 1;

	if (!r->verbose)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		len += strlen(parts[i]);
	if (buf_reserve(&r->text, len) < 0) {
		r->more = true;
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		(void)buf_put(&r->text, parts[i], strlen(parts[i]));
	(void)buf_put(&r->text, "", 1);
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void tell_each(struct refusals *r)
{
	const char **lines;
	size_t nr = 0;

	for (size_t at = 0; at < r->text.len; at += strlen(r->text.data + at) + 1)
		nr++;
	lines = calloc(nr + 1, sizeof(*lines));
	if (!lines)
		return;
	nr = 0;
	for (size_t at = 0; at < r->text.len; at += strlen(r->text.data + at) + 1)
		lines[nr++] = r->text.data + at;
	qsort(lines, nr, sizeof(*lines), by_bytes);
	for (size_t i = 0; i < nr; i++) {
		out_name(&out_talk, lines[i], strlen(lines[i]));
		out_puts(&out_talk, "\n");
	}
	if (r->more)
		out_puts(&out_talk, "and more\n");
	free(lines);
}

uint64_t refusals_tell(struct refusals *r, const struct cairn_export_result *result)
{
	char text[512];
	size_t len = 0;
	uint64_t nr = 0;

	tell_each(r);
	buf_fini(&r->text);
	for (int i = 0; i < CAIRN_REFUSED_KINDS; i++) {
		uint64_t n = result->refused[i];

		if (!n)
			continue;
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%llu %s", nr ? ", " : "",
					(unsigned long long)n, n == 1 ? singulars[i] : plurals[i]);
		nr += n;
	}
	if (nr)
		talk("could not set or make: %s%s", text, r->verbose ? "" : " (-v lists them)");
	out_flush(&out_talk);
	return nr;
}
