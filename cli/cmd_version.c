/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn version. */
#include "cmd.h"

struct args {
	bool json;
};

static const struct opt opts[] = {
	OPT_JSON(struct args, json),
	OPT_END,
};

static int run(const struct command *self, int argc, char **argv)
{
	static const char *const keys[] = {"version", NULL};
	const struct cell cells[] = {cell_word(CAIRN_VERSION)};
	struct args a = {0};

	if (opt_parse(self, argc, argv, &a) < 0)
		return EXIT_USAGE;
	out_json = a.json;
	out_row(keys, "cairn {version}\n", cells);
	return EXIT_DONE;
}

const struct command cmd_version = {
	.name = "version",
	.operands = "",
	.summary = "print the version",
	.opts = opts,
	.run = run,
};
