/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn export-dir: the tree of an image as files. */
#include <errno.h>
#include <fcntl.h>

#include "cmd.h"
#include "refusals.h"
#include "source.h"
#include "stores.h"

struct args {
	struct opt_list stores;
	unsigned int jobs;
	bool json, quiet, strict, verbose;
};

static const struct opt opts[] = {
	OPT_DIRS(struct args, stores, 's', "store", "DIR",
		 "store with the contents, may be given several times"),
	OPT_BOOL(struct args, strict, 0, "strict", 1,
		 "fail at the end if something could not be set"),
	OPT_COUNT(struct args, jobs, 'j', "jobs", 1024,
		  "threads (default: one for each processor)"),
	OPT_BOOL(struct args, quiet, 'q', "quiet", 1, "no progress"),
	OPT_BOOL(struct args, verbose, 'v', "verbose", 1, "list all that could not be set"),
	OPT_JSON(struct args, json),
	OPT_END,
};

static int export(const struct args *a, const struct store_list *stores,
		  const struct cairn_tree *tree, const char *path, struct cairn_export_result *ret,
		  struct refusals *refusals)
{
	struct cairn_error err = {0};
	struct progress progress;
	const struct cairn_export_options options = {
		.stores = stores->store,
		.nr_stores = stores->nr,
		.jobs = jobs_of(a->jobs),
		.refused = refusals_add,
		.refused_arg = refusals,
		.progress = progress_tick,
		.progress_arg = &progress,
	};
	int r;

	interrupt_hold();
	progress_start(&progress, &progress_stderr, "writing", "files", a->quiet);
	r = cairn_export_directory(tree, AT_FDCWD, path, &options, ret, &err);
	progress_stop(&progress);
	interrupt_release();
	return r < 0 ? talk_error(r, &err, NULL) : EXIT_DONE;
}

static void print_result(const char *path, const struct cairn_export_result *r)
{
	static const char *const keys[] = {"directory",
					   "names",
					   "files",
					   "bytes",
					   "reflinked",
					   "refused_owners",
					   "refused_modes",
					   "refused_xattrs",
					   "refused_times",
					   "refused_nodes",
					   NULL};
	const struct cell cells[] = {
		cell_name(path),
		cell_number(r->names),
		cell_number(r->files),
		cell_size(r->bytes),
		cell_number(r->cloned),
		cell_number(r->refused[CAIRN_REFUSED_OWNER]),
		cell_number(r->refused[CAIRN_REFUSED_MODE]),
		cell_number(r->refused[CAIRN_REFUSED_XATTR]),
		cell_number(r->refused[CAIRN_REFUSED_TIME]),
		cell_number(r->refused[CAIRN_REFUSED_NODE]),
	};

	out_row(keys, "{directory}: {files} files, {bytes}, {reflinked} reflinked\n", cells);
}

static int run(const struct command *self, int argc, char **argv)
{
	struct args a = {0};
	struct store_list stores cleanup_stores = {0};
	struct cairn_tree *tree cleanup_tree = NULL;
	struct cairn_export_result result = {0};
	struct refusals refusals = REFUSALS_INIT;
	int status;

	if (opt_parse(self, argc, argv, &a) < 0)
		return EXIT_USAGE;
	out_json = a.json;
	refusals.verbose = a.verbose;
	status = source_tree_stores(argv[1], &a.stores, &tree, &stores);
	if (status == EXIT_DONE)
		status = export(&a, &stores, tree, argv[2], &result, &refusals);
	if (status != EXIT_DONE)
		return status;
	print_result(argv[2], &result);
	return refusals_tell(&refusals, &result) && a.strict ? EXIT_FAILED : EXIT_DONE;
}

const struct command cmd_export_dir = {
	.name = "export-dir",
	.operands = "IMAGE DIR",
	.summary = "write the tree of an image as files, verified",
	.notes = "DIR is absent or empty.",
	.opts = opts,
	.min = 2,
	.max = 2,
	.first = OPERAND_FILE,
	.others = OPERAND_DIR,
	.run = run,
};
