/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Digests as values: their size, their text. */
#include <cairn/digest.h>

#include <errno.h>
#include <string.h>

#include "base/hex.h"

CAIRN_API size_t cairn_digest_size(enum cairn_alg alg)
{
	switch (alg) {
	case CAIRN_SHA256:
		return 32;
	case CAIRN_SHA512:
		return 64;
	}
	return 0;
}

CAIRN_API size_t cairn_digest_to_hex(const struct cairn_digest *digest,
				     char hex[CAIRN_DIGEST_HEX_MAX])
{
	char *end = hex_put(hex, digest->bytes, cairn_digest_size((enum cairn_alg)digest->alg));

	*end = '\0';
	return (size_t)(end - hex);
}

CAIRN_API int cairn_digest_from_hex(const char *hex, struct cairn_digest *ret)
{
	struct cairn_digest digest = {0};
	size_t len = strnlen(hex, CAIRN_DIGEST_HEX_MAX);

	if (len == 2 * cairn_digest_size(CAIRN_SHA256))
		digest.alg = CAIRN_SHA256;
	else if (len == 2 * cairn_digest_size(CAIRN_SHA512))
		digest.alg = CAIRN_SHA512;
	else
		return -EINVAL;

	if (hex_get(hex, digest.bytes, len / 2) < 0)
		return -EINVAL;

	*ret = digest;
	return 0;
}
