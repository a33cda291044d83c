/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Stores that look into this one. */
#include "store/children.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "base/buf.h"
#include "sys/dir.h"
#include "sys/io.h"

#define FILE_NAME   "children"
#define FILE_MAX    ((size_t)CHILDREN_MAX * 512)
#define MACHINE_MAX 65 /* of a machine-id, or of uname(2), with NUL */

/* --- the file -------------------------------------------------------------------------------- */

/* What this machine is called; without spaces. */
static void this_machine(char out[MACHINE_MAX])
{
	cleanup_fd int fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n = fd < 0 ? -1 : read_full(fd, out, 32);
	struct utsname name;

	if (n == 32 && strspn(out, "0123456789abcdef") >= 32) {
		out[32] = '\0';
		return;
	}
	snprintf(out, MACHINE_MAX, "%.64s", uname(&name) ? "unknown" : name.nodename);
	for (char *p = out; *p; p++)
		if (*p <= ' ')
			*p = '_';
}

static int open_own(const struct cairn_store *s)
{
	return store_own_dir(s, NULL, 0);
}

/* The text of the file, NUL behind it; "" where there is none. */
static int read_text(const struct cairn_store *s, char **ret, struct cairn_error *err)
{
	cleanup_free char *text = (char *)malloc(FILE_MAX + 1);
	cleanup_fd int own = open_own(s), fd = -1;
	ssize_t n = 0;

	if (!text)
		return error_errno(err, -ENOMEM, "read %s/cairn/" FILE_NAME, s->path);
	fd = own < 0 ? own : open_beneath(own, FILE_NAME, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0)
		n = read_full(fd, text, FILE_MAX);
	if (fd < 0 && fd != -ENOENT)
		n = fd;
	if (n < 0)
		return error_errno(err, (int)n, "read %s/cairn/" FILE_NAME, s->path);
	if ((size_t)n == FILE_MAX)
		return error_set(err, -EFBIG, CAIRN_ERROR_FORMAT,
				 "%s/cairn/" FILE_NAME ": longer than %zu bytes", s->path,
				 FILE_MAX);
	text[n] = '\0';
	*ret = take_ptr(text);
	return 0;
}

/* Takes a line apart, in place. */
static bool parse_line(char *line, struct child_line *ret)
{
	char *inode = strchr(line, ' '), *path = inode ? strchr(inode + 1, ' ') : NULL, *end;

	if (!path || path[1] != '/')
		return false;
	*inode++ = '\0';
	*path++ = '\0';
	errno = 0;
	*ret = (struct child_line){.machine = line, .path = path};
	ret->inode = strtoull(inode, &end, 10);
	return !*end && end > inode && !errno;
}

int store_child_lines(const struct cairn_store *s,
		      int (*fn)(void *arg, const struct child_line *line), void *arg,
		      struct cairn_error *err)
{
	cleanup_free char *text = NULL;
	char machine[MACHINE_MAX], *save = NULL;
	int r = read_text(s, &text, err);

	this_machine(machine);
	for (char *line = r ? NULL : strtok_r(text, "\n", &save); line && r >= 0;
	     line = strtok_r(NULL, "\n", &save)) {
		struct child_line c;

		if (!parse_line(line, &c))
			return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
					 "%s/cairn/" FILE_NAME ": not a list of stores", s->path);
		c.here = !strcmp(c.machine, machine);
		r = fn(arg, &c);
	}
	return MIN(r, 0);
}

/* --- writing --------------------------------------------------------------------------------- */

struct rewriting {
	struct buf text;
	const struct child_line *add;
	const char *drop;
	bool found;
};

static int put_line(struct buf *text, const struct child_line *c)
{
	char *line cleanup_free = NULL;

	if (asprintf(&line, "%s %" PRIu64 " %s\n", c->machine, c->inode, c->path) < 0) {
		line = NULL;
		return -ENOMEM;
	}
	return buf_put(text, line, strlen(line));
}

static int keep_line(void *arg, const struct child_line *c)
{
	struct rewriting *w = (struct rewriting *)arg;

	if (w->drop && !strcmp(c->path, w->drop)) {
		w->found = true;
		return 0;
	}
	if (w->add && !strcmp(c->path, w->add->path) && !strcmp(c->machine, w->add->machine)) {
		w->found = c->inode == w->add->inode;
		if (!w->found)
			return 0; /* another directory is there now */
	}
	return put_line(&w->text, c);
}

/* @nothing: what keep_line() leaves in w->found when nothing is to be done. */
static int rewrite(const struct cairn_store *s, struct rewriting *w, bool nothing,
		   struct cairn_error *err)
{
	cleanup_fd int own = store_own_dir(s, NULL, w->add ? 0755 : 0);
	int r = own < 0 ? own : 0;

	w->text = BUF_INIT(FILE_MAX - 1);
	/* One at a time. */
	if (!r && flock(own, LOCK_EX) < 0 && errno == EINTR)
		r = -EINTR;
	if (!r)
		r = store_child_lines(s, keep_line, w, err);
	if (!r && w->found != nothing) {
		if (w->add)
			r = put_line(&w->text, w->add);
		if (!r)
			r = store_own_write(s, FILE_NAME, w->text.data ? w->text.data : "",
					    w->text.len);
	}
	buf_fini(&w->text);
	return r;
}

int store_note_child(const struct cairn_store *parent, const struct cairn_store *child)
{
	char machine[MACHINE_MAX], path[PATH_MAX];
	struct child_line line = {.machine = machine, .path = path};
	struct rewriting w = {.add = &line};
	struct cairn_error ignored;
	struct stat st;

	if (parent->bare)
		return -EOPNOTSUPP;
	if (!realpath(child->path, path) || strchr(path, '\n') || fstat(child->dirfd, &st) < 0)
		return -EINVAL;
	this_machine(machine);
	line.inode = st.st_ino;
	return rewrite(parent, &w, true, &ignored);
}

int store_forget_child(const struct cairn_store *s, const char *path, struct cairn_error *err)
{
	struct rewriting w = {.drop = path};
	int r = rewrite(s, &w, false, err);

	if (!r && !w.found)
		r = -ENOENT;
	if (r == -ENOENT)
		return error_set(err, r, CAIRN_ERROR_USAGE, "%s: %s is not noted as a child",
				 s->path, path);
	return r < 0 && err && !err->code
		       ? error_errno(err, r, "write %s/cairn/" FILE_NAME, s->path)
		       : r;
}

/* --- asking ---------------------------------------------------------------------------------- */

struct asking {
	struct cairn_store *of;   /* whose objects are to be collected */
	struct cairn_store *from; /* whose lines are read */
	struct store_children *children;
	struct cairn_error *err;
};

static bool is_same(const struct cairn_store *a, const struct cairn_store *b)
{
	struct stat sa, sb;

	return !fstat(a->dirfd, &sa) && !fstat(b->dirfd, &sb) && sa.st_dev == sb.st_dev &&
	       sa.st_ino == sb.st_ino;
}

static bool has_parent(const struct cairn_store *s, const struct cairn_store *parent)
{
	for (unsigned int i = 0; i < s->nr_parents; i++)
		if (is_same(s->parents[i], parent))
			return true;
	return false;
}

static bool is_listed(const struct asking *a, const struct cairn_store *s)
{
	bool listed = is_same(s, a->of);

	for (unsigned int i = 0; i < a->children->nr && !listed; i++)
		listed = is_same(s, a->children->store[i]);
	return listed;
}

static int cannot(const struct asking *a, const struct child_line *c, const char *why)
{
	return error_set(a->err, -EHOSTUNREACH, CAIRN_ERROR_SYSTEM,
			 "%s: the store %s looks into it, and cannot be asked what it needs: %s",
			 a->from->path, c->path, why);
}

static int ask(void *arg, const struct child_line *c)
{
	const struct asking *a = (const struct asking *)arg;
	cleanup(store) struct cairn_store *child = NULL;
	struct store_children *list = a->children;
	struct cairn_store **more;
	struct cairn_error words = {0};
	struct stat st;

	if (!c->here)
		return cannot(a, c, "it is on another machine");
	if (store_open(c->path, CAIRN_STORE_READ_ONLY, &child, &words) < 0)
		return cannot(a, c, words.text);
	if (!has_parent(child, a->of)) {
		if (!fstat(child->dirfd, &st) && st.st_ino == c->inode)
			return 0;
		return cannot(a, c, "another one is there now");
	}
	if (is_listed(a, child))
		return 0;
	if (list->nr == CHILDREN_MAX)
		return cannot(a, c, "there are too many");
	more = (struct cairn_store **)reallocarray(list->store, list->nr + 1, sizeof(*more));
	if (!more)
		return error_errno(a->err, -ENOMEM, "%s", c->path);
	list->store = more;
	more[list->nr++] = take_ptr(child);
	return 0;
}

int store_children_open(struct cairn_store *s, struct store_children *ret, struct cairn_error *err)
{
	struct asking a = {.of = s, .from = s, .children = ret, .err = err};
	unsigned int next = 0;
	int r;

	for (;;) {
		r = store_child_lines(a.from, ask, &a, err);
		if (r < 0 || next == ret->nr)
			return r;
		a.from = ret->store[next++];
	}
}

void store_children_fini(struct store_children *c)
{
	for (unsigned int i = 0; i < c->nr; i++)
		store_close(c->store[i]);
	free(c->store);
	*c = (struct store_children){0};
}
