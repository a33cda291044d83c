/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn/fuse.h */
#include <errno.h>

#include "fuse/fuse.h"

#define FLAGS                                                                                      \
	(CAIRN_FUSE_METADATA | CAIRN_FUSE_CHECK | CAIRN_FUSE_UNVERIFIED | CAIRN_FUSE_WITH_PARENT)
#define MOUNT_FLAGS                                                                                \
	(CAIRN_MOUNT_READ_ONLY | CAIRN_MOUNT_NOSUID | CAIRN_MOUNT_NODEV | CAIRN_MOUNT_NOEXEC |     \
	 CAIRN_MOUNT_NOATIME | CAIRN_MOUNT_IMAGE_STATFS)

static int check(const struct cairn_fuse_options *o, struct cairn_error *err)
{
	if (o->flags & ~(unsigned int)FLAGS || o->mount_flags & ~(unsigned int)MOUNT_FLAGS)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE, "serve an image: unknown flags");
	if (o->digest && !cairn_digest_size((enum cairn_alg)o->digest->alg))
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
				 "serve an image: unknown digest algorithm");
	return 0;
}

int cairn_fuse_mount(int image_fd, const char *target, const struct cairn_fuse_options *options,
		     pid_t *ret_pid, struct cairn_error *err)
{
	int r = check(options, err);

	return r < 0 ? r : fuse_mount(image_fd, target, options, ret_pid, err);
}

int cairn_fuse_detached(const struct cairn_fuse_options *options, int *ret_dev, int *ret_mnt,
			struct cairn_error *err)
{
	int r = check(options, err);

	return r < 0 ? r : fuse_detached(options, ret_dev, ret_mnt, err);
}

int cairn_fuse_start(int dev_fd, int image_fd, const struct cairn_fuse_options *options,
		     pid_t *ret_pid, struct cairn_error *err)
{
	int r = check(options, err);

	return r < 0 ? r : fuse_start(dev_fd, image_fd, options, ret_pid, err);
}

int cairn_fuse_serve(int dev_fd, int image_fd, const struct cairn_fuse_options *options,
		     void (*ready)(void *arg), void *arg, struct cairn_error *err)
{
	int r = check(options, err);

	return r < 0 ? r : fuse_serve(dev_fd, image_fd, options, ready, arg, err);
}
