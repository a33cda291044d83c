/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Directories: opening what is below one without leaving it, and listing. */
#ifndef SYS_DIR_H
#define SYS_DIR_H

#include <stdbool.h>
#include <stddef.h>

/* Opens @path below directory @dirfd for @flags (O_CLOEXEC is added). No component is followed if it
 * is a symbolic link, none leads out. Returns a descriptor; -ELOOP: a link is on the way; -EXDEV: the
 * way leads out; or another negative errno. */
int open_beneath(int dirfd, const char *path, int flags);

/* Opens the directory @name, one component, in directory @dirfd for listing. Not following a link in
 * that component is all that RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS could do here, and openat() is
 * the cheaper call. Returns a descriptor; -ENOTDIR: not a directory, or a link to one; or another
 * negative errno. */
int open_directory(int dirfd, const char *name);

/* Opens the file @name, one component, in directory @dirfd for reading. Never waits (a FIFO, a lease), never
 * becomes our terminal, and leaves the time of access alone where it may: *@no_atime_refused, false at first,
 * keeps that it may not. Returns a descriptor; -ELOOP: a link; -ENXIO: a socket or a device; or another
 * negative errno. */
int open_quietly(int dirfd, const char *name, bool *no_atime_refused);

/* Gets one entry: @type is a DT_ constant, DT_UNKNOWN where the file system does not say. Returns 0,
 * or a negative errno that stops the list. */
typedef int (*dir_entry_fn)(void *arg, const char *name, size_t len, unsigned char type);

/* Calls @fn for every entry of the directory open at @fd but "." and "..", from its offset on.
 * @buffer[0..@size): space for the kernel's answers, aligned to 8; the larger the fewer calls.
 * Returns 0, what @fn returned, or a negative errno. */
int dir_list(int fd, void *buffer, size_t size, dir_entry_fn fn, void *arg);

/* The directory that @path below @dirfd is in, and the last component of @path, which may be "".
 * Returns a descriptor or a negative errno. */
int dir_open_parent(int dirfd, const char *path, const char **ret_name);

/* Makes a directory of mode 0700 in @dirfd, named @prefix and 16 random digits, into @out[0..@size).
 * Returns 0 or a negative errno. */
int dir_make_temporary(int dirfd, const char *prefix, char *out, size_t size);

/* Removes the directory @name, one component, in @dirfd and all that is in it, following nothing. For
 * directories that are ours alone: modes in the way are changed. Returns 0 or a negative errno. */
int dir_remove_tree(int dirfd, const char *name);

#endif
