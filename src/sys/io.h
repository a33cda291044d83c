/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Reading and writing whole ranges, through interruptions and short counts. */
#ifndef SYS_IO_H
#define SYS_IO_H

#include <sys/types.h>

#include "base/macro.h"

/* Writes all of @data[0..@size). Returns 0 or a negative errno. */
int write_all(int fd, const void *data, size_t size);
int pwrite_all(int fd, const void *data, size_t size, off_t offset);

/* Reads until @size bytes or the end. Returns the bytes read or a negative errno. */
ssize_t read_full(int fd, void *data, size_t size);
ssize_t pread_full(int fd, void *data, size_t size, off_t offset);

/* Memory for @size bytes of files, freed with free(); NULL: none left. It begins at a page: the kernel's
 * copy from the page cache is two to four times slower to addresses that lie in a cache line
 * otherwise than the source (AMD Zen 3). From 2 MiB on it asks for huge pages: reading 4 MiB to pages that
 * come one by one takes three times as long. */
void *io_buffer(size_t size);

/* Opens for writing what has the name @path below @dirfd, links followed, if it is a device, a pipe or a socket: such
 * takes bytes, and is not to be replaced by a file. Returns a descriptor; -ENOENT: it is none; or another negative errno. */
int io_open_special(int dirfd, const char *path);

/* Begins to write the range to the disk, and does not wait; a later fsync() finds less to do. */
int io_write_back(int fd, off_t offset, size_t size);

#define IO_ALIGN 64u /* where contents begin in such memory, for the same reason */

/* Bytes of files to have in memory at a time, when they are worked on after they were all read: they are to be
 * in the processor's own cache then, beside all else. 256 KiB to 1 MiB. */
size_t io_batch_size(void);

#endif
