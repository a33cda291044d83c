/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * composefs-info(1): lists, dumps and checks what images name.
 *
 * The reference tool's command line, messages and exit status over libcairn. Images are processed one
 * after the other, so what was printed before a failure stays.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "common.h"

struct request {
	const char *basedir;
	const char **filter; /* NULL, or root entries to look at, NULL-terminated */
	size_t nr_filter;
	char **files;
};

static _Noreturn void die_usage(const char *argv0, const char *message)
{
	if (message)
		fprintf(stderr, "%s\n", message);
	fprintf(stderr,
		"usage: %s [--basedir=path] [ls|objects|dump|missing-objects|measure-file] "
		"IMAGES...\n",
		argv0);
	exit(EXIT_FAILURE);
}

static int open_or_die(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		err(EXIT_FAILURE, "Failed to open '%s'", path);
	return fd;
}

static struct cairn_tree *load_or_die(const struct request *r, const char *path)
{
	cleanup_fd int fd = open_or_die(path);
	struct cairn_tree *tree = NULL;
	int code;

	code = cairn_tree_from_image(fd, CAIRN_LOAD_COMPAT, 1, r->filter, &tree, NULL);
	if (code < 0)
		die_code(code, "Failed to load '%s'", path);
	return tree;
}

/* --- ls, dump -------------------------------------------------------------------------------- */

static void print_images(const struct request *r, enum cairn_print how)
{
	int fd = STDOUT_FILENO;

	for (char **file = r->files; *file; file++) {
		cleanup(tree) struct cairn_tree *tree = load_or_die(r, *file);
		int code = cairn_tree_print(tree, how, NULL, write_to_fd, &fd, NULL);

		if (code < 0)
			die_code(code, "write to standard output");
	}
}

static void run_ls(const struct request *r)
{
	print_images(r, CAIRN_PRINT_LS);
}

static void run_dump(const struct request *r)
{
	print_images(r, CAIRN_PRINT_DUMP);
}

/* --- objects, missing-objects ---------------------------------------------------------------- */

/* Object paths of several images, one after the other, each with its NUL. */
struct paths {
	struct buf text;
	size_t nr;
};

static int add_path(void *arg, const char *path)
{
	struct paths *p = arg;

	p->nr++;
	return buf_put(&p->text, path, strlen(path) + 1);
}

static int compare_paths(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_missing(int dirfd, const char *path)
{
	struct stat st;

	while (*path == '/')
		path++;
	return dirfd < 0 || fstatat(dirfd, path, &st, 0) < 0;
}

/* Prints each path once, in byte order; with @dirfd only those that are not below it. */
static void print_paths(const struct paths *p, bool only_missing, int dirfd)
{
	cleanup_free const char **sorted = calloc(p->nr + 1, sizeof(*sorted));
	const char *text = p->text.data;

	if (!sorted)
		die_code(-ENOMEM, "list of objects");
	for (size_t i = 0; i < p->nr; i++) {
		sorted[i] = text;
		text += strlen(text) + 1;
	}
	qsort(sorted, p->nr, sizeof(*sorted), compare_paths);

	for (size_t i = 0; i < p->nr; i++) {
		if (i > 0 && !strcmp(sorted[i], sorted[i - 1]))
			continue;
		if (!only_missing || is_missing(dirfd, sorted[i]))
			printf("%s\n", sorted[i]);
	}
}

static void print_objects(const struct request *r, bool only_missing)
{
	struct paths p = {.text = BUF_INIT(SIZE_MAX / 2)};
	cleanup_fd int dirfd = -1;

	if (r->basedir) {
		dirfd = open(r->basedir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dirfd < 0)
			err(EXIT_FAILURE, "Can't open basedir `%s`\n", r->basedir);
	}
	for (char **file = r->files; *file; file++) {
		cleanup(tree) struct cairn_tree *tree = load_or_die(r, *file);
		int code = cairn_tree_objects(tree, add_path, &p);

		if (code < 0)
			die_code(code, "Failed to load '%s'", *file);
	}
	print_paths(&p, only_missing, dirfd);
	buf_fini(&p.text);
}

static void run_objects(const struct request *r)
{
	print_objects(r, false);
}

static void run_missing_objects(const struct request *r)
{
	print_objects(r, true);
}

/* --- measure-file ---------------------------------------------------------------------------- */

static void run_measure_file(const struct request *r)
{
	for (char **file = r->files; *file; file++) {
		cleanup_fd int fd = open_or_die(*file);
		char hex[CAIRN_DIGEST_HEX_MAX];
		struct cairn_digest digest[2];
		int code;

		code = cairn_digest_measure(fd, &digest[0]);
		if (code < 0 || digest[0].alg != CAIRN_SHA256)
			code = cairn_digest_fd(fd, CAIRN_ALG_BIT(CAIRN_SHA256), digest, NULL);
		if (code < 0) {
			fprintf(stderr, "failed to measure '%s': %s", *file, strerror(-code));
			exit(EXIT_FAILURE);
		}
		cairn_digest_to_hex(&digest[0], hex);
		printf("%s\n", hex);
	}
}

/* --- command line ---------------------------------------------------------------------------- */

static const struct {
	const char *name;
	void (*run)(const struct request *r);
	const char *no_files; /* message when no operand follows */
} commands[] = {
	{"ls", run_ls, "No image path specified"},
	{"dump", run_dump, "No image path specified"},
	{"objects", run_objects, "No image path specified"},
	{"missing-objects", run_missing_objects, "No image path specified"},
	{"measure-file", run_measure_file, "No files specified"},
};

static void add_filter(struct request *r, const char *name)
{
	if (strchr(name, '/'))
		err(EXIT_FAILURE, "Filter must be a single name: %s", name);
	r->filter[r->nr_filter++] = name;
}

static void parse_options(struct request *r, int argc, char **argv)
{
	static const struct option options[] = {
		{"basedir", required_argument, NULL, 'b'},
		{"filter", required_argument, NULL, 'f'},
		{0},
	};
	int id;

	while ((id = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (id) {
		case 'b':
			r->basedir = optarg;
			break;
		case 'f':
			add_filter(r, optarg);
			break;
		default:
			/* The reference prints this word to stdout (tools §2). */
			puts("Def");
			die_usage(argv[0], NULL);
		}
	}
}

int main(int argc, char **argv)
{
	cleanup_free const char **filter = calloc((size_t)argc + 1, sizeof(*filter));
	struct request r = {.filter = filter};
	const char *command;

	if (!filter)
		die_code(-ENOMEM, "options");
	parse_options(&r, argc, argv);
	if (!r.nr_filter)
		r.filter = NULL;
	if (optind >= argc)
		die_usage(argv[0], "No command specified");
	command = argv[optind];
	r.files = argv + optind + 1;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(command, commands[i].name))
			continue;
		if (!*r.files)
			die_usage(argv[0], commands[i].no_files);
		commands[i].run(&r);
		finish_stdout();
		return EXIT_SUCCESS;
	}
	errx(EXIT_FAILURE, "Unknown command '%s'\n", command);
}
