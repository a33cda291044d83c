/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn gc: removing what nothing names. */
#include <errno.h>

#include "cmd.h"
#include "place.h"
#include "roots.h"
#include "source.h"

#define WAIT_MAX 86400

struct args {
	const char *store;
	struct opt_list roots;
	unsigned int jobs, wait;
	bool json, quiet, dry_run, empty, no_children;
};

static const struct opt opts[] = {
	OPT_STORE(struct args, store, HELP_STORE),
	OPT_BOOL(struct args, dry_run, 'n', "dry-run", 1, "only tell what would be removed"),
	OPT_ROOTS(struct args, roots),
	OPT_BOOL(struct args, empty, 0, "empty", 1,
		 "also remove everything, if nothing at all is named"),
	OPT_NO_CHILDREN(struct args, no_children),
	OPT_COUNT(struct args, wait, 0, "wait", WAIT_MAX,
		  "seconds to wait for tools that have the store locked (default: 10)"),
	OPT_COUNT(struct args, jobs, 'j', "jobs", 1024,
		  "threads (default: one for each processor)"),
	OPT_BOOL(struct args, quiet, 'q', "quiet", 1, "no progress"),
	OPT_JSON(struct args, json),
	OPT_END,
};

static void note(void *arg, const char *text)
{
	(void)arg;
	talk("%s", text);
}

static void result_row(const struct args *a, const char *store, const struct cairn_gc_result *r)
{
	static const char *const keys[] = {"store",    "objects", "removed", "bytes",
					   "size",     "images",  "streams", "leftovers",
					   "dangling", "dry_run", "blocked", NULL};
	const struct cell cells[] = {
		cell_name(store),
		cell_number(r->objects),
		cell_number(r->removed_objects),
		cell_size(r->removed_bytes),
		cell_size(r->removed_size),
		cell_number(r->removed_images),
		cell_number(r->removed_streams),
		cell_number(r->leftovers),
		cell_number(r->dangling),
		cell_bool(a->dry_run),
		cell_bool(r->blocked),
	};

	out_row(keys,
		a->dry_run || r->blocked
			? "would remove {removed} of {objects} object{objects:s}, {bytes} on disk; "
			  "{images} image{images:s}, {streams} stream{streams:s}\n"
			: "removed {removed} of {objects} object{objects:s}, {bytes} on disk; "
			  "{images} image{images:s}, {streams} stream{streams:s}; "
			  "{leftovers} leftover{leftovers:s}\n",
		cells);
}

static int collect(const struct args *a, struct cairn_store *store, const struct roots *roots)
{
	struct cairn_gc_result result = {0};
	struct cairn_error err = {0};
	struct progress progress;
	const struct cairn_gc_options options = {
		.flags = (a->dry_run ? CAIRN_GC_DRY_RUN : 0) | (a->empty ? CAIRN_GC_EMPTY : 0) |
			 (a->no_children ? CAIRN_GC_NO_CHILDREN : 0),
		.roots = roots->digest,
		.nr_roots = roots->nr,
		.images = roots->image,
		.nr_images = roots->nr_images,
		.jobs = jobs_of(a->jobs),
		.patience = 1000 * (a->wait ? a->wait : 10),
		.note = note,
		.progress = progress_tick,
		.note_arg = &progress,
	};
	int r;

	interrupt_hold();
	progress_start(&progress, &progress_stderr, "removing", "objects", a->quiet);
	r = cairn_store_gc(store, &options, &result, &err);
	progress_stop(&progress);
	interrupt_release();
	if (!r || r == -EBUSY)
		result_row(a, store_place(a->store), &result);
	if (r == -EHOSTUNREACH) {
		talk_error(r, &err, NULL);
		talk("nothing was removed; 'cairn store parents --forget DIR' if it looks into it no more, "
		     "else see --no-children");
		return EXIT_FAILED;
	}
	return r < 0 ? talk_error(r, &err, NULL) : EXIT_DONE;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct args a = {0};
	struct cairn_store *store cleanup_store = NULL;
	struct roots roots cleanup_roots = {0};
	int status;

	if (opt_parse(self, argc, argv, &a) < 0)
		return EXIT_USAGE;
	out_json = a.json;
	status = store_place_open(a.store, a.dry_run ? CAIRN_STORE_READ_ONLY : 0, &store);
	if (status == EXIT_DONE)
		status = roots_read(&roots, &a.roots);
	if (status == EXIT_DONE)
		status = collect(&a, store, &roots);
	return status;
}

const struct command cmd_gc = {
	.name = "gc",
	.operands = "",
	.summary = "remove from a store what nothing names",
	.notes = "Others may use the store meanwhile.",
	.opts = opts,
	.run = run,
};
