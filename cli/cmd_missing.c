/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn missing: the objects that images need and a store lacks. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "cmd.h"
#include "place.h"
#include "source.h"
#include "stores.h"

struct args {
	struct opt_list stores;
	bool json, quiet;
};

static const struct opt opts[] = {
	OPT_DIRS(struct args, stores, 's', "store", "DIR",
		 "store to look in, may be given several times (default: see cairn.1)"),
	OPT_BOOL(struct args, quiet, 'q', "quiet", 1,
		 "print nothing; exit status 1 if something is missing"),
	OPT_JSON(struct args, json),
	OPT_END,
};

/* A file whose object is not there, or not of its size. */
struct lack {
	const char *object, *path;
	uint64_t size;
};

struct search {
	const struct store_list *stores;
	const struct opt_list *places; /* of images that are no files */
	struct arena arena;
	struct lack *lacks;
	size_t nr, max;
};

static bool is_there(const struct store_list *stores, const struct cairn_entry *e)
{
	uint64_t size;

	for (unsigned int i = 0; i < stores->nr; i++)
		if (!cairn_store_find_object(stores->store[i], e->payload, NULL, &size) &&
		    size == e->size)
			return true;
	return false;
}

static int look_for(void *arg, const struct cairn_entry *e)
{
	struct search *s = arg;
	struct lack *l;

	if (!S_ISREG(e->mode) || e->hardlink || e->content || !e->size || !e->payload ||
	    is_there(s->stores, e))
		return 0;
	if (s->nr == s->max) {
		const size_t max = s->max ? 2 * s->max : 256;
		struct lack *lacks = reallocarray(s->lacks, max, sizeof(*lacks));

		if (!lacks)
			return -ENOMEM;
		s->lacks = lacks;
		s->max = max;
	}
	l = &s->lacks[s->nr++];
	l->object = arena_dup(&s->arena, e->payload, strlen(e->payload));
	l->path = arena_dup(&s->arena, e->path, e->path_len);
	l->size = e->size;
	return l->object && l->path ? 0 : -ENOMEM;
}

static int by_object(const void *a, const void *b)
{
	const struct lack *x = a, *y = b;
	int r = strcmp(x->object, y->object);

	return r ? r : strcmp(x->path, y->path);
}

/* Each object once, with the paths that need it. */
static int print(struct search *s)
{
	static const char *const keys[] = {"object", "size", "paths", NULL};
	const char **paths = calloc(s->nr + 1, sizeof(*paths));
	size_t nr;

	if (!paths)
		return -ENOMEM;
	if (s->nr)
		qsort(s->lacks, s->nr, sizeof(*s->lacks), by_object);
	for (size_t i = 0; i < s->nr; i += nr) {
		size_t different = 0;

		for (nr = 0; i + nr < s->nr && !strcmp(s->lacks[i].object, s->lacks[i + nr].object);
		     nr++)
			if (!nr || strcmp(s->lacks[i + nr - 1].path, s->lacks[i + nr].path))
				paths[different++] = s->lacks[i + nr].path;
		const struct cell cells[] = {
			cell_name(s->lacks[i].object),
			cell_size(s->lacks[i].size),
			cell_names(paths, different),
		};

		out_row(keys, "{object}\n", cells);
	}
	free(paths);
	return 0;
}

static int search(struct search *s, int nr, char **names)
{
	for (int i = 0; i < nr; i++) {
		struct cairn_tree *tree cleanup_tree = NULL;
		int status = source_tree(names[i], s->places, &tree), r;

		if (status != EXIT_DONE)
			return status;
		r = cairn_tree_walk(tree, NULL, look_for, s, NULL);
		if (r < 0)
			return talk_error(r, NULL, names[i]);
	}
	return EXIT_DONE;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct args a = {0};
	struct store_list stores cleanup_stores = {0};
	struct search s = {.stores = &stores, .places = &a.stores};
	int nr = opt_parse(self, argc, argv, &a), status, r = 0;

	if (nr < 0)
		return EXIT_USAGE;
	out_json = a.json;
	if (!a.stores.nr) {
		a.stores.text[0] = store_place(NULL);
		a.stores.nr = 1;
		if (!a.stores.text[0])
			return EXIT_FAILED;
	}
	status = store_list_open(&a.stores, &stores);
	if (status != EXIT_DONE)
		return status;

	arena_init(&s.arena);
	status = search(&s, nr, argv + 1);
	if (status == EXIT_DONE && a.quiet)
		status = s.nr ? EXIT_FAILED : EXIT_DONE;
	else if (status == EXIT_DONE)
		r = print(&s);
	if (r < 0)
		status = talk_error(r, NULL, NULL);
	free(s.lacks);
	arena_fini(&s.arena);
	return status;
}

const struct command cmd_missing = {
	.name = "missing",
	.operands = "IMAGE...",
	.summary = "list the objects that images need and a store lacks",
	.opts = opts,
	.min = 1,
	.max = OPERANDS_ANY,
	.first = OPERAND_FILE,
	.others = OPERAND_FILE,
	.run = run,
};
