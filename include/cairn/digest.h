/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * fs-verity digests: the name of an object, the pin of an image (image-format §9).
 *
 * Block size 4096, no salt, SHA-256 or SHA-512: the parameters that composefs uses everywhere.
 */
#ifndef CAIRN_DIGEST_H
#define CAIRN_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include <cairn/error.h>

#ifdef __cplusplus
extern "C" {
#endif

enum cairn_alg {
	CAIRN_SHA256 = 1, /* the kernel's FS_VERITY_HASH_ALG_SHA256 */
	CAIRN_SHA512 = 2, /* the kernel's FS_VERITY_HASH_ALG_SHA512 */
};

/* Bit of @alg in a set of algorithms. */
#define CAIRN_ALG_BIT(alg) (1u << (alg))

#define CAIRN_DIGEST_MAX     64  /* bytes of the longest digest */
#define CAIRN_DIGEST_HEX_MAX 129 /* its hexadecimal text, with NUL */

struct cairn_digest {
	uint32_t alg;                    /* enum cairn_alg, 0: none */
	uint8_t bytes[CAIRN_DIGEST_MAX]; /* cairn_digest_size() of them count, the others are 0 */
};

/* Bytes of a digest of @alg: 32 or 64; 0 for an unknown algorithm. */
CAIRN_API size_t cairn_digest_size(enum cairn_alg alg);

/* Lower-case hexadecimal text of @digest, NUL-terminated, into @hex. Returns its length. */
CAIRN_API size_t cairn_digest_to_hex(const struct cairn_digest *digest,
				     char hex[CAIRN_DIGEST_HEX_MAX]);

/* Reads 64 (SHA-256) or 128 (SHA-512) hexadecimal digits of either case.
 * Returns 0, or -EINVAL for anything else; @ret is then untouched. */
CAIRN_API int cairn_digest_from_hex(const char *hex, struct cairn_digest *ret);

/* Digests of the bytes @data[0..@size). @algs: set of CAIRN_ALG_BIT(); @ret gets one digest for
 * each bit, lowest first. Returns the number of digests, -EINVAL for an unknown or empty set,
 * -ENOMEM. */
CAIRN_API int cairn_digest_data(const void *data, size_t size, unsigned int algs,
				struct cairn_digest *ret);

/* The same of a file's content, from its first byte to its end whatever the offset of @fd is (the
 * offset does not move). A pipe is read from where it stands. Returns as above or a read error. */
CAIRN_API int cairn_digest_fd(int fd, unsigned int algs, struct cairn_digest *ret,
			      struct cairn_error *err);

/* The kernel's own measurement of a file that has fs-verity enabled: the only one that also promises
 * that later reads match. Returns 0; -ENODATA when fs-verity is not enabled on it; -EOPNOTSUPP when
 * the file system or kernel has none; -EINVAL when the file was enabled with another block size or
 * with an algorithm that is neither SHA-256 nor SHA-512. */
CAIRN_API int cairn_digest_measure(int fd, struct cairn_digest *ret);

#ifdef __cplusplus
}
#endif

#endif
