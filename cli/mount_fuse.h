/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn mount --backend fuse: the server, and the process that watches it. */
#ifndef CLI_MOUNT_FUSE_H
#define CLI_MOUNT_FUSE_H

#include "mount_options.h"
#include "stores.h"

struct mount_fuse_args {
	const struct mount_args *options;
	const struct store_list *stores; /* of --store; those of basedir= come after them */
	bool check;                      /* the image, before it is served */
	bool foreground;
	int image_fd; /* stays the caller's */
	const char *image, *target;
};

/* Mounts. Returns when the mount answers, or with foreground when it is gone again. Returns an exit
 * status, after telling why where it is not EXIT_DONE. */
int mount_fuse(const struct mount_fuse_args *a);

#endif
