/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn measure: fs-verity digests of files. */
#include <errno.h>
#include <fcntl.h>

#include "cmd.h"
#include "source.h"

struct args {
	unsigned int alg;
	bool json, all, detailed;
};

static const struct opt opts[] = {
	OPT_ALG(struct args, alg, "digest algorithm (default: sha256)"),
	OPT_BOOL(struct args, all, 'a', "all", 1, "both algorithms"),
	OPT_BOOL(struct args, detailed, 'l', "long", 1,
		 "also tell whether the kernel enforces the digest or we computed it"),
	OPT_JSON(struct args, json),
	OPT_END,
};

/* One line an algorithm in @algs. What the kernel has measured needs no reading, and it alone
 * promises that later reads match. */
static int measure_fd(const struct args *a, const char *name, int fd, struct cairn_error *err)
{
	static const char *const keys[] = {"path", "alg", "digest", "source", NULL};
	const unsigned int algs = a->all ? CAIRN_ALG_BIT(CAIRN_SHA256) | CAIRN_ALG_BIT(CAIRN_SHA512)
					 : CAIRN_ALG_BIT(a->alg ? a->alg : CAIRN_SHA256);
	struct cairn_digest kernel = {0}, computed[2] = {0};
	unsigned int left = algs, n = 0;
	struct busy busy;
	int r;

	if (cairn_digest_measure(fd, &kernel) == 0)
		left &= ~CAIRN_ALG_BIT(kernel.alg);
	if (left) {
		busy_start(&busy, "measuring", false);
		r = cairn_digest_fd(fd, left, computed, err);
		busy_stop(&busy);
		if (r < 0)
			return r;
	}
	for (unsigned int alg = CAIRN_SHA256; alg <= CAIRN_SHA512; alg++) {
		const bool enforced = kernel.alg == alg;
		const struct cell cells[] = {
			cell_name(name),
			cell_word(alg_name(alg)),
			cell_digest(enforced ? &kernel : &computed[n]),
			cell_word(enforced ? "kernel" : "computed"),
		};

		if (!(algs & CAIRN_ALG_BIT(alg)))
			continue;
		n += !enforced;
		out_row(keys,
			a->detailed ? "{alg}:{digest}  {source}  {path}\n"
				    : "{alg}:{digest}  {path}\n",
			cells);
	}
	return 0;
}

static int measure(const struct args *a, const char *name)
{
	struct cairn_error err = {0};
	int fd cleanup_fd = -1, r;

	fd = strcmp(name, "-") ? open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY)
			       : fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return talk_error(-errno, NULL, name);
	r = measure_fd(a, name, fd, &err);
	return r < 0 ? talk_error(r, &err, name) : EXIT_DONE;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct args a = {0};
	int nr = opt_parse(self, argc, argv, &a), status = EXIT_DONE;

	if (nr < 0)
		return EXIT_USAGE;
	if (a.all && a.alg)
		return talk_usage("--all and --alg exclude each other");
	out_json = a.json;

	for (int i = 1; i <= nr; i++) {
		int s = measure(&a, argv[i]);

		if (s != EXIT_DONE)
			status = s;
	}
	return status;
}

const struct command cmd_measure = {
	.name = "measure",
	.operands = "FILE...",
	.summary = "print the fs-verity digests of files",
	.opts = opts,
	.min = 1,
	.max = OPERANDS_ANY,
	.first = OPERAND_FILE,
	.others = OPERAND_FILE,
	.run = run,
};
