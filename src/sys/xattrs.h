/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Extended attributes of an open file, or of a name in an open directory without opening it (a
 * symbolic link or a device cannot be opened for that, and is not followed).
 */
#ifndef SYS_XATTRS_H
#define SYS_XATTRS_H

#include <sys/types.h>

/* Where the attributes are: those of @fd itself when @name is NULL, else of @name in directory @fd. */
struct xattr_place {
	int fd;
	const char *name;
};

/* The names, each NUL-terminated, into @names[0..@size). Returns their bytes; -ERANGE: @size is too
 * small; -ENOTSUP: none can be here; or another negative errno. */
ssize_t xattr_list_names(const struct xattr_place *place, char *names, size_t size);

/* The value of @attribute into @value[0..@size). Returns its bytes; -ERANGE: @size is too small;
 * -ENODATA: it is not there; or another negative errno. */
ssize_t xattr_get_value(const struct xattr_place *place, const char *attribute, void *value,
			size_t size);

#endif
