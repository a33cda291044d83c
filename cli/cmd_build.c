/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn build: an image, and the store with the contents, in one reading of the source. */
#include <errno.h>
#include <fcntl.h>

#include "cmd.h"
#include "place.h"
#include "source.h"

struct args {
	struct source_args source;
	const char *output, *store, *name;
	unsigned int format, alg;
	bool json, verbose;
};

static const struct opt opts[] = {
	OPT_FILE(struct args, output, 'o', "output", "IMAGE",
		 "where to write the image, - for standard output"),
	OPT_DIR(struct args, store, 's', "store", "DIR",
		"put the contents of the files of a directory there"),
	OPT_TEXT(struct args, name, 'n', "name", "REF",
		 "keep the image in the store and let this name refer to it"),
	OPT_CHOICE(struct args, format, 'f', "format", "FORMAT", FORMAT_CHOICES,
		   "format of the image: auto (default), 0, 1 or 2"),
	OPT_ALG(struct args, alg,
		"digest algorithm (default: that of the store or source, sha256)"),
	OPTS_SOURCE(struct args, source),
	OPT_BITS(struct args, source.flags, 0, "no-cache", CAIRN_SCAN_NO_CACHE,
		 "read every file, also those that an earlier build has read"),
	OPT_BITS(struct args, source.flags, 0, "verify-cache", CAIRN_SCAN_VERIFY_CACHE,
		 "read every file, and fail if the cache says something else of one"),
	OPT_BOOL(struct args, verbose, 'v', "verbose", 1,
		 "the summary even where standard error is no terminal"),
	OPT_JSON(struct args, json),
	OPT_END,
};

/* What there is to tell at the end. */
struct report {
	struct cairn_image_result image;
	struct cairn_scan_result scan;
	double seconds;
};

static int open_store(const struct args *a, struct cairn_store **ret)
{
	struct cairn_error err = {0};
	int r = cairn_store_open(a->store, CAIRN_STORE_CREATE, ret, &err);

	if (r < 0)
		return talk_error(r, &err, NULL);
	if (a->alg && cairn_store_set_alg(*ret, a->alg) < 0)
		return talk_usage("%s: has objects of the other algorithm, not --alg %s", a->store,
				  alg_name(a->alg));
	return EXIT_DONE;
}

/* @ret_alg: the algorithm that the image is to have. */
static int load(const struct args *a, const struct source *s, struct cairn_store *store,
		struct cairn_tree **ret, struct cairn_scan_result *ret_scan, unsigned int *ret_alg)
{
	const unsigned int alg = store ? cairn_store_alg(store) : a->alg;
	int status = source_load(s, &a->source, alg ? CAIRN_ALG_BIT(alg) : 0, store, ret, ret_scan);

	if (status == EXIT_DONE)
		*ret_alg = alg ? alg : source_alg(*ret);
	return status;
}

/* Into the store, into a file, or both; then the file is the same image. */
static int write_to(const struct args *a, const struct cairn_tree *tree, struct cairn_store *store,
		    struct cairn_image_options *options, struct cairn_image_result *ret,
		    struct cairn_error *err)
{
	const bool to_stdout = a->output && !strcmp(a->output, "-");
	int r = 0;

	if (a->name) {
		r = cairn_store_add_image(store, tree, options, a->name, ret, err);
		options->format = ret->format;
	}
	if (to_stdout) {
		options->write = out_write;
		options->write_arg = &out_result;
		return r < 0 ? r : cairn_image_write(tree, options, ret, err);
	}
	if (!r && a->output)
		r = cairn_image_write_file(tree, AT_FDCWD, a->output, options, ret, err);
	return r;
}

static int write_image(const struct args *a, const struct source *s, const struct cairn_tree *tree,
		       struct cairn_store *store, unsigned int alg, struct cairn_image_result *ret)
{
	struct cairn_error err = {0};
	struct progress progress;
	struct cairn_image_options options = {
		.format = format_of_choice(a->format),
		.alg = alg,
		.jobs = jobs_of(a->source.jobs),
		/* With a store the image is the reference to its objects, and as durable as they. */
		.sync = a->store != NULL,
		.verity = 1,
		.progress = progress_tick,
		.progress_arg = &progress,
	};
	int r;

	interrupt_hold();
	progress_start(&progress, &progress_stderr, "writing", "inodes", a->source.quiet);
	r = write_to(a, tree, store, &options, ret, &err);
	progress_stop(&progress);
	interrupt_release();

	if (out_result.error)
		return EXIT_FAILED; /* main() tells it */
	if (r < 0) /* the words name the output if that is to blame, else it is the source */
		return talk_error(r, &err, err.kind == CAIRN_ERROR_SYSTEM ? NULL : s->name);
	return EXIT_DONE;
}

static const char *summary_of(const struct args *a, const struct source *s)
{
	const bool scanned = source_has_contents(s);

	if (scanned && a->name)
		return "{name}: {format} {alg}, {size}, {inodes} inodes; {files} files, "
		       "{bytes} read, {cached} unchanged; stored {new_objects} new objects, "
		       "{new_bytes}, {reflinked} reflinked; {seconds}\n";
	if (a->name)
		return "{name}: {format} {alg}, {size}, {inodes} inodes; {seconds}\n";
	if (scanned && a->store)
		return "{image}: {format} {alg}, {size}, {inodes} inodes; {files} files, "
		       "{bytes} read, {cached} unchanged; stored {new_objects} new objects, "
		       "{new_bytes}, {reflinked} reflinked; {seconds}\n";
	if (scanned)
		return "{image}: {format} {alg}, {size}, {inodes} inodes; {files} files, "
		       "{bytes} read; {seconds}\n";
	return "{image}: {format} {alg}, {size}, {inodes} inodes; {seconds}\n";
}

static void report_row(const struct args *a, const struct source *s, const struct report *r)
{
	static const char *const keys[] = {"source",    "image",     "name",    "digest",
					   "alg",       "format",    "size",    "inodes",
					   "files",     "bytes",     "cached",  "new_objects",
					   "new_bytes", "reflinked", "seconds", NULL};
	const bool scanned = source_has_contents(s), stored = scanned && a->store;
	const struct cell cells[] = {
		cell_name(s->name),
		cell_name(a->output),
		cell_name(a->name),
		cell_digest(&r->image.digest),
		cell_word(alg_name(r->image.digest.alg)),
		cell_word(format_name(r->image.format)),
		cell_size(r->image.size),
		cell_number(r->image.inodes),
		scanned ? cell_number(r->scan.files) : cell_none(),
		scanned ? cell_size(r->scan.bytes) : cell_none(),
		stored ? cell_number(r->scan.cached) : cell_none(),
		stored ? cell_number(r->scan.new_objects) : cell_none(),
		stored ? cell_size(r->scan.new_bytes) : cell_none(),
		stored ? cell_number(r->scan.reflinked) : cell_none(),
		cell_seconds(r->seconds),
	};

	if (!a->output || strcmp(a->output, "-"))
		out_row(keys, "{digest}\n", cells);
	if (a->verbose || (!a->source.quiet && !a->json && isatty(STDERR_FILENO)))
		out_text(&out_talk, keys, summary_of(a, s), cells);
}

static int check_args(const struct args *a)
{
	if (!a->output && !a->name)
		return talk_usage("--output or --name is missing");
	if (!a->output || strcmp(a->output, "-"))
		return EXIT_DONE;
	if (a->json)
		return talk_usage("--json and the image cannot both go to standard output");
	if (isatty(STDOUT_FILENO))
		return talk_usage("will not write an image to a terminal");
	return EXIT_DONE;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct args a = {0};
	struct source source cleanup_source = SOURCE_INIT;
	struct cairn_store *store cleanup_store = NULL;
	struct cairn_tree *tree cleanup_tree = NULL;
	struct report report = {0};
	struct opt_list stores = {0};
	const double start = seconds_now();
	unsigned int alg;
	int status;

	if (opt_parse(self, argc, argv, &a) < 0)
		return EXIT_USAGE;
	out_json = a.json;

	status = check_args(&a);
	if (status != EXIT_DONE)
		return status;
	if (a.name && !a.store) {
		a.store = store_place(NULL);
		if (!a.store)
			return EXIT_FAILED;
	}
	stores = (struct opt_list){.nr = a.store != NULL, .text = {a.store}};
	status = source_open(argv[1], &stores, &source);
	if (status == EXIT_DONE)
		status = source_check_args(&source, 1, &a.source);
	if (status != EXIT_DONE)
		return status;
	if (!a.store && a.source.flags & (CAIRN_SCAN_NO_CACHE | CAIRN_SCAN_VERIFY_CACHE))
		return talk_usage("the cache is in the store: --store is missing");
	if ((a.source.flags & CAIRN_SCAN_NO_CACHE) && (a.source.flags & CAIRN_SCAN_VERIFY_CACHE))
		return talk_usage("--no-cache and --verify-cache exclude each other");
	if (a.store && !a.name && !source_has_contents(&source))
		return talk_usage(
			"%s: --store needs a directory or a tar archive, this has no contents to store",
			source.name);

	/* It stays open to the end: what is in use by one who has it open is not collected. */
	status = a.store ? open_store(&a, &store) : EXIT_DONE;
	if (status == EXIT_DONE)
		status = load(&a, &source, store, &tree, &report.scan, &alg);
	if (status == EXIT_DONE)
		status = write_image(&a, &source, tree, store, alg, &report.image);
	if (status != EXIT_DONE)
		return status;
	report.seconds = seconds_now() - start;
	report_row(&a, &source, &report);
	return EXIT_DONE;
}

const struct command cmd_build = {
	.name = "build",
	.operands = "SOURCE -o IMAGE | --name REF",
	.summary = "make an image of a directory, a dump text or another image",
	.notes = "Prints the fs-verity digest of the image.",
	.opts = opts,
	.min = 1,
	.max = 1,
	.first = OPERAND_FILE,
	.run = run,
};
