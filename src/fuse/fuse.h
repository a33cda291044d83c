/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * An image served from user space (docs/design/fuse.md).
 *
 *	mount.c        the device and the mount; fusermount.c for who may not mount
 *	start.c        the child process, and what it tells before it serves
 *	serve.c        image, sandbox, threads
 *	handle*.c      requests and answers
 *	view.c         what of an image is shown
 */
#ifndef FUSE_FUSE_H
#define FUSE_FUSE_H

#include <cairn/fuse.h>

#include "base/error.h"

/* As the cairn_fuse_* functions. */
int fuse_detached(const struct cairn_fuse_options *options, int *ret_dev, int *ret_mnt,
		  struct cairn_error *err);
int fuse_start(int dev_fd, int image_fd, const struct cairn_fuse_options *options, pid_t *ret_pid,
	       struct cairn_error *err);
int fuse_serve(int dev_fd, int image_fd, const struct cairn_fuse_options *options,
	       void (*ready)(void *arg), void *arg, struct cairn_error *err);
int fuse_mount(int image_fd, const char *target, const struct cairn_fuse_options *options,
	       pid_t *ret_pid, struct cairn_error *err);

/* Unmounts what fusermount3(1) mounted on @target, as the user who did. Returns 0 or a negative errno. */
int fuse_unmount(const char *target, bool lazy, struct cairn_error *err);

#endif
