/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn umount. */
#include "cmd.h"
#include "mounts.h"

struct args {
	bool json, lazy;
};

static const struct opt opts[] = {
	OPT_BOOL(struct args, lazy, 'l', "lazy", 1,
		 "detach now, clean up when it is no longer used"),
	OPT_JSON(struct args, json),
	OPT_END,
};

static int run(const struct command *self, int argc, char **argv)
{
	static const char *const keys[] = {"target", NULL};
	struct args a = {0};
	int nr = opt_parse(self, argc, argv, &a), status = EXIT_DONE;

	if (nr < 0)
		return EXIT_USAGE;
	out_json = a.json;

	for (int i = 1; i <= nr; i++) {
		const struct cell cells[] = {cell_name(argv[i])};
		struct cairn_error err = {0};
		const uint64_t dev = record_device(argv[i]);
		int r = cairn_umount(argv[i], a.lazy ? CAIRN_UMOUNT_LAZY : 0, &err);

		if (r < 0) {
			status = talk_error(r, &err, NULL);
			continue;
		}
		record_drop(dev);
		out_row(keys, "", cells);
	}
	return status;
}

const struct command cmd_umount = {
	.name = "umount",
	.operands = "DIR...",
	.summary = "unmount images",
	.opts = opts,
	.min = 1,
	.max = OPERANDS_ANY,
	.first = OPERAND_DIR,
	.others = OPERAND_DIR,
	.run = run,
};
