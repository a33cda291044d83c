/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Finding a file in a tree, symbolic links included: `at` is where we stand, `todo` the components
 * that are still to be entered; a link puts its target in front of them.
 */
#include "lookup.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"

#define LINKS_MAX    40        /* as the kernel */
#define PATH_CEILING (1 << 20) /* trees may be deeper than PATH_MAX, but not without end */

struct lookup {
	const struct cairn_tree *tree;
	struct buf at;      /* "" is the root, else "/a/b" */
	struct buf todo;    /* components */
	size_t pos;         /* the next one in @todo */
	uint32_t mode;      /* of what is @at */
	struct buf target;  /* of the link that is @at */
	unsigned int links; /* followed so far */
};

static int note_entry(void *arg, const struct cairn_entry *entry)
{
	struct lookup *l = arg;
	int r = 0;

	l->mode = entry->mode;
	l->target.len = 0;
	if (S_ISLNK(entry->mode))
		r = buf_put(&l->target, entry->payload, strlen(entry->payload));
	return r < 0 ? r : -ECANCELED; /* this one only, not what is below */
}

/* Notes what is @at. */
static int look(struct lookup *l)
{
	int r = buf_put(&l->at, "", 1);

	if (r < 0)
		return r;
	l->at.len--;
	r = cairn_tree_walk(l->tree, l->at.len ? l->at.data : "/", note_entry, l, NULL);
	return r == -ECANCELED ? 0 : r;
}

static void leave(struct lookup *l)
{
	while (l->at.len && l->at.data[--l->at.len] != '/')
		;
	l->mode = S_IFDIR;
}

static int enter(struct lookup *l, const char *name, size_t len)
{
	int r;

	if (!S_ISDIR(l->mode))
		return -ENOTDIR;
	if (len == 1 && name[0] == '.')
		return 0;
	if (len == 2 && name[0] == '.' && name[1] == '.') {
		leave(l);
		return 0;
	}
	r = buf_put(&l->at, "/", 1);
	if (r < 0)
		return r;
	r = buf_put(&l->at, name, len);
	return r < 0 ? r : look(l);
}

/* Leaves the link that is @at; its target comes next, then what was to come. */
static int follow(struct lookup *l)
{
	int r;

	if (++l->links > LINKS_MAX)
		return -ELOOP;
	leave(l);
	if (l->target.len && l->target.data[0] == '/')
		l->at.len = 0;
	r = buf_put(&l->target, "/", 1);
	if (r < 0)
		return r;
	r = buf_put(&l->target, l->todo.data + l->pos, l->todo.len - l->pos);
	if (r < 0)
		return r;
	l->todo.len = 0;
	l->pos = 0;
	return buf_put(&l->todo, l->target.data, l->target.len);
}

static int lookup_all(struct lookup *l)
{
	int r = look(l);

	while (!r && l->pos < l->todo.len) {
		const char *name = l->todo.data + l->pos;
		const char *end = memchr(name, '/', l->todo.len - l->pos);
		const size_t len = end ? (size_t)(end - name) : l->todo.len - l->pos;

		l->pos += len + (end != NULL);
		if (len)
			r = enter(l, name, len);
		if (!r && S_ISLNK(l->mode))
			r = follow(l);
	}
	return r == -EFBIG ? -ENAMETOOLONG : r;
}

int lookup_path(const struct cairn_tree *tree, const char *path, char **ret)
{
	struct lookup l = {
		.tree = tree,
		.at = BUF_INIT(PATH_CEILING),
		.todo = BUF_INIT(PATH_CEILING),
		.target = BUF_INIT(PATH_CEILING),
	};
	int r = buf_put(&l.todo, path, strlen(path));

	if (!r)
		r = lookup_all(&l);
	if (!r) {
		*ret = l.at.len ? strndup(l.at.data, l.at.len) : strdup("/");
		r = *ret ? 0 : -ENOMEM;
	}
	buf_fini(&l.at);
	buf_fini(&l.todo);
	buf_fini(&l.target);
	return r;
}
