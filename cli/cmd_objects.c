/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn objects: the objects that images need, each once, in byte order. */
#include <errno.h>
#include <stdlib.h>

#include "base/arena.h"
#include "cmd.h"
#include "source.h"
#include "stores.h"

struct args {
	struct opt_list stores;
	bool json, missing;
};

static const struct opt opts[] = {
	OPT_DIRS(struct args, stores, 's', "store", "DIR", "tell which of them this store has"),
	OPT_BOOL(struct args, missing, 'm', "missing", 1, "only those that no --store has"),
	OPT_JSON(struct args, json),
	OPT_END,
};

/* The stores to look in, and where the rows go. */
struct lookup {
	struct store_list *stores;
	bool missing;
};

static const char *const keys[] = {"object", "missing", NULL};

static int print_object(void *arg, const char *object)
{
	const struct lookup *l = arg;
	struct cell cells[] = {cell_name(object), cell_none()};

	if (l->stores->nr) {
		struct cairn_error err = {0};
		int fd = store_list_open_object(l->stores, object, &err);

		if (fd < 0 && fd != -ENOENT) {
			talk_error(fd, &err, object);
			return fd;
		}
		if (fd >= 0)
			close(fd);
		cells[1] = cell_bool(fd < 0);
		if (l->missing && fd >= 0)
			return 0;
	}
	out_row(keys, "{object}\n", cells);
	return out_result.error;
}

/* --- several images: collect, sort, print each once ------------------------------------------ */

struct collection {
	struct arena arena;
	const char **objects;
	size_t nr, size;
};

static int collect_object(void *arg, const char *object)
{
	struct collection *c = arg;

	if (c->nr == c->size) {
		const size_t size = c->size ? 2 * c->size : 1024;
		const char **objects = reallocarray(c->objects, size, sizeof(*objects));

		if (!objects)
			return -ENOMEM;
		c->objects = objects;
		c->size = size;
	}
	c->objects[c->nr] = arena_dup(&c->arena, object, strlen(object));
	return c->objects[c->nr++] ? 0 : -ENOMEM;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int print_collection(struct collection *c, struct lookup *l)
{
	int r = 0;

	qsort(c->objects, c->nr, sizeof(*c->objects), by_bytes);
	for (size_t i = 0; i < c->nr && !r; i++) {
		if (!i || strcmp(c->objects[i], c->objects[i - 1]))
			r = print_object(l, c->objects[i]);
	}
	return r;
}

/* --- the command ----------------------------------------------------------------------------- */

static int each_source(int nr, char **names, const struct opt_list *stores,
		       int (*fn)(void *arg, const char *object), void *arg)
{
	for (int i = 0; i < nr; i++) {
		struct cairn_tree *tree cleanup_tree = NULL;
		int status = source_tree(names[i], stores, &tree), r;

		if (status != EXIT_DONE)
			return status;
		r = cairn_tree_objects(tree, fn, arg);
		if (r == -ENOMEM)
			return talk_error(r, NULL, names[i]);
		if (r < 0)
			return EXIT_FAILED;
	}
	return EXIT_DONE;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct args a = {0};
	struct store_list stores cleanup_stores = {0};
	struct lookup lookup = {.stores = &stores};
	struct collection all = {0};
	int nr = opt_parse(self, argc, argv, &a), status;

	if (nr < 0)
		return EXIT_USAGE;
	out_json = a.json;
	lookup.missing = a.missing;
	if (a.missing && !a.stores.nr)
		return talk_usage("--missing needs --store");
	status = store_list_open(&a.stores, &stores);
	if (status != EXIT_DONE)
		return status;
	if (nr == 1)
		return each_source(nr, argv + 1, &a.stores, print_object, &lookup);

	arena_init(&all.arena);
	status = each_source(nr, argv + 1, &a.stores, collect_object, &all);
	if (status == EXIT_DONE && print_collection(&all, &lookup) < 0)
		status = EXIT_FAILED;
	free(all.objects);
	arena_fini(&all.arena);
	return status;
}

const struct command cmd_objects = {
	.name = "objects",
	.operands = "SOURCE...",
	.summary = "list the objects that images need",
	.opts = opts,
	.min = 1,
	.max = OPERANDS_ANY,
	.first = OPERAND_FILE,
	.others = OPERAND_FILE,
	.run = run,
};
