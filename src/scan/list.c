/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* One directory: its names become nodes, its subdirectories and its other entries tasks. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

#include "scan/scan-internal.h"
#include "sys/dir.h"

struct listing {
	struct worker *w;
	struct scan_dir *dir;
	int fd;
	size_t nr_others; /* entries that are no directories: in w->others */
};

static int add_task(struct worker *w, struct scan_task task)
{
	if (task_push(&w->tasks, task) < 0)
		return scan_out_of_memory(w);
	atomic_fetch_add_explicit(&w->scan->unfinished, 1, memory_order_relaxed);
	return 0;
}

static int add_directory(struct listing *l, struct node *n)
{
	struct scan_dir *d = (struct scan_dir *)arena_alloc(&l->w->arena, sizeof(*d));

	if (!d)
		return scan_out_of_memory(l->w);
	*d = (struct scan_dir){.parent = l->dir, .node = n, .depth = l->dir->depth + 1};
	return add_task(l->w, (struct scan_task){.dir = d});
}

static int add_other(struct listing *l, struct node *n)
{
	struct worker *w = l->w;

	if (l->nr_others == w->max_others) {
		size_t max = MAX(2 * w->max_others, (size_t)1024);
		struct node **others = (struct node **)realloc(w->others, max * sizeof(*others));

		if (!others)
			return scan_out_of_memory(w);
		w->others = others;
		w->max_others = max;
	}
	w->others[l->nr_others++] = n;
	return 0;
}

static int add_entry(void *arg, const char *name, size_t len, unsigned char type)
{
	struct listing *l = (struct listing *)arg;
	mode_t mode = DTTOIF(type);
	struct stat st;
	struct node *n;

	if (len > TREE_NAME_MAX)
		return scan_fail(l->w, l->dir->node, -ENAMETOOLONG, CAIRN_ERROR_UNSUPPORTED,
				 "has an entry whose name is longer than 255 bytes");
	if (type == DT_UNKNOWN) {
		/* A name that is gone already is reported when its turn comes. */
		if (fstatat(l->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			st.st_mode = S_IFREG;
		mode = st.st_mode & S_IFMT;
	}
	if ((S_ISCHR(mode) || S_ISBLK(mode)) && l->w->scan->flags & CAIRN_SCAN_SKIP_DEVICES)
		return 0;

	n = tree_add(l->w->shard, l->dir->node, name, len);
	if (!n)
		return scan_out_of_memory(l->w);
	n->mode = (uint16_t)mode;
	return S_ISDIR(mode) ? add_directory(l, n) : add_other(l, n);
}

/* What is no directory, in tasks of a size that can be shared. */
static int add_other_tasks(struct listing *l)
{
	size_t size = l->nr_others * sizeof(struct node *);
	struct node **nodes;
	int r;

	if (!size)
		return 0;
	nodes = (struct node **)arena_alloc(&l->w->arena, size);
	if (!nodes)
		return scan_out_of_memory(l->w);
	memcpy(nodes, l->w->others, size);

	for (size_t at = 0; at < l->nr_others; at += TASK_ENTRIES) {
		r = add_task(l->w, (struct scan_task){
					   .dir = l->dir,
					   .nodes = nodes + at,
					   .nr = MIN(l->nr_others - at, (size_t)TASK_ENTRIES),
				   });
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_xattrs(struct listing *l, const struct stat *st)
{
	struct worker *w = l->w;
	struct node *n = l->dir->node;
	int r;

	(void)on_ordinary(w, st->st_dev, l->fd);
	(void)clock_gettime(CLOCK_REALTIME_COARSE, &w->since);
	if (w->place) {
		r = cached_xattrs(w, n, st);
		if (r)
			return MIN(r, 0);
		r = cache_note(w, n, st);
		if (r < 0)
			return r;
	}
	return node_read_xattrs(w, n, l->fd, NULL);
}

int list_directory(struct worker *w, struct scan_dir *dir)
{
	struct listing l = {.w = w, .dir = dir};
	struct scan *scan = w->scan;
	struct stat before, after;
	int r;

	l.fd = chain_open(w, dir, &before);
	if (l.fd < 0)
		return scan_fail_errno(w, dir->node, l.fd, "open");
	dir->dev = before.st_dev;
	dir->ino = before.st_ino;
	node_set_facts(w, dir->node, &before);
	dir->node->size = 0;
	r = read_xattrs(&l, &before);
	if (r < 0)
		return r;
	if (scan->flags & CAIRN_SCAN_ONE_FILE_SYSTEM && dir->dev != scan->root_dev)
		return 0;
	if (scan->sink && dir->dev == scan->sink_dev && dir->ino == scan->sink_ino)
		return scan_fail(w, dir->node, -EINVAL, CAIRN_ERROR_USAGE,
				 "the store cannot be part of the directory that fills it");

	r = dir_list(l.fd, w->entries, sizeof(w->entries), add_entry, &l);
	if (atomic_load(&scan->stop))
		return r;
	if (r < 0)
		return scan_fail_errno(w, dir->node, r, "list");
	if (fstat(l.fd, &after) < 0)
		return scan_fail_errno(w, dir->node, -errno, "stat");
	/* Kernel interfaces show whatever time it is. */
	if (on_ordinary(w, dir->dev, l.fd) && !same_state(&before, &after))
		return scan_fail(w, dir->node, -EAGAIN, CAIRN_ERROR_SYSTEM,
				 "changed while it was read");
	return add_other_tasks(&l);
}
