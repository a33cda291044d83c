/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn diff: why two trees, or the images of one tree, differ. */
#include <errno.h>

#include "cmd.h"
#include "source.h"

struct args {
	struct opt_list stores;
	struct source_args source;
	bool json, brief;
};

static const struct opt opts[] = {
	OPT_BOOL(struct args, brief, 'b', "brief", 1, "only the summary"),
	OPTS_SOURCE(struct args, source),
	OPT_STORES(struct args, stores),
	OPT_JSON(struct args, json),
	OPT_END,
};

/* What a first pass over the differences counts. */
struct counts {
	uint64_t differences; /* fields, and names on one side only */
	uint64_t changed;     /* names on both sides that differ */
	uint64_t only_a, only_b;
	char *last; /* path that was counted in @changed last */
};

static int count_one(void *arg, const struct cairn_difference *d)
{
	struct counts *c = arg;

	c->differences++;
	if (!strcmp(d->field, "entry")) {
		c->only_a += d->a != NULL;
		c->only_b += d->b != NULL;
		return 0;
	}
	if (c->last && !strcmp(c->last, d->path))
		return 0;
	free(c->last);
	c->last = strdup(d->path);
	c->changed++;
	return c->last ? 0 : -ENOMEM;
}

static int print_one(void *arg, const struct cairn_difference *d)
{
	static const char *const keys[] = {"path", "field", "a", "b", NULL};
	const bool entry = !strcmp(d->field, "entry");
	const struct cell cells[] = {
		cell_name(d->path),
		cell_name(d->field),
		cell_word(d->a), /* escaped by the library */
		cell_word(d->b),
	};

	(void)arg;
	out_row(keys,
		entry && d->a ? "{path}: only in a, {a}\n"
		: entry       ? "{path}: only in b, {b}\n"
			      : "{path}: {field}\n  a: {a}\n  b: {b}\n",
		cells);
	return out_result.error;
}

/* --- the summary ----------------------------------------------------------------------------- */

enum verdict { SAME, OTHER_FORMAT, OTHER_BYTES, DIFFERENT };

static const char *const verdict_words[] = {"same", "format", "bytes", "tree"};
static const char *const verdict_text[] = {
	"no difference\n",
	"same tree, but a is {a_format} and b is {b_format}\n",
	"same tree, same format {a_format}, but not the same bytes: not both are canonical\n",
	"{changed} changed, {only_a} only in a, {only_b} only in b\n",
};

/* Two images of equal trees may still differ themselves. */
static int compare_images(const struct source *a, const struct source *b, enum verdict *ret)
{
	struct cairn_digest da[2], db[2];
	struct cairn_error err = {0};
	int r = cairn_digest_fd(a->fd, CAIRN_ALG_BIT(CAIRN_SHA256), da, &err);

	if (r < 0)
		return talk_error(r, &err, a->name);
	r = cairn_digest_fd(b->fd, CAIRN_ALG_BIT(CAIRN_SHA256), db, &err);
	if (r < 0)
		return talk_error(r, &err, b->name);

	if (!memcmp(da[0].bytes, db[0].bytes, sizeof(da[0].bytes)))
		*ret = SAME;
	else
		*ret = a->format != b->format ? OTHER_FORMAT : OTHER_BYTES;
	return EXIT_DONE;
}

static void summary_row(const struct source *a, const struct source *b, const struct counts *c,
			enum verdict verdict)
{
	static const char *const keys[] = {"a",       "b",      "a_format", "b_format", "differs",
					   "changed", "only_a", "only_b",   "fields",   NULL};
	const struct cell cells[] = {
		cell_name(a->name),
		cell_name(b->name),
		cell_word(format_name(a->format)),
		cell_word(format_name(b->format)),
		cell_word(verdict_words[verdict]),
		cell_number(c->changed),
		cell_number(c->only_a),
		cell_number(c->only_b),
		cell_number(c->differences - c->only_a - c->only_b),
	};

	out_row(keys, verdict_text[verdict], cells);
}

/* --- the command ----------------------------------------------------------------------------- */

/* Loads what is no directory first: its digests say which ones a directory has to be read with. */
static int load_both(const struct args *a, const struct source s[2], struct cairn_tree *trees[2])
{
	unsigned int alg = 0;

	for (int directories = 0; directories < 2; directories++) {
		for (int i = 0; i < 2; i++) {
			int status;

			if (source_has_contents(&s[i]) != directories)
				continue;
			status = source_load(&s[i], &a->source, alg ? CAIRN_ALG_BIT(alg) : 0, NULL,
					     &trees[i], NULL);
			if (status != EXIT_DONE)
				return status;
			if (!alg)
				alg = source_alg(trees[i]);
		}
	}
	return EXIT_DONE;
}

static int diff_trees(const struct args *a, const struct source s[2], struct cairn_tree *trees[2])
{
	struct counts counts = {0};
	enum verdict verdict = SAME;
	struct busy busy;
	int status = EXIT_DONE;
	int64_t nr;

	busy_start(&busy, "comparing", a->source.quiet);
	nr = cairn_tree_diff(trees[0], trees[1], count_one, &counts);
	busy_stop(&busy);
	free(counts.last);
	if (nr < 0)
		return talk_error((int)nr, NULL, NULL);
	if (nr)
		verdict = DIFFERENT;
	else if (s[0].kind == SOURCE_IMAGE && s[1].kind == SOURCE_IMAGE)
		status = compare_images(&s[0], &s[1], &verdict);
	if (status != EXIT_DONE)
		return EXIT_FAILED;

	summary_row(&s[0], &s[1], &counts, verdict);
	if (nr && !a->brief)
		nr = cairn_tree_diff(trees[0], trees[1], print_one, NULL);
	return nr < 0 || verdict != SAME ? EXIT_FAILED : EXIT_DONE;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct args a = {0};
	struct source s[2] = {SOURCE_INIT, SOURCE_INIT};
	struct cairn_tree *trees[2] = {NULL, NULL};
	int status = EXIT_DONE;

	if (opt_parse(self, argc, argv, &a) < 0)
		return EXIT_USAGE;
	out_json = a.json;

	for (int i = 0; i < 2 && status == EXIT_DONE; i++)
		status = source_open(argv[1 + i], &a.stores, &s[i]);
	if (status == EXIT_DONE)
		status = source_check_args(s, 2, &a.source);
	if (status == EXIT_DONE)
		status = load_both(&a, s, trees);
	if (status == EXIT_DONE)
		status = diff_trees(&a, s, trees);

	for (int i = 0; i < 2; i++) {
		cairn_tree_free(trees[i]);
		source_close(&s[i]);
	}
	return status;
}

const struct command cmd_diff = {
	.name = "diff",
	.operands = "A B",
	.summary = "tell why two images, directories or dumps differ",
	.notes =
		"First a summary, then each path and field with both values. Status 1 when they differ.",
	.opts = opts,
	.min = 2,
	.max = 2,
	.first = OPERAND_FILE,
	.others = OPERAND_FILE,
	.run = run,
};
