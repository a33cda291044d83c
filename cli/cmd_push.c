/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn push, cairn oci export: container images out of a store, to a registry or a layout. */
#include <errno.h>

#include "cmd.h"
#include "place.h"
#include "progress.h"
#include "registry.h"
#include "source.h"

#define LAYERS_AT_ONCE 6u

struct args {
	struct registry_args registry;
	const char *store;
	unsigned int level, jobs;
	bool json, quiet, verbose;
};

static const struct opt opts_push[] = {
	OPT_STORE(struct args, store, HELP_STORE),
	OPT_COUNT(struct args, level, 'l', "level", 19,
		  "level of zstd for layers that are compressed anew (default: 3)"),
	OPT_COUNT(struct args, jobs, 'j', "jobs", 1024,
		  "layers at once (default: one for each processor, at most 6)"),
	OPTS_REGISTRY(struct args, registry),
	OPT_BOOL(struct args, quiet, 'q', "quiet", 1, "no progress, no summary"),
	OPT_BOOL(struct args, verbose, 'v', "verbose", 1,
		 "the summary even where standard error is no terminal"),
	OPT_JSON(struct args, json),
	OPT_END,
};

static const struct opt opts_export[] = {
	OPT_STORE(struct args, store, HELP_STORE),
	OPT_COUNT(struct args, level, 'l', "level", 19,
		  "level of zstd for layers that are compressed anew (default: 3)"),
	OPT_COUNT(struct args, jobs, 'j', "jobs", 1024,
		  "layers at once (default: one for each processor, at most 6)"),
	OPT_BOOL(struct args, quiet, 'q', "quiet", 1, "no progress, no summary"),
	OPT_BOOL(struct args, verbose, 'v', "verbose", 1,
		 "the summary even where standard error is no terminal"),
	OPT_JSON(struct args, json),
	OPT_END,
};

static void report(const struct args *a, const char *name, const char *reference,
		   const struct cairn_push_result *r, double seconds)
{
	static const char *const keys[] = {"name",   "reference", "digest", "changed",
					   "layers", "kept",      "made",   "mounted",
					   "sent",   "seconds",   NULL};
	const struct cell cells[] = {
		cell_name(name),       cell_name(reference),    cell_word(r->digest),
		cell_bool(r->changed), cell_number(r->layers),  cell_number(r->kept),
		cell_number(r->made),  cell_number(r->mounted), cell_size(r->sent_bytes),
		cell_seconds(seconds),
	};

	out_row(keys, "{digest}\n", cells);
	if (r->changed && !a->quiet && !a->json)
		talk("%s: %zu of %zu layers were compressed anew: their digests and the manifest's are "
		     "others, their diff_ids and the config are the same",
		     name, r->made, r->layers);
	if (a->verbose || (!a->quiet && !a->json && isatty(STDERR_FILENO)))
		out_text(&out_talk, keys,
			 "{name}: sent {sent}, {kept} of {layers} layers as they came; {seconds}\n",
			 cells);
}

static int send(const struct command *self, int argc, char **argv, bool layouts_only)
{
	struct args a = {0};
	struct cairn_store *store cleanup_store = NULL;
	struct cairn_oci_options options;
	struct cairn_push_options push = {0};
	struct cairn_push_result result;
	struct cairn_error err = {0};
	struct busy busy;
	double start = seconds_now();
	int status, r;

	if (opt_parse(self, argc, argv, &a) < 0)
		return EXIT_USAGE;
	out_json = a.json;
	if (layouts_only && strncmp(argv[2], "oci:", 4))
		return talk_usage("%s: only OCI layouts, oci:DIR, are written", argv[2]);
	status = store_place_open(a.store, 0, &store);
	if (status == EXIT_DONE)
		status = registry_options(&a.registry, NULL, &options);
	if (status != EXIT_DONE)
		return status;
	interrupt_hold();
	busy_start(&busy, "sending", a.quiet);
	push.level = (int)a.level;
	push.jobs = a.jobs ? a.jobs : MIN(jobs_of(0), LAYERS_AT_ONCE);
	r = cairn_oci_push(store, argv[1], argv[2], &options, &push, &result, &err);
	busy_stop(&busy);
	interrupt_release();
	if (r < 0)
		return talk_error(r, &err, NULL);
	report(&a, argv[1], argv[2], &result, seconds_now() - start);
	return EXIT_DONE;
}

static int run_push(const struct command *self, int argc, char **argv)
{
	return send(self, argc, argv, false);
}

static int run_export(const struct command *self, int argc, char **argv)
{
	return send(self, argc, argv, true);
}

const struct command cmd_push = {
	.name = "push",
	.operands = "NAME REF",
	.summary = "send a container image from a store to a registry",
	.notes = "Prints the digest of the manifest over there.",
	.opts = opts_push,
	.min = 2,
	.max = 2,
	.first = OPERAND_FILE,
	.others = OPERAND_FILE,
	.run = run_push,
};

const struct command cmd_oci_export = {
	.name = "oci export",
	.operands = "NAME oci:DIR[:NAME]",
	.summary = "write a container image from a store into a layout",
	.notes = "Prints the digest of the manifest there.",
	.opts = opts_export,
	.min = 2,
	.max = 2,
	.first = OPERAND_FILE,
	.others = OPERAND_FILE,
	.run = run_export,
};
