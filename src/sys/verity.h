/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* fs-verity of the kernel: turning it on for a file, and asking what a file's digest is. */
#ifndef SYS_VERITY_H
#define SYS_VERITY_H

#include <stdbool.h>
#include <stddef.h>

#include <cairn/digest.h>

#include "base/macro.h"

/* Turns fs-verity on for the regular file open at @fd, with blocks of 4096 bytes and no salt. The
 * file must be open read-only and nowhere for writing; it can never be written again.
 * Returns 0; -EEXIST: it was on already (with whatever parameters: measure it); -ETXTBSY: open for
 * writing somewhere; -EOPNOTSUPP: the kernel or the file system has no fs-verity; -EINVAL: the file
 * system's blocks are smaller than 4096 bytes and the kernel is too old for that; or another negative
 * errno. */
int verity_enable(int fd, enum cairn_alg alg);

/* The same with a signature over the digest that the file will have: PKCS#7, DER, detached. The kernel checks it with the
 * certificates of its keyring .fs-verity, now and whenever the file is opened. @size 0: none. Also returns
 * -ENOKEY: none of its certificates is the signer's; -EKEYREJECTED, -EBADMSG: it is not right. */
int verity_enable_signed(int fd, enum cairn_alg alg, const void *signature, size_t size);

/* Whether this kernel checks such signatures at all; one that does not keeps them unread. */
bool verity_checks_signatures(void);

/* Whether the file open at @fd has one. Kernels before 5.12 do not tell. */
bool verity_is_signed(int fd);

/* The digest that the kernel enforces for the file open at @fd.
 * Returns 0; -ENODATA: fs-verity is not on; -EOPNOTSUPP: the kernel or the file system has none;
 * -EINVAL: on with another block size, with a salt, or with an algorithm that is neither SHA-256 nor
 * SHA-512; or another negative errno. @ret is untouched on failure. */
int verity_measure(int fd, struct cairn_digest *ret);

/* Whether files in the directory open at @fd could have fs-verity: what the kernel answers when it is
 * asked for the digest of the directory, which never has one. Returns 1 or 0. */
int verity_supported(int dirfd);

#endif
