/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn mount --backend fuse, or overlay: the server, and the process that watches it. */
#ifndef CLI_MOUNT_FUSE_H
#define CLI_MOUNT_FUSE_H

#include "mount_options.h"
#include "stores.h"

struct mount_fuse_args {
	enum cairn_backend backend;
	const struct mount_args *options; /* with everything that cairn_mount() takes */
	const struct store_list *stores;  /* of --store; those of basedir= come after them */
	bool check;                       /* the image, before it is served */
	bool foreground;
	int image_fd; /* stays the caller's */
	const char *image, *target;

	/* Tells the user what became of it, when the mount answers. Returns an exit status. */
	int (*report)(void *arg, const struct cairn_mount_result *result, pid_t server);
	void *arg;
};

/* Mounts. Returns when the mount answers, or with foreground when it is gone again. Returns an exit
 * status, after telling why where it is not EXIT_DONE. */
int mount_fuse(const struct mount_fuse_args *a);

#endif
