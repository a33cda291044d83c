/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * A file that has no final name yet: written first, then published whole under its name, or never.
 *
 *	pending_open() → write → pending_seal() if it must not be open for writing any more
 *	→ pending_link() (a name that is not there) or pending_replace() (whatever is there)
 *	pending_discard() at any point, also after the others
 *
 * Where the file system can, the file has no name at all until then, and a killed process leaves
 * nothing behind.
 */
#ifndef SYS_PENDING_H
#define SYS_PENDING_H

#include <sys/types.h>

#include "base/macro.h"

#define PENDING_PREFIX_MAX 16
#define PENDING_NAME_MAX   (PENDING_PREFIX_MAX + 13) /* prefix, 12 random characters, NUL */

struct pending {
	int fd;    /* readable and writable until sealed; -1: discarded */
	int dirfd; /* where it will be named; borrowed */
	char prefix[PENDING_PREFIX_MAX + 1];
	char name[PENDING_NAME_MAX]; /* temporary name, "" while it has none */
};

#define PENDING_INIT ((struct pending){.fd = -1})

/* A new file in directory @dirfd (any descriptor, kept open by the caller; names are given below it),
 * of permissions @mode less the umask. @prefix: of the temporary names, where they are needed.
 * Returns 0 or a negative errno. */
int pending_open(int dirfd, const char *prefix, mode_t mode, struct pending *ret);

/* Re-opens the file read-only: from then on nobody has it open for writing. Needs /proc for a file
 * without a name. Returns 0 or a negative errno, and the file is then unchanged. */
int pending_seal(struct pending *p);

/* Gives the file the name @name, a path below dirfd. Returns 0; -EEXIST: the name is taken, and the
 * file is still pending; -ENOENT: its directory is missing; or another negative errno. */
int pending_link(struct pending *p, const char *name);

/* Gives the file the name @name in place of what has it, in one step. Returns as pending_link(). */
int pending_replace(struct pending *p, const char *name);

/* Closes the file; it is gone if it was not published. Does nothing the second time. */
void pending_discard(struct pending *p);

#define cleanup_pending __attribute__((__cleanup__(pending_discard)))

#endif
