/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* What can be relied on where: the kind of a file system, and a thread's own table of descriptors. */
#ifndef SYS_PLACE_H
#define SYS_PLACE_H

#include "base/macro.h"

/* Whether the file system of @fd is an ordinary one of this machine: a read has no effect and gives
 * bytes of a file, not what a driver or a server answers, and the times of files come from this
 * machine's clock. False when that is not known. */
bool place_is_ordinary(int fd);

/* Gives the calling thread a table of descriptors of its own with only those of @keep[0..@nr) and the
 * standard ones in it. A table that threads share makes every call on a descriptor count references in
 * memory that all of them write to. A thread that the library did not start must not be changed so.
 * Best effort: where the kernel cannot (close_range: 5.9), the table stays shared. */
void place_own_descriptors(const int *keep, unsigned int nr);

#endif
