/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The mount calls of Linux 5.2 and later: a file system context is opened, configured, created, and
 * becomes a mount that hangs nowhere until it is attached.
 *
 * Every function returns 0 (or a descriptor, close-on-exec, that the caller closes) or a negative
 * errno. @err gets one sentence: the parameter or step, the words that the kernel left on the
 * context's descriptor, the words of the errno. NULL is allowed. Kind SYSTEM, or UNSUPPORTED where the
 * kernel has no such file system.
 */
#ifndef SYS_MOUNT_API_H
#define SYS_MOUNT_API_H

#include <sys/mount.h>

#include "base/error.h"

/* A string value is refused with -EINVAL by the kernel from this many bytes on, NUL included. */
#define FS_VALUE_MAX 256

/* A context for file system @type. Returns its descriptor. */
int fs_open(const char *type, struct cairn_error *err);

/* Parameters. @value: less than FS_VALUE_MAX bytes. @fd: stays the caller's. */
int fs_set_flag(int fs, const char *key, struct cairn_error *err);
int fs_set_string(int fs, const char *key, const char *value, struct cairn_error *err);
int fs_set_fd(int fs, const char *key, int fd, struct cairn_error *err);

/* The super block, from the parameters set so far; and its reconfiguration, after fs_mount(), with
 * those set since then. */
int fs_create(int fs, struct cairn_error *err);
int fs_reconfigure(int fs, struct cairn_error *err);

/* A detached mount of the created super block. Returns its descriptor. When that is closed and the
 * mount was never attached, the mount is gone. @attrs: MOUNT_ATTR_*. */
int fs_mount(int fs, unsigned int attrs, struct cairn_error *err);

/* A detached copy of the mount that @path is the top of. Returns its descriptor. */
int mount_clone(const char *path, struct cairn_error *err);

/* Sets attributes (MOUNT_ATTR_*) of the mount @mnt. */
int mount_set_attrs(int mnt, unsigned long long attrs, struct cairn_error *err);

/* Maps the owners in the detached mount @mnt through the user namespace @userns_fd. */
int mount_idmap(int mnt, int userns_fd, struct cairn_error *err);

/* Attaches the detached mount @mnt on top of the directory that @target_fd is open on. */
int mount_attach(int mnt, int target_fd, struct cairn_error *err);

#endif
