/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The header block of tar (oci-layers §1). Text fields end at the first NUL or with the field. */
#ifndef TAR_FORMAT_INTERNAL_H
#define TAR_FORMAT_INTERNAL_H

#include "tar/tar.h"

struct tar_header {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char checksum[8];
	char type;
	char target[100];
	char magic[6]; /* "ustar\0": POSIX; "ustar ": GNU */
	char version[2];
	char uname[32];
	char gname[32];
	char major[8];
	char minor[8];
	char prefix[155]; /* POSIX; GNU has times and sparse maps there */
	char unused[12];
};
_Static_assert(sizeof(struct tar_header) == TAR_BLOCK, "a header is a block");

/* Types of headers that belong to the entry behind them. */
#define TAR_PAX           'x'
#define TAR_GLOBAL_PAX    'g'
#define TAR_GNU_LONG_NAME 'L'
#define TAR_GNU_LONG_LINK 'K'

#define PAX_XATTR "SCHILY.xattr."

#endif
