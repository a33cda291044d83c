/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn mounts: the mounts of images that are there. */
#include <stdio.h>

#include "cmd.h"
#include "mounts.h"

struct args {
	bool json;
};

static const struct opt opts[] = {
	OPT_JSON(struct args, json),
	OPT_END,
};

/* The mount points that were asked for; none: all. */
struct wanted {
	char **targets;
	bool *found;
	int nr;
};

static bool is_wanted(struct wanted *w, const char *target)
{
	bool wanted = w->nr == 0;

	for (int i = 0; i < w->nr; i++) {
		char real[PATH_MAX];

		if (realpath(w->targets[i], real) && !strcmp(real, target))
			wanted = w->found[i] = true;
	}
	return wanted;
}

static int mount_row(void *arg, const struct cairn_mounted *m)
{
	static const char *const keys[] = {"target",  "image",    "digest", "format",
					   "backend", "type",     "stores", "state",
					   "checked", "writable", "source", NULL};
	char path[PATH_MAX];
	int format;
	bool noted;

	if (!is_wanted((struct wanted *)arg, m->target))
		return 0;
	noted = record_read(m, path, &format);

	const struct cell cells[] = {
		cell_name(m->target),
		noted ? cell_name(path) : cell_none(),
		cell_digest(&m->digest),
		noted ? cell_number((uint64_t)format) : cell_none(),
		cell_word(m->backend),
		cell_word(m->type),
		cell_names(m->stores, m->nr_stores),
		cell_word(state_word(m->state)),
		m->checked ? cell_time(m->checked) : cell_none(),
		cell_bool(m->writable),
		cell_name(m->source),
	};

	out_row(keys,
		m->checked ? "{target}  {state} {checked}  {backend}  {digest}  {image}\n"
			   : "{target}  {state}  {backend}  {digest}  {image}\n",
		cells);
	return 0;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct args a = {0};
	struct cairn_error err = {0};
	bool found[OPERANDS_ANY] = {0};
	struct wanted wanted = {.targets = argv + 1, .found = found};
	int r, status = EXIT_DONE;

	wanted.nr = opt_parse(self, argc, argv, &a);
	if (wanted.nr < 0)
		return EXIT_USAGE;
	out_json = a.json;

	r = cairn_mount_list(mount_row, &wanted, &err);
	if (r < 0)
		return talk_error(r, &err, NULL);
	for (int i = 0; i < wanted.nr; i++) {
		if (found[i])
			continue;
		talk("%s: no image is mounted there", argv[1 + i]);
		status = EXIT_FAILED;
	}
	return status;
}

const struct command cmd_mounts = {
	.name = "mounts",
	.operands = "[DIR]...",
	.summary = "list the images that are mounted, and how they are kept right",
	.opts = opts,
	.min = 0,
	.max = OPERANDS_ANY - 1,
	.first = OPERAND_DIR,
	.others = OPERAND_DIR,
	.run = run,
};
