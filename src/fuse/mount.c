/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Mounting a server's file system.
 *
 *	who may mount (root; anyone in a user namespace)   fsopen, fsmount: nothing is attached before the
 *	                                                   server is ready (Linux 5.2)
 *	everyone else                                      fusermount3(1), which attaches at once
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "fuse/server-internal.h"
#include "sys/io.h"
#include "sys/mount_api.h"

#define NAME_MAX_SHOWN 200 /* bytes of a source name; the kernel takes 255 */

static int open_device(struct cairn_error *err)
{
	int dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (dev >= 0)
		return dev;
	if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
		return error_set(err, -EOPNOTSUPP, CAIRN_ERROR_UNSUPPORTED,
				 "there is no /dev/fuse here");
	return error_errno(err, -errno, "open /dev/fuse");
}

static unsigned int mount_attrs(const struct cairn_fuse_options *o)
{
	unsigned int attrs = MOUNT_ATTR_RDONLY;

	if (o->mount_flags & CAIRN_MOUNT_NOSUID)
		attrs |= MOUNT_ATTR_NOSUID;
	if (o->mount_flags & CAIRN_MOUNT_NODEV)
		attrs |= MOUNT_ATTR_NODEV;
	if (o->mount_flags & CAIRN_MOUNT_NOEXEC)
		attrs |= MOUNT_ATTR_NOEXEC;
	if (o->mount_flags & CAIRN_MOUNT_NOATIME)
		attrs |= MOUNT_ATTR_NOATIME;
	return attrs;
}

static int set_number(int fs, const char *key, unsigned int number, struct cairn_error *err)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", number);
	return fs_set_string(fs, key, text, err);
}

static int configure(int fs, int dev, const struct cairn_fuse_options *o, struct cairn_error *err)
{
	char name[NAME_MAX_SHOWN + 1];
	int r;

	snprintf(name, sizeof(name), "%s", o->name ? o->name : "cairn");
	r = fs_set_string(fs, "source", name, err);
	if (!r)
		r = fs_set_string(fs, "subtype", "cairn", err);
	if (!r)
		r = set_number(fs, "fd", (unsigned int)dev, err);
	if (!r)
		r = fs_set_string(fs, "rootmode", "40000", err); /* octal: a directory */
	if (!r)
		r = set_number(fs, "user_id", geteuid(), err);
	if (!r)
		r = set_number(fs, "group_id", getegid(), err);
	if (!r)
		r = fs_set_flag(fs, "allow_other", err);
	/* overlayfs asks as who mounted it, and checks permissions itself. */
	if (!r && !(o->flags & CAIRN_FUSE_METADATA))
		r = fs_set_flag(fs, "default_permissions", err);
	if (!r)
		r = fs_set_flag(fs, "ro", err);
	return r ? r : fs_create(fs, err);
}

int fuse_detached(const struct cairn_fuse_options *options, int *ret_dev, int *ret_mnt,
		  struct cairn_error *err)
{
	cleanup_fd int dev = open_device(err);
	cleanup_fd int fs = -1;
	int mnt, r;

	if (dev < 0)
		return dev;
	fs = fs_open("fuse", err);
	if (fs < 0)
		return fs;
	r = configure(fs, dev, options, err);
	if (r < 0)
		return r;
	mnt = fs_mount(fs, mount_attrs(options), err);
	if (mnt < 0)
		return mnt;
	*ret_dev = take_fd(&dev);
	*ret_mnt = mnt;
	return 0;
}

/* How far the kernel reads ahead decides how much it asks for at a time: 128 KiB if nobody says
 * otherwise, which costs twice the answers, and verifies less at once, than as much as an answer holds.
 * Best effort: /sys is for root. */
static void set_read_ahead(int mnt)
{
	char path[64], text[16];
	cleanup_fd int fd = -1;
	struct stat st;

	if (fstat(mnt, &st) < 0)
		return;
	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb", major(st.st_dev),
		 minor(st.st_dev));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	snprintf(text, sizeof(text), "%zu", REPLY_MAX >> 10);
	(void)write_all(fd, text, strlen(text));
}

/* Nobody sees the mount before it answers. Closes *@mnt when it cannot be attached. */
static int mount_directly(int image_fd, int target_fd, int dev, int *mnt,
			  const struct cairn_fuse_options *options, pid_t *ret_pid,
			  struct cairn_error *err)
{
	pid_t pid;
	int r = fuse_start(dev, image_fd, options, &pid, err);

	if (r < 0)
		return r;
	set_read_ahead(*mnt);
	r = mount_attach(*mnt, target_fd, err);
	if (r < 0) {
		/* Without its last descriptor the mount is gone, and the server ends. */
		close(take_fd(mnt));
		(void)fuse_reap(pid);
		return r;
	}
	*ret_pid = pid;
	return 0;
}

static int mount_by_helper(int image_fd, const char *target,
			   const struct cairn_fuse_options *options, pid_t *ret_pid,
			   struct cairn_error *err)
{
	struct cairn_fuse_options own = *options;
	cleanup_fd int dev = -1;
	int r;

	own.flags |= FUSE_OWNER_ONLY;
	own.mount_flags |= CAIRN_MOUNT_NOSUID | CAIRN_MOUNT_NODEV;
	dev = fusermount_mount(target, &own, err);
	if (dev < 0)
		return dev;
	r = fuse_start(dev, image_fd, &own, ret_pid, err);
	if (r < 0)
		(void)fuse_unmount(target, true, NULL);
	return r;
}

int fuse_mount(int image_fd, const char *target, const struct cairn_fuse_options *options,
	       pid_t *ret_pid, struct cairn_error *err)
{
	cleanup_fd int target_fd = open(target, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int dev = -1;
	cleanup_fd int mnt = -1;
	int r;

	if (target_fd < 0)
		return error_errno(err, -errno, "open directory %s", target);
	r = fuse_detached(options, &dev, &mnt, err);
	if (r == -EPERM || r == -EACCES)
		return mount_by_helper(image_fd, target, options, ret_pid, err);
	if (r < 0)
		return r;
	return mount_directly(image_fd, target_fd, dev, &mnt, options, ret_pid, err);
}
