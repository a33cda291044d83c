/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * A tree becomes files.
 *
 *	1 directories	one after the other, mode 0700
 *	2 what is in them	each directory by one thread
 *	3 hard links	when all files are there
 *	4 facts of directories	children first: nothing in them changes any more
 *
 * No way leads out: each directory is opened from the root of the export with openat2(RESOLVE_BENEATH |
 * RESOLVE_NO_SYMLINKS), everything in it by a single name that must not exist (O_EXCL, mkdirat, symlinkat,
 * mknodat, linkat).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/parallel.h"
#include "export/export-internal.h"
#include "sys/dir.h"
#include "tree/objects.h"

#define PATH_PIECE 3840 /* bytes of a path that are opened at once; the kernel takes 4095 */

/* --- failures -------------------------------------------------------------------------------- */

int export_errno(struct cairn_error *err, int code, const char *verb, const struct node *n)
{
	char quoted[NODE_PATH_QUOTED_MAX];

	return error_errno(err, code, "%s %s", verb, node_path_quoted(n, quoted));
}

bool export_is_refusal(int code)
{
	return code == -EPERM || code == -EACCES || code == -EOPNOTSUPP || code == -ENOSYS;
}

void export_refuse(struct export *x, const struct node *n, enum cairn_refused what,
		   const char *xattr, int code)
{
	const struct cairn_export_options *opt = x->options;
	cleanup_free char *path = NULL;

	atomic_fetch_add(&x->refused[what], 1);
	if (!opt->refused)
		return;
	path = (char *)malloc(node_path_len(n) + 1);
	if (!path)
		return;
	node_path(n, path);
	pthread_mutex_lock(&x->lock);
	opt->refused(opt->refused_arg, &(struct cairn_refusal){path, what, xattr, code});
	pthread_mutex_unlock(&x->lock);
}

int export_progress(struct export *x, unsigned int worker, struct cairn_error *err)
{
	const struct cairn_export_options *opt = x->options;

	if (worker || !opt->progress ||
	    !opt->progress(opt->progress_arg, atomic_load(&x->files), atomic_load(&x->bytes), 0, 0))
		return 0;
	return error_set(err, -ECANCELED, CAIRN_ERROR_SYSTEM, "cancelled");
}

static int check_name(const struct node *n, struct cairn_error *err)
{
	char quoted[NODE_PATH_QUOTED_MAX];

	if (!strchr(n->name, '/') && strcmp(n->name, ".") != 0 && strcmp(n->name, "..") != 0 &&
	    *n->name)
		return 0;
	return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "%s: no name that a file can have",
			 node_path_quoted(n, quoted));
}

/* --- opening --------------------------------------------------------------------------------- */

/* The directory @d below the root. Returns a descriptor or a negative errno with words. */
static int open_dir(struct export *x, const struct node *d, struct cairn_error *err)
{
	size_t len = node_path_len(d);
	cleanup_free char *path = (char *)malloc(len + 2);
	cleanup_fd int at = -1;
	char *p = path;

	if (!path)
		return export_errno(err, -ENOMEM, "open", d);
	node_path(d, path);
	if (!d->parent)
		memcpy(path, "/.", 3);
	for (p = path + 1;;) {
		size_t rest = strlen(p);
		size_t n = MIN(rest, (size_t)PATH_PIECE);
		int fd;

		while (n < rest && p[n] != '/')
			n--;
		p[n] = '\0';
		fd = open_beneath(at < 0 ? x->root : at, p, O_RDONLY | O_DIRECTORY);
		if (fd < 0)
			return export_errno(err, fd, "open", d);
		if (at >= 0)
			close(at);
		at = fd;
		if (n == rest)
			return take_fd(&at);
		p += n + 1;
	}
}

/* --- directories ----------------------------------------------------------------------------- */

static int list_dirs(struct export *x)
{
	const struct tree *t = x->tree;

	x->dirs = (const struct node **)malloc(t->nr_entries * sizeof(const struct node *));
	if (!x->dirs)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->nr_entries; i++)
		if (node_is_dir(tree_entry(t, i)))
			x->dirs[x->nr_dirs++] = t->entries[i];
	return 0;
}

static int make_subdirs(struct export *x, const struct node *d, struct cairn_error *err)
{
	cleanup_fd int fd = -1;
	int r;

	for (uint32_t i = 0; i < d->dir.nr; i++) {
		const struct node *n = x->tree->entries[d->dir.first + i];

		if (!node_is_dir(n))
			continue;
		r = check_name(n, err);
		if (!r && fd < 0) {
			fd = open_dir(x, d, err);
			r = MIN(fd, 0);
		}
		if (r < 0)
			return r;
		if (mkdirat(fd, n->name, 0700) < 0)
			return export_errno(err, -errno, "make directory", n);
		atomic_fetch_add(&x->names, 1);
	}
	return 0;
}

static int finish_dir(struct export *x, const struct node *d, struct cairn_error *err)
{
	cleanup_fd int fd = open_dir(x, d, err);
	const struct place p = {.dirfd = -1, .fd = fd};

	return fd < 0 ? fd : export_facts(x, d, &p, err);
}

/* --- what is in them ------------------------------------------------------------------------- */

static int make_file(struct export *x, unsigned int worker, const struct node *n, int dirfd,
		     struct cairn_error *err)
{
	cleanup_fd int fd = -1;
	struct place p = {.dirfd = dirfd, .name = n->name};
	int r;

	fd = openat(dirfd, n->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return export_errno(err, -errno, "make", n);
	r = export_content(x, worker, n, fd, err);
	p.fd = fd;
	if (!r)
		r = export_facts(x, n, &p, err);
	/* Nothing that was not verified stays. */
	if (r < 0)
		(void)unlinkat(dirfd, n->name, 0);
	return r;
}

/* From the on-disk encoding (image-format §7.5). */
static dev_t device_of(uint32_t rdev)
{
	return makedev(rdev >> 8 & 0xfff, (rdev & 0xff) | (rdev >> 12 & ~0xffu));
}

static int make_other(struct export *x, const struct node *n, int dirfd, struct cairn_error *err)
{
	const struct place p = {.dirfd = dirfd, .name = n->name, .fd = -1};
	bool device = S_ISCHR(n->mode) || S_ISBLK(n->mode);
	int r = S_ISLNK(n->mode) ? symlinkat(n->symlink.target, dirfd, n->name)
				 : mknodat(dirfd, n->name, (n->mode & S_IFMT) | 0600,
					   device ? device_of(n->device.rdev) : 0);

	if (r < 0 && !S_ISLNK(n->mode) && export_is_refusal(-errno)) {
		export_refuse(x, n, CAIRN_REFUSED_NODE, NULL, -errno);
		return 0;
	}
	if (r < 0)
		return export_errno(err, -errno, "make", n);
	return export_facts(x, n, &p, err);
}

static int fill_dir(struct export *x, unsigned int worker, const struct node *d,
		    struct cairn_error *err)
{
	cleanup_fd int fd = -1;
	int r;

	for (uint32_t i = 0; i < d->dir.nr; i++) {
		const struct node *n = x->tree->entries[d->dir.first + i];

		if (node_is_dir(n) || node_is_link(n))
			continue;
		r = check_name(n, err);
		if (!r && fd < 0) {
			fd = open_dir(x, d, err);
			r = MIN(fd, 0);
		}
		if (!r)
			r = S_ISREG(n->mode) ? make_file(x, worker, n, fd, err)
					     : make_other(x, n, fd, err);
		if (r < 0)
			return r;
		atomic_fetch_add(&x->names, 1);
	}
	return export_progress(x, worker, err);
}

static int fill_one(void *arg, unsigned int worker, size_t i)
{
	struct export *x = (struct export *)arg;
	struct cairn_error err = {0};
	int r = fill_dir(x, worker, x->dirs[i], &err);

	if (!r)
		return 0;
	pthread_mutex_lock(&x->lock);
	if (i < x->failed) {
		x->failed = i;
		x->error = err;
	}
	pthread_mutex_unlock(&x->lock);
	return r;
}

static int make_link(struct export *x, const struct node *n, struct cairn_error *err)
{
	const struct node *to = n->link.target;
	cleanup_fd int from_dir = -1;
	cleanup_fd int to_dir = -1;
	int r = check_name(n, err);

	if (r < 0)
		return r;
	from_dir = open_dir(x, n->parent, err);
	if (from_dir < 0)
		return from_dir;
	to_dir = open_dir(x, to->parent, err);
	if (to_dir < 0)
		return to_dir;
	if (linkat(to_dir, to->name, from_dir, n->name, 0) < 0) {
		if (errno != ENOENT || S_ISREG(to->mode) || S_ISLNK(to->mode))
			return export_errno(err, -errno, "make hard link", n);
		/* Of a device that could not be made. */
		export_refuse(x, n, CAIRN_REFUSED_NODE, NULL, -EPERM);
	}
	atomic_fetch_add(&x->names, 1);
	return 0;
}

/* --- all ------------------------------------------------------------------------------------- */

static int fill(struct export *x, struct cairn_error *err)
{
	const struct tree *t = x->tree;
	int r = 0;

	if (list_dirs(x) < 0)
		return error_errno(err, -ENOMEM, "export");
	x->failed = x->nr_dirs;
	atomic_fetch_add(&x->names, 1);
	for (uint32_t i = 0; !r && i < x->nr_dirs; i++)
		r = make_subdirs(x, x->dirs[i], err);
	if (r < 0)
		return r;
	r = parallel_for(MAX(x->options->jobs, 1u), x->nr_dirs, fill_one, x);
	if (r < 0) {
		if (err)
			*err = x->error;
		return r;
	}
	for (uint32_t i = 0; !r && i < t->nr_entries; i++)
		if (node_is_link(tree_entry(t, i)))
			r = make_link(x, t->entries[i], err);
	for (uint32_t i = x->nr_dirs; !r && i > 0; i--)
		r = finish_dir(x, x->dirs[i - 1], err);
	return r;
}

static int found_entry(void *arg, const char *name, size_t len, unsigned char type)
{
	(void)arg;
	(void)name;
	(void)len;
	(void)type;
	return -ENOTEMPTY;
}

/* Makes the empty directory that is there like one that we have made: nothing in it inherits. */
static int take_empty(struct export *x, const char *path, struct cairn_error *err)
{
	_Alignas(8) char buffer[4096];
	int r = dir_list(x->root, buffer, sizeof(buffer), found_entry, NULL);

	if (r == -ENOTEMPTY)
		return error_set(err, r, CAIRN_ERROR_USAGE, "%s: is not empty", path);
	if (r < 0)
		return error_errno(err, r, "list %s", path);
	(void)fremovexattr(x->root, "system.posix_acl_default");
	(void)fchmod(x->root, 0700);
	return fill(x, err);
}

#define TEMPORARY_MAX 64

static int make_absent(struct export *x, int parent, const char *name, const char *path,
		       struct cairn_error *err)
{
	char temporary[TEMPORARY_MAX];
	int r;

	r = dir_make_temporary(parent, ".cairn-export-", temporary, sizeof(temporary));
	if (r < 0)
		return error_errno(err, r, "make directory %s", path);
	x->root = open_directory(parent, temporary);
	r = x->root < 0 ? error_errno(err, x->root, "open %s", path) : fill(x, err);
	if (!r && renameat2(parent, temporary, parent, name, RENAME_NOREPLACE) < 0) {
		/* A file system without the flag. */
		if (errno == EINVAL && faccessat(parent, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
			r = renameat(parent, temporary, parent, name) < 0 ? -errno : 0;
		else
			r = -errno;
		if (r < 0)
			(void)error_errno(err, r, "name %s", path);
	}
	if (r < 0)
		(void)dir_remove_tree(parent, temporary);
	return r;
}

static void get_result(struct export *x, struct cairn_export_result *ret)
{
	*ret = (struct cairn_export_result){
		.names = atomic_load(&x->names),
		.files = atomic_load(&x->files),
		.bytes = atomic_load(&x->bytes),
		.cloned = atomic_load(&x->cloned),
	};
	for (int i = 0; i < CAIRN_REFUSED_KINDS; i++)
		ret->refused[i] = atomic_load(&x->refused[i]);
}

static int export_to(struct export *x, int dirfd, char *path, struct cairn_error *err)
{
	cleanup_fd int parent = -1;
	const char *name;
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		path[--len] = '\0';
	x->root = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (x->root >= 0)
		return take_empty(x, path, err);
	if (errno == ENOTDIR)
		return error_set(err, -ENOTDIR, CAIRN_ERROR_USAGE, "%s: is not a directory", path);
	if (errno != ENOENT)
		return error_errno(err, -errno, "open %s", path);
	parent = dir_open_parent(dirfd, path, &name);
	if (parent < 0)
		return error_errno(err, parent, "open the directory of %s", path);
	return make_absent(x, parent, name, path, err);
}

int export_directory(const struct tree *t, int dirfd, const char *path,
		     const struct cairn_export_options *options, struct cairn_export_result *ret,
		     struct cairn_error *err)
{
	struct export x = {
		.tree = t,
		.options = options,
		.alg = t->algs ? tree_alg(t) : (enum cairn_alg)0,
		.root = -1,
		.lock = PTHREAD_MUTEX_INITIALIZER,
	};
	cleanup_free char *copy = strdup(path);
	int r;

	if (!copy)
		return error_errno(err, -ENOMEM, "export to %s", path);
	r = export_to(&x, dirfd, copy, err);
	if (x.root >= 0)
		close(x.root);
	free(x.dirs);
	pthread_mutex_destroy(&x.lock);
	if (!r && ret)
		get_result(&x, ret);
	return r;
}
