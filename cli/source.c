/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* What a SOURCE is, and its tree. */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>

int format_of_choice(unsigned int choice)
{
	return choice > 1 ? (int)(choice - 2) % 3 : CAIRN_FORMAT_AUTO;
}

const char *format_name(int format)
{
	static const char *const names[] = {"V0", "V1", "V2"};

	return format >= 0 && format < (int)ARRAY_SIZE(names) ? names[format] : NULL;
}

const char *alg_name(unsigned int alg)
{
	return alg == CAIRN_SHA256 ? "sha256" : alg == CAIRN_SHA512 ? "sha512" : NULL;
}

unsigned int jobs_of(unsigned int jobs)
{
	cpu_set_t set;
	int nr = 0;

	if (jobs)
		return jobs;
	if (!sched_getaffinity(0, sizeof(set), &set))
		nr = CPU_COUNT(&set);
	return nr > 0 ? (unsigned int)nr : 1;
}

/* --- opening --------------------------------------------------------------------------------- */

/* A header of tar, or gzip or zstd, in which nothing else is expected here. */
static bool looks_like_tar(int fd)
{
	unsigned char head[262];
	ssize_t n = pread(fd, head, sizeof(head), 0);

	if (n == sizeof(head) && !memcmp(head + 257, "ustar", 5))
		return true;
	return n > 4 && (!memcmp(head, "\x1f\x8b\x08", 3) || !memcmp(head, "\x28\xb5\x2f\xfd", 4));
}

/* Text has no NUL; what has one and is not an image is worth better words than the parser's. */
static bool looks_binary(int fd)
{
	char head[512];
	ssize_t n = pread(fd, head, sizeof(head), 0);

	return n > 0 && memchr(head, '\0', (size_t)n);
}

static int source_sort(struct source *s)
{
	struct stat st;

	if (fstat(s->fd, &st) < 0)
		return talk_error(-errno, NULL, s->name);

	s->kind = SOURCE_DUMP;
	s->format = -1;
	if (s->image.store && cairn_image_probe(s->fd) < 0) {
		talk("%s: not an image", s->name);
		return EXIT_FAILED;
	}
	if (S_ISDIR(st.st_mode)) {
		s->kind = SOURCE_DIRECTORY;
	} else if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)) {
		s->format = cairn_image_probe(s->fd);
		if (s->format >= 0) {
			s->kind = SOURCE_IMAGE;
		} else if (looks_like_tar(s->fd)) {
			s->kind = SOURCE_TAR;
		} else if (looks_binary(s->fd)) {
			talk("%s: neither a composefs image, nor a tar archive, nor dump text",
			     s->name);
			return EXIT_FAILED;
		}
	}
	return EXIT_DONE;
}

int source_check_args(const struct source *s, size_t nr, const struct source_args *a)
{
	bool directory = false, dump = false, tar = false;

	for (size_t i = 0; i < nr; i++) {
		directory |= s[i].kind == SOURCE_DIRECTORY;
		dump |= s[i].kind == SOURCE_DUMP;
		tar |= s[i].kind == SOURCE_TAR;
	}
	if (a->flags && !directory)
		return talk_usage("%s: not a directory, options for reading one do not apply",
				  s->name);
	if ((a->flags & CAIRN_SCAN_SKIP_XATTRS) && (a->flags & CAIRN_SCAN_USER_XATTRS))
		return talk_usage("--skip-xattrs and --user-xattrs exclude each other");
	if (a->profile && !tar)
		return talk_usage("%s: --profile is for tar archives only", s->name);
	if (a->strict && !dump)
		return talk_usage("%s: --strict is for dump text only", s->name);
	return EXIT_DONE;
}

int source_open(const char *name, const struct opt_list *stores, struct source *ret)
{
	struct source s cleanup_source = {.name = name, .fd = -1};
	const bool tar = !strncmp(name, "tar:", 4);
	int status;

	name += tar ? 4 : 0;
	if (!strcmp(name, "-")) {
		s.name = "standard input";
		s.fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
		if (s.fd < 0)
			return talk_error(-errno, NULL, name);
	} else if (tar) {
		s.fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (s.fd < 0)
			return talk_error(-errno, NULL, name);
	} else {
		status = image_find(name, stores, &s.image);
		if (status != EXIT_DONE)
			return status;
		s.fd = s.image.fd;
	}

	status = source_sort(&s);
	if (tar && status == EXIT_DONE)
		s.kind = SOURCE_TAR;
	if (status != EXIT_DONE)
		return status;

	*ret = s;
	s.fd = -1;
	return EXIT_DONE;
}

void source_close(struct source *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

/* --- loading --------------------------------------------------------------------------------- */

static int load_directory(const struct source *s, const struct source_args *a, unsigned int algs,
			  struct cairn_store *store, struct cairn_tree **ret,
			  struct cairn_scan_result *ret_scan)
{
	struct cairn_error err = {0};
	struct progress progress;
	struct cairn_scan_options options = {
		.flags = a->flags,
		.jobs = jobs_of(a->jobs),
		.algs = algs,
		.store = store,
		.progress = progress_tick,
		.progress_arg = &progress,
	};
	int r;

	interrupt_hold();
	progress_start(&progress, &progress_stderr, "reading", "files", a->quiet);
	r = cairn_tree_from_directory(AT_FDCWD, s->name, &options, ret, ret_scan, &err);
	progress_stop(&progress);
	interrupt_release();
	return r < 0 ? talk_error(r, &err, NULL) : EXIT_DONE;
}

/* One layer, as if it were a whole image. */
static int load_tar(const struct source *s, const struct source_args *a, unsigned int algs,
		    struct cairn_store *store, struct cairn_tree **ret,
		    struct cairn_scan_result *ret_scan)
{
	const enum cairn_profile profile =
		a->profile ? (enum cairn_profile)a->profile : CAIRN_PROFILE_RUNTIME;
	const struct cairn_merge_options merge = {.profile = profile};
	struct cairn_tree *layer cleanup_tree = NULL;
	struct cairn_layer_result result;
	struct cairn_error err = {0};
	struct progress progress;
	const struct cairn_layer_options options = {
		.profile = profile,
		.algs = algs,
		.store = store,
		.progress = progress_tick,
		.progress_arg = &progress,
	};
	int r;

	interrupt_hold();
	progress_start(&progress, &progress_stderr, "reading", "files", a->quiet);
	r = cairn_layer_read(s->fd, &options, &layer, &result, &err);
	progress_stop(&progress);
	if (!r && a->layer)
		*ret = take_ptr(layer);
	else if (!r)
		r = cairn_layers_merge((const struct cairn_tree *const *)&layer, 1, &merge, ret,
				       &err);
	interrupt_release();
	if (!r && ret_scan)
		*ret_scan = (struct cairn_scan_result){.files = result.stats.files,
						       .bytes = result.stats.bytes,
						       .new_objects = result.new_objects,
						       .new_bytes = result.new_bytes};
	return r < 0 ? talk_error(r, &err, s->name) : EXIT_DONE;
}

int source_load(const struct source *s, const struct source_args *a, unsigned int algs,
		struct cairn_store *store, struct cairn_tree **ret,
		struct cairn_scan_result *ret_scan)
{
	struct cairn_error err = {0};
	struct busy busy;
	int r;

	if (s->kind == SOURCE_DIRECTORY)
		return load_directory(s, a, algs, store, ret, ret_scan);
	if (s->kind == SOURCE_TAR)
		return load_tar(s, a, algs, store, ret, ret_scan);
	busy_start(&busy, "reading", a->quiet);
	if (s->kind == SOURCE_IMAGE)
		r = cairn_tree_from_image(s->fd, s->load_flags, jobs_of(a->jobs), NULL, ret, &err);
	else
		r = cairn_tree_from_dump(s->fd, a->strict ? CAIRN_DUMP_STRICT : 0, jobs_of(a->jobs),
					 ret, &err);
	busy_stop(&busy);
	return r < 0 ? talk_error(r, &err, s->name) : EXIT_DONE;
}

int source_tree_stores(const char *name, const struct opt_list *stores, struct cairn_tree **ret,
		       struct store_list *ret_stores)
{
	struct source s cleanup_source = SOURCE_INIT;
	const struct source_args a = {0};
	int status = source_open(name, stores, &s);

	if (status == EXIT_DONE && ret_stores)
		status = image_stores(&s.image, stores, ret_stores);
	if (status != EXIT_DONE)
		return status;
	return source_load(&s, &a, 0, NULL, ret, NULL);
}

int source_tree(const char *name, const struct opt_list *stores, struct cairn_tree **ret)
{
	return source_tree_stores(name, stores, ret, NULL);
}

/* --- asking a tree --------------------------------------------------------------------------- */

static int note_alg(void *arg, const struct cairn_entry *entry)
{
	*(unsigned int *)arg = entry->digest.alg;
	return entry->digest.alg ? -ECANCELED : 0;
}

unsigned int source_alg(const struct cairn_tree *tree)
{
	unsigned int alg = 0;

	(void)cairn_tree_walk(tree, NULL, note_alg, &alg, NULL);
	return alg;
}
