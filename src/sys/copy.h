/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Ways for a file's content to get into another. */
#ifndef SYS_COPY_H
#define SYS_COPY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Makes the content of @to that of @from by sharing its blocks. Returns 0; -EOPNOTSUPP: no files of these
 * two file systems; -EINVAL: not these files; or another negative errno. */
int copy_clone(int from, int to);

/* Appends @data[0..@size) to a file of which *@offset bytes are written, and advances that. @sparse:
 * blocks of zeros become holes; the last call must then be followed by copy_end(). Returns 0 or a
 * negative errno. */
int copy_append(int fd, const void *data, size_t size, bool sparse, uint64_t *offset);

/* Ends a file of @offset bytes, the last of which may be a hole. Returns 0 or a negative errno. */
int copy_end(int fd, uint64_t offset);

#endif
