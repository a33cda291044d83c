/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn store init, cairn store info: making a store, and telling what one is. */
#include <stdio.h>

#include "cmd.h"
#include "place.h"
#include "source.h"

struct args {
	const char *store;
	unsigned int alg, format;
	bool json, secure, insecure;
};

/* "V1, V2", the one of new images first */
static const char *formats_text(const struct cairn_store_info *info, char *out, size_t size)
{
	size_t len;

	if (info->format == CAIRN_FORMAT_AUTO)
		return NULL;
	len = (size_t)snprintf(out, size, "%s", format_name(info->format));
	for (int i = CAIRN_FORMAT_V0; i <= CAIRN_FORMAT_V2; i++) {
		if (i != info->format && info->formats & 1u << i)
			len += (size_t)snprintf(out + len, size - len, ", %s", format_name(i));
	}
	return out;
}

static void info_row(const char *path, const struct cairn_store *store)
{
	static const char *const keys[] = {"store",  "layout",  "version",   "algorithm", "secure",
					   "format", "formats", "read_only", "feature",   NULL};
	struct cairn_store_info info;
	char formats[32];

	cairn_store_info(store, &info);
	{
		const struct cell cells[] = {
			cell_name(path),
			cell_word(info.bare ? "objects" : "repository"),
			info.version ? cell_number((uint64_t)info.version) : cell_none(),
			cell_word(alg_name(info.alg)),
			cell_bool(info.secure),
			cell_word(format_name(info.format)),
			cell_word(formats_text(&info, formats, sizeof(formats))),
			cell_bool(*info.feature),
			*info.feature ? cell_name(info.feature) : cell_none(),
		};

		out_row(keys,
			*info.feature
				? "{store}: {layout}, version {version}, {algorithm}, secure: "
				  "{secure}, images: {formats}; read-only, feature {feature} is "
				  "not known here\n"
			: info.version
				? "{store}: {layout}, version {version}, {algorithm}, secure: "
				  "{secure}, images: {formats}\n"
				: "{store}: {layout} without meta.json, {algorithm}\n",
			cells);
	}
}

/* --- init ------------------------------------------------------------------------------------ */

static const struct opt opts_init[] = {
	OPT_STORE(struct args, store, HELP_STORE),
	OPT_ALG(struct args, alg, "digest algorithm (default: sha256, or that of the objects)"),
	OPT_CHOICE(struct args, format, 'f', "format", "FORMAT", "0|1|2",
		   "format of new images (default: 1)"),
	OPT_BOOL(struct args, secure, 0, "secure", 1,
		 "refuse where the file system has no fs-verity"),
	OPT_BOOL(struct args, insecure, 0, "insecure", 1, "objects may lack fs-verity"),
	OPT_JSON(struct args, json),
	OPT_END,
};

static int run_init(const struct command *self, int argc, char **argv)
{
	struct args a = {0};
	struct cairn_store *store cleanup_store = NULL;
	struct cairn_store_config config = {.format = CAIRN_FORMAT_AUTO, .secure = -1};
	struct cairn_error err = {0};
	const char *path;
	int nr = opt_parse(self, argc, argv, &a), r;

	if (nr < 0)
		return EXIT_USAGE;
	out_json = a.json;
	if (a.secure && a.insecure)
		return talk_usage("--secure and --insecure exclude each other");
	if (nr && a.store)
		return talk_usage("DIR and --store name two stores");
	path = store_place(nr ? argv[1] : a.store);
	if (!path)
		return EXIT_FAILED;

	config.alg = a.alg;
	if (a.format)
		config.format = (int)a.format - 1;
	if (a.secure || a.insecure)
		config.secure = a.secure;
	r = cairn_store_init(path, &config, &store, &err);
	if (r < 0)
		return talk_error(r, &err, NULL);
	info_row(path, store);
	return EXIT_DONE;
}

const struct command cmd_store_init = {
	.name = "store init",
	.operands = "[DIR]",
	.summary = "make a store, or give an old one its meta.json",
	.notes = "Does nothing to one that is there and is as the options say.",
	.opts = opts_init,
	.max = 1,
	.first = OPERAND_DIR,
	.run = run_init,
};

/* --- info ------------------------------------------------------------------------------------ */

static const struct opt opts_info[] = {
	OPT_STORE(struct args, store, HELP_STORE),
	OPT_JSON(struct args, json),
	OPT_END,
};

static int run_info(const struct command *self, int argc, char **argv)
{
	struct args a = {0};
	struct cairn_store *store cleanup_store = NULL;
	const char *path;
	int nr = opt_parse(self, argc, argv, &a), status;

	if (nr < 0)
		return EXIT_USAGE;
	out_json = a.json;
	if (nr && a.store)
		return talk_usage("DIR and --store name two stores");
	path = store_place(nr ? argv[1] : a.store);
	if (!path)
		return EXIT_FAILED;
	status = store_place_open(path, CAIRN_STORE_READ_ONLY, &store);
	if (status == EXIT_DONE)
		info_row(path, store);
	return status;
}

const struct command cmd_store_info = {
	.name = "store info",
	.operands = "[DIR]",
	.summary = "tell what a store is",
	.opts = opts_info,
	.max = 1,
	.first = OPERAND_DIR,
	.run = run_info,
};

const struct command cmd_store = {
	.name = "store",
	.summary = "make a store, and tell what one is",
};
