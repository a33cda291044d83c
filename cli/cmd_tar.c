/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn tar: the tree of an image as a tar stream. */
#include <errno.h>
#include <fcntl.h>

#include "cmd.h"
#include "refusals.h"
#include "source.h"
#include "stores.h"

#define BUFFER_SIZE (256u << 10) /* bytes written at once */

struct args {
	struct opt_list stores;
	const char *output;
	bool quiet, verbose;
};

static const struct opt opts[] = {
	OPT_FILE(struct args, output, 'o', "output", "FILE",
		 "where to write it (default: -, standard output)"),
	OPT_DIRS(struct args, stores, 's', "store", "DIR",
		 "store with the contents, may be given several times"),
	OPT_BOOL(struct args, quiet, 'q', "quiet", 1, "no progress"),
	OPT_BOOL(struct args, verbose, 'v', "verbose", 1, "list what tar cannot hold"),
	OPT_END,
};

static int archive(const struct args *a, const struct store_list *stores,
		   const struct cairn_tree *tree, const char *name, struct out *out)
{
	struct cairn_error err = {0};
	struct progress progress;
	struct cairn_export_result result = {0};
	struct refusals refusals = REFUSALS_INIT;
	const struct cairn_export_options options = {
		.stores = stores->store,
		.nr_stores = stores->nr,
		.refused = refusals_add,
		.refused_arg = &refusals,
		.progress = progress_tick,
		.progress_arg = &progress,
	};
	int r;

	refusals.verbose = a->verbose;
	interrupt_hold();
	progress_start(&progress, &progress_stderr, "writing", "files", a->quiet);
	r = cairn_export_tar(tree, out_write, out, &options, &result, &err);
	progress_stop(&progress);
	interrupt_release();
	if (!r)
		r = out_flush(out);
	if (out->error)
		return out == &out_result ? EXIT_FAILED : talk_error(out->error, NULL, a->output);
	if (r < 0)
		return talk_error(r, &err, err.code ? NULL : name);
	(void)refusals_tell(&refusals, &result);
	return EXIT_DONE;
}

/* Into a file of its own, which is removed again if it is not complete. */
static int archive_to_file(const struct args *a, const struct store_list *stores,
			   const struct cairn_tree *tree, const char *name)
{
	struct out out = {.size = BUFFER_SIZE, .data = malloc(BUFFER_SIZE)};
	int status;

	if (!out.data)
		return talk_error(-ENOMEM, NULL, a->output);
	out.fd = open(a->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
	if (out.fd < 0) {
		free(out.data);
		return talk_error(-errno, NULL, a->output);
	}
	status = archive(a, stores, tree, name, &out);
	if (close(out.fd) < 0 && status == EXIT_DONE)
		status = talk_error(-errno, NULL, a->output);
	free(out.data);
	if (status != EXIT_DONE)
		(void)unlink(a->output);
	return status;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct args a = {0};
	struct store_list stores cleanup_stores = {0};
	struct cairn_tree *tree cleanup_tree = NULL;
	bool to_file;
	int status;

	if (opt_parse(self, argc, argv, &a) < 0)
		return EXIT_USAGE;
	to_file = a.output && strcmp(a.output, "-");
	if (!to_file && isatty(STDOUT_FILENO))
		return talk_usage("will not write an archive to a terminal");
	status = source_tree_stores(argv[1], &a.stores, &tree, &stores);
	if (status != EXIT_DONE)
		return status;
	return to_file ? archive_to_file(&a, &stores, tree, argv[1])
		       : archive(&a, &stores, tree, argv[1], &out_result);
}

const struct command cmd_tar = {
	.name = "tar",
	.operands = "IMAGE",
	.summary = "write the tree of an image as a tar stream, verified",
	.opts = opts,
	.min = 1,
	.max = 1,
	.first = OPERAND_FILE,
	.run = run,
};
