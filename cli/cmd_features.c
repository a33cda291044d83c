/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn features: what this kernel, these file systems and this user can do. */
#include "cmd.h"
#include "mounts.h"
#include "stores.h"

struct args {
	struct opt_list stores;
	bool json;
};

static const struct opt opts[] = {
	OPT_DIRS(struct args, stores, 's', "store", "DIR",
		 "store that is to be mounted from, may be given several times"),
	OPT_JSON(struct args, json),
	OPT_END,
};

static void feature_row(const struct cairn_features *f, enum cairn_feature i)
{
	static const char *const answers[] = {"no", "yes", "unknown"};
	static const char *const keys[] = {"feature", "have", "what", "detail",
					   "since",   "hint", NULL};
	const struct cairn_feature_words *w = cairn_feature_words(i);
	const enum cairn_answer have = f->of[i].have;
	const bool missing = have == CAIRN_NO;
	const struct cell cells[] = {
		cell_word(w->name),  cell_word(answers[have]),
		cell_word(w->what),  cell_word(f->of[i].detail[0] ? f->of[i].detail : NULL),
		cell_word(w->since), cell_word(missing ? w->hint : NULL),
	};

	out_row(keys, "", cells);
	if (out_json)
		return;
	out_printf(&out_result, "%-21s %-7s  %s", w->name, answers[have], w->what);
	if (missing && w->since)
		out_printf(&out_result, " (Linux %s)", w->since);
	out_puts(&out_result, "\n");
	if (missing && f->of[i].detail[0]) {
		out_printf(&out_result, "%32s", "");
		out_words(&out_result, f->of[i].detail);
		out_puts(&out_result, "\n");
	}
	if (missing && w->hint)
		out_printf(&out_result, "%32s%s\n", "", w->hint);
}

static void use_row(const struct cairn_features *f)
{
	static const char *const keys[] = {"use", "state", NULL};
	const struct cell cells[] = {cell_word(backend_word(f->use)),
				     cell_word(state_word(f->state))};

	out_row(keys, "\nA mount would be {state}, by the backend '{use}'.\n", cells);
}

static int run(const struct command *self, int argc, char **argv)
{
	struct args a = {0};
	struct store_list stores cleanup_stores = {0};
	const char *objects[OPT_LIST_MAX];
	struct cairn_features f;
	struct cairn_error err = {0};
	int status, r;

	if (opt_parse(self, argc, argv, &a) < 0)
		return EXIT_USAGE;
	out_json = a.json;
	status = store_list_open(&a.stores, &stores);
	if (status != EXIT_DONE)
		return status;
	for (unsigned int i = 0; i < stores.nr; i++)
		objects[i] = cairn_store_objects_path(stores.store[i]);

	r = cairn_features_probe(objects, stores.nr, &f, &err);
	if (r < 0)
		return talk_error(r, &err, NULL);
	for (unsigned int i = 0; i < CAIRN_FEATURES; i++)
		feature_row(&f, (enum cairn_feature)i);
	if (stores.nr)
		use_row(&f);
	else if (!out_json)
		out_puts(&out_result, "\nWith --store it is told what a mount would be.\n");
	return EXIT_DONE;
}

const struct command cmd_features = {
	.name = "features",
	.operands = "",
	.summary = "tell what can be done here, what will be, and how to get more",
	.opts = opts,
	.min = 0,
	.max = 0,
	.run = run,
};
