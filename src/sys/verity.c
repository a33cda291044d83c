/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * fs-verity.
 *
 *	FS_IOC_ENABLE_VERITY, FS_IOC_MEASURE_VERITY	5.4	ENOTTY: the file system has no such
 *		call; EOPNOTSUPP: it has, but the feature is off there or in the kernel
 *		with a signature: what is in the keyring .fs-verity checks it, if the kernel was built so
 *	FS_IOC_READ_VERITY_METADATA			5.12	missing: block size and salt unknown;
 *		they are in the digest, so a comparison is as good
 */
#include "sys/verity.h"

#include <errno.h>
#include <linux/fsverity.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BLOCK_SIZE     4096
#define LOG_BLOCK_SIZE 12

_Static_assert((int)CAIRN_SHA256 == FS_VERITY_HASH_ALG_SHA256, "one numbering");
_Static_assert((int)CAIRN_SHA512 == FS_VERITY_HASH_ALG_SHA512, "one numbering");

/* The kernel has several ways of saying that there is no fs-verity. */
static int verity_errno(void)
{
	return errno == ENOTTY || errno == ENOSYS ? -EOPNOTSUPP : -errno;
}

int verity_enable(int fd, enum cairn_alg alg)
{
	return verity_enable_signed(fd, alg, NULL, 0);
}

int verity_enable_signed(int fd, enum cairn_alg alg, const void *signature, size_t size)
{
	struct fsverity_enable_arg arg = {
		.version = 1,
		.hash_algorithm = alg,
		.block_size = BLOCK_SIZE,
		.sig_size = (uint32_t)size,
		.sig_ptr = (uintptr_t)signature,
	};
	int r;

	do {
		r = ioctl(fd, FS_IOC_ENABLE_VERITY, &arg);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? verity_errno() : 0;
}

bool verity_checks_signatures(void)
{
	return access("/proc/sys/fs/verity/require_signatures", F_OK) == 0;
}

bool verity_is_signed(int fd)
{
	char first;
	struct fsverity_read_metadata_arg arg = {
		.metadata_type = FS_VERITY_METADATA_TYPE_SIGNATURE,
		.length = sizeof(first),
		.buf_ptr = (uintptr_t)&first,
	};

	return ioctl(fd, FS_IOC_READ_VERITY_METADATA, &arg) > 0;
}

/* The file's own parameters, where the kernel tells them. */
static int check_parameters(int fd)
{
	struct fsverity_descriptor d = {0};
	struct fsverity_read_metadata_arg arg = {
		.metadata_type = FS_VERITY_METADATA_TYPE_DESCRIPTOR,
		.length = sizeof(d),
		.buf_ptr = (uintptr_t)&d,
	};
	int n = ioctl(fd, FS_IOC_READ_VERITY_METADATA, &arg);

	if (n < 0)
		return errno == ENOTTY || errno == EOPNOTSUPP ? 0 : -errno;
	if ((size_t)n < sizeof(d) || d.log_blocksize != LOG_BLOCK_SIZE || d.salt_size != 0)
		return -EINVAL;
	return 0;
}

int verity_measure(int fd, struct cairn_digest *ret)
{
	union {
		struct fsverity_digest head;
		uint8_t space[sizeof(struct fsverity_digest) + CAIRN_DIGEST_MAX];
	} answer = {.head.digest_size = CAIRN_DIGEST_MAX};
	struct cairn_digest digest = {0};
	int r;

	if (ioctl(fd, FS_IOC_MEASURE_VERITY, &answer) < 0)
		return errno == EOVERFLOW ? -EINVAL : verity_errno();

	digest.alg = answer.head.digest_algorithm;
	if (!(digest.alg == CAIRN_SHA256 && answer.head.digest_size == 32) &&
	    !(digest.alg == CAIRN_SHA512 && answer.head.digest_size == 64))
		return -EINVAL;

	r = check_parameters(fd);
	if (r < 0)
		return r;

	memcpy(digest.bytes, answer.head.digest, answer.head.digest_size);
	*ret = digest;
	return 0;
}

int verity_supported(int dirfd)
{
	struct fsverity_digest answer = {.digest_size = 0};

	return ioctl(dirfd, FS_IOC_MEASURE_VERITY, &answer) == 0 || errno == ENODATA;
}
