/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn pull: container images from registries, layouts and archives into a store. */
#include <errno.h>
#include <stdio.h>

#include "cmd.h"
#include "layers.h"
#include "place.h"
#include "registry.h"
#include "source.h"

#define LAYERS_AT_ONCE 6u /* by default: each takes some 25 MiB of memory */

struct args {
	struct registry_args registry;
	const char *platform, *name, *store, *digest;
	struct opt_list certs;
	unsigned int profile, xattrs, format, jobs, partial;
	bool all_platforms, keep_blobs, require_seal, json, quiet, verbose;
};

static const struct opt opts[] = {
	OPT_STORE(struct args, store, HELP_STORE),
	OPT_TEXT(struct args, name, 'n', "name", "NAME", "what the image is called in the store"),
	OPT_PLATFORM(struct args, platform),
	OPT_BOOL(struct args, all_platforms, 'a', "all-platforms", 1, "images for all machines"),
	OPT_BOOL(struct args, keep_blobs, 'k', "keep-blobs", 1,
		 "keep the layers also as they come"),
	OPT_CHOICE(struct args, partial, 0, "partial", "WAY", "verified|table|none",
		   "layers of which only what is missing is fetched (default: verified)"),
	OPT_TEXT(struct args, digest, 'd', "digest", "DIGEST",
		 "the digest that the image must have"),
	OPT_BOOL(struct args, require_seal, 0, "require-seal", 1,
		 "the image must be what its seal says"),
	OPT_TEXTS(struct args, certs, 0, "seal-cert", "FILE",
		  "and the seal be signed with this certificate"),
	OPTS_PROFILE(struct args, profile, xattrs),
	OPT_CHOICE(struct args, format, 'f', "format", "FORMAT", FORMAT_CHOICES,
		   "format of the image (default: that of the store, else 1)"),
	OPT_COUNT(struct args, jobs, 'j', "jobs", 1024,
		  "layers at once (default: one for each processor, at most 6)"),
	OPTS_REGISTRY(struct args, registry),
	OPT_BOOL(struct args, quiet, 'q', "quiet", 1, "no progress, no summary"),
	OPT_BOOL(struct args, verbose, 'v', "verbose", 1,
		 "the summary even where standard error is no terminal"),
	OPT_JSON(struct args, json),
	OPT_END,
};

/* The choices are those of the library, in its order, and 0 is none. */
static int partial_of(const struct args *a)
{
	return a->partial ? (int)a->partial - 1 : CAIRN_PARTIAL_VERIFIED;
}

static void tell_whole(void *arg, size_t layer, const char *why)
{
	const char *name = (const char *)arg;

	talk("%s: layer %zu was fetched whole: %s", name, layer, why);
}

/* Who asked for a seal must not believe more than is true. */
static void tell_kernel(const char *name, int kernel)
{
	if (kernel == CAIRN_KERNEL_NO_KEY)
		talk("%s: its signature was checked now; the kernel will not check it, for the keyring "
		     ".fs-verity has no certificate for it",
		     name);
	if (kernel == CAIRN_KERNEL_UNSUPPORTED)
		talk("%s: its signature was checked now; the kernel will not check it, for it or the "
		     "file system of the store cannot",
		     name);
}

static void report(const struct args *a, const struct cairn_oci_info *info, const char *name,
		   const struct cairn_pull_result *r, double seconds)
{
	static const char *const keys[] = {"reference",
					   "name",
					   "digest",
					   "alg",
					   "format",
					   "manifest",
					   "platform",
					   "layers",
					   "known_layers",
					   "fetched",
					   "known",
					   "new_objects",
					   "new_bytes",
					   "seconds",
					   "duplicates",
					   "order_sensitive",
					   "table_layers",
					   "sealed",
					   "kernel_signature",
					   NULL};
	static const char *const kernel[] = {[CAIRN_KERNEL_SIGNED] = "set",
					     [CAIRN_KERNEL_NO_KEY] = "no key",
					     [CAIRN_KERNEL_UNSUPPORTED] = "unsupported"};
	const struct cell cells[] = {
		cell_name(info->reference),
		cell_name(name),
		cell_digest(&r->image.digest),
		cell_word(alg_name(r->image.digest.alg)),
		cell_word(format_name(r->image.format)),
		cell_word(info->digest),
		cell_name(info->platform),
		cell_number(r->layers),
		cell_number(r->known_layers),
		cell_size(r->fetched_bytes),
		cell_size(r->known_bytes),
		cell_number(r->new_objects),
		cell_size(r->new_bytes),
		cell_seconds(seconds),
		cell_number(r->duplicates),
		cell_number(r->order_sensitive),
		cell_number(r->table_layers),
		cell_bool(r->sealed),
		kernel[r->kernel] ? cell_word(kernel[r->kernel]) : cell_none(),
	};

	out_row(keys, "{digest}\n", cells);
	if (r->table_layers && !a->quiet)
		talk("%s: %zu of %zu layers are what their tables of contents say; their diff_ids were "
		     "not computed",
		     name, r->table_layers, r->layers);
	if (a->verbose || (!a->quiet && !a->json && isatty(STDERR_FILENO)))
		out_text(&out_talk, keys,
			 "{name}: {platform} {format} {alg}; fetched {fetched}, {known_layers} of "
			 "{layers} layers were here; {new_objects} new objects, {new_bytes}; "
			 "{seconds}\n",
			 cells);
	if (!a->quiet)
		tell_kernel(name, r->kernel);
}

static int pull_one(const struct args *a, const char *reference, const char *platform,
		    const char *name, struct cairn_store *store)
{
	struct cairn_digest expected = {0};
	struct cairn_oci_options options;
	struct cairn_pull_options pull = {
		.profile = profile_of_choice(a->profile),
		.xattrs = xattrs_of_choice(a->xattrs),
		.format = format_of_choice(a->format),
		.jobs = a->jobs ? a->jobs : MIN(jobs_of(0), LAYERS_AT_ONCE),
		.name = name,
		.keep_blobs = a->keep_blobs,
		.require_seal = a->require_seal,
		.certs = a->certs.text,
		.nr_certs = a->certs.nr,
		.partial = partial_of(a),
		.whole = a->quiet ? NULL : tell_whole,
		.whole_arg = (void *)(uintptr_t)name,
		.progress = board_tick,
	};
	struct cairn_oci *oci cleanup_oci = NULL;
	struct cairn_pull_result result;
	struct cairn_oci_info info;
	struct cairn_error err = {0};
	const double start = seconds_now();
	struct board board;
	int status = registry_options(&a->registry, platform, &options), r;

	if (status != EXIT_DONE)
		return status;
	if (a->digest && cairn_digest_from_hex(a->digest, &expected) < 0)
		return talk_usage("--digest %s: not a digest", a->digest);
	if (a->digest)
		pull.expected = &expected;
	pull.progress_arg = &board;
	interrupt_hold();
	board_start(&board, &progress_stderr, a->quiet);
	r = cairn_oci_open(reference, &options, &oci, &err);
	if (r == 0)
		r = cairn_oci_pull(oci, store, &pull, &result, &err);
	board_stop(&board);
	interrupt_release();
	if (r < 0)
		return talk_error(r, &err, err.kind == CAIRN_ERROR_USAGE ? NULL : reference);
	cairn_oci_info(oci, &info);
	report(a, &info, name, &result, seconds_now() - start);
	return EXIT_DONE;
}

/* --- all platforms --------------------------------------------------------------------------- */

#define PLATFORMS_MAX 64

struct platforms {
	unsigned int nr;
	char *text[PLATFORMS_MAX];
};

static int add_platform(void *arg, const struct cairn_oci_entry *e)
{
	struct platforms *p = (struct platforms *)arg;

	if (!e->platform || strstr(e->platform, "unknown") || p->nr == PLATFORMS_MAX)
		return 0;
	for (unsigned int i = 0; i < p->nr; i++) {
		if (!strcmp(p->text[i], e->platform))
			return 0;
	}
	p->text[p->nr] = strdup(e->platform);
	if (!p->text[p->nr])
		return -ENOMEM;
	p->nr++;
	return 0;
}

/* Each gets the name with its platform behind it. */
static int pull_all(const struct args *a, const char *reference, const char *name,
		    struct cairn_store *store)
{
	struct platforms platforms = {0};
	struct cairn_oci_options options;
	struct cairn_error err = {0};
	int status = registry_options(&a->registry, NULL, &options), r;

	if (status != EXIT_DONE)
		return status;
	interrupt_hold();
	r = cairn_oci_list(reference, &options, add_platform, &platforms, &err);
	interrupt_release();
	if (r < 0)
		return talk_error(r, &err, err.kind == CAIRN_ERROR_USAGE ? NULL : reference);
	if (!platforms.nr)
		return pull_one(a, reference, NULL, name, store);
	for (unsigned int i = 0; i < platforms.nr && status == EXIT_DONE; i++) {
		char *full cleanup_free = NULL;

		if (asprintf(&full, "%s/%s", name, platforms.text[i]) < 0)
			return EXIT_FAILED;
		status = pull_one(a, reference, platforms.text[i], full, store);
	}
	for (unsigned int i = 0; i < platforms.nr; i++)
		free(platforms.text[i]);
	return status;
}

/* What it is called without --name: the reference without its kind and digest; of paths the last part. */
static char *default_name(const char *reference)
{
	static const char *const kinds[] = {
		"docker://", "oci:", "oci-archive:",       "docker-archive:",
		"dir:",      "tar:", "containers-storage:"};
	const char *rest = reference, *slash;
	bool path = false;
	char *name, *at;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (!strncmp(reference, kinds[i], strlen(kinds[i]))) {
			rest = reference + strlen(kinds[i]);
			path = i > 0;
		}
	}
	/* containers-storage:[DIR]NAME, where NAME is like a registry's. */
	if (!strncmp(reference, "containers-storage:", 19)) {
		path = false;
		slash = *rest == '[' ? strchr(rest, ']') : NULL;
		rest = slash ? slash + 1 : rest;
	}
	slash = strrchr(rest, '/');
	name = strdup(path && slash && slash[1] ? slash + 1 : rest);
	at = name ? strstr(name, "@sha") : NULL;
	if (at && at != name)
		*at = '\0';
	return name;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct args a = {0};
	struct cairn_store *store cleanup_store = NULL;
	char *made cleanup_free = NULL;
	const char *name, *place;
	int status;

	if (opt_parse(self, argc, argv, &a) < 0)
		return EXIT_USAGE;
	out_json = a.json;
	if (a.all_platforms && (a.platform || a.digest))
		return talk_usage("--all-platforms and %s exclude each other",
				  a.platform ? "--platform" : "--digest");
	if (partial_of(&a) == CAIRN_PARTIAL_TABLE && (a.require_seal || a.certs.nr))
		return talk_usage("--partial=table and %s exclude each other",
				  a.require_seal ? "--require-seal" : "--seal-cert");
	place = store_place(a.store);
	if (!place)
		return EXIT_FAILED;
	status = store_place_open(place, CAIRN_STORE_CREATE, &store);
	if (status != EXIT_DONE)
		return status;
	made = default_name(argv[1]);
	name = a.name ? a.name : made;
	if (!name)
		return EXIT_FAILED;
	return a.all_platforms ? pull_all(&a, argv[1], name, store)
			       : pull_one(&a, argv[1], a.platform, name, store);
}

const struct command cmd_pull = {
	.name = "pull",
	.operands = "REF",
	.summary = "bring a container image into a store",
	.notes = "Prints the fs-verity digest of the image that its layers make.",
	.opts = opts,
	.min = 1,
	.max = 1,
	.first = OPERAND_FILE,
	.run = run,
};
