/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn dump: a tree as composefs-dump(5) text. */
#include "cmd.h"
#include "entry.h"
#include "source.h"

struct args {
	struct opt_list stores;
	struct source_args source;
	unsigned int alg;
	bool json;
};

static const struct opt opts[] = {
	OPT_ALG(struct args, alg,
		"digest algorithm for the files of a directory (default: sha256)"),
	OPTS_SOURCE(struct args, source),
	OPT_STORES(struct args, stores),
	OPT_JSON(struct args, json),
	OPT_END,
};

static int run(const struct command *self, int argc, char **argv)
{
	struct args a = {0};
	struct source source cleanup_source = SOURCE_INIT;
	struct cairn_tree *tree cleanup_tree = NULL;
	struct cairn_error err = {0};
	enum entry_detail detail = ENTRY_DUMP;
	const char *path;
	int nr = opt_parse(self, argc, argv, &a), status, r;

	if (nr < 0)
		return EXIT_USAGE;
	path = nr > 1 ? argv[2] : NULL;
	out_json = a.json;

	status = source_open(argv[1], &a.stores, &source);
	if (status == EXIT_DONE)
		status = source_check_args(&source, 1, &a.source);
	if (status != EXIT_DONE)
		return status;
	if (a.alg && !source_has_contents(&source))
		return talk_usage("%s: --alg is for directories only", source.name);
	/* As the reference shows it: with the marks that the image needs. */
	source.load_flags = CAIRN_LOAD_COMPAT;
	status = source_load(&source, &a.source, a.alg ? CAIRN_ALG_BIT(a.alg) : 0, NULL, &tree,
			     NULL);
	if (status != EXIT_DONE)
		return status;

	if (a.json)
		r = cairn_tree_walk(tree, path, entry_row, &detail, &err);
	else
		r = cairn_tree_print(tree, CAIRN_PRINT_DUMP, path, out_write, &out_result, &err);
	return r < 0 ? talk_error(r, &err, source.name) : EXIT_DONE;
}

const struct command cmd_dump = {
	.name = "dump",
	.operands = "SOURCE [PATH]",
	.summary = "print a tree as composefs-dump(5) text",
	.notes = "With PATH only it and what is below it.",
	.opts = opts,
	.min = 1,
	.max = 2,
	.first = OPERAND_FILE,
	.others = OPERAND_NONE,
	.run = run,
};
