/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* What can be relied on where: the kind of a file system, and a thread's own table of descriptors. */
#ifndef SYS_PLACE_H
#define SYS_PLACE_H

#include "base/macro.h"

/* Whether the file system of @fd is an ordinary one of this machine: a read has no effect and gives
 * bytes of a file, not what a driver or a server answers, and the times of files come from this
 * machine's clock. False when that is not known. */
bool place_is_ordinary(int fd);

/* A mounted file system, as far as it can be recognised again. */
struct place_id {
	uint32_t type;     /* its magic number */
	uint64_t identity; /* of its UUID where it has one: the same after a reboot */
	uint64_t mount;    /* of a mount of it, never used again until the reboot; 0: not known */
	bool lasting;      /* @type and @identity are enough to recognise it */
};

/* Which file system @fd is on, if its kernel code sets the ctime of a file on every change of the file, so
 * that an equal ctime proves an equal file. Returns false where that does not hold or nothing is known:
 * networks, FUSE, kernel interfaces. Where images carry times that somebody chose (EROFS, SquashFS, and
 * what overlayfs shows of them), that holds for one mount only, and @ret is not lasting. */
bool place_identify(int fd, struct place_id *ret);

/* Names this boot of the machine. "" when the kernel does not tell. */
#define PLACE_BOOT_MAX 40
void place_boot(char out[PLACE_BOOT_MAX]);

/* Gives the calling thread a table of descriptors of its own with only those of @keep[0..@nr) and the
 * standard ones in it. A table that threads share makes every call on a descriptor count references in
 * memory that all of them write to. A thread that the library did not start must not be changed so.
 * Best effort: where the kernel cannot (close_range: 5.9), the table stays shared. */
void place_own_descriptors(const int *keep, unsigned int nr);

#endif
