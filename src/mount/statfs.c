/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The layer that makes df(1) truthful: a tmpfs above the image that holds nothing but a root that looks
 * like the image's. docs/design/df.md has the argument and the figures.
 *
 * Invariants:
 *  1. No path ever leads to it, and the descriptors to it are closed before cairn_mount() returns.
 *  2. Its super block is read-only before overlayfs sees it.
 *  3. What cannot be made equal to the image's root is a failure: then there is no such layer.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "mount/mount-internal.h"
#include "sys/mount_api.h"

/* overlayfs keeps these to itself … */
#define PRIVATE_PREFIX "trusted.overlay."
/* … and shows these without one "overlay.": they are ordinary attributes of the image's root. */
#define ESCAPED_PREFIX "trusted.overlay.overlay."

static bool has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static int copy_xattr(int from, int to, const char *name)
{
	char value[XATTR_SIZE_MAX];
	ssize_t n = fgetxattr(from, name, value, sizeof(value));

	if (n < 0 || fsetxattr(to, name, value, (size_t)n, 0) < 0)
		return -errno;
	return 0;
}

static int copy_xattrs(int from, int to)
{
	cleanup_free char *names = NULL;
	ssize_t size = flistxattr(from, NULL, 0);
	int r = 0;

	if (size <= 0)
		return size < 0 ? -errno : 0;
	names = (char *)malloc((size_t)size);
	if (!names)
		return -ENOMEM;
	size = flistxattr(from, names, (size_t)size);
	if (size < 0)
		return -errno;

	for (const char *name = names; name < names + size && r == 0; name += strlen(name) + 1) {
		if (has_prefix(name, PRIVATE_PREFIX) && !has_prefix(name, ESCAPED_PREFIX))
			continue;
		r = copy_xattr(from, to, name);
	}
	return r;
}

/* Owner, xattrs, mode, times, in the order in which one does not undo another. */
static int copy_facts(int image, int layer)
{
	cleanup_fd int from = openat(image, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int to = openat(layer, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	int r;

	if (from < 0 || to < 0 || fstat(from, &st) < 0 || fchown(to, st.st_uid, st.st_gid) < 0)
		return -errno;
	r = copy_xattrs(from, to);
	if (r < 0)
		return r;
	if (fchmod(to, st.st_mode & 07777) < 0 ||
	    futimens(to, (const struct timespec[]){st.st_atim, st.st_mtim}) < 0)
		return -errno;
	return 0;
}

/* The numbers: what is free in the store, as size and free alike, for inodes too. */
static int set_numbers(int fs, int store, struct cairn_error *err)
{
	struct statfs st;
	char text[32];
	int r;

	if (fstatfs(store, &st) < 0)
		return error_errno(err, -errno, "statfs");

	snprintf(text, sizeof(text), "%llu",
		 (unsigned long long)st.f_bavail * (unsigned long long)st.f_bsize);
	r = fs_set_string(fs, "size", text, err);
	if (r < 0)
		return r;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)st.f_ffree);
	return fs_set_string(fs, "nr_inodes", text, err);
}

int statfs_mount(const struct mount_plan *p, int image, struct cairn_error *err)
{
	cleanup_fd int mnt = -1;
	cleanup_fd int fs = fs_open("tmpfs", err);
	int r;

	if (fs < 0)
		return fs;

	r = set_numbers(fs, p->base_fds[0], err);
	if (r == 0)
		r = fs_create(fs, err);
	if (r < 0)
		return r;

	mnt = fs_mount(fs, MOUNT_ATTR_NOATIME, err);
	if (mnt < 0)
		return mnt;

	r = copy_facts(image, mnt);
	if (r < 0)
		return error_errno(err, r, "tmpfs: copy the facts of the root");

	r = fs_set_flag(fs, "ro", err);
	if (r == 0)
		r = fs_reconfigure(fs, err);
	return r < 0 ? r : take_fd(&mnt);
}
