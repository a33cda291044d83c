/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn du: what the images of a store cost, alone and together. */
#include <errno.h>
#include <string.h>

#include "cmd.h"
#include "du_page.h"
#include "place.h"
#include "progress.h"
#include "roots.h"
#include "source.h"

struct args {
	const char *store, *html;
	struct opt_list roots;
	bool json, quiet, no_children;
};

static const struct opt opts[] = {
	OPT_STORE(struct args, store, HELP_STORE),
	OPT_FILE(struct args, html, 0, "html", "FILE",
		 "write a page with a picture of it, to be looked at in a browser"),
	OPT_ROOTS(struct args, roots),
	OPT_NO_CHILDREN(struct args, no_children),
	OPT_BOOL(struct args, quiet, 'q', "quiet", 1, "no progress"),
	OPT_JSON(struct args, json),
	OPT_END,
};

DEFINE_CLEANUP(struct cairn_usage *, usage, cairn_usage_free)

/* What the user has typed names the user of the store: by a reference, or by the digest of an image. */
static int find_user(const struct cairn_store *store, const struct cairn_usage *u, const char *text,
		     unsigned long *ret)
{
	const char *name = !strncmp(text, "ref:", 4) ? text + 4 : text;
	struct cairn_digest digest;
	struct cairn_error err = {0};
	unsigned long nr;
	const struct cairn_usage_user *users = cairn_usage_users(u, &nr);
	int r;

	for (unsigned long i = 0; i < nr; i++) {
		for (unsigned long j = 0; j < users[i].nr_names; j++) {
			if (!strcmp(users[i].names[j], name)) {
				*ret = i;
				return EXIT_DONE;
			}
		}
	}
	r = cairn_store_resolve(store, text, &digest, &err);
	if (r < 0 && r != -ENOENT)
		return talk_error(r, &err, NULL);
	for (unsigned long i = 0; !r && i < nr; i++) {
		if (!users[i].stream && !memcmp(&users[i].digest, &digest, sizeof(digest))) {
			*ret = i;
			return EXIT_DONE;
		}
	}
	talk(r ? "%s: no image of this name in %s" : "%s: no reference names it in %s", text,
	     cairn_store_path(store));
	return EXIT_FAILED;
}

static const char *const keys[] = {"image",   "names",          "stream", "digest",  "objects",
				   "bytes",   "unique_objects", "unique", "shared",  "elsewhere",
				   "missing", "frees",          "held",   "problem", NULL};

static void user_row(const struct cairn_usage_user *u)
{
	const struct cell cells[] = {
		cell_name(u->names[0]),
		cell_names(u->names, u->nr_names),
		cell_bool(u->stream),
		cell_digest(&u->digest),
		cell_number(u->objects),
		cell_size(u->bytes),
		cell_number(u->unique_objects),
		cell_size(u->unique_bytes),
		cell_size(u->bytes - u->unique_bytes),
		cell_size(u->elsewhere_bytes),
		cell_number(u->missing),
		cell_size(u->frees),
		u->mounted                    ? cell_word("mount")
		: u->kind == CAIRN_USAGE_ROOT ? cell_word("root")
					      : cell_none(),
		u->problem ? cell_word(u->problem) : cell_none(),
	};

	out_row(keys,
		u->kind == CAIRN_USAGE_MOUNTED
			? "{names}: {bytes} in {objects} object{objects:s}, {shared} shared; has no name, "
			  "held by a mount\n"
		: u->kind == CAIRN_USAGE_ROOT
			? "{names}: {bytes} in {objects} object{objects:s}, {shared} shared; has no name, "
			  "held by --root\n"
		: u->mounted
			? "{names}: {bytes} in {objects} object{objects:s}, {shared} shared; to delete and "
			  "unmount it frees {frees}\n"
			: "{names}: {bytes} in {objects} object{objects:s}, {shared} shared; to delete it "
			  "frees {frees}\n",
		cells);
	if (!out_json && u->elsewhere_bytes)
		out_text(&out_result, keys, "  and {elsewhere} in parents\n", cells);
	if (!out_json && u->missing)
		out_text(&out_result, keys, "  objects missing: {missing}\n", cells);
	if (!out_json && u->problem)
		out_text(&out_result, keys, "  {problem}\n", cells);
}

static void total_row(const struct cairn_usage *u, const char *store)
{
	static const char *const total_keys[] = {
		"store", "images",      "objects",          "bytes",   "disk", "sum", "needed",
		"held",  "reclaimable", "reclaimable_disk", "problem", NULL};
	const struct cairn_usage_total *t = cairn_usage_total(u);
	unsigned long nr;
	(void)cairn_usage_users(u, &nr);
	const struct cell cells[] = {
		cell_name(store),
		cell_number(nr),
		cell_number(t->objects),
		cell_size(t->bytes),
		cell_size(t->disk),
		cell_size(t->sum),
		cell_size(t->needed_bytes),
		cell_size(t->held),
		cell_size(t->reclaimable),
		cell_size(t->reclaimable_disk),
		t->problem ? cell_word(t->problem) : cell_none(),
	};

	out_row(total_keys,
		"{store}: {images} image{images:s}, {sum} one by one, {needed} together; "
		"{bytes} in {objects} object{objects:s}, {reclaimable} of it reclaimable\n",
		cells);
	if (!out_json && t->held)
		out_text(&out_result, total_keys,
			 "  and {held} for processes at work, or for stores that look into it\n",
			 cells);
	if (!out_json && t->problem)
		out_text(&out_result, total_keys, "  no collection: {problem}\n", cells);
}

static void together_row(const struct cairn_usage *u, const unsigned char *chosen, unsigned int nr)
{
	static const char *const together_keys[] = {"images", "frees", NULL};
	const struct cell cells[] = {cell_number(nr), cell_size(cairn_usage_frees(u, chosen))};

	out_row(together_keys, "to delete all {images} frees {frees}\n", cells);
}

static int print(const struct cairn_store *store, const struct cairn_usage *u, int nr, char **names)
{
	unsigned long nr_users, at = 0;
	const struct cairn_usage_user *users = cairn_usage_users(u, &nr_users);
	unsigned char *chosen cleanup_free = calloc(nr_users + 1, 1);
	unsigned int nr_chosen = 0;

	if (!chosen)
		return talk_error(-ENOMEM, NULL, NULL);
	for (int i = 0; i < nr; i++) {
		int status = find_user(store, u, names[i], &at);

		if (status != EXIT_DONE)
			return status;
		nr_chosen += !chosen[at];
		chosen[at] = 1;
	}
	for (unsigned long i = 0; i < nr_users; i++) {
		if (!nr || chosen[i])
			user_row(&users[i]);
	}
	if (nr_chosen > 1)
		together_row(u, chosen, nr_chosen);
	if (!nr)
		total_row(u, cairn_store_path(store));
	return EXIT_DONE;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct args a = {0};
	struct cairn_store *store cleanup_store = NULL;
	struct cairn_usage *usage cleanup(usage) = NULL;
	struct roots roots cleanup_roots = {0};
	struct cairn_gc_options options;
	struct cairn_error err = {0};
	struct progress progress;
	int nr = opt_parse(self, argc, argv, &a), status, r;

	if (nr < 0)
		return EXIT_USAGE;
	out_json = a.json;
	status = store_place_open(a.store, CAIRN_STORE_READ_ONLY, &store);
	if (status == EXIT_DONE)
		status = roots_read(&roots, &a.roots);
	if (status != EXIT_DONE)
		return status;
	options = (struct cairn_gc_options){
		.flags = a.no_children ? CAIRN_GC_NO_CHILDREN : 0,
		.roots = roots.digest,
		.nr_roots = roots.nr,
		.images = roots.image,
		.nr_images = roots.nr_images,
		.jobs = jobs_of(0),
		.progress = progress_tick,
		.note_arg = &progress,
	};
	interrupt_hold();
	progress_start(&progress, &progress_stderr, "counting", "objects", a.quiet);
	r = cairn_usage_new(store, &options, &usage, &err);
	progress_stop(&progress);
	interrupt_release();
	if (r < 0)
		return talk_error(r, &err, NULL);
	status = print(store, usage, nr, argv + 1);
	if (status == EXIT_DONE && a.html) {
		r = du_page_write(a.html, cairn_store_path(store), usage);
		status = r < 0 ? talk_error(r, NULL, a.html) : EXIT_DONE;
	}
	return status;
}

const struct command cmd_du = {
	.name = "du",
	.operands = "[IMAGE...]",
	.summary = "tell what images of a store cost, alone and together",
	.opts = opts,
	.min = 0,
	.max = OPERANDS_ANY,
	.first = OPERAND_FILE,
	.others = OPERAND_FILE,
	.run = run,
};
