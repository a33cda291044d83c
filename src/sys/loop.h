/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* A read-only loop device over a file, that goes away by itself. */
#ifndef SYS_LOOP_H
#define SYS_LOOP_H

#include "base/error.h"

#define LOOP_PATH_MAX 32 /* bytes of "/dev/loopN" with NUL */

/* Binds a free loop device to the file open at @fd: read-only, blocks of 4096 bytes, direct I/O where
 * the file's file system has it. @name: shown by losetup, cut to 63 bytes; may be NULL.
 * @ret_path: gets the device's path. Returns a descriptor of the device: the binding ends when it and
 * every mount of the device are closed, also when the process dies. Needs Linux 5.8.
 * Errors: -EBUSY when no device could be had though many were tried; -ENOENT, -EACCES, -EPERM … for
 * /dev/loop-control or the device. */
int loop_attach(int fd, const char *name, char ret_path[LOOP_PATH_MAX], struct cairn_error *err);

#endif
