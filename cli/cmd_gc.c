/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn gc: removing what nothing names. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hex.h"
#include "cmd.h"
#include "place.h"
#include "source.h"

#define ROOTS_MAX 65536 /* digests in all files of --root */
#define WAIT_MAX  86400

struct args {
	const char *store;
	struct opt_list roots;
	unsigned int jobs, wait;
	bool json, quiet, dry_run, empty;
};

static const struct opt opts[] = {
	OPT_STORE(struct args, store, HELP_STORE),
	OPT_BOOL(struct args, dry_run, 'n', "dry-run", 1, "only tell what would be removed"),
	OPT_TEXTS(struct args, roots, 'r', "root", "FILE",
		  "keep what this image needs, or the images whose digests are in this file"),
	OPT_BOOL(struct args, empty, 0, "empty", 1,
		 "also remove everything, if nothing at all is named"),
	OPT_COUNT(struct args, wait, 0, "wait", WAIT_MAX,
		  "seconds to wait for tools that have the store locked (default: 10)"),
	OPT_COUNT(struct args, jobs, 'j', "jobs", 1024,
		  "threads (default: one for each processor)"),
	OPT_BOOL(struct args, quiet, 'q', "quiet", 1, "no progress"),
	OPT_JSON(struct args, json),
	OPT_END,
};

/* What --root says. */
struct roots {
	struct cairn_digest *digest;
	size_t nr;
	int *image;
	size_t nr_images;
};

static void roots_fini(struct roots *r)
{
	for (size_t i = 0; i < r->nr_images; i++)
		close(r->image[i]);
	free(r->image);
	free(r->digest);
}

static bool add_digest(struct roots *r, const char *hex, size_t len)
{
	char text[CAIRN_DIGEST_HEX_MAX];
	struct cairn_digest *more;

	memcpy(text, hex, len);
	text[len] = '\0';
	if (r->nr == ROOTS_MAX)
		return false;
	more = reallocarray(r->digest, r->nr + 1, sizeof(*more));
	if (!more)
		return false;
	r->digest = more;
	if (!cairn_digest_from_hex(text, &more[r->nr]))
		r->nr++;
	return true;
}

/* Every run of exactly as many hexadecimal digits as a digest has, whatever is around it: lists of
 * digests, boot entries, kernels with their command line in them. */
static bool find_digests(struct roots *r, const char *text, size_t size)
{
	size_t start = 0;

	for (size_t i = 0; i <= size; i++) {
		if (i < size && hex_digit(text[i]) >= 0)
			continue;
		if ((i - start == 64 || i - start == 128) &&
		    !add_digest(r, text + start, i - start))
			return false;
		start = i + 1;
	}
	return true;
}

static int read_root(struct roots *r, const char *name, int fd)
{
	char *data = NULL;
	size_t size = 0, len = 0;
	bool ok = true;
	ssize_t n;

	do {
		char *more = size - len < 65536 ? realloc(data, size = 2 * size + 131072) : data;

		if (!more) {
			free(data);
			return talk_error(-ENOMEM, NULL, name);
		}
		data = more;
		n = read(fd, data + len, size - len);
		len += n > 0 ? (size_t)n : 0;
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0) {
		free(data);
		return talk_error(-errno, NULL, name);
	}
	ok = find_digests(r, data, len);
	free(data);
	if (!ok)
		talk("%s: too many digests", name);
	return ok ? EXIT_DONE : EXIT_FAILED;
}

static int add_root(struct roots *r, const char *name);

static int add_directory(struct roots *r, const char *name)
{
	DIR *dir = opendir(name);
	int status = EXIT_DONE;

	if (!dir)
		return talk_error(-errno, NULL, name);
	for (struct dirent *e; status == EXIT_DONE && (e = readdir(dir));) {
		char *path;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (asprintf(&path, "%s/%s", name, e->d_name) < 0) {
			status = EXIT_FAILED;
			break;
		}
		status = add_root(r, path);
		free(path);
	}
	closedir(dir);
	return status;
}

static int add_root(struct roots *r, const char *name)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), status;
	struct stat st;
	int *more;

	if (fd < 0 || fstat(fd, &st) < 0)
		return talk_error(-errno, NULL, name);
	if (S_ISREG(st.st_mode) && cairn_image_probe(fd) >= 0) {
		more = reallocarray(r->image, r->nr_images + 1, sizeof(*more));
		if (!more)
			return talk_error(-ENOMEM, NULL, name);
		r->image = more;
		more[r->nr_images++] = fd;
		return EXIT_DONE;
	}
	status = S_ISDIR(st.st_mode)                           ? add_directory(r, name)
		 : S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode) ? read_root(r, name, fd)
							       : talk_error(-EINVAL, NULL, name);
	close(fd);
	return status;
}

static void note(void *arg, const char *text)
{
	(void)arg;
	talk("%s", text);
}

static void result_row(const struct args *a, const char *store, const struct cairn_gc_result *r)
{
	static const char *const keys[] = {"store",   "objects", "removed",   "bytes",
					   "images",  "streams", "leftovers", "dangling",
					   "dry_run", "blocked", NULL};
	const struct cell cells[] = {
		cell_name(store),
		cell_number(r->objects),
		cell_number(r->removed_objects),
		cell_size(r->removed_bytes),
		cell_number(r->removed_images),
		cell_number(r->removed_streams),
		cell_number(r->leftovers),
		cell_number(r->dangling),
		cell_bool(a->dry_run),
		cell_bool(r->blocked),
	};

	out_row(keys,
		a->dry_run || r->blocked
			? "would remove {removed} of {objects} object{objects:s}, {bytes} on disk; "
			  "{images} image{images:s}, {streams} stream{streams:s}\n"
			: "removed {removed} of {objects} object{objects:s}, {bytes} on disk; "
			  "{images} image{images:s}, {streams} stream{streams:s}; "
			  "{leftovers} leftover{leftovers:s}\n",
		cells);
}

static int collect(const struct args *a, struct cairn_store *store, const struct roots *roots)
{
	struct cairn_gc_result result = {0};
	struct cairn_error err = {0};
	struct progress progress;
	const struct cairn_gc_options options = {
		.flags = (a->dry_run ? CAIRN_GC_DRY_RUN : 0) | (a->empty ? CAIRN_GC_EMPTY : 0),
		.roots = roots->digest,
		.nr_roots = roots->nr,
		.images = roots->image,
		.nr_images = roots->nr_images,
		.jobs = jobs_of(a->jobs),
		.patience = 1000 * (a->wait ? a->wait : 10),
		.note = note,
		.progress = progress_tick,
		.note_arg = &progress,
	};
	int r;

	interrupt_hold();
	progress_start(&progress, &progress_stderr, "removing", "objects", a->quiet);
	r = cairn_store_gc(store, &options, &result, &err);
	progress_stop(&progress);
	interrupt_release();
	if (!r || r == -EBUSY)
		result_row(a, store_place(a->store), &result);
	return r < 0 ? talk_error(r, &err, NULL) : EXIT_DONE;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct args a = {0};
	struct cairn_store *store cleanup_store = NULL;
	struct roots roots = {0};
	int status;

	if (opt_parse(self, argc, argv, &a) < 0)
		return EXIT_USAGE;
	out_json = a.json;
	status = store_place_open(a.store, a.dry_run ? CAIRN_STORE_READ_ONLY : 0, &store);
	for (unsigned int i = 0; i < a.roots.nr && status == EXIT_DONE; i++)
		status = add_root(&roots, a.roots.text[i]);
	if (status == EXIT_DONE)
		status = collect(&a, store, &roots);
	roots_fini(&roots);
	return status;
}

const struct command cmd_gc = {
	.name = "gc",
	.operands = "",
	.summary = "remove from a store what nothing names",
	.notes = "Others may use the store meanwhile.",
	.opts = opts,
	.run = run,
};
