/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn store parents: which other stores a store looks into. */
#include <errno.h>
#include <stdlib.h>

#include "cmd.h"
#include "place.h"
#include "source.h"

struct args {
	const char *store;
	struct opt_list add, remove;
	bool json;
};

static const struct opt opts[] = {
	OPT_STORE(struct args, store, HELP_STORE),
	OPT_DIRS(struct args, add, 'a', "add", "DIR",
		 "look into this store, after those that are there already"),
	OPT_DIRS(struct args, remove, 'r', "remove", "DIR", "do not look into this one any more"),
	OPT_JSON(struct args, json),
	OPT_END,
};

#define PARENTS_MAX (2 * OPT_LIST_MAX)

struct lines {
	char *text[PARENTS_MAX];
	unsigned int nr;
};

static void lines_fini(struct lines *l)
{
	while (l->nr)
		free(l->text[--l->nr]);
}

static int add_line(void *arg, const char *line)
{
	struct lines *l = arg;

	if (l->nr == PARENTS_MAX)
		return -E2BIG;
	l->text[l->nr] = strdup(line);
	return l->text[l->nr++] ? 0 : -ENOMEM;
}

static unsigned int find_line(const struct lines *l, const char *line)
{
	unsigned int i;

	for (i = 0; i < l->nr && strcmp(l->text[i], line); i++)
		;
	return i;
}

/* A parent that cannot be opened now is most likely misspelt. */
static int check_parent(const struct cairn_store *store, const char *path)
{
	struct cairn_store *parent cleanup_store = NULL;
	struct cairn_error err = {0};
	int r = cairn_store_open(path, CAIRN_STORE_READ_ONLY, &parent, &err);
	struct cairn_store_info info, parent_info;

	if (r < 0)
		return talk_error(r, &err, NULL);
	cairn_store_info(store, &info);
	cairn_store_info(parent, &parent_info);
	if (info.version && info.alg != parent_info.alg)
		return talk_usage("%s: its objects are named by %s, those of the store by %s", path,
				  alg_name(parent_info.alg), alg_name(info.alg));
	return EXIT_DONE;
}

static int change(const struct args *a, struct cairn_store *store, struct lines *l)
{
	struct cairn_error err = {0};
	int r;

	for (unsigned int i = 0; i < a->remove.nr; i++) {
		char *path cleanup_free = realpath(a->remove.text[i], NULL);
		unsigned int at = find_line(l, a->remove.text[i]);

		if (at == l->nr && path)
			at = find_line(l, path);
		if (at == l->nr)
			return talk_usage("%s: is no parent", a->remove.text[i]);
		free(l->text[at]);
		memmove(&l->text[at], &l->text[at + 1], (l->nr - at - 1) * sizeof(*l->text));
		l->nr--;
	}
	for (unsigned int i = 0; i < a->add.nr; i++) {
		char *path cleanup_free = realpath(a->add.text[i], NULL);
		int status;

		if (!path)
			return talk_error(-errno, NULL, a->add.text[i]);
		if (find_line(l, path) < l->nr)
			continue;
		status = check_parent(store, path);
		if (status != EXIT_DONE)
			return status;
		r = add_line(l, path);
		if (r < 0)
			return talk_error(r, NULL, path);
	}
	r = cairn_store_set_parents(store, (const char *const *)l->text, l->nr, &err);
	return r < 0 ? talk_error(r, &err, NULL) : EXIT_DONE;
}

static int run(const struct command *self, int argc, char **argv)
{
	static const char *const keys[] = {"parent", NULL};
	struct args a = {0};
	struct cairn_store *store cleanup_store = NULL;
	struct lines l __attribute__((__cleanup__(lines_fini))) = {.nr = 0};
	struct cairn_error err = {0};
	bool changes;
	int r, status;

	if (opt_parse(self, argc, argv, &a) < 0)
		return EXIT_USAGE;
	out_json = a.json;
	changes = a.add.nr || a.remove.nr;
	/* A parent that is not there must not keep us from removing it. */
	status = store_place_open(
		a.store, CAIRN_STORE_NO_PARENTS | (changes ? 0 : CAIRN_STORE_READ_ONLY), &store);
	if (status != EXIT_DONE)
		return status;
	r = cairn_store_parent_lines(store, add_line, &l, &err);
	if (r < 0)
		return talk_error(r, &err, NULL);
	if (changes)
		return change(&a, store, &l);
	for (unsigned int i = 0; i < l.nr; i++) {
		const struct cell cells[] = {cell_name(l.text[i])};

		out_row(keys, "{parent}\n", cells);
	}
	return EXIT_DONE;
}

const struct command cmd_store_parents = {
	.name = "store parents",
	.operands = "",
	.summary = "list or change the stores that a store looks into",
	.opts = opts,
	.run = run,
};
