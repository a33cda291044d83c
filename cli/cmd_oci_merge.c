/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn oci merge: layers, as tars or as their metadata images, become one image. */
#include <errno.h>
#include <fcntl.h>

#include "cmd.h"
#include "source.h"

struct args {
	const char *output, *store, *match;
	unsigned int profile, xattrs, format, alg, jobs;
	bool partial, json, quiet;
};

static const struct opt opts[] = {
	OPT_FILE(struct args, output, 'o', "output", "IMAGE",
		 "where to write the image, - for standard output"),
	OPT_BOOL(struct args, partial, 0, "partial", 1,
		 "keep the marks: the result is a layer, for merging upon others"),
	OPT_CHOICE(struct args, profile, 0, "profile", "PROFILE", PROFILE_CHOICES,
		   "whose rules hold (default: composefs)"),
	OPT_CHOICE(struct args, xattrs, 0, "xattrs", "WHICH", "allowlist|user|all",
		   "extended attributes that profile composefs keeps (default: allowlist)"),
	OPT_DIR(struct args, store, 's', "store", "DIR", "put the contents of tars there"),
	OPT_CHOICE(struct args, format, 'f', "format", "FORMAT", FORMAT_CHOICES,
		   "format of the image (default: 1)"),
	OPT_ALG(struct args, alg,
		"digest algorithm (default: that of the store or the layers, sha256)"),
	OPT_TEXT(struct args, match, 0, "match", "DIGEST",
		 "tell by which rules the layers give this image"),
	OPT_COUNT(struct args, jobs, 'j', "jobs", 1024,
		  "threads (default: one for each processor)"),
	OPT_BOOL(struct args, quiet, 'q', "quiet", 1, "no progress"),
	OPT_JSON(struct args, json),
	OPT_END,
};

struct layers {
	struct cairn_tree **trees;
	size_t nr;
	struct cairn_scan_result read; /* of tars, in all */
};

static void cleanup_layers_p(struct layers *l)
{
	for (size_t i = 0; l->trees && i < l->nr; i++)
		cairn_tree_free(l->trees[i]);
	free(l->trees);
}
#define cleanup_layers __attribute__((__cleanup__(cleanup_layers_p)))

static enum cairn_profile profile_of(const struct args *a)
{
	return a->profile ? (enum cairn_profile)a->profile : CAIRN_PROFILE_COMPOSEFS;
}

/* --- reading --------------------------------------------------------------------------------- */

static int read_layer(const char *name, const struct args *a, enum cairn_profile profile,
		      unsigned int algs, struct cairn_store *store, struct layers *to)
{
	struct source s cleanup_source = SOURCE_INIT;
	const struct source_args sa = {
		.profile = profile, .layer = true, .jobs = a->jobs, .quiet = a->quiet};
	struct cairn_scan_result read = {0};
	int status = source_open(name, NULL, &s);

	if (status != EXIT_DONE)
		return status;
	status = source_load(&s, &sa, algs, store, &to->trees[to->nr], &read);
	if (status != EXIT_DONE)
		return status;
	to->nr++;
	to->read.files += read.files;
	to->read.bytes += read.bytes;
	to->read.new_objects += read.new_objects;
	to->read.new_bytes += read.new_bytes;
	return EXIT_DONE;
}

static int read_layers(char **names, size_t nr, const struct args *a, enum cairn_profile profile,
		       unsigned int algs, struct cairn_store *store, struct layers *ret)
{
	ret->trees = calloc(nr, sizeof(struct cairn_tree *));
	if (!ret->trees)
		return talk_error(-ENOMEM, NULL, NULL);
	for (size_t i = 0; i < nr; i++) {
		int status = read_layer(names[i], a, profile, algs, store, ret);

		if (status != EXIT_DONE)
			return status;
	}
	return EXIT_DONE;
}

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

/* --- merging --------------------------------------------------------------------------------- */

/* @alg: 0: that of the layers. */
static int write_image(const struct args *a, const struct cairn_tree *tree, unsigned int alg,
		       struct cairn_image_result *ret)
{
	struct cairn_error err = {0};
	const struct cairn_image_options options = {
		.format = a->format ? format_of_choice(a->format) : CAIRN_FORMAT_V1,
		.alg = alg,
		.jobs = jobs_of(a->jobs),
		.sync = a->store != NULL,
		.verity = 1,
		.write = out_write,
		.write_arg = &out_result,
	};
	struct cairn_image_options digest_only = options;
	int r;

	digest_only.write = NULL;
	if (!a->output)
		r = cairn_image_write(tree, &digest_only, ret, &err);
	else if (!strcmp(a->output, "-"))
		r = cairn_image_write(tree, &options, ret, &err);
	else
		r = cairn_image_write_file(tree, AT_FDCWD, a->output, &options, ret, &err);
	if (out_result.error)
		return EXIT_FAILED; /* main() tells it */
	return r < 0 ? talk_error(r, &err, NULL) : EXIT_DONE;
}

static void image_row(const struct args *a, const struct layers *layers,
		      const struct cairn_image_result *image)
{
	static const char *const keys[] = {"layers", "image",       "digest",    "alg",
					   "format", "size",        "inodes",    "files",
					   "bytes",  "new_objects", "new_bytes", NULL};
	const struct cell cells[] = {
		cell_number(layers->nr),
		a->output ? cell_name(a->output) : cell_none(),
		cell_digest(&image->digest),
		cell_word(alg_name(image->digest.alg)),
		cell_word(format_name(image->format)),
		cell_size(image->size),
		cell_number(image->inodes),
		cell_number(layers->read.files),
		cell_size(layers->read.bytes),
		a->store ? cell_number(layers->read.new_objects) : cell_none(),
		a->store ? cell_size(layers->read.new_bytes) : cell_none(),
	};

	out_row(keys, "{digest}\n", cells);
}

static int merge(const struct args *a, char **names, size_t nr)
{
	struct cairn_store *store cleanup_store = NULL;
	struct cairn_tree *tree cleanup_tree = NULL;
	struct layers layers cleanup_layers = {0};
	const struct cairn_merge_options options = {
		.profile = profile_of(a),
		.xattrs =
			a->xattrs ? (enum cairn_xattr_mode)(a->xattrs - 1) : CAIRN_XATTRS_ALLOWLIST,
		.partial = a->partial,
	};
	struct cairn_image_result image = {0};
	struct cairn_error err = {0};
	unsigned int alg = a->alg;
	int status = a->store ? open_store(a, &store) : EXIT_DONE;
	int r;

	if (status != EXIT_DONE)
		return status;
	if (store)
		alg = cairn_store_alg(store);
	status = read_layers(names, nr, a, options.profile, alg ? CAIRN_ALG_BIT(alg) : 0, store,
			     &layers);
	if (status != EXIT_DONE)
		return status;
	r = cairn_layers_merge((const struct cairn_tree *const *)layers.trees, nr, &options, &tree,
			       &err);
	if (r < 0)
		return talk_error(r, &err, NULL);
	status = write_image(a, tree, alg, &image);
	if (status == EXIT_DONE && (!a->output || strcmp(a->output, "-")))
		image_row(a, &layers, &image);
	return status;
}

/* --- matching -------------------------------------------------------------------------------- */

static int match(const struct args *a, char **names, size_t nr)
{
	static const char *const keys[] = {"digest", "profile", "xattrs", "format", "times", NULL};
	static const char *const modes[] = {"allowlist", "user", "all"};
	struct layers composefs cleanup_layers = {0}, runtime cleanup_layers = {0};
	struct cairn_layer_rules rules = {0};
	struct cairn_error err = {0};
	struct cairn_digest digest;
	int status, r;

	if (cairn_digest_from_hex(a->match, &digest) < 0)
		return talk_usage("--match: '%s' is no digest (64 or 128 hexadecimal digits)",
				  a->match);
	status = read_layers(names, nr, a, CAIRN_PROFILE_COMPOSEFS, CAIRN_ALG_BIT(digest.alg), NULL,
			     &composefs);
	if (status == EXIT_DONE)
		status = read_layers(names, nr, a, CAIRN_PROFILE_RUNTIME, CAIRN_ALG_BIT(digest.alg),
				     NULL, &runtime);
	if (status != EXIT_DONE)
		return status;
	r = cairn_layers_match((const struct cairn_tree *const *)composefs.trees,
			       (const struct cairn_tree *const *)runtime.trees, nr, &digest, &rules,
			       &err);
	if (r < 0)
		return talk_error(r, &err, NULL);
	if (!r) {
		talk("no rules that are known give %s", a->match);
		return EXIT_UNVERIFIED;
	}
	{
		const bool of_composefs = rules.profile == CAIRN_PROFILE_COMPOSEFS;
		const struct cell cells[] = {
			cell_digest(&digest),
			cell_word(of_composefs ? "composefs" : "runtime"),
			of_composefs ? cell_word(modes[rules.xattrs]) : cell_none(),
			cell_word(format_name(rules.format)),
			cell_word(rules.whole_seconds ? "seconds" : "nanoseconds"),
		};

		out_row(keys,
			of_composefs
				? "profile {profile}, xattrs {xattrs}, format {format}, times in "
				  "{times}\n"
				: "profile {profile}, format {format}, times in {times}\n",
			cells);
	}
	return EXIT_DONE;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct args a = {0};
	int nr = opt_parse(self, argc, argv, &a);

	if (nr < 0)
		return EXIT_USAGE;
	out_json = a.json;
	if (a.xattrs && profile_of(&a) == CAIRN_PROFILE_RUNTIME)
		return talk_usage("--xattrs is for profile composefs only");
	if (a.match && (a.output || a.store || a.partial || a.format || a.profile || a.xattrs))
		return talk_usage("--match tries all rules, and writes nothing");
	return a.match ? match(&a, argv + 1, (size_t)nr) : merge(&a, argv + 1, (size_t)nr);
}

const struct command cmd_oci_merge = {
	.name = "oci merge",
	.operands = "LAYER...",
	.summary = "make one image of layers, from their metadata alone",
	.notes = "LAYER: a tar archive, plain or compressed, or a metadata image; the base first. "
		 "Without -o only the digest is computed.",
	.opts = opts,
	.min = 1,
	.max = OPERANDS_ANY,
	.first = OPERAND_FILE,
	.others = OPERAND_FILE,
	.run = run,
};
