/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Names of xattrs as EROFS stores them: a prefix by number, then the rest (image-format §5). */
#ifndef EROFS_XATTR_NAME_H
#define EROFS_XATTR_NAME_H

#include "base/macro.h"

/* The prefix of number @index, NUL-terminated; NULL for an unknown one. */
const char *xattr_prefix(unsigned int index);

/* Number of the prefix that @name begins with; 0: none. @lustre: whether 5 counts, which only V2
 * writes. @ret_len: bytes of the prefix. */
unsigned int xattr_prefix_index(const char *name, size_t len, bool lustre, size_t *ret_len);

/* Bit of the name filter that an xattr clears, 0 to 31. */
unsigned int xattr_filter_bit(unsigned int index, const char *suffix, size_t len);

#endif
