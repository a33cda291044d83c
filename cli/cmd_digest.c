/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn digest: the fs-verity digest of an image, made or not. */
#include "cmd.h"
#include "source.h"

#define BOTH_ALGS (CAIRN_ALG_BIT(CAIRN_SHA256) | CAIRN_ALG_BIT(CAIRN_SHA512))

struct args {
	struct opt_list stores;
	struct source_args source;
	unsigned int format, alg;
	bool json, all;
};

static const struct opt opts[] = {
	OPT_BOOL(struct args, all, 'a', "all", 1, "every format with every algorithm"),
	OPT_CHOICE(struct args, format, 'f', "format", "FORMAT", FORMAT_CHOICES,
		   "format of the image: auto (default), 0, 1 or 2"),
	OPT_ALG(struct args, alg, "digest algorithm (default: sha256, or what the source has)"),
	OPTS_SOURCE(struct args, source),
	OPT_STORES(struct args, stores),
	OPT_JSON(struct args, json),
	OPT_END,
};

static const char *const keys[] = {"source", "format", "alg", "size", "inodes", "digest", NULL};

/* How the lines look: which parts the user cannot know from the command line. */
static const char *template_of(bool all, bool several)
{
	if (all)
		return several ? "{format} {alg} {digest}  {source}\n"
			       : "{format} {alg} {digest}\n";
	return several ? "{digest}  {source}\n" : "{digest}\n";
}

static void digest_row(const char *text, const char *name, const struct cairn_image_result *res)
{
	const struct cell cells[] = {
		cell_name(name),
		cell_word(format_name(res->format)),
		cell_word(alg_name(res->digest.alg)),
		cell_number(res->size),
		res->inodes ? cell_number(res->inodes) : cell_none(),
		cell_digest(&res->digest),
	};

	out_row(keys, text, cells);
}

/* The image that @tree would make. */
static int written_digest(const struct args *a, const struct cairn_tree *tree, int format,
			  unsigned int alg, struct cairn_image_result *ret, struct cairn_error *err)
{
	struct progress progress;
	const struct cairn_image_options options = {
		.format = format,
		.alg = alg,
		.jobs = jobs_of(a->source.jobs),
		.progress = progress_tick,
		.progress_arg = &progress,
	};
	int r;

	interrupt_hold();
	progress_start(&progress, &progress_stderr, "writing", "inodes", a->source.quiet);
	r = cairn_image_write(tree, &options, ret, err);
	progress_stop(&progress);
	interrupt_release();
	return r;
}

static int digest_one(const struct args *a, const struct source *s, const struct cairn_tree *tree,
		      const char *text)
{
	const unsigned int alg = a->alg ? a->alg : source_alg(tree);
	struct cairn_image_result res = {0};
	struct cairn_error err = {0};
	int r = written_digest(a, tree, format_of_choice(a->format), alg, &res, &err);

	if (r < 0)
		return talk_error(r, &err, s->name);
	digest_row(text, s->name, &res);
	return EXIT_DONE;
}

/* An image that is there already: its own bytes, which need not be what we would write. */
static int digest_image(const struct source *s, const struct cairn_tree *tree, const char *text)
{
	const unsigned int alg = source_alg(tree);
	struct cairn_image_result res = {.format = s->format};
	struct cairn_digest digests[2];
	struct cairn_error err = {0};
	off_t size = lseek(s->fd, 0, SEEK_END);
	int r = cairn_digest_fd(s->fd, CAIRN_ALG_BIT(alg ? alg : CAIRN_SHA256), digests, &err);

	if (r < 0)
		return talk_error(r, &err, s->name);
	res.digest = digests[0];
	res.size = size < 0 ? 0 : (uint64_t)size;
	digest_row(text, s->name, &res);
	return EXIT_DONE;
}

/* V0 knows only SHA-256 (erofs-variants §1). */
static const struct variant {
	int format;
	unsigned int alg;
	const char *name;
} variants[] = {
	{CAIRN_FORMAT_V0, CAIRN_SHA256, "V0 sha256"}, {CAIRN_FORMAT_V1, CAIRN_SHA256, "V1 sha256"},
	{CAIRN_FORMAT_V1, CAIRN_SHA512, "V1 sha512"}, {CAIRN_FORMAT_V2, CAIRN_SHA256, "V2 sha256"},
	{CAIRN_FORMAT_V2, CAIRN_SHA512, "V2 sha512"},
};

/* Every variant that this tree can have: an image or a dump has digests of one algorithm. */
static int digest_all(const struct args *a, const struct source *s, const struct cairn_tree *tree,
		      const char *text)
{
	const unsigned int only = source_has_contents(s) ? 0 : source_alg(tree);
	int status = EXIT_DONE;

	for (size_t i = 0; i < ARRAY_SIZE(variants); i++) {
		const struct variant *v = &variants[i];
		struct cairn_image_result res = {0};
		struct cairn_error err = {0};
		int r;

		if (only && v->alg != only)
			continue;
		r = written_digest(a, tree, v->format, v->alg, &res, &err);
		if (r < 0)
			status = talk_error(r, &err, v->name);
		else
			digest_row(text, s->name, &res);
	}
	return status;
}

static int digest_source(const struct args *a, const char *name, const char *text)
{
	struct source s cleanup_source = SOURCE_INIT;
	struct cairn_tree *tree cleanup_tree = NULL;
	unsigned int algs = a->all ? BOTH_ALGS : a->alg ? CAIRN_ALG_BIT(a->alg) : 0;
	int status = source_open(name, &a->stores, &s);

	if (status == EXIT_DONE)
		status = source_check_args(&s, 1, &a->source);
	if (status == EXIT_DONE)
		status = source_load(&s, &a->source, algs, NULL, &tree, NULL);
	if (status != EXIT_DONE)
		return status;
	if (a->all)
		return digest_all(a, &s, tree, text);
	if (s.kind == SOURCE_IMAGE && !a->format && !a->alg)
		return digest_image(&s, tree, text);
	return digest_one(a, &s, tree, text);
}

static int run(const struct command *self, int argc, char **argv)
{
	struct args a = {0};
	int nr = opt_parse(self, argc, argv, &a), status = EXIT_DONE;

	if (nr < 0)
		return EXIT_USAGE;
	if (a.all && (a.format || a.alg))
		return talk_usage("--all excludes --format and --alg");
	out_json = a.json;

	for (int i = 1; i <= nr; i++) {
		int s = digest_source(&a, argv[i], template_of(a.all, nr > 1));

		if (s != EXIT_DONE)
			status = s;
	}
	return status;
}

const struct command cmd_digest = {
	.name = "digest",
	.operands = "SOURCE...",
	.summary = "print the digest of an image without writing it",
	.notes =
		"Of an image that is there, the digest of its bytes, unless --format or --alg say\n"
		"that it should be made anew.",
	.opts = opts,
	.min = 1,
	.max = OPERANDS_ANY,
	.first = OPERAND_FILE,
	.others = OPERAND_FILE,
	.run = run,
};
