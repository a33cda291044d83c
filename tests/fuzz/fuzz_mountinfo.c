/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The kernel's table of mounts, in which sources, targets and options are anybody's words. Oracle: a table
 * says what its lines say one by one, and everything told lies in the text.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "fuzz.h"
#include "mount/mount.h"

#define SAID_MAX ((size_t)64 << 20)

struct telling {
	const char *begin, *end; /* of the text */
	struct buf said;
};

static void say(struct telling *t, const char *word, bool inside)
{
	must(!inside || (word >= t->begin && word < t->end));
	must(buf_put(&t->said, word, strlen(word) + 1) == 0);
}

static int tell(void *arg, const struct cairn_mounted *m)
{
	struct telling *t = (struct telling *)arg;
	char text[64];

	must(m->digest.alg == 0 || m->digest.alg == CAIRN_SHA256 || m->digest.alg == CAIRN_SHA512);
	must(m->nr_stores <= 500);
	say(t, m->target, true);
	say(t, m->source, true);
	say(t, m->type, true);
	say(t, m->backend, false);
	for (size_t i = 0; i < m->nr_stores; i++)
		say(t, m->stores[i], true);
	snprintf(text, sizeof(text), "%d %lld %d %u:%u", (int)m->state, (long long)m->checked,
		 m->writable, m->dev_major, m->dev_minor);
	say(t, text, false);
	return 0;
}

/* The text is changed: each gets one of its own, without a byte to spare. */
static void list(struct telling *t, const char *data, size_t size)
{
	char *text = (char *)malloc(size + 1);

	must(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	t->begin = text;
	t->end = text + size + 1;
	must(mount_list_text(text, tell, t) == 0);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct telling all = {.said = BUF_INIT(SAID_MAX)}, each = {.said = BUF_INIT(SAID_MAX)};
	const char *text = (const char *)data;
	size_t len = size ? strnlen(text, size) : 0;

	list(&all, text, len);
	for (size_t at = 0; at < len;) {
		const char *end = (const char *)memchr(text + at, '\n', len - at);
		size_t line = end ? (size_t)(end - text) - at : len - at;

		list(&each, text + at, line);
		at += line + 1;
	}
	must(all.said.len == each.said.len);
	must(!all.said.len || !memcmp(all.said.data, each.said.data, all.said.len));
	buf_fini(&all.said);
	buf_fini(&each.said);
	return 0;
}
