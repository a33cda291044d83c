/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Digests of bytes and files. */
#include <errno.h>
#include <sys/stat.h>

#include "api/api-internal.h"
#include "digest/verity.h"
#include "sys/io.h"
#include "sys/verity.h"

/* Read at once: enough for the widest hashing, small enough to stay in the cache. */
#define READ_SIZE (128u << 10)

int cairn_digest_data(const void *data, size_t size, unsigned int algs, struct cairn_digest *ret)
{
	return verity_digest_data(data, size, algs, ret);
}

/* A file that can be read at any offset is read from its start. */
static bool has_offsets(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode));
}

int cairn_digest_fd(int fd, unsigned int algs, struct cairn_digest *ret, struct cairn_error *err)
{
	struct verity v cleanup_verity = {0};
	cleanup_free char *data = NULL;
	bool positioned = has_offsets(fd);
	off_t offset = 0;
	int r;

	data = (char *)io_buffer(READ_SIZE);
	if (!data)
		return error_errno(err, -ENOMEM, "compute the digest");
	r = verity_init(&v, algs);
	if (r == -EINVAL)
		return error_set(err, r, CAIRN_ERROR_USAGE, "no such digest algorithm");
	if (r < 0)
		return error_errno(err, r, "compute the digest");

	for (;;) {
		ssize_t n =
			positioned ? pread(fd, data, READ_SIZE, offset) : read(fd, data, READ_SIZE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, -errno, "read");
		if (n == 0)
			return verity_final(&v, ret);
		verity_update(&v, data, (size_t)n);
		offset += n;
	}
}

int cairn_digest_measure(int fd, struct cairn_digest *ret)
{
	return verity_measure(fd, ret);
}
