/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* A collection from its beginning to its end. */
#include "store/gc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "store/gc-internal.h"

void gc_note(const struct gc *g, const char *fmt, ...)
{
	char text[CAIRN_ERROR_TEXT_MAX];
	va_list ap;

	if (!g->options->note)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	g->options->note(g->options->note_arg, text);
}

static void gc_fini(struct gc *g)
{
	for (unsigned int i = 0; i < GC_PARTS; i++) {
		free(g->part[i].key);
		free((void *)g->part[i].live);
	}
	for (unsigned int i = 0; i < g->nr_places; i++) {
		for (unsigned int kind = 0; kind < 2; kind++) {
			free(g->places[i].entries[kind].entry);
			keyset_fini(&g->places[i].entries[kind].ids);
		}
		notes_fini(&g->places[i].notes);
	}
	free(g->closing);
	free(g->places);
	store_children_fini(&g->children);
	keyset_fini(&g->walked);
	buf_fini(&g->images);
	arena_fini(&g->arena);
}

/* Nothing leads anywhere: somebody keeps his images elsewhere and has not said so. */
static int check_roots(const struct gc *g)
{
	if (g->roots || !g->result->objects || g->options->flags & CAIRN_GC_EMPTY)
		return 0;
	return error_set(
		g->err, -ENOTEMPTY, CAIRN_ERROR_USAGE,
		"%s: no reference and no image given names anything in it; all %llu objects "
		"would go",
		g->store->path, (unsigned long long)g->result->objects);
}

/* This store, and those that look into it. */
static int find_places(struct gc *g)
{
	int r = 0;

	if (!(g->options->flags & CAIRN_GC_NO_CHILDREN))
		r = store_children_open(g->store, &g->children, g->err);
	if (r < 0)
		return r;
	g->places = (struct gc_place *)calloc(1 + g->children.nr, sizeof(*g->places));
	if (!g->places)
		return error_errno(g->err, -ENOMEM, "collect in %s", g->store->path);
	for (unsigned int i = 0; i <= g->children.nr; i++) {
		g->places[i].g = g;
		g->places[i].store = i ? g->children.store[i - 1] : g->store;
		g->places[i].lock = -1;
	}
	g->nr_places = 1 + g->children.nr;
	return 0;
}

static int look(struct gc *g)
{
	int r = gc_list(g);

	if (!r)
		r = gc_mark(g);
	return r ? r : check_roots(g);
}

static int collect(struct gc *g)
{
	int r = gc_begin(g);

	if (!r)
		r = look(g);
	if (!r)
		r = gc_sweep(g);
	if (r == -EBUSY) {
		/* What was removed before others came stays removed; the rest is told. */
		g->result->blocked = 1;
		(void)gc_count(g);
	}
	gc_end(g);
	return r;
}

int store_gc(struct cairn_store *s, const struct cairn_gc_options *options, gc_mounted_fn mounted,
	     struct cairn_gc_result *ret, struct cairn_error *err)
{
	const bool dry = options->flags & CAIRN_GC_DRY_RUN;
	struct cairn_error words = {0};
	struct gc *g;
	int r;

	*ret = (struct cairn_gc_result){0};
	if (s->bare)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
				 "%s: a bare directory of objects has no references to go by",
				 s->path);
	/* What is no store yet must not become something that is none. */
	if (s->fresh && faccessat(s->dirfd, "objects", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (s->read_only && !dry)
		return error_errno(err, -EROFS, "collect in %s", s->path);
	g = (struct gc *)calloc(1, sizeof(*g));
	if (!g)
		return error_errno(err, -ENOMEM, "collect in %s", s->path);
	g->store = s;
	g->options = options;
	g->result = ret;
	g->err = &words;
	g->mounted = mounted;
	g->jobs = options->jobs;
	g->trash = -1;
	g->images = BUF_INIT(SIZE_MAX / 2);
	arena_init(&g->arena);
	r = find_places(g);
	if (!r && dry) {
		r = look(g);
		if (!r)
			r = gc_count(g);
	} else if (!r) {
		r = collect(g);
	}
	gc_fini(g);
	free(g);
	if (r < 0 && err)
		*err = words;
	return r;
}
