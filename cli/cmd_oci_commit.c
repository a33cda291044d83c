/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn oci commit: the upper directory of an overlay mount as a layer, alone or upon an image. */
#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "cmd.h"
#include "layers.h"
#include "place.h"
#include "registry.h"
#include "source.h"

#define BUFFER_SIZE (256u << 10) /* bytes written at once */

struct args {
	const char *output, *store, *name, *message;
	unsigned int profile, xattrs, format, jobs;
	bool json, quiet;
};

static const struct opt opts[] = {
	OPT_FILE(struct args, output, 'o', "output", "FILE",
		 "write the layer there, and make no image"),
	OPT_STORE(struct args, store, HELP_STORE),
	OPT_TEXT(struct args, name, 'n', "name", "NAME",
		 "what the new image is called (default: NAME moves to it)"),
	OPT_TEXT(struct args, message, 'm', "message", "TEXT", "a comment for its history"),
	OPTS_PROFILE(struct args, profile, xattrs),
	OPT_CHOICE(struct args, format, 'f', "format", "FORMAT", FORMAT_CHOICES,
		   "format of the image (default: that of the store, else 1)"),
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

static void tell_refused(void *arg, const struct cairn_refusal *f)
{
	(void)arg;
	talk("%s: a socket, which a layer cannot have; left out", f->path);
}

static void report(const struct args *a, const struct cairn_layer_result *layer, const char *name,
		   const struct cairn_commit_result *image)
{
	static const char *const keys[] = {"layer", "diff_id", "size",     "entries",
					   "name",  "digest",  "manifest", NULL};
	const struct cell cells[] = {
		cell_name(a->output),
		cell_word(layer->diff_id),
		cell_size(layer->size),
		cell_number(layer->stats.entries),
		cell_name(name),
		image ? cell_digest(&image->pull.image.digest) : cell_none(),
		image ? cell_word(image->manifest) : cell_none(),
	};

	out_row(keys, image ? "{digest}\n" : "{diff_id}\n", cells);
}

/* --- a layer alone --------------------------------------------------------------------------- */

static int write_layer(const struct args *a, const struct cairn_tree *layer,
		       struct cairn_store *store, struct cairn_layer_result *ret)
{
	struct out out = {.size = BUFFER_SIZE, .data = malloc(BUFFER_SIZE)};
	struct cairn_error err = {0};
	const struct cairn_export_options options = {
		.stores = &store,
		.nr_stores = 1,
		.refused = tell_refused,
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
	if (!r) {
		report(a, ret, NULL, NULL);
		return EXIT_DONE;
	}
	(void)unlink(a->output);
	return talk_error(r, err.code ? &err : NULL, a->output);
}

/* --- upon an image --------------------------------------------------------------------------- */

/* Now, or the time that SOURCE_DATE_EPOCH tells, so that the same layer upon the same image is the same image. */
static int set_created(char out[32])
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	time_t t = time(NULL);
	struct tm tm;
	char *end;

	if (epoch && *epoch) {
		t = (time_t)strtoll(epoch, &end, 10);
		if (*end)
			return talk_usage("SOURCE_DATE_EPOCH=%s: not a number of seconds", epoch);
	}
	if (!gmtime_r(&t, &tm) || !strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm))
		return talk_usage("SOURCE_DATE_EPOCH: not a time");
	return EXIT_DONE;
}

static int commit(const struct args *a, const char *base, const struct cairn_tree *layer,
		  struct cairn_store *store)
{
	char created[32];
	struct board board;
	const char *name = a->name ? a->name : base;
	const struct cairn_commit_options options = {
		.created = created,
		.created_by = "cairn oci commit",
		.comment = a->message,
		.refused = tell_refused,
	};
	const struct cairn_pull_options pull = {
		.profile = profile_of_choice(a->profile),
		.xattrs = xattrs_of_choice(a->xattrs),
		.format = format_of_choice(a->format),
		.jobs = jobs_of(a->jobs),
		.name = name,
		.progress = board_tick,
		.progress_arg = &board,
	};
	struct cairn_commit_result result;
	struct cairn_error err = {0};
	int status = set_created(created), r;

	if (status != EXIT_DONE)
		return status;
	interrupt_hold();
	board_start(&board, &progress_stderr, a->quiet);
	r = cairn_oci_commit(store, base, layer, &options, &pull, &result, &err);
	board_stop(&board);
	interrupt_release();
	if (r < 0)
		return talk_error(r, &err, NULL);
	report(a, &result.layer, name, &result);
	return EXIT_DONE;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct args a = {0};
	struct cairn_store *store cleanup_store = NULL;
	struct cairn_tree *layer cleanup_tree = NULL;
	struct cairn_layer_result result = {0};
	int status, nr = opt_parse(self, argc, argv, &a);

	if (nr < 0)
		return EXIT_USAGE;
	out_json = a.json;
	if (!a.output == (nr == 1))
		return talk_usage(a.output ? "-o writes the layer alone, upon no image"
					   : "needs the image that it is upon, or -o");
	if (a.output && (a.name || a.message))
		return talk_usage("-n and -m are about an image, and -o makes none");
	status = store_place_open(a.store, CAIRN_STORE_CREATE, &store);
	if (status == EXIT_DONE)
		status = read_upper(&a, argv[1], store, &layer);
	if (status != EXIT_DONE)
		return status;
	return a.output ? write_layer(&a, layer, store, &result)
			: commit(&a, argv[2], layer, store);
}

const struct command cmd_oci_commit = {
	.name = "oci commit",
	.operands = "UPPERDIR [NAME]",
	.summary = "make a layer of the upper directory of an overlay mount",
	.notes = "Upon the image NAME of the store, or with -o alone.",
	.opts = opts,
	.min = 1,
	.max = 2,
	.first = OPERAND_DIR,
	.run = run,
};
