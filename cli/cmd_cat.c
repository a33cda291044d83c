/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn cat: the content of a file in an image, each byte verified before it is printed. */
#include <errno.h>
#include <sys/stat.h>

#include "cmd.h"
#include "entry.h"
#include "lookup.h"
#include "source.h"
#include "stores.h"

struct args {
	struct opt_list stores;
};

static const struct opt opts[] = {
	OPT_DIRS(struct args, stores, 's', "store", "DIR",
		 "store with the contents, may be given several times"),
	OPT_END,
};

/* From the first store that has the object. */
static int cat_object(const struct store_list *stores, const struct cairn_entry *e,
		      const char *path)
{
	struct cairn_error err = {0};
	int r = -ENOENT;

	for (unsigned int i = 0; i < stores->nr && r == -ENOENT; i++) {
		err.code = 0;
		r = cairn_store_read_object(stores->store[i], e->payload, &e->digest, out_write,
					    &out_result, &err);
	}
	if (out_result.error)
		return EXIT_FAILED; /* main() tells it */
	return r < 0 ? talk_error(r, &err, path) : EXIT_DONE;
}

struct cat {
	const struct store_list *stores;
	const char *path; /* as the user gave it */
	int status;
};

static int cat_file(const struct cat *c, const struct cairn_entry *e)
{
	if (!S_ISREG(e->mode)) {
		talk("%s: not a file but a %s", c->path, entry_type(e->mode));
		return EXIT_FAILED;
	}
	if (!e->size)
		return EXIT_DONE;
	if (e->content) {
		out_put(&out_result, e->content, e->size);
		return EXIT_DONE;
	}
	if (!c->stores->nr)
		return talk_usage("%s: its content is not in the image; --store is needed",
				  c->path);
	if (!e->payload) {
		talk("%s: the image does not name its object", c->path);
		return EXIT_FAILED;
	}
	if (!e->digest.alg) {
		talk("%s: the image has no digest to verify it by", c->path);
		return EXIT_UNVERIFIED;
	}
	return cat_object(c->stores, e, c->path);
}

static int cat_entry(void *arg, const struct cairn_entry *entry)
{
	struct cat *c = arg;

	c->status = cat_file(c, entry);
	return -ECANCELED; /* this one only, not what is below */
}

static int cat_path(const struct store_list *stores, const struct cairn_tree *tree,
		    const char *path)
{
	struct cat c = {.stores = stores, .path = path};
	char *found cleanup_free = NULL;
	int r = lookup_path(tree, path, &found);

	if (r == 0)
		r = cairn_tree_walk(tree, found, cat_entry, &c, NULL);
	return r < 0 && r != -ECANCELED ? talk_error(r, NULL, path) : c.status;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct args a = {0};
	struct store_list stores cleanup_stores = {0};
	struct cairn_tree *tree cleanup_tree = NULL;
	int nr = opt_parse(self, argc, argv, &a), status;

	if (nr < 0)
		return EXIT_USAGE;
	status = source_tree_stores(argv[1], &a.stores, &tree, &stores);
	for (int i = 2; i <= nr && status == EXIT_DONE; i++)
		status = cat_path(&stores, tree, argv[i]);
	return status;
}

const struct command cmd_cat = {
	.name = "cat",
	.operands = "SOURCE PATH...",
	.summary = "print files of an image, verified",
	.notes = "Symbolic links are followed inside the image.",
	.opts = opts,
	.min = 2,
	.max = OPERANDS_ANY,
	.first = OPERAND_FILE,
	.others = OPERAND_NONE,
	.run = run,
};
