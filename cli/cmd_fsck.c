/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn fsck: finding and mending damage. */
#include <errno.h>
#include <string.h>

#include "cmd.h"
#include "names.h"
#include "place.h"
#include "source.h"
#include "stores.h"

#define SHOWN 5 /* uses of one object in text */

struct args {
	const char *store, *rate;
	struct opt_list from;
	unsigned int jobs, flags;
	bool json, quiet, plain_http;
};

static const struct opt opts[] = {
	OPT_STORE(struct args, store, HELP_STORE),
	OPT_BITS(struct args, flags, 'm', "metadata-only", CAIRN_FSCK_METADATA_ONLY,
		 "do not read the contents of objects"),
	OPT_BITS(struct args, flags, 'r', "repair", CAIRN_FSCK_REPAIR, "mend what can be mended"),
	OPT_DIRS(struct args, from, 0, "from", "STORE",
		 "store, or URL of one, that may have right objects; may be given several times"),
	OPT_BOOL(struct args, plain_http, 0, "plain-http", 1, "allow http:// from other machines"),
	OPT_BITS(struct args, flags, 0, "scrub", CAIRN_FSCK_SCRUB,
		 "only read contents, on from where the last scrub stopped"),
	OPT_TEXT(struct args, rate, 0, "rate", "BYTES", "for --scrub: so many a second, as in 50M"),
	OPT_COUNT(struct args, jobs, 'j', "jobs", 1024,
		  "threads (default: one for each processor)"),
	OPT_BOOL(struct args, quiet, 'q', "quiet", 1, "no progress, no summary"),
	OPT_JSON(struct args, json),
	OPT_END,
};

static const char *const kinds[] = {
	[CAIRN_DAMAGE_OBJECT] = "object", [CAIRN_DAMAGE_MISSING] = "missing",
	[CAIRN_DAMAGE_VERITY] = "verity", [CAIRN_DAMAGE_IMAGE] = "image",
	[CAIRN_DAMAGE_STREAM] = "stream", [CAIRN_DAMAGE_NAME] = "name",
	[CAIRN_DAMAGE_STRAY] = "stray",   [CAIRN_DAMAGE_LEFTOVER] = "leftover",
};

/* With --json a row for each image that is hurt, or one without. */
static void finding_row(const struct cairn_finding *f, const struct cairn_use *use,
			const struct names *names)
{
	static const char *const keys[] = {"kind", "name",     "text",  "uses", "image",
					   "path", "repaired", "names", NULL};
	size_t nr = 0;
	const char *const *called = use ? names_of(names, use->image, &nr) : NULL;
	const struct cell cells[] = {
		cell_word(kinds[f->kind]),
		cell_name(f->name),
		cell_name(f->text),
		cell_number(f->nr_uses),
		use ? cell_name(use->image) : cell_none(),
		use && use->path ? cell_name(use->path) : cell_none(),
		cell_bool(f->repaired),
		cell_names(called, nr),
	};

	if (!use)
		out_row(keys,
			f->repaired ? "{kind} {name}: {text} (mended)\n"
				    : "{kind} {name}: {text}\n",
			cells);
	else if (nr)
		out_row(keys, use->path ? "  hurts {names}: {path}\n" : "  hurts {names}\n", cells);
	else
		out_row(keys, use->path ? "  hurts {image}: {path}\n" : "  hurts {image}\n", cells);
}

static int tell(void *arg, const struct cairn_finding *f)
{
	const struct names *names = arg;

	if (!out_json || !f->nr_uses)
		finding_row(f, NULL, names);
	for (size_t i = 0; i < f->nr_uses && (out_json || i < SHOWN); i++)
		finding_row(f, &f->uses[i], names);
	if (!out_json && f->nr_uses > SHOWN)
		out_printf(&out_result, "  and %zu more\n", f->nr_uses - SHOWN);
	return out_result.error;
}

/* "50M" */
static bool parse_rate(const char *text, uint64_t *ret)
{
	static const char units[] = "KMGT";
	uint64_t n = 0;
	const char *unit;

	for (; *text >= '0' && *text <= '9' && n < UINT64_MAX / 100; text++)
		n = 10 * n + (uint64_t)(*text - '0');
	unit = *text ? strchr(units, *text) : NULL;
	if (!n || (*text && (!unit || text[1])))
		return false;
	for (size_t i = 0; unit && i <= (size_t)(unit - units); i++) {
		if (n > UINT64_MAX / 1024)
			return false;
		n *= 1024;
	}
	*ret = n;
	return true;
}

static void summary(const struct args *a, const struct cairn_fsck_result *r)
{
	static const char *const keys[] = {"objects", "bytes",    "images",    "streams",  "refs",
					   "damage",  "repaired", "leftovers", "complete", NULL};
	const struct cell cells[] = {
		cell_number(r->objects),  cell_size(r->bytes),       cell_number(r->images),
		cell_number(r->streams),  cell_number(r->refs),      cell_number(r->damage),
		cell_number(r->repaired), cell_number(r->leftovers), cell_bool(r->complete),
	};

	if (a->quiet)
		return;
	if (a->flags & CAIRN_FSCK_SCRUB)
		out_row(keys,
			r->complete ? "{objects} object{objects:s}, {bytes}: {damage} damaged, "
				      "{repaired} mended\n"
				    : "{objects} object{objects:s}, {bytes}: {damage} damaged, "
				      "{repaired} mended; "
				      "stopped, to be continued\n",
			cells);
	else
		out_row(keys,
			"{objects} object{objects:s}, {bytes}, {images} image{images:s}, "
			"{streams} stream{streams:s}, {refs} reference{refs:s}: "
			"{damage} damaged, {repaired} mended; {leftovers} leftover{leftovers:s}\n",
			cells);
}

static bool is_url(const char *from)
{
	return !strncmp(from, "http://", 7) || !strncmp(from, "https://", 8);
}

/* Divides what was given as --from. */
static int open_sources(const struct args *a, struct store_list *stores, struct opt_list *urls)
{
	struct opt_list paths = {0};

	for (unsigned int i = 0; i < a->from.nr; i++) {
		struct opt_list *l = is_url(a->from.text[i]) ? urls : &paths;

		l->text[l->nr++] = a->from.text[i];
	}
	return store_list_open(&paths, stores);
}

static int check(const struct args *a, struct cairn_store *store, const struct store_list *from,
		 const struct opt_list *urls, uint64_t rate)
{
	struct cairn_fsck_result result = {0};
	struct cairn_error err = {0};
	struct progress progress;
	struct names names = {0};
	const struct cairn_fsck_options options = {
		.flags = a->flags,
		.jobs = jobs_of(a->jobs),
		.from = from->store,
		.nr_from = from->nr,
		.urls = urls->text,
		.nr_urls = urls->nr,
		.plain_http = a->plain_http,
		.rate = rate,
		.finding = tell,
		.arg = &names,
		.progress = progress_tick,
		.progress_arg = &progress,
	};
	int r;

	/* Without them images are told by their digests. */
	(void)names_load(&names, store, NULL);
	interrupt_hold();
	progress_start(&progress, &progress_stderr, "reading", "objects", a->quiet);
	r = cairn_store_fsck(store, &options, &result, &err);
	progress_stop(&progress);
	interrupt_release();
	names_fini(&names);
	/* A server that cannot be asked does not make what was found less. */
	if (r < 0 && r != -ECANCELED && !result.damage)
		return out_result.error ? EXIT_FAILED : talk_error(r, &err, NULL);
	summary(a, &result);
	if (r < 0)
		return talk_error(r, &err, NULL);
	return result.damage > result.repaired ? EXIT_UNVERIFIED : EXIT_DONE;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct args a = {0};
	struct cairn_store *store cleanup_store = NULL;
	struct store_list from cleanup_stores = {0};
	struct opt_list urls = {0};
	uint64_t rate = 0;
	int status;

	if (opt_parse(self, argc, argv, &a) < 0)
		return EXIT_USAGE;
	out_json = a.json;
	if (a.flags & CAIRN_FSCK_SCRUB && a.flags & CAIRN_FSCK_METADATA_ONLY)
		return talk_usage("--scrub and --metadata-only exclude each other");
	if (a.rate && !(a.flags & CAIRN_FSCK_SCRUB))
		return talk_usage("--rate is for --scrub");
	if (a.rate && !parse_rate(a.rate, &rate))
		return talk_usage("--rate: a number and K, M or G, not '%s'", a.rate);
	if (a.from.nr && !(a.flags & CAIRN_FSCK_REPAIR))
		return talk_usage("--from is for --repair");

	status = store_place_open(a.store, a.flags & CAIRN_FSCK_REPAIR ? 0 : CAIRN_STORE_READ_ONLY,
				  &store);
	if (status == EXIT_DONE)
		status = open_sources(&a, &from, &urls);
	return status == EXIT_DONE ? check(&a, store, &from, &urls, rate) : status;
}

const struct command cmd_fsck = {
	.name = "fsck",
	.operands = "",
	.summary = "find damage in a store, and mend it",
	.notes = "Status 0: clean, or all mended; 3: damaged.",
	.opts = opts,
	.run = run,
};
