/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn store parents: which other stores a store looks into. */
#include <errno.h>
#include <stdlib.h>

#include "cmd.h"
#include "place.h"
#include "source.h"

struct args {
	const char *store;
	struct opt_list add, remove, forget;
	bool json, children;
};

static const struct opt opts[] = {
	OPT_STORE(struct args, store, HELP_STORE),
	OPT_DIRS(struct args, add, 'a', "add", "DIR",
		 "look into this store, after those that are there already"),
	OPT_DIRS(struct args, remove, 'r', "remove", "DIR", "do not look into this one any more"),
	OPT_BOOL(struct args, children, 'c', "children", 1,
		 "list the stores that look into this one, as far as is known"),
	OPT_DIRS(struct args, forget, 0, "forget", "DIR",
		 "this store does not look into it any more: collect without asking it"),
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

static int is_path(void *arg, const struct cairn_store_child *child)
{
	return child->here && !strcmp(child->path, arg) ? -EEXIST : 0;
}

/* A parent that could not be told of us does not know what we need. */
static void check_noted(const struct cairn_store *store, const char *path)
{
	struct cairn_store *parent cleanup_store = NULL;
	char *own cleanup_free = realpath(cairn_store_path(store), NULL);

	if (own &&
	    cairn_store_open(path, CAIRN_STORE_READ_ONLY | CAIRN_STORE_NO_PARENTS, &parent, NULL) ==
		    0 &&
	    cairn_store_children(parent, is_path, own, NULL) != -EEXIST)
		talk("%s: cannot be written to, so a collection there will not know what this store "
		     "needs",
		     path);
}

static int tell_child(void *arg, const struct cairn_store_child *child)
{
	static const char *const keys[] = {"child", "machine", "here", NULL};
	const struct cell cells[] = {cell_name(child->path), cell_word(child->machine),
				     cell_bool(child->here)};

	(void)arg;
	out_row(keys, child->here ? "{child}\n" : "{child} on {machine}\n", cells);
	return 0;
}

static int forget(const struct args *a, struct cairn_store *store)
{
	for (unsigned int i = 0; i < a->forget.nr; i++) {
		char *path cleanup_free = realpath(a->forget.text[i], NULL);
		struct cairn_error err = {0};
		int r = cairn_store_forget_child(store, path ? path : a->forget.text[i], &err);

		if (r < 0)
			return talk_error(r, &err, NULL);
	}
	return EXIT_DONE;
}

static int change(const struct args *a, struct cairn_store *store, struct lines *l)
{
	struct cairn_error err = {0};
	unsigned int added = 0;
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
		added++;
	}
	r = cairn_store_set_parents(store, (const char *const *)l->text, l->nr, &err);
	if (r < 0)
		return talk_error(r, &err, NULL);
	for (unsigned int i = l->nr - added; i < l->nr; i++)
		check_noted(store, l->text[i]);
	return EXIT_DONE;
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
	changes = a.add.nr || a.remove.nr || a.forget.nr;
	if (a.children && changes)
		return talk_usage("--children only lists");
	/* A parent that is not there must not keep us from removing it. */
	status = store_place_open(
		a.store, CAIRN_STORE_NO_PARENTS | (changes ? 0 : CAIRN_STORE_READ_ONLY), &store);
	if (status != EXIT_DONE)
		return status;
	if (a.children)
		r = cairn_store_children(store, tell_child, NULL, &err);
	else
		r = cairn_store_parent_lines(store, add_line, &l, &err);
	if (r < 0)
		return talk_error(r, &err, NULL);
	if (a.forget.nr)
		status = forget(&a, store);
	if (status == EXIT_DONE && (a.add.nr || a.remove.nr))
		status = change(&a, store, &l);
	if (changes)
		return status;
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
