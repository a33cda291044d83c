/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Mounting an image through the kernel: EROFS below, overlayfs above (mount-semantics). */
#ifndef MOUNT_MOUNT_H
#define MOUNT_MOUNT_H

#include <cairn/mount.h>

#include "base/error.h"

/* The ways of giving layers to overlayfs, newest first; the map in mount.c says what each needs. */
enum mount_way {
	MOUNT_BY_DESCRIPTOR = 1 << 0,
	MOUNT_BY_PATH = 1 << 1,
	MOUNT_BY_STRING = 1 << 2,
	MOUNT_BY_MERGING = 1 << 3,
	MOUNT_ANY_WAY = (1 << 4) - 1,
};

/* cairn_mount(), which see. @ways: set of enum mount_way that may be used: all but in tests. */
int mount_image(int image_fd, const char *target, const struct cairn_mount_options *options,
		unsigned int ways, struct cairn_mount_result *ret, struct cairn_error *err);

/* cairn_umount(), which see. */
int mount_remove(const char *target, unsigned int flags, struct cairn_error *err);

#endif
