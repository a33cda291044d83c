/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* du_page.html, with the figures put into it as JSON. */
#include "du_page.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define SETS_MAX    4000 /* parts of the picture; smaller ones are counted together as left out */
#define BUFFER_SIZE 65536

static const char page[] =
#include "du_page.inc"
	;

/* In a script "</" would end it, and "<!--" would begin something else. */
static void put_string(struct out *o, const char *text)
{
	char *data cleanup_free = malloc(6 * strlen(text) + 64);
	struct out json = {.fd = -1, .size = 6 * strlen(text) + 64, .data = data};

	if (!data)
		return;
	out_json_string(&json, text, strlen(text));
	for (size_t i = 0; i < json.len; i++) {
		if (data[i] == '<')
			out_puts(o, "\\u003c");
		else
			out_put(o, &data[i], 1);
	}
}

static void put_number(struct out *o, uint64_t number)
{
	out_number(o, number, 0);
}

static void put_users(struct out *o, const struct cairn_usage *u)
{
	unsigned long nr;
	const struct cairn_usage_user *users = cairn_usage_users(u, &nr);

	out_puts(o, "\"users\":[");
	for (unsigned long i = 0; i < nr; i++) {
		out_puts(o, i ? ",\n{\"names\":[" : "\n{\"names\":[");
		for (unsigned long j = 0; j < users[i].nr_names; j++) {
			out_puts(o, j ? "," : "");
			put_string(o, users[i].names[j]);
		}
		out_puts(o, "],\"stream\":");
		out_puts(o, users[i].stream ? "true" : "false");
		out_puts(o, ",\"bytes\":");
		put_number(o, users[i].bytes);
		out_puts(o, ",\"unique\":");
		put_number(o, users[i].unique_bytes);
		out_puts(o, ",\"frees\":");
		put_number(o, users[i].frees);
		out_puts(o, ",\"objects\":");
		put_number(o, users[i].objects);
		out_puts(o, "}");
	}
	out_puts(o, "]");
}

static void put_sets(struct out *o, const struct cairn_usage *u)
{
	unsigned long nr;
	const struct cairn_usage_set *sets = cairn_usage_sets(u, &nr);
	uint64_t left_out = 0;

	out_puts(o, "\"sets\":[");
	for (unsigned long i = 0; i < nr; i++) {
		if (i >= SETS_MAX) {
			left_out += sets[i].bytes;
			continue;
		}
		out_puts(o, i ? ",[" : "[");
		put_number(o, sets[i].bytes);
		out_puts(o, ",");
		put_number(o, sets[i].objects);
		for (unsigned long j = 0; j < sets[i].nr_users; j++) {
			out_puts(o, ",");
			put_number(o, sets[i].users[j]);
		}
		out_puts(o, "]");
	}
	out_puts(o, "],\"left_out\":");
	put_number(o, left_out);
}

static void put_figures(struct out *o, const char *store, const struct cairn_usage *u)
{
	const struct cairn_usage_total *t = cairn_usage_total(u);

	out_puts(o, "{\"store\":");
	put_string(o, store);
	out_puts(o, ",\"bytes\":");
	put_number(o, t->bytes);
	out_puts(o, ",\"objects\":");
	put_number(o, t->objects);
	out_puts(o, ",\"needed\":");
	put_number(o, t->needed_bytes);
	out_puts(o, ",\"sum\":");
	put_number(o, t->sum);
	out_puts(o, ",\n");
	put_users(o, u);
	out_puts(o, ",\n");
	put_sets(o, u);
	out_puts(o, "}");
}

int du_page_write(const char *file, const char *store, const struct cairn_usage *usage)
{
	static const char mark[] = "FIGURES";
	char *data cleanup_free = malloc(BUFFER_SIZE);
	struct out o = {.size = BUFFER_SIZE, .data = data};
	const char *at = strstr(page, mark);

	if (!data)
		return -ENOMEM;
	o.fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
	if (o.fd < 0)
		return -errno;
	out_put(&o, page, (size_t)(at - page));
	put_figures(&o, store, usage);
	out_puts(&o, at + strlen(mark));
	out_flush(&o);
	if (close(o.fd) < 0 && !o.error)
		o.error = -errno;
	return o.error;
}
