/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn copy, cairn fetch, cairn export: images between stores, on this machine and over the network. */
#include <errno.h>
#include <string.h>

#include "cmd.h"
#include "place.h"
#include "progress.h"
#include "source.h"

struct args {
	const char *from, *to, *name, *digest;
	unsigned int jobs;
	bool json, quiet, verbose, link, plain_http;
};

static void report(const struct args *a, const char *image, const char *name,
		   const struct cairn_transfer_result *r)
{
	static const char *const keys[] = {"image",    "name",   "digest",    "size",   "needed",
					   "objects",  "bytes",  "reflinked", "linked", "received",
					   "manifest", "layers", "blobs",     "sealed", NULL};
	const bool container = r->container == CAIRN_CONTAINER_BROUGHT;
	const struct cell cells[] = {
		cell_name(image),
		cell_name(name),
		cell_digest(&r->digest),
		cell_size(r->image_size),
		cell_number(r->needed),
		cell_number(r->objects),
		cell_size(r->bytes),
		cell_number(r->cloned),
		cell_number(r->linked),
		cell_size(r->received),
		container ? cell_word(r->manifest) : cell_none(),
		cell_number(r->layers),
		cell_number(r->blobs),
		cell_bool(r->sealed),
	};

	out_row(keys, "{digest}\n", cells);
	if (r->container == CAIRN_CONTAINER_OTHER)
		talk("%s: only the image: the layers of the container image of this name make another "
		     "one",
		     image);
	else if (r->container == CAIRN_CONTAINER_UNSUPPORTED)
		talk("%s: only the image: what has its name is no container image whose layers are had",
		     image);
	if (!a->verbose && (a->quiet || a->json || !isatty(STDERR_FILENO)))
		return;
	out_text(
		&out_talk, keys,
		container
			? "{image}: {needed} object{needed:s} needed, {objects} brought, {bytes}; "
			  "{layers} layer{layers:s}\n"
			: "{image}: {needed} object{needed:s} needed, {objects} brought, {bytes}\n",
		cells);
}

static int transfer_options(const struct args *a, struct progress *p,
			    struct cairn_transfer_options *ret)
{
	*ret = (struct cairn_transfer_options){
		.jobs = a->jobs,
		.link = a->link,
		.plain_http = a->plain_http,
		.progress = progress_tick,
		.progress_arg = p,
	};
	interrupt_hold();
	progress_start(p, &progress_stderr, "copying", "objects", a->quiet);
	return 0;
}

static void transfer_end(struct progress *p)
{
	progress_stop(p);
	interrupt_release();
}

/* --- copy ------------------------------------------------------------------------------------ */

static const struct opt opts_copy[] = {
	OPT_DIR(struct args, to, 't', "to", "STORE",
		"the store to copy into (default: see cairn.1)"),
	OPT_DIR(struct args, from, 'f', "from", "STORE",
		"the store that has the image (default: see cairn.1)"),
	OPT_TEXT(struct args, name, 'n', "name", "NAME",
		 "what it is to be called there (default: as here)"),
	OPT_BOOL(struct args, link, 0, "hardlink", 1,
		 "let objects be hard links to those of the other store where that is safe"),
	OPT_COUNT(struct args, jobs, 'j', "jobs", 1024,
		  "threads (default: one for each processor)"),
	OPT_BOOL(struct args, quiet, 'q', "quiet", 1, "no progress, no summary"),
	OPT_BOOL(struct args, verbose, 'v', "verbose", 1,
		 "the summary even where standard error is no terminal"),
	OPT_JSON(struct args, json),
	OPT_END,
};

static const char *bare_name(const char *image)
{
	return !strncmp(image, "ref:", 4) ? image + 4 : image;
}

static int same_name(void *arg, const struct cairn_store_ref *ref)
{
	return !ref->stream && !strcmp(ref->name, (const char *)arg) ? -EEXIST : 0;
}

/* The name that the image @digest has where it comes from; NULL: it was called by its digest. */
static const char *name_there(const struct cairn_store *store, const char *image,
			      const struct cairn_digest *digest)
{
	const char *name = bare_name(image);
	char hex[CAIRN_DIGEST_HEX_MAX];

	if (cairn_store_refs(store, same_name, (void *)name, NULL) == -EEXIST)
		return name;
	cairn_digest_to_hex(digest, hex);
	return !strncmp(image, "sha256:", 7) || !strncmp(image, "sha512:", 7) ||
			       !strncasecmp(image, hex, strlen(image))
		       ? NULL
		       : name;
}

static int run_copy(const struct command *self, int argc, char **argv)
{
	struct args a = {0};
	struct cairn_store *from cleanup_store = NULL, *to cleanup_store = NULL;
	struct cairn_transfer_options options;
	struct cairn_transfer_result result;
	struct cairn_digest digest;
	struct cairn_error err = {0};
	struct progress progress;
	const char *name;
	int status, r;

	if (opt_parse(self, argc, argv, &a) < 0)
		return EXIT_USAGE;
	out_json = a.json;
	if (!a.from && !a.to)
		return talk_usage("needs --to or --from");
	status = store_place_open(a.from, CAIRN_STORE_READ_ONLY, &from);
	if (status == EXIT_DONE)
		status = store_place_open(a.to, CAIRN_STORE_CREATE, &to);
	if (status != EXIT_DONE)
		return status;
	r = cairn_store_resolve(from, argv[1], &digest, &err);
	if (r == -ENOENT) {
		talk("%s: no image of this name in %s", argv[1], cairn_store_path(from));
		return EXIT_FAILED;
	}
	if (r < 0)
		return talk_error(r, &err, NULL);
	name = a.name ? a.name : name_there(from, argv[1], &digest);
	a.jobs = jobs_of(a.jobs);
	transfer_options(&a, &progress, &options);
	options.container = bare_name(argv[1]);
	r = cairn_store_copy(to, from, &digest, name, &options, &result, &err);
	transfer_end(&progress);
	if (r < 0)
		return talk_error(r, &err, NULL);
	report(&a, argv[1], name, &result);
	return EXIT_DONE;
}

const struct command cmd_copy = {
	.name = "copy",
	.operands = "IMAGE",
	.summary = "copy an image and its contents into another store",
	.notes = "Only what is missing there is copied; the other digest algorithm is no obstacle.",
	.opts = opts_copy,
	.min = 1,
	.max = 1,
	.first = OPERAND_FILE,
	.run = run_copy,
};

/* --- fetch ----------------------------------------------------------------------------------- */

static const struct opt opts_fetch[] = {
	OPT_TEXT(struct args, from, 'f', "from", "URL", "where the other store is served"),
	OPT_DIR(struct args, to, 's', "store", "DIR", HELP_STORE),
	OPT_TEXT(struct args, name, 'n', "name", "NAME",
		 "what it is to be called here (default: as there)"),
	OPT_TEXT(struct args, digest, 'd', "digest", "DIGEST",
		 "refuse any other image than this, whatever the server calls so"),
	OPT_BOOL(struct args, plain_http, 0, "plain-http", 1, "allow http:// from other machines"),
	OPT_COUNT(struct args, jobs, 'j', "jobs", 64, "connections (default: 8)"),
	OPT_BOOL(struct args, quiet, 'q', "quiet", 1, "no progress, no summary"),
	OPT_BOOL(struct args, verbose, 'v', "verbose", 1,
		 "the summary even where standard error is no terminal"),
	OPT_JSON(struct args, json),
	OPT_END,
};

/* "sha256:HEX", "sha512:HEX" or the digits alone. */
static bool whole_digest(const char *text, struct cairn_digest *ret)
{
	const char *hex =
		!strncmp(text, "sha256:", 7) || !strncmp(text, "sha512:", 7) ? text + 7 : text;

	return !cairn_digest_from_hex(hex, ret) &&
	       (hex == text || (text[3] == '2') == (ret->alg == CAIRN_SHA256));
}

static int run_fetch(const struct command *self, int argc, char **argv)
{
	struct args a = {0};
	struct cairn_store *to cleanup_store = NULL;
	struct cairn_transfer_options options;
	struct cairn_transfer_result result;
	struct cairn_digest pinned;
	struct cairn_error err = {0};
	struct progress progress;
	const char *remote, *name;
	bool pin;
	int status, r;

	if (opt_parse(self, argc, argv, &a) < 0)
		return EXIT_USAGE;
	out_json = a.json;
	if (!a.from)
		return talk_usage("--from is missing");
	if (strncmp(a.from, "http://", 7) && strncmp(a.from, "https://", 8))
		return talk_usage(
			"%s: not an http:// or https:// URL; 'cairn copy' takes a directory",
			a.from);
	pin = whole_digest(argv[1], &pinned);
	remote = pin ? NULL : bare_name(argv[1]);
	if (a.digest && (pin || !whole_digest(a.digest, &pinned)))
		return talk_usage(pin ? "IMAGE is a digest, and --digest another"
				      : "%s: not the digest of an image",
				  a.digest);
	pin |= a.digest != NULL;
	name = a.name ? a.name : remote;
	status = store_place_open(a.to, CAIRN_STORE_CREATE, &to);
	if (status != EXIT_DONE)
		return status;
	transfer_options(&a, &progress, &options);
	options.digest = pin ? &pinned : NULL;
	r = cairn_store_fetch(to, a.from, remote, name, &options, &result, &err);
	transfer_end(&progress);
	if (r < 0)
		return talk_error(r, &err, NULL);
	report(&a, argv[1], name, &result);
	return EXIT_DONE;
}

const struct command cmd_fetch = {
	.name = "fetch",
	.operands = "IMAGE --from URL",
	.summary = "bring an image and its contents from a web server",
	.notes =
		"Only what is missing here is brought, and nothing is named before it is verified.",
	.opts = opts_fetch,
	.min = 1,
	.max = 1,
	.first = OPERAND_FILE,
	.run = run_fetch,
};

/* --- export ---------------------------------------------------------------------------------- */

static const struct opt opts_export[] = {
	OPT_DIR(struct args, to, 's', "store", "DIR", HELP_STORE),
	OPT_JSON(struct args, json),
	OPT_END,
};

static int run_export(const struct command *self, int argc, char **argv)
{
	static const char *const keys[] = {"store", "index", "images", "containers", NULL};
	struct args a = {0};
	struct cairn_store *store cleanup_store = NULL;
	struct cairn_error err = {0};
	uint64_t images, containers;
	int status, r;

	if (opt_parse(self, argc, argv, &a) < 0)
		return EXIT_USAGE;
	out_json = a.json;
	status = store_place_open(a.to, 0, &store);
	if (status != EXIT_DONE)
		return status;
	r = cairn_store_export(store, &images, &containers, &err);
	if (r < 0)
		return talk_error(r, &err, NULL);
	{
		const struct cell cells[] = {cell_name(cairn_store_path(store)),
					     cell_word("cairn/index"), cell_number(images),
					     cell_number(containers)};

		out_row(keys,
			"{store}: {images} image{images:s} and {containers} container image{containers:s} "
			"by name in {index}\n"
			"Let a web server show {store}, at least objects/ and {index}; then\n"
			"  cairn fetch NAME --from URL\n",
			cells);
	}
	if (cairn_store_parent(store, 0))
		talk("contents that are in its parents are not in what is served");
	return EXIT_DONE;
}

const struct command cmd_export = {
	.name = "export",
	.operands = "",
	.summary = "list the images of a store for 'cairn fetch' of others",
	.opts = opts_export,
	.run = run_export,
};
