/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn images, cairn refs: what is in a store, and what it is called. */
#include "cmd.h"
#include "names.h"
#include "place.h"
#include "source.h"

struct args {
	const char *store;
	bool json;
};

static const struct opt opts[] = {
	OPT_STORE(struct args, store, HELP_STORE),
	OPT_JSON(struct args, json),
	OPT_END,
};

/* Opens the store and prints a row for each thing that @rows finds there. */
static int list(const struct command *self, int argc, char **argv,
		int (*rows)(struct cairn_store *store, int *status, struct cairn_error *err))
{
	struct args a = {0};
	struct cairn_store *store cleanup_store = NULL;
	struct cairn_error err = {0};
	int status, r;

	if (opt_parse(self, argc, argv, &a) < 0)
		return EXIT_USAGE;
	out_json = a.json;
	status = store_place_open(a.store, CAIRN_STORE_READ_ONLY, &store);
	if (status != EXIT_DONE)
		return status;
	r = rows(store, &status, &err);
	return r < 0 ? talk_error(r, &err, NULL) : status;
}

/* --- images ---------------------------------------------------------------------------------- */

struct listing {
	struct names names;
	int status; /* of the command */
};

static int image_row(void *arg, const struct cairn_store_image *image)
{
	static const char *const keys[] = {"image", "digest", "format",  "size", "mtime",
					   "refs",  "names",  "problem", NULL};
	struct listing *l = arg;
	size_t nr;
	const char *const *names = names_of(&l->names, image->name, &nr);
	const struct cell cells[] = {
		cell_name(image->name),
		cell_digest(&image->digest),
		cell_word(format_name(image->format)),
		image->format < 0 ? cell_none() : cell_size(image->size),
		image->format < 0 ? cell_none() : cell_time(image->mtime),
		cell_number(image->nr_refs),
		cell_names(names, nr),
		image->problem ? cell_name(image->problem) : cell_none(),
	};

	if (image->problem)
		l->status = EXIT_FAILED;
	out_row(keys,
		image->problem ? "{image}  {problem}\n"
			       : "{digest}  {format}  {mtime}  {size}  {names}\n",
		cells);
	return out_result.error;
}

static int images(struct cairn_store *store, int *status, struct cairn_error *err)
{
	struct listing l = {.status = EXIT_DONE};
	int r = names_load(&l.names, store, err);

	if (!r)
		r = cairn_store_images(store, image_row, &l, err);
	*status = l.status;
	names_fini(&l.names);
	return r;
}

static int run_images(const struct command *self, int argc, char **argv)
{
	return list(self, argc, argv, images);
}

const struct command cmd_images = {
	.name = "images",
	.operands = "",
	.summary = "list the images in a store",
	.opts = opts,
	.run = run_images,
};

/* --- references ------------------------------------------------------------------------------ */

static int ref_row(void *arg, const struct cairn_store_ref *ref)
{
	static const char *const keys[] = {"ref", "kind", "target", "object", "problem", NULL};
	const struct cell cells[] = {
		cell_name(ref->name),
		cell_word(ref->stream ? "stream" : "image"),
		cell_name(ref->target),
		cell_digest(&ref->digest),
		ref->problem ? cell_name(ref->problem) : cell_none(),
	};

	if (ref->problem)
		*(int *)arg = EXIT_FAILED;
	out_row(keys,
		ref->problem  ? "{ref}  {target}  {problem}\n"
		: ref->stream ? "{ref}  stream {target}\n"
			      : "{ref}  {target}\n",
		cells);
	return out_result.error;
}

static int refs(struct cairn_store *store, int *status, struct cairn_error *err)
{
	return cairn_store_refs(store, ref_row, status, err);
}

static int run_refs(const struct command *self, int argc, char **argv)
{
	return list(self, argc, argv, refs);
}

const struct command cmd_refs = {
	.name = "refs",
	.operands = "",
	.summary = "list the names of images and streams in a store",
	.notes = "Status 1 when one of them names nothing.",
	.opts = opts,
	.run = run_refs,
};
