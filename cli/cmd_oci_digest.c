/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn oci digest: which image the layers of a container image make, without storing anything. */
#include <errno.h>

#include "cmd.h"
#include "layers.h"
#include "place.h"
#include "registry.h"
#include "source.h"

struct args {
	struct registry_args registry;
	const char *platform, *store, *match;
	unsigned int profile, xattrs, format, alg, jobs;
	bool all, json, quiet;
};

static const struct opt opts[] = {
	OPT_TEXT(struct args, match, 'm', "match", "DIGEST",
		 "find the rules that give this digest"),
	OPT_BOOL(struct args, all, 'a', "all", 1,
		 "formats 1 and 2, both algorithms; also of each layer"),
	OPT_STORE(struct args, store, HELP_STORE_OF),
	OPT_PLATFORM(struct args, platform),
	OPTS_PROFILE(struct args, profile, xattrs),
	OPT_CHOICE(struct args, format, 'f', "format", "FORMAT", FORMAT_CHOICES,
		   "format of the image (default: 1)"),
	OPT_ALG(struct args, alg, "digest algorithm (default: sha256)"),
	OPT_COUNT(struct args, jobs, 'j', "jobs", 1024,
		  "layers at once (default: one for each processor)"),
	OPTS_REGISTRY(struct args, registry),
	OPT_BOOL(struct args, quiet, 'q', "quiet", 1, "no progress"),
	OPT_JSON(struct args, json),
	OPT_END,
};

static void digest_row(const struct cairn_oci_info *info, const struct cairn_image_result *image)
{
	static const char *const keys[] = {"digest", "alg",      "format",   "size",
					   "inodes", "manifest", "platform", NULL};
	const struct cell cells[] = {
		cell_digest(&image->digest),
		cell_word(alg_name(image->digest.alg)),
		cell_word(format_name(image->format)),
		cell_size(image->size),
		cell_number(image->inodes),
		cell_word(info->digest),
		cell_name(info->platform),
	};

	out_row(keys, "{digest}\n", cells);
}

static int part_row(void *arg, const struct cairn_oci_part *part)
{
	static const char *const keys[] = {"layer", "format", "alg", "digest", "size", NULL};
	const bool whole = part->layer == SIZE_MAX;
	const struct cell cells[] = {
		whole ? cell_none() : cell_number(part->layer),
		cell_word(format_name(part->image.format)),
		cell_word(alg_name(part->image.digest.alg)),
		cell_digest(&part->image.digest),
		cell_size(part->image.size),
	};

	board_stop((struct board *)arg);
	out_row(keys,
		whole ? "image   {format} {alg} {digest}\n"
		      : "layer {layer} {format} {alg} {digest}\n",
		cells);
	return out_result.error;
}

static void match_row(const struct cairn_digest *digest, const struct cairn_layer_rules *rules)
{
	static const char *const keys[] = {"digest", "profile", "xattrs", "format", "times", NULL};
	static const char *const modes[] = {"allowlist", "user", "all"};
	const bool composefs = rules->profile == CAIRN_PROFILE_COMPOSEFS;
	const struct cell cells[] = {
		cell_digest(digest),
		cell_word(composefs ? "composefs" : "runtime"),
		composefs ? cell_word(modes[rules->xattrs]) : cell_none(),
		cell_word(format_name(rules->format)),
		cell_word(rules->whole_seconds ? "seconds" : "nanoseconds"),
	};

	out_row(keys, "{profile} {format}, xattrs: {xattrs}, times: {times}\n", cells);
}

static int work(const struct args *a, struct cairn_oci *oci, const struct cairn_digest *wanted,
		struct board *board, struct cairn_error *err)
{
	const struct cairn_pull_options options = {
		.profile = profile_of_choice(a->profile),
		.xattrs = xattrs_of_choice(a->xattrs),
		.format = format_of_choice(a->format),
		.jobs = jobs_of(a->jobs),
		.progress = board_tick,
		.progress_arg = board,
	};
	struct cairn_layer_rules rules;
	struct cairn_image_result image;
	struct cairn_oci_info info;
	int r;

	if (a->match) {
		r = cairn_oci_match(oci, wanted, &options, &rules, err);
		board_stop(board);
		if (r == 1)
			match_row(wanted, &rules);
		return r;
	}
	if (a->all) {
		r = cairn_oci_digests(oci, &options, part_row, board, err);
		return r < 0 ? r : 1;
	}
	r = cairn_oci_digest(oci, a->alg ? a->alg : CAIRN_SHA256, &options, &image, err);
	board_stop(board);
	cairn_oci_info(oci, &info);
	if (r == 0)
		digest_row(&info, &image);
	return r < 0 ? r : 1;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct args a = {0};
	struct cairn_store *store cleanup_store = NULL;
	struct cairn_oci *oci cleanup_oci = NULL;
	struct cairn_oci_options options;
	struct cairn_digest wanted = {0};
	struct cairn_error err = {0};
	struct board board;
	int status, r;

	if (opt_parse(self, argc, argv, &a) < 0)
		return EXIT_USAGE;
	out_json = a.json;
	if (a.match && (a.profile || a.xattrs || a.format || a.alg))
		return talk_usage("--match tries all profiles, xattrs, formats and algorithms");
	if (a.all && (a.match || a.format || a.alg))
		return talk_usage("--all is about all formats and algorithms");
	if (a.match && cairn_digest_from_hex(a.match, &wanted) < 0)
		return talk_usage("--match %s: not a digest", a.match);
	status = registry_options(&a.registry, a.platform, &options);
	if (status == EXIT_DONE)
		status = registry_store(argv[1], a.store, &options, &store);
	if (status != EXIT_DONE)
		return status;
	interrupt_hold();
	board_start(&board, &progress_stderr, a.quiet);
	r = cairn_oci_open(argv[1], &options, &oci, &err);
	if (r == 0)
		r = work(&a, oci, &wanted, &board, &err);
	board_stop(&board);
	interrupt_release();
	if (r < 0)
		return talk_error(r, &err, err.kind == CAIRN_ERROR_USAGE ? NULL : argv[1]);
	if (r == 0) {
		talk("%s: no known rules give that digest", argv[1]);
		return EXIT_UNVERIFIED;
	}
	return EXIT_DONE;
}

const struct command cmd_oci_digest = {
	.name = "oci digest",
	.operands = "REF",
	.summary = "print the digest of the image that the layers make",
	.notes = "Nothing is stored.",
	.opts = opts,
	.min = 1,
	.max = 1,
	.first = OPERAND_FILE,
	.run = run,
};
