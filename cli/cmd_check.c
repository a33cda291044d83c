/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn check: proves that images are well formed and canonical. */
#include <errno.h>
#include <fcntl.h>

#include "cmd.h"
#include "source.h"

struct args {
	struct opt_list stores;
	bool json;
};

static const struct opt opts[] = {
	OPT_STORES(struct args, stores),
	OPT_JSON(struct args, json),
	OPT_END,
};

/* An offence in the image, not a reason why it could not be looked at. */
static bool is_offence(const struct cairn_error *err)
{
	return err->code && (err->kind == CAIRN_ERROR_FORMAT || err->kind == CAIRN_ERROR_DIGEST);
}

static void check_row(const char *name, const struct cairn_image_result *res, const char *offence,
		      bool several)
{
	static const char *const keys[] = {"image",  "ok",     "format",  "alg", "size",
					   "inodes", "digest", "offence", NULL};
	const struct cell cells[] = {
		cell_name(name),
		cell_bool(!offence),
		offence ? cell_none() : cell_word(format_name(res->format)),
		offence ? cell_none() : cell_word(alg_name(res->digest.alg)),
		offence ? cell_none() : cell_number(res->size),
		offence ? cell_none() : cell_number(res->inodes),
		cell_digest(&res->digest),
		cell_name(offence),
	};

	out_row(keys, several ? "{image}: OK canonical {format}\n" : "OK canonical {format}\n",
		cells);
}

static int check(const char *name, const struct opt_list *stores, bool several)
{
	struct cairn_image_result res = {0};
	struct cairn_error err = {0};
	struct busy busy;
	struct image_found image cleanup_image = {.fd = -1};
	int r, status = image_find(name, stores, &image);

	if (status != EXIT_DONE)
		return status;

	busy_start(&busy, "checking", false);
	r = cairn_image_check(image.fd, jobs_of(0), &res, &err);
	busy_stop(&busy);
	if (r >= 0) {
		check_row(name, &res, NULL, several);
		return EXIT_DONE;
	}
	if (out_json && is_offence(&err)) {
		check_row(name, &res, err.text, several);
		return EXIT_UNVERIFIED;
	}
	status = talk_error(r, &err, name);
	return is_offence(&err) ? EXIT_UNVERIFIED : status;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct args a = {0};
	int nr = opt_parse(self, argc, argv, &a), status = EXIT_DONE;

	if (nr < 0)
		return EXIT_USAGE;
	out_json = a.json;

	for (int i = 1; i <= nr; i++) {
		int s = check(argv[i], &a.stores, nr > 1);

		status = MAX(status, s);
	}
	return status;
}

const struct command cmd_check = {
	.name = "check",
	.operands = "IMAGE...",
	.summary = "prove that images are well formed and canonical",
	.notes =
		"Prints 'OK canonical V1', or the first offence with its offset and field (status 3).",
	.opts = opts,
	.min = 1,
	.max = OPERANDS_ANY,
	.first = OPERAND_FILE,
	.others = OPERAND_FILE,
	.run = run,
};
