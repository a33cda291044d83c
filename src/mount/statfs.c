/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The layer that makes df(1) truthful: a tmpfs above the image that holds nothing, with a root that
 * looks like the image's and the store's free space. docs/design/df.md has the argument.
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

/* tmpfs counts inodes in KiB, in an unsigned long. */
#define INODES_MAX (1ull << 50)

/* Inodes above those of the store: the root itself, and room for its xattrs, 1 KiB for each. */
#define SPARE_INODES 65

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

/* An ACL that contradicts the mode cannot be had by setting both. */
static int compare_xattr(int from, int to, const char *name)
{
	char a[XATTR_SIZE_MAX], b[XATTR_SIZE_MAX];
	ssize_t n = fgetxattr(from, name, a, sizeof(a));

	if (n < 0 || fgetxattr(to, name, b, sizeof(b)) != n || memcmp(a, b, (size_t)n) != 0)
		return -EINVAL;
	return 0;
}

/* Calls @fn for each xattr of @from that a mount would show. */
static int each_xattr(int from, int to, int (*fn)(int from, int to, const char *name))
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

	for (const char *name = names; name < names + size && r == 0; name += strlen(name) + 1)
		if (!has_prefix(name, PRIVATE_PREFIX) || has_prefix(name, ESCAPED_PREFIX))
			r = fn(from, to, name);
	return r;
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* Owner, xattrs, mode, times, in the order in which one does not undo another. */
static int copy_facts(int image, int layer)
{
	cleanup_fd int from = openat(image, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int to = openat(layer, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat a, b;
	int r;

	if (from < 0 || to < 0 || fstat(from, &a) < 0 || fchown(to, a.st_uid, a.st_gid) < 0)
		return -errno;
	r = each_xattr(from, to, copy_xattr);
	if (r < 0)
		return r;
	if (fchmod(to, a.st_mode & 07777) < 0 ||
	    futimens(to, (const struct timespec[]){a.st_atim, a.st_mtim}) < 0 || fstat(to, &b) < 0)
		return -errno;

	if (a.st_mode != b.st_mode || a.st_uid != b.st_uid || a.st_gid != b.st_gid ||
	    !same_time(a.st_atim, b.st_atim) || !same_time(a.st_mtim, b.st_mtim))
		return -EINVAL;
	return each_xattr(from, to, compare_xattr);
}

static int set_number(int fs, const char *key, unsigned long long n, struct cairn_error *err)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", n);
	return fs_set_string(fs, key, text, err);
}

/*
 * What is available in the store is both size and available here: tmpfs cannot seem fuller than it is.
 * Of the store's three numbers that is the one that somebody acts on.
 *
 * To tmpfs 0 means "no limit", and it then shows no number at all: what is wanted for a file system
 * without numbers of its own (btrfs has none for inodes), but a full one has one page left.
 */
static int set_numbers(int fs, int store, struct cairn_error *err)
{
	unsigned long long bytes = 0, inodes = 0;
	struct statfs st;
	int r;

	if (fstatfs(store, &st) < 0)
		return error_errno(err, -errno, "statfs");

	if (st.f_blocks)
		bytes = MAX((unsigned long long)st.f_bavail * (unsigned long long)st.f_bsize, 1);
	if (st.f_files)
		inodes = MIN((unsigned long long)st.f_ffree, INODES_MAX) + SPARE_INODES;

	r = set_number(fs, "size", bytes, err);
	return r < 0 ? r : set_number(fs, "nr_inodes", inodes, err);
}

int statfs_mount(const struct mount_plan *p, int image, struct cairn_error *err)
{
	cleanup_fd int mnt = -1;
	cleanup_fd int fs = fs_open("tmpfs", err);
	int r;

	if (fs < 0)
		return fs;

	r = set_numbers(fs, p->bases[0].fd, err);
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
