/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Parents: stores in which objects are looked for that this one lacks. Nothing is ever written there.
 *
 *  1. STORE/cairn/parents names them, a line each: an absolute path, or one that begins at STORE.
 *  2. Their parents count as well, behind them. The list of an open store is flat, holds each store once
 *     and never the store itself, so that a circle does no harm.
 *  3. All have the same algorithm.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "store/children.h"
#include "store/store.h"
#include "sys/dir.h"
#include "sys/io.h"

#define PARENTS_FILE "cairn/parents"
#define PARENTS_SIZE 65536 /* bytes of the file */

/* Calls @fn for every line. */
static int each_line(char *text, int (*fn)(void *arg, const char *line), void *arg)
{
	char *save = NULL;
	int r = 0;

	for (char *line = strtok_r(text, "\n", &save); line && r >= 0;
	     line = strtok_r(NULL, "\n", &save))
		r = fn(arg, line);
	return MIN(r, 0);
}

/* The text of the file, NUL behind it; NULL: there is none. */
static int read_text(const struct cairn_store *s, char **ret, struct cairn_error *err)
{
	cleanup_free char *text = NULL;
	cleanup_fd int fd = -1;
	struct stat st;
	ssize_t n;

	*ret = NULL;
	if (s->bare)
		return 0;
	fd = open_beneath(s->dirfd, PARENTS_FILE, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd == -ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, fd < 0 ? fd : -errno, "open %s/" PARENTS_FILE, s->path);
	if (!S_ISREG(st.st_mode) || st.st_size >= PARENTS_SIZE)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "%s/" PARENTS_FILE ": not a list of stores", s->path);
	text = (char *)malloc(PARENTS_SIZE);
	n = text ? read_full(fd, text, PARENTS_SIZE - 1) : -ENOMEM;
	if (n < 0)
		return error_errno(err, (int)n, "read %s/" PARENTS_FILE, s->path);
	text[n] = '\0';
	*ret = take_ptr(text);
	return 0;
}

/* --- opening --------------------------------------------------------------------------------- */

static bool same_directory(int a, int b)
{
	struct stat sa, sb;

	return !fstat(a, &sa) && !fstat(b, &sb) && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

static bool is_listed(const struct cairn_store *s, const struct cairn_store *p)
{
	bool listed = same_directory(s->dirfd, p->dirfd);

	for (unsigned int i = 0; i < s->nr_parents && !listed; i++)
		listed = same_directory(s->parents[i]->dirfd, p->dirfd);
	return listed;
}

struct opening {
	struct cairn_store *store;
	const struct cairn_store *of; /* whose file it is */
	struct cairn_error *err;
};

static int open_parent(void *arg, const char *line)
{
	struct opening *o = (struct opening *)arg;
	struct cairn_store *s = o->store;
	cleanup(store) struct cairn_store *p = NULL;
	cleanup_free char *path = NULL;
	int r;

	if (asprintf(&path, *line == '/' ? "%.0s%s" : "%s/%s", o->of->path, line) < 0) {
		path = NULL;
		return error_errno(o->err, -ENOMEM, "open %s", line);
	}
	r = store_open(path, CAIRN_STORE_READ_ONLY | CAIRN_STORE_NO_PARENTS, &p, o->err);
	if (r < 0)
		return error_prepend(o->err, "parent of %s", o->of->path) ?: r;
	if (is_listed(s, p))
		return 0;
	if (s->nr_parents == STORE_PARENTS_MAX)
		return error_set(o->err, -E2BIG, CAIRN_ERROR_USAGE, "%s: more than %d parents",
				 s->path, STORE_PARENTS_MAX);
	if (p->alg_fixed && s->alg_fixed && p->alg != s->alg)
		return error_set(o->err, -EINVAL, CAIRN_ERROR_USAGE,
				 "parent of %s: %s has objects of the other algorithm", s->path,
				 path);
	if (p->alg_fixed) {
		s->alg = p->alg;
		s->alg_fixed = true;
	}
	s->parents[s->nr_parents++] = take_ptr(p);
	return 0;
}

int store_open_parents(struct cairn_store *s, struct cairn_error *err)
{
	struct opening o = {.store = s, .of = s, .err = err};
	unsigned int next = 0;
	int r;

	for (;;) {
		cleanup_free char *text = NULL;

		r = read_text(o.of, &text, err);
		if (!r && text)
			r = each_line(text, open_parent, &o);
		if (r < 0 || next == s->nr_parents)
			return r;
		o.of = s->parents[next++];
	}
}

uint64_t store_parents_id(const struct cairn_store *s)
{
	uint64_t id = 0;
	struct stat st;

	for (unsigned int i = 0; i < s->nr_parents; i++) {
		if (fstat(s->parents[i]->dirfd, &st) < 0)
			continue;
		id = (id ^ st.st_dev) * 0x9e3779b97f4a7c15ull;
		id = (id ^ st.st_ino) * 0xc2b2ae3d27d4eb4full;
	}
	return id;
}

/* --- setting --------------------------------------------------------------------------------- */

int store_parent_lines(const struct cairn_store *s, int (*fn)(void *arg, const char *line),
		       void *arg, struct cairn_error *err)
{
	cleanup_free char *text = NULL;
	int r = read_text(s, &text, err);

	return r < 0 || !text ? r : each_line(text, fn, arg);
}

/* Before anything relies on the parent, so that a collection there knows of it. */
static void note_in(struct cairn_store *s, const char *line)
{
	cleanup(store) struct cairn_store *p = NULL;
	cleanup_free char *path = NULL;

	if (asprintf(&path, *line == '/' ? "%.0s%s" : "%s/%s", s->path, line) < 0)
		path = NULL;
	else if (!store_open(path, CAIRN_STORE_READ_ONLY | CAIRN_STORE_NO_PARENTS, &p, NULL))
		(void)store_note_child(p, s);
}

int store_set_parents(struct cairn_store *s, const char *const *lines, size_t nr,
		      struct cairn_error *err)
{
	cleanup_buf struct buf text = BUF_INIT(PARENTS_SIZE - 1);
	int r = 0;

	if (s->bare)
		return error_set(err, -EOPNOTSUPP, CAIRN_ERROR_UNSUPPORTED,
				 "%s: a directory of objects only has no parents", s->path);
	for (size_t i = 0; i < nr && !r; i++) {
		if (!*lines[i] || strchr(lines[i], '\n'))
			return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
					 "no path that a parent can have");
		r = buf_put(&text, lines[i], strlen(lines[i]));
		if (!r)
			r = buf_put(&text, "\n", 1);
	}
	if (r < 0)
		return error_errno(err, r, "%s: list of parents", s->path);
	for (size_t i = 0; i < nr; i++)
		note_in(s, lines[i]);
	r = store_own_write(s, "parents", text.data, text.len);
	return r < 0 ? error_errno(err, r, "write %s/" PARENTS_FILE, s->path) : 0;
}
