/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The facts of one file, in the order in which they survive each other: a new owner clears set-id bits
 * and capabilities, an ACL sets bits of the mode, everything sets times.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/xattr.h>

#include "export/export-internal.h"

#define PROC_PATH_MAX 320

/* Safe against links: the way leads through our own descriptor to a single component. */
static void proc_path(char out[PROC_PATH_MAX], const struct place *p)
{
	if (p->fd >= 0)
		snprintf(out, PROC_PATH_MAX, "/proc/thread-self/fd/%d", p->fd);
	else
		snprintf(out, PROC_PATH_MAX, "/proc/thread-self/fd/%d/%s", p->dirfd, p->name);
}

/* Returns whether the owner is right now, or a negative errno. */
static int set_owner(struct export *x, const struct node *n, const struct place *p,
		     struct cairn_error *err)
{
	int r = p->fd >= 0 ? fchown(p->fd, n->uid, n->gid)
			   : fchownat(p->dirfd, p->name, n->uid, n->gid, AT_SYMLINK_NOFOLLOW);

	if (!r)
		return 1;
	/* EINVAL: an id that means nothing in this user namespace. */
	if (!export_is_refusal(-errno) && errno != EINVAL)
		return export_errno(err, -errno, "set the owner of", n);
	export_refuse(x, n, CAIRN_REFUSED_OWNER, NULL, -errno);
	return 0;
}

static int set_xattrs(struct export *x, const struct node *n, const struct place *p,
		      struct cairn_error *err)
{
	char path[PROC_PATH_MAX];

	proc_path(path, p);
	for (uint32_t i = 0; i < n->xattrs->nr; i++) {
		const struct xattr *a = n->xattrs->xattr[i];
		int r = p->fd >= 0 ? fsetxattr(p->fd, a->name, a->value, a->value_len, 0)
				   : lsetxattr(path, a->name, a->value, a->value_len, 0);

		if (!r)
			continue;
		if (!export_is_refusal(-errno) && errno != EINVAL)
			return export_errno(err, -errno, "set an extended attribute of", n);
		export_refuse(x, n, CAIRN_REFUSED_XATTR, a->name, -errno);
	}
	return 0;
}

static int set_mode(struct export *x, const struct node *n, const struct place *p, bool owned,
		    struct cairn_error *err)
{
	mode_t mode = n->mode & 07777;
	cleanup_fd int fd = -1;
	char path[PROC_PATH_MAX];
	struct place self = {.fd = p->fd};
	int r;

	if (!owned && mode & (S_ISUID | S_ISGID) && !S_ISDIR(n->mode)) {
		/* The rights of whoever runs this are not what the image meant to give. */
		export_refuse(x, n, CAIRN_REFUSED_MODE, NULL, -EPERM);
		mode &= 01777;
	}
	if (p->fd < 0) {
		fd = openat(p->dirfd, p->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return export_errno(err, -errno, "set the mode of", n);
		self.fd = fd;
	}
	proc_path(path, &self);
	r = p->fd >= 0 ? fchmod(p->fd, mode) : chmod(path, mode);
	if (!r)
		return 0;
	if (!export_is_refusal(-errno))
		return export_errno(err, -errno, "set the mode of", n);
	export_refuse(x, n, CAIRN_REFUSED_MODE, NULL, -errno);
	return 0;
}

static int set_times(struct export *x, const struct node *n, const struct place *p,
		     struct cairn_error *err)
{
	const struct timespec time = {.tv_sec = n->mtime, .tv_nsec = n->mtime_nsec};
	const struct timespec times[2] = {time, time};
	int r = p->fd >= 0 ? futimens(p->fd, times)
			   : utimensat(p->dirfd, p->name, times, AT_SYMLINK_NOFOLLOW);

	if (!r)
		return 0;
	if (!export_is_refusal(-errno))
		return export_errno(err, -errno, "set the times of", n);
	export_refuse(x, n, CAIRN_REFUSED_TIME, NULL, -errno);
	return 0;
}

int export_facts(struct export *x, const struct node *n, const struct place *p,
		 struct cairn_error *err)
{
	int owned = set_owner(x, n, p, err);
	int r = MIN(owned, 0);

	if (!r && n->xattrs)
		r = set_xattrs(x, n, p, err);
	if (!r && !S_ISLNK(n->mode))
		r = set_mode(x, n, p, owned, err);
	return r ? r : set_times(x, n, p, err);
}
