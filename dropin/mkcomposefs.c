/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * mkcomposefs(1): an image from a directory or from composefs-dump(5) text.
 *
 * The reference tool's command line, messages and exit status over libcairn. IMAGE is opened before
 * the source is read and is written in place, as there; `cairn build` does neither.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common.h"

enum option_id {
	OPT_DIGEST_STORE = 256,
	OPT_USE_EPOCH,
	OPT_SKIP_DEVICES,
	OPT_SKIP_XATTRS,
	OPT_USER_XATTRS,
	OPT_PRINT_DIGEST,
	OPT_PRINT_DIGEST_ONLY,
	OPT_FROM_FILE,
	OPT_MIN_VERSION,
	OPT_MAX_VERSION,
	OPT_THREADS,
};

/* Parsing and the usage text both follow from this table. */
static const struct {
	const char *name;
	const char *value; /* NULL: takes none */
	const char *help;
	enum option_id id;
} option_table[] = {
	{"digest-store", "PATH", "Store content files in this directory", OPT_DIGEST_STORE},
	{"use-epoch", NULL, "Set all modification times to zero", OPT_USE_EPOCH},
	{"skip-devices", NULL, "Leave out device nodes", OPT_SKIP_DEVICES},
	{"skip-xattrs", NULL, "Store no extended attributes", OPT_SKIP_XATTRS},
	{"user-xattrs", NULL, "Store only user.* extended attributes", OPT_USER_XATTRS},
	{"print-digest", NULL, "Print the fs-verity digest of the image", OPT_PRINT_DIGEST},
	{"print-digest-only", NULL, "Print the digest, write no image", OPT_PRINT_DIGEST_ONLY},
	{"from-file", NULL, "SOURCE is a composefs-dump(5) file", OPT_FROM_FILE},
	{"min-version", "N", "Use at least this format version", OPT_MIN_VERSION},
	{"max-version", "N", "Use at most this format version", OPT_MAX_VERSION},
	{"threads", "N", "Number of threads (default: one a processor)", OPT_THREADS},
};

struct request {
	const char *source;
	const char *image; /* NULL: only the digest is wanted */
	const char *digest_store;
	unsigned int scan_flags;
	unsigned int threads;
	bool from_file;
	bool print_digest;
	bool print_digest_only;
	bool has_range;   /* --min-version or --max-version was given */
	long min_version; /* the one that was not given is 0 … */
	long max_version; /* … then */
};

static void usage(void)
{
	fprintf(stderr, "Usage: %s [OPTIONS] SOURCE IMAGE\nOptions:\n",
		program_invocation_short_name);
	for (size_t i = 0; i < ARRAY_SIZE(option_table); i++) {
		char left[40];

		snprintf(left, sizeof(left), "--%s%s%s", option_table[i].name,
			 option_table[i].value ? "=" : "",
			 option_table[i].value ? option_table[i].value : "");
		fprintf(stderr, "  %-22s %s\n", left, option_table[i].help);
	}
}

static _Noreturn void die_usage(const char *message)
{
	if (message)
		fprintf(stderr, "%s\n", message);
	usage();
	exit(EXIT_FAILURE);
}

static long parse_number(const char *text, long min, const char *what)
{
	char *end;
	long n;

	n = strtol(text, &end, 10);
	if (end == text || *end || n < min) {
		fprintf(stderr, "Invalid %s %s\n", what, text);
		exit(EXIT_FAILURE);
	}
	return n;
}

static void parse_option(struct request *r, int id)
{
	switch (id) {
	case OPT_DIGEST_STORE:
		r->digest_store = optarg;
		break;
	case OPT_USE_EPOCH:
		r->scan_flags |= CAIRN_SCAN_USE_EPOCH;
		break;
	case OPT_SKIP_DEVICES:
		r->scan_flags |= CAIRN_SCAN_SKIP_DEVICES;
		break;
	case OPT_SKIP_XATTRS:
		r->scan_flags |= CAIRN_SCAN_SKIP_XATTRS;
		break;
	case OPT_USER_XATTRS:
		r->scan_flags |= CAIRN_SCAN_USER_XATTRS;
		break;
	case OPT_PRINT_DIGEST:
		r->print_digest = true;
		break;
	case OPT_PRINT_DIGEST_ONLY:
		r->print_digest = r->print_digest_only = true;
		break;
	case OPT_FROM_FILE:
		r->from_file = true;
		break;
	case OPT_MIN_VERSION:
		r->min_version = parse_number(optarg, LONG_MIN, "min version");
		r->has_range = true;
		break;
	case OPT_MAX_VERSION:
		r->max_version = parse_number(optarg, LONG_MIN, "max version");
		r->has_range = true;
		break;
	case OPT_THREADS:
		r->threads = (unsigned int)MIN(parse_number(optarg, 1, "threads count"), 1024);
		break;
	case ':':
		fprintf(stderr, "option needs a value\n");
		exit(EXIT_FAILURE);
	default:
		die_usage(NULL);
	}
}

static void parse_operands(struct request *r, int argc, char **argv)
{
	if (argc < 1)
		die_usage("No source path specified");
	if (!argv[0][0])
		errx(EXIT_FAILURE, "Empty source path specified");
	if (argc > 2)
		die_usage("Too many arguments");
	if (argc == 2 && r->print_digest_only)
		die_usage("Cannot specify destination path with --print-digest-only");
	if (argc == 1 && !r->print_digest_only)
		die_usage("No destination path specified");

	r->source = argv[0];
	r->image = argv[1];
}

static void parse_command_line(struct request *r, int argc, char **argv)
{
	struct option options[ARRAY_SIZE(option_table) + 1] = {0};
	int id;

	for (size_t i = 0; i < ARRAY_SIZE(option_table); i++) {
		options[i].name = option_table[i].name;
		options[i].has_arg = option_table[i].value ? required_argument : no_argument;
		options[i].val = (int)option_table[i].id;
	}
	while ((id = getopt_long(argc, argv, ":", options, NULL)) != -1)
		parse_option(r, id);
	parse_operands(r, argc - optind, argv + optind);
}

static unsigned int available_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 1;
	return (unsigned int)CPU_COUNT(&set);
}

/* The format that the version range stands for (tools §1), -EINVAL outside what there is. */
static int format_of_range(const struct request *r)
{
	unsigned long min = (unsigned long)r->min_version;
	unsigned long max = r->has_range ? (unsigned long)r->max_version : 1;

	if (max < min)
		max = min;
	if (max > 1)
		return -EINVAL;
	return min == max ? (int)min : CAIRN_FORMAT_AUTO;
}

static int open_image(const struct request *r)
{
	int fd;

	if (!r->image)
		return -1;
	if (!strcmp(r->image, "-")) {
		if (isatty(STDOUT_FILENO)) {
			fprintf(stderr, "stdout is a tty.  Refusing to use it\n");
			exit(EXIT_FAILURE);
		}
		return STDOUT_FILENO;
	}

	fd = open(r->image, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		err(EXIT_FAILURE, "failed to open output file");
	return fd;
}

static struct cairn_tree *tree_from_text(const struct request *r)
{
	unsigned int flags = CAIRN_DUMP_COMPAT;
	struct cairn_tree *tree = NULL;
	cleanup_fd int opened = -1;
	struct cairn_error error;
	int fd = STDIN_FILENO;
	int code;

	if (strcmp(r->source, "-")) {
		fd = opened = open(r->source, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			err(EXIT_FAILURE, "open `%s`", r->source);
	}
	if (getenv("CFS_PARSE_STRICT"))
		flags |= CAIRN_DUMP_STRICT;

	code = cairn_tree_from_dump(fd, flags, r->threads, &tree, &error);
	if (code == 0)
		return tree;
	if (error.kind == CAIRN_ERROR_FORMAT)
		errx(EXIT_FAILURE, "%s", error.text);
	if (error.kind == CAIRN_ERROR_SYSTEM && code != -ENOMEM)
		errx(EXIT_FAILURE, "Error reading from file");
	die_code(code, "cannot write file");
}

/* The path in a sentence `VERB PATH: words` of a scan of @source, cut out of it; NULL when it is about
 * something else. */
static char *path_in(char *sentence, const char *source, int code)
{
	static const char *const verbs[] = {
		"open ",           "stat ", "read link ", "list xattrs of ",
		"read xattrs of ", "list ", "read "};
	const char *words = strerror(-code);
	size_t source_len = strlen(source);
	size_t len;

	while (source_len > 1 && source[source_len - 1] == '/')
		source_len--;
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (!strncmp(sentence, verbs[i], strlen(verbs[i]))) {
			sentence += strlen(verbs[i]);
			break;
		}
	}
	if (strncmp(sentence, source, source_len))
		return NULL;

	len = strlen(sentence);
	if (len > strlen(words) + 2 && !strcmp(sentence + len - strlen(words), words))
		sentence[len - strlen(words) - 2] = '\0';
	return sentence;
}

/* The reference lists first, then computes digests, then copies, and has a message for each. */
static _Noreturn void die_scan(const struct request *r, struct cairn_error *error)
{
	bool is_copy = strstr(error->text, ": copy to the store: ");
	char *path = path_in(error->text, r->source, error->code);
	struct stat st;

	if (!path || is_copy)
		die_code(error->code, "cannot fill store");
	if (!lstat(path, &st) && S_ISREG(st.st_mode))
		die_code(error->code, "error computing digest");
	die_code(error->code, "error accessing %s", path);
}

static struct cairn_tree *tree_from_directory(const struct request *r)
{
	struct cairn_scan_options options = {
		.flags = r->scan_flags | CAIRN_SCAN_SPLIT_HARDLINKS,
		.jobs = r->threads,
	};
	struct cairn_tree *tree = NULL;
	struct cairn_error error;
	struct stat st;
	int code;

	if ((r->scan_flags & CAIRN_SCAN_SKIP_XATTRS) && (r->scan_flags & CAIRN_SCAN_USER_XATTRS))
		die_code(-EINVAL, "error accessing %s", r->source);
	if (fstatat(AT_FDCWD, r->source, &st, AT_SYMLINK_NOFOLLOW))
		err(EXIT_FAILURE, "error accessing %s", r->source);
	if (!S_ISDIR(st.st_mode))
		die_code(-ENOTDIR, "cannot write file");

	if (r->digest_store) {
		code = cairn_store_open(r->digest_store, CAIRN_STORE_CREATE | CAIRN_STORE_BARE,
					&options.store, &error);
		if (code < 0)
			die_code(code, "cannot fill store");
	}
	code = cairn_tree_from_directory(AT_FDCWD, r->source, &options, &tree, NULL, &error);
	cairn_store_close(options.store);
	if (code < 0)
		die_scan(r, &error);
	return tree;
}

static void write_image(const struct request *r, const struct cairn_tree *tree, int fd,
			struct cairn_image_result *ret)
{
	struct cairn_image_options options = {
		.format = format_of_range(r),
		.write = r->image ? write_to_fd : NULL,
		.write_arg = &fd,
		.jobs = r->threads,
		.compat = 1,
	};
	int code = options.format == -EINVAL ? -EINVAL : 0;

	if (code == 0)
		code = cairn_image_write(tree, &options, ret, NULL);
	if (code < 0)
		die_code(code, "cannot write file");
	if (r->image && fd != STDOUT_FILENO && close(fd))
		err(EXIT_FAILURE, "close output file");
}

int main(int argc, char **argv)
{
	struct request r = {.threads = available_cpus()};
	cleanup(tree) struct cairn_tree *tree = NULL;
	struct cairn_image_result result;
	int fd;

	parse_command_line(&r, argc, argv);
	fd = open_image(&r);
	tree = r.from_file ? tree_from_text(&r) : tree_from_directory(&r);
	write_image(&r, tree, fd, &result);

	if (r.print_digest) {
		char hex[CAIRN_DIGEST_HEX_MAX];

		cairn_digest_to_hex(&result.digest, hex);
		printf("%s\n", hex);
	}
	finish_stdout();
	return EXIT_SUCCESS;
}
