/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn oci commit: the upper directory of an overlay mount as a layer. */
#include <errno.h>
#include <fcntl.h>

#include "cmd.h"
#include "place.h"
#include "refusals.h"
#include "source.h"

#define BUFFER_SIZE (256u << 10) /* bytes written at once */

struct args {
	const char *output, *store;
	unsigned int jobs;
	bool json, quiet;
};

static const struct opt opts[] = {
	OPT_FILE(struct args, output, 'o', "output", "FILE", "where to write the layer"),
	OPT_STORE(struct args, store, HELP_STORE),
	OPT_COUNT(struct args, jobs, 'j', "jobs", 1024,
		  "threads (default: one for each processor)"),
	OPT_BOOL(struct args, quiet, 'q', "quiet", 1, "no progress"),
	OPT_JSON(struct args, json),
	OPT_END,
};

/* The tree of the directory, its contents in the store. */
static int read_upper(const struct args *a, const char *upper, struct cairn_store *store,
		      struct cairn_tree **ret)
{
	struct cairn_tree *tree cleanup_tree = NULL;
	struct source s cleanup_source = SOURCE_INIT;
	const struct source_args sa = {.jobs = a->jobs, .quiet = a->quiet};
	struct cairn_error err = {0};
	int status = source_open(upper, NULL, &s);
	int r;

	if (status == EXIT_DONE && s.kind != SOURCE_DIRECTORY)
		return talk_usage("%s: not a directory", upper);
	if (status == EXIT_DONE)
		status = source_load(&s, &sa, CAIRN_ALG_BIT(cairn_store_alg(store)), store, &tree,
				     NULL);
	if (status != EXIT_DONE)
		return status;
	r = cairn_layer_from_upper(tree, ret, &err);
	return r < 0 ? talk_error(r, &err, upper) : EXIT_DONE;
}

static int write_layer(const struct args *a, const struct cairn_tree *layer,
		       struct cairn_store *store, struct cairn_layer_result *ret)
{
	struct out out = {.size = BUFFER_SIZE, .data = malloc(BUFFER_SIZE)};
	struct refusals refusals = REFUSALS_INIT;
	struct cairn_error err = {0};
	const struct cairn_export_options options = {
		.stores = &store,
		.nr_stores = 1,
		.refused = refusals_add,
		.refused_arg = &refusals,
	};
	int r;

	if (!out.data)
		return talk_error(-ENOMEM, NULL, a->output);
	out.fd = open(a->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
	if (out.fd < 0) {
		free(out.data);
		return talk_error(-errno, NULL, a->output);
	}
	r = cairn_layer_write(layer, out_write, &out, &options, ret, &err);
	if (!r)
		r = out_flush(&out);
	if (out.error)
		r = out.error;
	if (close(out.fd) < 0 && !r)
		r = -errno;
	free(out.data);
	if (!r)
		return EXIT_DONE;
	(void)unlink(a->output);
	return talk_error(r, err.code ? &err : NULL, a->output);
}

static int run(const struct command *self, int argc, char **argv)
{
	static const char *const keys[] = {"layer", "diff_id", "size", "entries", NULL};
	struct args a = {0};
	struct cairn_store *store cleanup_store = NULL;
	struct cairn_tree *layer cleanup_tree = NULL;
	struct cairn_layer_result result = {0};
	int status;

	if (opt_parse(self, argc, argv, &a) < 0)
		return EXIT_USAGE;
	out_json = a.json;
	if (!a.output)
		return talk_usage("-o is missing: where to write the layer");
	status = store_place_open(a.store, CAIRN_STORE_CREATE, &store);
	if (status == EXIT_DONE)
		status = read_upper(&a, argv[1], store, &layer);
	if (status == EXIT_DONE)
		status = write_layer(&a, layer, store, &result);
	if (status != EXIT_DONE)
		return status;
	{
		const struct cell cells[] = {
			cell_name(a.output),
			cell_word(result.diff_id),
			cell_size(result.size),
			cell_number(result.stats.entries),
		};

		out_row(keys, "{diff_id}\n", cells);
	}
	return EXIT_DONE;
}

const struct command cmd_oci_commit = {
	.name = "oci commit",
	.operands = "UPPERDIR",
	.summary = "make a layer of the upper directory of an overlay mount",
	.opts = opts,
	.min = 1,
	.max = 1,
	.first = OPERAND_DIR,
	.run = run,
};
