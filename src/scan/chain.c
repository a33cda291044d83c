/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The directories that a worker has open: the one at hand and its nearest ancestors.
 *
 * Each is opened by its name in its parent, so that no link is ever followed. Further ancestors are
 * closed: a tree of any depth needs few descriptors. Who comes back up to one of those, or takes a task
 * from somebody else, opens the way down from the root again and makes sure that it is the same
 * directories: those that were listed, by device and inode number.
 */
#include <errno.h>

#include "scan/scan-internal.h"
#include "sys/dir.h"

#define LEVELS_OPEN 32 /* a worker; the usual limit is 1024 descriptors a process */

static void close_level(struct worker *w, size_t i)
{
	if (i > 0 && w->chain[i].fd >= 0)
		close(w->chain[i].fd);
	w->chain[i].fd = -1;
}

void chain_close(struct worker *w)
{
	while (w->nr_levels)
		close_level(w, --w->nr_levels);
	free(w->chain);
	w->chain = NULL;
	w->max_levels = 0;
}

/* Makes the chain name @dir and its ancestors, keeping open what stays. */
static int chain_set(struct worker *w, struct scan_dir *dir)
{
	size_t nr = (size_t)dir->depth + 1;
	struct scan_dir *d = dir;

	if (nr > w->max_levels) {
		size_t max = MAX(2 * w->max_levels, MAX(nr, (size_t)64));
		struct level *chain = (struct level *)realloc(w->chain, max * sizeof(*chain));

		if (!chain)
			return -ENOMEM;
		w->chain = chain;
		w->max_levels = max;
	}

	while (w->nr_levels > nr)
		close_level(w, --w->nr_levels);
	while (w->nr_levels < nr)
		w->chain[w->nr_levels++] = (struct level){.fd = -1};
	for (; d && w->chain[d->depth].dir != d; d = d->parent) {
		close_level(w, d->depth);
		w->chain[d->depth].dir = d;
	}
	return 0;
}

static int open_level(struct worker *w, size_t i, struct stat *st)
{
	struct scan_dir *d = w->chain[i].dir;
	cleanup_fd int fd = -1;
	struct stat now;

	fd = open_directory(w->chain[i - 1].fd, d->node->name);
	if (fd < 0)
		return fd == -ENOTDIR ? -ESTALE : fd;
	if (fstat(fd, &now) < 0)
		return -errno;
	if (st)
		*st = now;
	else if (now.st_dev != d->dev || now.st_ino != d->ino)
		return -ESTALE;

	w->chain[i].fd = take_fd(&fd);
	if (i > LEVELS_OPEN)
		close_level(w, i - LEVELS_OPEN);
	return 0;
}

int chain_open(struct worker *w, struct scan_dir *dir, struct stat *st)
{
	size_t last = dir->depth;
	size_t i = last;
	int r;

	r = chain_set(w, dir);
	if (r < 0)
		return r;
	w->chain[0].fd = w->scan->root_fd;
	if (st && last == 0 && fstat(w->chain[0].fd, st) < 0)
		return -errno;

	while (w->chain[i].fd < 0)
		i--;
	for (i++; i <= last; i++) {
		r = open_level(w, i, i == last ? st : NULL);
		if (r < 0)
			return r;
	}
	return w->chain[last].fd;
}
