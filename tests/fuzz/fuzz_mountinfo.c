/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * A table of mounts, /proc/PID/mountinfo. Oracles: what is told is whole; the lines do not know
 * each other, so that one by one they tell the same; and who has heard enough hears no more.
 */
#include "fuzz.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "mount/mount.h"

struct heard {
	uint64_t sum;
	unsigned int nr, enough;
};

static void add(struct heard *h, const char *text)
{
	h->sum += XXH3_64bits(text, strlen(text));
}

static int hear(void *arg, const struct cairn_mounted *m)
{
	struct heard *h = (struct heard *)arg;

	must(m->target && m->source && m->type && m->backend);
	must(m->state >= CAIRN_UNVERIFIED && m->state <= CAIRN_ENFORCED);
	add(h, m->target);
	add(h, m->source);
	for (size_t i = 0; i < m->nr_stores; i++)
		add(h, m->stores[i]);
	h->sum += m->state + m->dev_major + m->dev_minor + m->writable;
	return ++h->nr == h->enough;
}

static struct heard list(const char *text, size_t len, unsigned int enough)
{
	struct heard h = {.enough = enough};
	char *copy = malloc(len + 1);
	int r;

	must(copy != NULL);
	memcpy(copy, text, len);
	copy[len] = '\0';
	r = mount_list_text(copy, hear, &h);
	must(r == (enough && h.nr == enough));
	free(copy);
	return h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *end = text + strnlen(text, size);
	struct heard all, lines = {0}, some;

	all = list(text, size, 0);
	for (const char *line = text; line < end;) {
		const char *stop = memchr(line, '\n', (size_t)(end - line));
		const size_t len = (size_t)((stop ? stop : end) - line);
		struct heard one = list(line, len, 0);

		must(one.nr <= 1);
		lines.nr += one.nr;
		lines.sum += one.sum;
		line += len + 1;
	}
	must(lines.nr == all.nr && lines.sum == all.sum);
	if (all.nr > 1) {
		some = list(text, size, 1);
		must(some.nr == 1);
	}
	return 0;
}
