/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn ls: the names in an image. */
#include "cmd.h"
#include "entry.h"
#include "source.h"

struct args {
	struct opt_list stores;
	bool json, detailed;
};

static const struct opt opts[] = {
	OPT_BOOL(struct args, detailed, 'l', "long", 1, "modes, owners, sizes and times as well"),
	OPT_STORES(struct args, stores),
	OPT_JSON(struct args, json),
	OPT_END,
};

static int run(const struct command *self, int argc, char **argv)
{
	struct args a = {0};
	struct cairn_tree *tree cleanup_tree = NULL;
	struct cairn_error err = {0};
	enum entry_detail detail = ENTRY_LS;
	const char *path;
	int nr = opt_parse(self, argc, argv, &a), status, r;

	if (nr < 0)
		return EXIT_USAGE;
	path = nr > 1 ? argv[2] : NULL;
	out_json = a.json;

	status = source_tree(argv[1], &a.stores, &tree);
	if (status != EXIT_DONE)
		return status;

	if (a.json || a.detailed)
		r = cairn_tree_walk(tree, path, entry_row, &detail, &err);
	else
		r = cairn_tree_print(tree, CAIRN_PRINT_LS, path, out_write, &out_result, &err);
	return r < 0 ? talk_error(r, &err, argv[1]) : EXIT_DONE;
}

const struct command cmd_ls = {
	.name = "ls",
	.operands = "SOURCE [PATH]",
	.summary = "list the names in an image",
	.notes = "Directories end in '/', symbolic links show '-> TARGET', files '@ OBJECT'.\n"
		 "With PATH only it and what is below it.",
	.opts = opts,
	.min = 1,
	.max = 2,
	.first = OPERAND_FILE,
	.others = OPERAND_NONE,
	.run = run,
};
