/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn oci seal, cairn oci verify: the digest that an image says it has, and who says so. */
#include <errno.h>

#include "cmd.h"
#include "layers.h"
#include "registry.h"
#include "source.h"

struct args {
	struct registry_args registry;
	struct opt_list certs;
	const char *platform, *key, *cert, *inline_tag;
	unsigned int alg, xattrs, jobs;
	bool json, quiet;
};

static const struct opt opts_verify[] = {
	OPT_TEXTS(struct args, certs, 'c', "cert", "FILE",
		  "certificate that the seal must be signed with"),
	OPT_ALG(struct args, alg, "digest algorithm (default: sha256)"),
	OPT_PLATFORM(struct args, platform),
	OPT_COUNT(struct args, jobs, 'j', "jobs", 1024,
		  "layers at once (default: one for each processor)"),
	OPTS_REGISTRY(struct args, registry),
	OPT_BOOL(struct args, quiet, 'q', "quiet", 1, "no progress"),
	OPT_JSON(struct args, json),
	OPT_END,
};

static const struct opt opts_seal[] = {
	OPT_FILE(struct args, key, 'k', "key", "FILE", "private key that signs, PEM"),
	OPT_FILE(struct args, cert, 'c', "cert", "FILE", "its certificate, PEM"),
	OPT_TEXT(struct args, inline_tag, 'i', "inline", "TAG",
		 "write the manifest with the seal in it under this tag"),
	OPT_CHOICE(struct args, xattrs, 0, "xattrs", "WHICH", "allowlist|user",
		   "extended attributes that the image keeps (default: allowlist)"),
	OPT_ALG(struct args, alg, "digest algorithm (default: sha256)"),
	OPT_PLATFORM(struct args, platform),
	OPT_COUNT(struct args, jobs, 'j', "jobs", 1024,
		  "layers at once (default: one for each processor)"),
	OPTS_REGISTRY(struct args, registry),
	OPT_BOOL(struct args, quiet, 'q', "quiet", 1, "no progress"),
	OPT_JSON(struct args, json),
	OPT_END,
};

static void verify_row(const char *reference, bool asked, const struct cairn_verify_result *v)
{
	static const char *const keys[] = {"reference", "digest", "signed", "seals",
					   "artifacts", "xattrs", NULL};
	const struct cell cells[] = {
		cell_name(reference),
		cell_digest(&v->digest),
		asked ? cell_bool(v->is_signed) : cell_none(),
		cell_number(v->seals),
		cell_number(v->artifacts),
		cell_word(v->xattrs == CAIRN_XATTRS_USER ? "user" : "allowlist"),
	};

	out_row(keys, asked ? "{digest}  signed: {signed}\n" : "{digest}  signature not checked\n",
		cells);
}

static void seal_row(const char *reference, const char *manifest, const struct cairn_digest *image)
{
	static const char *const keys[] = {"reference", "digest", "manifest", NULL};
	const struct cell cells[] = {cell_name(reference), cell_digest(image), cell_word(manifest)};

	out_row(keys, "{digest}  {manifest}\n", cells);
}

static int work(const struct args *a, struct cairn_oci *oci, const char *reference, bool sealing,
		struct board *board, struct cairn_error *err)
{
	const struct cairn_pull_options options = {
		.jobs = jobs_of(a->jobs), .progress = board_tick, .progress_arg = board};
	const struct cairn_seal_options seal = {
		.alg = a->alg ? a->alg : CAIRN_SHA256,
		.xattrs = xattrs_of_choice(a->xattrs),
		.key_file = a->key,
		.cert_file = a->cert,
		.inline_tag = a->inline_tag,
	};
	char manifest[CAIRN_CONTENT_DIGEST_MAX];
	struct cairn_verify_result verified;
	struct cairn_digest image;
	int r;

	if (sealing)
		r = cairn_oci_seal(oci, &seal, &options, manifest, &image, err);
	else
		r = cairn_oci_verify(oci, seal.alg, a->certs.text, a->certs.nr, &options, &verified,
				     err);
	board_stop(board);
	if (r == 0 && sealing)
		seal_row(reference, manifest, &image);
	else if (r == 0)
		verify_row(reference, a->certs.nr, &verified);
	return r;
}

static int run(const struct command *self, int argc, char **argv, bool sealing)
{
	struct args a = {0};
	struct cairn_oci *oci cleanup_oci = NULL;
	struct cairn_oci_options options;
	struct cairn_error err = {0};
	struct board board;
	int status, r;

	if (opt_parse(self, argc, argv, &a) < 0)
		return EXIT_USAGE;
	out_json = a.json;
	status = registry_options(&a.registry, a.platform, &options);
	if (status != EXIT_DONE)
		return status;
	interrupt_hold();
	board_start(&board, &progress_stderr, a.quiet);
	r = cairn_oci_open(argv[1], &options, &oci, &err);
	if (r == 0)
		r = work(&a, oci, argv[1], sealing, &board, &err);
	board_stop(&board);
	interrupt_release();
	return r < 0 ? talk_error(r, &err, err.kind == CAIRN_ERROR_USAGE ? NULL : argv[1])
		     : EXIT_DONE;
}

static int run_verify(const struct command *self, int argc, char **argv)
{
	return run(self, argc, argv, false);
}

static int run_seal(const struct command *self, int argc, char **argv)
{
	return run(self, argc, argv, true);
}

const struct command cmd_oci_verify = {
	.name = "oci verify",
	.operands = "REF",
	.summary = "check that a container image is what its seal says",
	.notes = "Prints the digest of the image that its layers make.",
	.opts = opts_verify,
	.min = 1,
	.max = 1,
	.first = OPERAND_FILE,
	.run = run_verify,
};

const struct command cmd_oci_seal = {
	.name = "oci seal",
	.operands = "REF",
	.summary = "seal a container image: say which digest it has, and sign that",
	.notes = "Prints that digest, and the one of the manifest that was written.",
	.opts = opts_seal,
	.min = 1,
	.max = 1,
	.first = OPERAND_FILE,
	.run = run_seal,
};
