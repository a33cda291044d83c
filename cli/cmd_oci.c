/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn oci: looking at container images where they are, without storing anything. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "place.h"
#include "progress.h"
#include "registry.h"
#include "source.h"

struct args {
	struct registry_args registry;
	const char *platform, *store;
	bool json, manifest, config;
};

static const struct opt opts_layers[] = {
	OPT_STORE(struct args, store, "store to look into (default: see cairn.1)"),
	OPT_PLATFORM(struct args, platform),
	OPTS_REGISTRY(struct args, registry),
	OPT_JSON(struct args, json),
	OPT_END,
};

/* Who pulled an image may have meant that, and not what a registry has by the same name. */
static void hint_store(const struct args *a, const char *reference)
{
	struct cairn_store *store cleanup_store = NULL;
	struct cairn_oci *oci cleanup_oci = NULL;
	const char *place = store_place(a->store);
	struct cairn_oci_options options = {0};
	char name[1100];

	if (!place || strlen(reference) > 1024 ||
	    cairn_store_open(place, CAIRN_STORE_READ_ONLY, &store, NULL) < 0)
		return;
	options.store = store;
	snprintf(name, sizeof(name), "store:%s", reference);
	if (cairn_oci_open(name, &options, &oci, NULL) == 0)
		talk("%s has a container image of that name: %s", place, name);
}

static int open_image(const struct args *a, const char *reference, struct cairn_store **ret_store,
		      struct cairn_oci **ret)
{
	struct cairn_oci_options options;
	struct cairn_error err = {0};
	int status = registry_options(&a->registry, a->platform, &options), r;

	if (status == EXIT_DONE)
		status = registry_store(reference, a->store, &options, ret_store);
	if (status != EXIT_DONE)
		return status;
	interrupt_hold();
	r = cairn_oci_open(reference, &options, ret, &err);
	interrupt_release();
	if (r == 0)
		return EXIT_DONE;
	/* The words name the reference when that is what is wrong. */
	status = talk_error(r, &err, err.kind == CAIRN_ERROR_USAGE ? NULL : reference);
	hint_store(a, reference);
	return status;
}

/* --- inspect --------------------------------------------------------------------------------- */

static const struct opt opts_inspect[] = {
	OPT_STORE(struct args, store, HELP_STORE_OF),
	OPT_BOOL(struct args, manifest, 'm', "manifest", 1,
		 "print the manifest as it was received"),
	OPT_BOOL(struct args, config, 'c', "config", 1, "print the config as it was received"),
	OPT_PLATFORM(struct args, platform),
	OPTS_REGISTRY(struct args, registry),
	OPT_JSON(struct args, json),
	OPT_END,
};

static void inspect_row(const struct cairn_oci_info *i)
{
	static const char *const keys[] = {"reference", "digest",  "index",         "type",
					   "platform",  "created", "config",        "config_type",
					   "layers",    "size",    "artifact_type", NULL};
	const bool indexed = strcmp(i->digest, i->top_digest) != 0;
	const struct cell cells[] = {
		cell_name(i->reference),
		cell_word(i->digest),
		indexed ? cell_word(i->top_digest) : cell_none(),
		cell_name(i->media_type),
		cell_name(i->platform),
		cell_name(i->created),
		cell_word(i->config_digest),
		cell_name(i->config_type),
		cell_number(i->nr_layers),
		cell_size(i->size),
		cell_name(i->artifact_type),
	};

	out_row(keys,
		i->is_image ? "reference  {reference}\n"
			      "digest     {digest}\n"
			      "index      {index}\n"
			      "type       {type}\n"
			      "platform   {platform}\n"
			      "created    {created}\n"
			      "config     {config}\n"
			      "layers     {layers}, {size}\n"
			    : "reference  {reference}\n"
			      "digest     {digest}\n"
			      "index      {index}\n"
			      "type       {type}\n"
			      "artifact   {artifact_type}\n"
			      "config     {config}\n"
			      "layers     {layers}, {size}\n",
		cells);
}

static int run_inspect(const struct command *self, int argc, char **argv)
{
	struct args a = {0};
	struct cairn_store *store cleanup_store = NULL;
	struct cairn_oci *oci cleanup_oci = NULL;
	struct cairn_oci_info info;
	int status;

	if (opt_parse(self, argc, argv, &a) < 0)
		return EXIT_USAGE;
	out_json = a.json;
	if (a.manifest + a.config + a.json > 1)
		return talk_usage("--manifest, --config and --json exclude each other");
	status = open_image(&a, argv[1], &store, &oci);
	if (status != EXIT_DONE)
		return status;
	cairn_oci_info(oci, &info);
	if (a.manifest) {
		out_put(&out_result, info.manifest, info.manifest_size);
	} else if (a.config) {
		if (!info.config) {
			talk("%s: not a container image but an artifact", argv[1]);
			return EXIT_FAILED;
		}
		out_put(&out_result, info.config, info.config_size);
	} else {
		inspect_row(&info);
	}
	return EXIT_DONE;
}

const struct command cmd_oci_inspect = {
	.name = "oci inspect",
	.operands = "REF",
	.summary = "tell what a container image is",
	.opts = opts_inspect,
	.min = 1,
	.max = 1,
	.first = OPERAND_FILE,
	.run = run_inspect,
};

/* --- layers ---------------------------------------------------------------------------------- */

#define LAYERS_MAX 512 /* as the library has it */

/* What the store has of the layers. */
struct shared {
	bool asked;
	struct layer_users {
		bool stored;   /* under its diff_id */
		bool by_table; /* by its table of contents alone */
		const char **tags;
		size_t nr;
	} layers[LAYERS_MAX];
};

static int add_user(void *arg, size_t layer, const char *tag)
{
	struct layer_users *u;

	if (layer >= LAYERS_MAX)
		return 0;
	u = &((struct shared *)arg)->layers[layer];
	if (!tag) {
		u->stored = true;
		return 0;
	}
	if (u->nr % 64 == 0) {
		void *more = reallocarray(u->tags, u->nr + 64, sizeof(*u->tags));

		if (!more)
			return -ENOMEM;
		u->tags = (const char **)more;
	}
	u->tags[u->nr] = strdup(tag);
	return u->tags[u->nr++] ? 0 : -ENOMEM;
}

static void shared_fini(struct shared *s)
{
	for (size_t i = 0; i < LAYERS_MAX; i++) {
		for (size_t k = 0; k < s->layers[i].nr; k++)
			free((char *)(uintptr_t)s->layers[i].tags[k]);
		free(s->layers[i].tags);
	}
}

/* Of the store that was named, or the default one if there is one. */
static int find_shared(const struct args *a, const struct cairn_oci *oci, struct shared *ret)
{
	struct cairn_store *store cleanup_store = NULL;
	const char *place = store_place(a->store);
	struct cairn_error err = {0};
	int status, r;

	if (!a->store && (!place || access(place, F_OK) < 0))
		return EXIT_DONE;
	status = store_place_open(a->store, CAIRN_STORE_READ_ONLY, &store);
	if (status != EXIT_DONE)
		return status;
	ret->asked = true;
	for (size_t i = 0; i < LAYERS_MAX; i++)
		ret->layers[i].by_table = cairn_oci_layer_by_table(oci, store, i) == 1;
	r = cairn_oci_shared(oci, store, add_user, ret, &err);
	return r < 0 ? talk_error(r, &err, place) : EXIT_DONE;
}

static void layer_row(size_t i, const struct cairn_oci_layer *l, const struct shared *shared)
{
	static const char *const keys[] = {"layer",       "digest",     "size",    "media_type",
					   "compression", "created_by", "diff_id", "stored",
					   "by_table",    "shared",     NULL};
	const struct layer_users *u = &shared->layers[MIN(i, LAYERS_MAX - 1u)];
	const struct cell cells[] = {
		cell_number(i),
		cell_word(l->digest),
		cell_size(l->size),
		cell_name(l->media_type),
		cell_word(l->compression),
		cell_name(l->created_by),
		cell_word(l->diff_id),
		shared->asked ? cell_bool(u->stored) : cell_none(),
		shared->asked ? cell_bool(u->by_table) : cell_none(),
		shared->asked ? cell_names(u->tags, u->nr) : cell_none(),
	};

	out_row(keys,
		u->by_table && !u->stored
			? "{layer:3} {digest} {diff_id} {compression} {size}, stored by its table of "
			  "contents, diff_id not computed\n"
		: !u->stored ? "{layer:3} {digest} {diff_id} {compression} {size}\n"
		: u->nr ? "{layer:3} {digest} {diff_id} {compression} {size}, stored: {shared}\n"
			: "{layer:3} {digest} {diff_id} {compression} {size}, stored\n",
		cells);
}

static int run_layers(const struct command *self, int argc, char **argv)
{
	struct args a = {0};
	struct cairn_store *store cleanup_store = NULL;
	struct cairn_oci *oci cleanup_oci = NULL;
	struct shared *shared cleanup_free = (struct shared *)calloc(1, sizeof(*shared));
	struct cairn_oci_layer layer;
	int status;

	if (opt_parse(self, argc, argv, &a) < 0)
		return EXIT_USAGE;
	out_json = a.json;
	if (!shared)
		return EXIT_FAILED;
	status = open_image(&a, argv[1], &store, &oci);
	if (status == EXIT_DONE)
		status = find_shared(&a, oci, shared);
	for (size_t i = 0; status == EXIT_DONE && cairn_oci_layer(oci, i, &layer) == 0; i++)
		layer_row(i, &layer, shared);
	shared_fini(shared);
	return status;
}

const struct command cmd_oci_layers = {
	.name = "oci layers",
	.operands = "REF",
	.summary = "list the layers of a container image",
	.notes =
		"From the base on: number, digest, diff_id, compression, size; if a store has it,\n"
		"which images there have it.",
	.opts = opts_layers,
	.min = 1,
	.max = 1,
	.first = OPERAND_FILE,
	.run = run_layers,
};

/* --- ls -------------------------------------------------------------------------------------- */

static const struct opt opts_ls[] = {
	OPT_STORE(struct args, store, HELP_STORE_OF),
	OPTS_REGISTRY(struct args, registry),
	OPT_JSON(struct args, json),
	OPT_END,
};

static int entry_row(void *arg, const struct cairn_oci_entry *e)
{
	static const char *const keys[] = {"name",       "digest", "platform",
					   "media_type", "size",   NULL};
	const struct cell cells[] = {
		cell_name(e->name),
		cell_word(e->digest),
		cell_name(e->platform),
		cell_name(e->media_type),
		e->digest ? cell_size(e->size) : cell_none(),
	};

	(void)arg;
	out_row(keys, e->digest ? "{digest} {platform} {name}\n" : "{name}\n", cells);
	return out_result.error;
}

static int run_ls(const struct command *self, int argc, char **argv)
{
	struct args a = {0};
	struct cairn_store *store cleanup_store = NULL;
	struct cairn_oci_options options;
	struct cairn_error err = {0};
	int status, r;

	if (opt_parse(self, argc, argv, &a) < 0)
		return EXIT_USAGE;
	out_json = a.json;
	status = registry_options(&a.registry, NULL, &options);
	if (status == EXIT_DONE)
		status = registry_store(argv[1], a.store, &options, &store);
	if (status != EXIT_DONE)
		return status;
	interrupt_hold();
	r = cairn_oci_list(argv[1], &options, entry_row, NULL, &err);
	interrupt_release();
	if (out_result.error)
		return EXIT_FAILED; /* main() tells it */
	return r < 0 ? talk_error(r, &err, err.kind == CAIRN_ERROR_USAGE ? NULL : argv[1])
		     : EXIT_DONE;
}

const struct command cmd_oci_ls = {
	.name = "oci ls",
	.operands = "REF",
	.summary = "list the container images that a place has",
	.notes =
		"Tags of a repository; images in a layout; platforms of an image; with store: what was\n"
		"pulled.",
	.opts = opts_ls,
	.min = 1,
	.max = 1,
	.first = OPERAND_FILE,
	.run = run_ls,
};

const struct command cmd_oci = {
	.name = "oci",
	.summary = "look at container images in registries, layouts and stores",
};
