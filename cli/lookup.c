/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Finding a file in a tree, symbolic links included. */
#include "lookup.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"

#define LINKS_MAX    40        /* as the kernel */
#define PATH_CEILING (1 << 20) /* trees may be deeper than PATH_MAX, but not without end */

static int first_entry(void *arg, const struct cairn_entry *entry)
{
	struct cairn_entry *ret = arg;

	*ret = *entry;
	ret->path = NULL;
	return -ECANCELED;
}

/* The entry of exactly this name. */
static int get_entry(const struct cairn_tree *tree, const char *path, struct cairn_entry *ret)
{
	int r = cairn_tree_walk(tree, path, first_entry, ret, NULL);

	return r == -ECANCELED ? 0 : r;
}

/* Removes the last component of @at; the root stays. */
static void step_up(struct buf *at)
{
	while (at->len && at->data[--at->len] != '/')
		;
}

static int step_down(struct buf *at, const char *name, size_t len)
{
	int r = buf_put(at, "/", 1);

	return r < 0 ? r : buf_put(at, name, len);
}

/* What is still to be walked becomes TARGET/REST. */
static int follow(struct buf *at, struct buf *todo, const char *target, size_t rest)
{
	struct buf next = BUF_INIT(PATH_CEILING);
	int r;

	step_up(at);
	if (*target == '/')
		at->len = 0;
	r = buf_put(&next, target, strlen(target));
	if (!r)
		r = buf_put(&next, "/", 1);
	if (!r)
		r = buf_put(&next, todo->data + rest, todo->len - rest);
	buf_fini(todo);
	*todo = next;
	return r;
}

/* Enters the component at @name; @*pos: where the rest begins, in @todo. */
static int step(const struct cairn_tree *tree, struct buf *at, struct buf *todo, size_t *pos,
		size_t len, unsigned int *links, struct cairn_entry *ret)
{
	const char *name = todo->data + *pos;
	int r;

	if (ret->path == NULL && !S_ISDIR(ret->mode))
		return -ENOTDIR;
	*pos += len;
	if (!len || (len == 1 && name[0] == '.'))
		return 0;
	if (len == 2 && name[0] == '.' && name[1] == '.') {
		step_up(at);
		r = 0;
	} else {
		r = step_down(at, name, len);
	}
	if (!r)
		r = buf_put(at, "", 1); /* NUL for the walk */
	if (r < 0)
		return r == -EFBIG ? -ENAMETOOLONG : r;
	at->len--;

	r = get_entry(tree, at->len ? at->data : "/", ret);
	if (r < 0 || !S_ISLNK(ret->mode))
		return r;
	if (++*links > LINKS_MAX)
		return -ELOOP;
	r = follow(at, todo, ret->payload, *pos);
	*pos = 0;
	ret->mode = S_IFDIR; /* where the link stands */
	return r == -EFBIG ? -ENAMETOOLONG : r;
}

int lookup_entry(const struct cairn_tree *tree, const char *path, struct cairn_entry *ret)
{
	struct buf at cleanup_buf = BUF_INIT(PATH_CEILING);
	struct buf todo cleanup_buf = BUF_INIT(PATH_CEILING);
	struct cairn_entry entry;
	unsigned int links = 0;
	size_t pos = 0;
	int r = buf_put(&todo, path, strlen(path));

	if (!r)
		r = get_entry(tree, "/", &entry);
	while (!r && pos < todo.len) {
		const char *end = memchr(todo.data + pos, '/', todo.len - pos);
		size_t len = end ? (size_t)(end - todo.data) - pos : todo.len - pos;

		if (!len)
			pos++;
		else
			r = step(tree, &at, &todo, &pos, len, &links, &entry);
	}
	if (r < 0)
		return r == -EFBIG ? -ENAMETOOLONG : r;
	*ret = entry;
	return 0;
}
