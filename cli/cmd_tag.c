/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn tag, cairn untag: names for images in a store. */
#include "cmd.h"
#include "place.h"
#include "source.h"

struct args {
	const char *store;
	bool json, move;
};

/* --- tag ------------------------------------------------------------------------------------- */

static const struct opt opts_tag[] = {
	OPT_STORE(struct args, store, HELP_STORE),
	OPT_BOOL(struct args, move, 'm', "move", 1, "also a name that another image has"),
	OPT_JSON(struct args, json),
	OPT_END,
};

static int run_tag(const struct command *self, int argc, char **argv)
{
	static const char *const keys[] = {"ref", "digest", NULL};
	struct args a = {0};
	struct cairn_store *store cleanup_store = NULL;
	struct cairn_digest digest;
	struct cairn_error err = {0};
	int nr = opt_parse(self, argc, argv, &a), status, r;

	if (nr < 0)
		return EXIT_USAGE;
	out_json = a.json;
	status = store_place_open(a.store, 0, &store);
	if (status != EXIT_DONE)
		return status;
	r = cairn_store_resolve(store, argv[1], &digest, &err);
	for (int i = 2; i <= nr && !r; i++) {
		r = cairn_store_tag(store, argv[i], &digest, a.move ? CAIRN_TAG_MOVE : 0, &err);
		if (!r) {
			const struct cell cells[] = {cell_name(argv[i]), cell_digest(&digest)};

			out_row(keys, "", cells);
		}
	}
	return r < 0 ? talk_error(r, &err, NULL) : EXIT_DONE;
}

const struct command cmd_tag = {
	.name = "tag",
	.operands = "IMAGE REF...",
	.summary = "give names to an image in a store",
	.opts = opts_tag,
	.min = 2,
	.max = OPERANDS_ANY,
	.first = OPERAND_FILE,
	.others = OPERAND_NONE,
	.run = run_tag,
};

/* --- untag ----------------------------------------------------------------------------------- */

static const struct opt opts_untag[] = {
	OPT_STORE(struct args, store, HELP_STORE),
	OPT_JSON(struct args, json),
	OPT_END,
};

static int run_untag(const struct command *self, int argc, char **argv)
{
	static const char *const keys[] = {"ref", NULL};
	struct args a = {0};
	struct cairn_store *store cleanup_store = NULL;
	int nr = opt_parse(self, argc, argv, &a), status;

	if (nr < 0)
		return EXIT_USAGE;
	out_json = a.json;
	status = store_place_open(a.store, 0, &store);
	if (status != EXIT_DONE)
		return status;
	for (int i = 1; i <= nr; i++) {
		const char *name = !strncmp(argv[i], "ref:", 4) ? argv[i] + 4 : argv[i];
		const struct cell cells[] = {cell_name(name)};
		struct cairn_error err = {0};
		int r = cairn_store_untag(store, name, &err);

		if (r < 0)
			status = talk_error(r, &err, NULL);
		else
			out_row(keys, "", cells);
	}
	return status;
}

const struct command cmd_untag = {
	.name = "untag",
	.operands = "REF...",
	.summary = "take names from images in a store",
	.notes = "An image without a name stays until cairn gc.",
	.opts = opts_untag,
	.min = 1,
	.max = OPERANDS_ANY,
	.first = OPERAND_FILE,
	.others = OPERAND_FILE,
	.run = run_untag,
};
