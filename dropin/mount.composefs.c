/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * mount.composefs(8): mounts an image; also what mount(8) runs for `-t composefs` and fstab.
 *
 * The reference tool's command line, messages and exit status over libcairn. Its messages that begin
 * with the program's name end with an empty line (tools §4).
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common.h"

/* Both the parsing and the usage text follow from this table. */
enum option_id {
	OPT_BASEDIR,
	OPT_DIGEST,
	OPT_VERITY,
	OPT_TRYVERITY,
	OPT_IDMAP,
	OPT_UPPERDIR,
	OPT_WORKDIR,
	OPT_RO,
	OPT_RW,
};

static const struct {
	const char *name;
	bool takes_value;
	const char *help;
} option_table[] = {
	[OPT_BASEDIR] = {"basedir", true, "object directories, separated by colons"},
	[OPT_DIGEST] = {"digest", true, "the fs-verity digest that the image must have"},
	[OPT_VERITY] = {"verity", false, "every file must have a matching fs-verity digest"},
	[OPT_TRYVERITY] = {"tryverity", false, "as verity, if the kernel knows how"},
	[OPT_IDMAP] = {"idmap", true, "user namespace that maps the owners of files"},
	[OPT_UPPERDIR] = {"upperdir", true, "overlayfs upper directory"},
	[OPT_WORKDIR] = {"workdir", true, "overlayfs work directory"},
	[OPT_RO] = {"ro", false, "mount read-only"},
	[OPT_RW] = {"rw", false, "mount read-write (needs upperdir)"},
};

struct request {
	const char *image;
	const char *target;
	char *value[ARRAY_SIZE(option_table)]; /* NULL: not given */
	bool read_only;
};

static void usage(const char *argv0)
{
	fprintf(stderr,
		"usage: %s [-t type] [-o opt[,opts..]] IMAGE MOUNTPOINT\n"
		"Example:\n"
		"  %s -o basedir=/composefs/objects exampleimage.cfs /mnt/exampleimage\n"
		"or, as a mount helper:\n"
		"  mount -t composefs -o basedir=/composefs/objects exampleimage.cfs /mnt\n"
		"\n"
		"Supported options:\n",
		argv0, argv0);
	for (size_t i = 0; i < ARRAY_SIZE(option_table); i++) {
		char left[32];

		snprintf(left, sizeof(left), "%s%s", option_table[i].name,
			 option_table[i].takes_value ? "=VALUE" : "");
		fprintf(stderr, "  %-16s %s\n", left, option_table[i].help);
	}
}

static _Noreturn void die_usage(const char *argv0, const char *message)
{
	if (message)
		fprintf(stderr, "%s\n", message);
	usage(argv0);
	exit(EXIT_FAILURE);
}

/* --- the option list ------------------------------------------------------------------------- */

/* Ends the first of several comma-separated options at *@rest with NUL and moves *@rest past it; a
 * backslash takes the next character literally. NULL: there is none left. */
static char *next_option(char **rest)
{
	char *start = *rest;
	char *p = start;

	if (!start)
		return NULL;
	while (*p && *p != ',')
		p += p[0] == '\\' && p[1] ? 2 : 1;
	*rest = *p ? p + 1 : NULL;
	*p = '\0';
	return start;
}

static void unescape(char *text)
{
	char *out = text;

	while (*text) {
		if (text[0] == '\\' && text[1])
			text++;
		*out++ = *text++;
	}
	*out = '\0';
}

static void parse_option(struct request *r, char *option)
{
	char *value = strchr(option, '=');

	if (value) {
		*value++ = '\0';
		unescape(value);
	}
	for (size_t i = 0; i < ARRAY_SIZE(option_table); i++) {
		if (strcmp(option, option_table[i].name))
			continue;
		if (option_table[i].takes_value && !value)
			errx(EXIT_FAILURE, "No value specified for %s option\n", option);
		r->value[i] = option_table[i].takes_value ? value : option;
		if (i == OPT_RO || i == OPT_RW)
			r->read_only = i == OPT_RO;
		return;
	}
	/* Said to mount(8) in fstab, which hands them on. */
	if (strcmp(option, "nofail") && strcmp(option, "_netdev"))
		errx(EXIT_FAILURE, "Unsupported option %s\n", option);
}

/* The components of a colon-separated list, in an array to free; the text is cut up. */
static const char **split_basedirs(char *list, size_t *ret_nr)
{
	const char **dirs;
	size_t nr = 1;

	for (const char *p = list; *p; p++)
		nr += *p == ':';
	dirs = calloc(nr, sizeof(*dirs));
	if (!dirs)
		die_code(-ENOMEM, "options");
	for (size_t i = 0; i < nr; i++) {
		dirs[i] = strsep(&list, ":");
		if (!*dirs[i])
			errx(EXIT_FAILURE, "Value for basedir option has incorrect format\n");
	}
	*ret_nr = nr;
	return dirs;
}

/* --- command line ---------------------------------------------------------------------------- */

static void parse_command_line(struct request *r, int argc, char **argv)
{
	char *options = NULL;
	char *option;
	int id;

	opterr = 0;
	while ((id = getopt(argc, argv, "ht:o:")) != -1) {
		switch (id) {
		case 't':
			if (strcmp(optarg, "composefs"))
				errx(EXIT_FAILURE, "Unsupported fs type '%s'\n", optarg);
			break;
		case 'o':
			options = optarg;
			break;
		case 'h':
			usage(argv[0]);
			exit(EXIT_SUCCESS);
		default:
			die_usage(argv[0], NULL);
		}
	}
	if (optind >= argc)
		die_usage(argv[0], "No source path specified");
	if (optind + 1 >= argc)
		die_usage(argv[0], "No mount path specified");
	r->image = argv[optind];
	r->target = argv[optind + 1];

	while ((option = next_option(&options)))
		parse_option(r, option);
	if (!r->value[OPT_BASEDIR])
		die_usage(argv[0], "No object dirs specified");
}

/* --- mounting -------------------------------------------------------------------------------- */

static const char *words_for(int code)
{
	switch (code) {
	case -ENOTTY:
		return "Image has no fs-verity";
	case -EILSEQ:
		return "Image has wrong fs-verity";
	case -EBADMSG:
		return "Image was not signed";
	default:
		return strerror(-code);
	}
}

static int mount_image(const struct request *r, struct cairn_mount_options *options)
{
	cleanup_fd int image = open(r->image, O_RDONLY | O_CLOEXEC);
	struct cairn_digest digest;
	const char *hex = r->value[OPT_DIGEST];

	if (image < 0)
		errx(EXIT_FAILURE, "Failed to open %s: %s\n", r->image, strerror(errno));
	if (hex) {
		if (cairn_digest_from_hex(hex, &digest))
			return -EINVAL;
		options->digest = &digest;
	}
	options->image_name = r->image;
	return cairn_mount(image, r->target, options, NULL, NULL);
}

int main(int argc, char **argv)
{
	struct cairn_mount_options options = {.flags = CAIRN_MOUNT_COMPAT, .idmap_fd = -1};
	cleanup_free const char **basedirs = NULL;
	cleanup_fd int idmap = -1;
	struct request r = {0};
	int code;

	parse_command_line(&r, argc, argv);
	basedirs = split_basedirs(r.value[OPT_BASEDIR], &options.nr_basedirs);
	options.basedirs = basedirs;
	options.upperdir = r.value[OPT_UPPERDIR];
	options.workdir = r.value[OPT_WORKDIR];
	if (!options.upperdir != !options.workdir)
		errx(EXIT_FAILURE, "Both workdir and upperdir must be specified if used\n");

	if (r.read_only)
		options.flags |= CAIRN_MOUNT_READ_ONLY;
	if (r.value[OPT_VERITY] || r.value[OPT_DIGEST])
		options.verity = CAIRN_VERITY_REQUIRE;
	else if (r.value[OPT_TRYVERITY])
		options.verity = CAIRN_VERITY_TRY;

	if (r.value[OPT_IDMAP]) {
		idmap = open(r.value[OPT_IDMAP], O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (idmap < 0)
			errx(EXIT_FAILURE, "Failed to open userns %s: %s\n", r.value[OPT_IDMAP],
			     strerror(errno));
		options.idmap_fd = idmap;
	}

	code = mount_image(&r, &options);
	if (code < 0)
		errx(EXIT_FAILURE, "Failed to mount composefs %s: %s\n", r.image, words_for(code));
	return EXIT_SUCCESS;
}
