/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The lower of the two mounts: the image as EROFS, attached nowhere.
 *
 *	source=/proc/self/fd/N		6.12	(CONFIG_EROFS_FS_BACKED_BY_FILE); older kernels, and any
 *						kernel for a file on tmpfs or overlayfs: ENOTBLK
 *	source=/dev/loopN		5.15
 *	idmapped mount			5.19
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "mount/mount-internal.h"
#include "sys/loop.h"
#include "sys/mount_api.h"

/* EROFS reads what it needs block by block, so the first look at a tree waits for the disk at every step.
 * Asking for the beginning of the image, where all inodes are, makes 1,000 random lookups four times as
 * fast and takes less than a millisecond; the ceiling keeps it so for large images. */
#define READ_AHEAD_MAX (8 << 20) /* bytes */

static int mount_from(const struct mount_plan *p, const char *source, struct cairn_error *err)
{
	cleanup_fd int fs = fs_open("erofs", err);
	int r;

	if (fs < 0)
		return fs;

	r = fs_set_string(fs, "source", source, err);
	if (r < 0)
		return r;

	r = fs_set_flag(fs, "ro", err);
	if (r < 0)
		return r;

	/* Saves a lookup for every file where there is nothing to be found. EROFS built without ACLs
	 * does not know the word, and does without them anyway. */
	if (!p->acl)
		(void)fs_set_flag(fs, "noacl", NULL);

	r = fs_create(fs, err);
	if (r < 0)
		return r;

	return fs_mount(fs, MOUNT_ATTR_RDONLY, err);
}

static int mount_loop(const struct mount_plan *p, struct cairn_error *err)
{
	char path[LOOP_PATH_MAX];
	/* Autoclear: the device lives until the mount ends, or until here when there is none. */
	cleanup_fd int loop = loop_attach(p->image_fd, p->options->image_name, path, err);
	int mnt;

	if (loop < 0)
		return loop;

	mnt = mount_from(p, path, err);
	if (mnt < 0)
		error_prepend(err, "%s", path);
	return mnt;
}

int image_mount(const struct mount_plan *p, bool *ret_loop, struct cairn_error *err)
{
	cleanup_fd int mnt = -1;
	char source[32];
	bool loop = false;
	int r;

	snprintf(source, sizeof(source), "/proc/self/fd/%d", p->image_fd);
	mnt = mount_from(p, source, err);
	if (mnt >= 0)
		(void)posix_fadvise(p->image_fd, 0, READ_AHEAD_MAX, POSIX_FADV_WILLNEED);
	if (mnt == -ENOTBLK) {
		loop = true;
		mnt = mount_loop(p, err);
	}
	if (mnt < 0) {
		error_prepend(err, "image: erofs");
		plan_add_kernel_words(p, "erofs", err);
		return mnt;
	}

	if (p->options->idmap_fd >= 0) {
		r = mount_idmap(mnt, p->options->idmap_fd, err);
		if (r < 0) {
			error_prepend(err, "image: map owners");
			return r;
		}
	}
	*ret_loop = loop;
	return take_fd(&mnt);
}
