/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The sizes of what a scan would hand to a store, found without reading any file. */
#ifndef SCAN_SIZES_H
#define SCAN_SIZES_H

#include "base/buf.h"

/* Appends to @ret, as uint64_t, the size in bytes of each regular file below the directory @path of @dirfd
 * that is too large for the image and has all its blocks: sparse and compressed ones, which may take less in the
 * store too, are left out, as is what cannot be listed or lies more than 64 directories deep. @one: directories on
 * other file systems are, too. Returns 0, or a negative errno when not even @path can be listed. */
int scan_sizes(int dirfd, const char *path, bool one, struct buf *ret);

#endif
