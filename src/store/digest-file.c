/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The digest of a file's content, computed. */
#include <errno.h>

#include "digest/verity.h"
#include "store/store.h"
#include "sys/io.h"

#define PIECE                                                                                      \
	((size_t)256 << 10) /* bytes read at once: they stay in the cache until they are hashed */

int store_digest_fd(int fd, enum cairn_alg alg, struct cairn_digest *ret)
{
	cleanup_verity struct verity v = {0};
	struct cairn_digest digests[VERITY_ALGS_MAX];
	cleanup_free uint8_t *data = (uint8_t *)io_buffer(PIECE);
	off_t offset = 0;
	ssize_t n;
	int r = data ? verity_init(&v, CAIRN_ALG_BIT(alg)) : -ENOMEM;

	if (r < 0)
		return r;
	do {
		n = pread_full(fd, data, PIECE, offset);
		if (n < 0)
			return (int)n;
		verity_update(&v, data, (size_t)n);
		offset += n;
	} while (n == (ssize_t)PIECE);
	(void)verity_final(&v, digests);
	*ret = digests[0];
	return 0;
}
