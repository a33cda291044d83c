/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Parts of the reader: numbers of headers, records of pax headers. */
#ifndef TAR_READ_INTERNAL_H
#define TAR_READ_INTERNAL_H

#include "tar/format-internal.h"

/* A numeric field: octal text, or base-256 when the first bit is set. Returns 0, -EINVAL when it is
 * neither, -ERANGE when it does not fit into 64 bits. */
int tar_number(const char *field, size_t size, int64_t *ret);

enum pax_known {
	PAX_PATH = 1 << 0,
	PAX_TARGET = 1 << 1,
	PAX_SIZE = 1 << 2,
	PAX_UID = 1 << 3,
	PAX_GID = 1 << 4,
	PAX_MTIME = 1 << 5,
	PAX_BAD_FRACTION = 1 << 6,
};

/* What the records of one pax header say. Everything points into the header's text. */
struct pax {
	unsigned int known;  /* enum pax_known */
	char *path, *target; /* with the NUL that replaced the newline */
	size_t path_len, target_len;
	uint64_t size;
	uint32_t uid, gid;
	int64_t mtime;
	uint32_t mtime_nsec, first_nsec;
	struct xattr_input xattrs[TAR_XATTRS_MAX];
	size_t nr_xattrs;
};

/* Reads the records in @text[0..@len), and writes NULs into it. Returns NULL, or words for what is
 * wrong; *@ret_code is then -EINVAL, or -ENOTSUP, -EFBIG. */
const char *pax_parse(char *text, size_t len, struct pax *pax, int *ret_code);

#endif
