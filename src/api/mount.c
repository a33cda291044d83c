/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn/mount.h */
#include <errno.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include "fuse/fuse.h"
#include "mount/mount.h"

int cairn_mount(int image_fd, const char *target, const struct cairn_mount_options *options,
		struct cairn_mount_result *ret, struct cairn_error *err)
{
	return mount_image(image_fd, target, options, MOUNT_ANY_WAY, ret, err);
}

int cairn_umount(const char *target, unsigned int flags, struct cairn_error *err)
{
	struct statfs fs;
	int r;

	if (flags & ~(unsigned int)CAIRN_UMOUNT_LAZY)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE, "unknown unmount flags 0x%x",
				 flags & ~(unsigned int)CAIRN_UMOUNT_LAZY);
	r = mount_remove(target, flags, err);
	/* Who may not unmount may have mounted by the helper, which lets everyone undo what is his. */
	if (r == -EPERM && !statfs(target, &fs) && fs.f_type == FUSE_SUPER_MAGIC)
		return fuse_unmount(target, flags & CAIRN_UMOUNT_LAZY, err);
	return r;
}
