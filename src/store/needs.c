/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Which objects an image needs. */
#include "store/needs.h"

#include <string.h>

#include "base/hex.h"
#include "erofs/reader.h"

struct needing {
	size_t size;
	int (*fn)(void *arg, const uint8_t *digest);
	void *arg;
};

/* The object at a path of the usual shape is its name, whatever the digest beside it says. */
static int tell_object(void *arg, const struct image_object *o)
{
	const struct needing *n = (const struct needing *)arg;
	const bool named = o->digest && o->digest_size == n->size;
	char hex[2 * CAIRN_DIGEST_MAX];
	uint8_t bytes[CAIRN_DIGEST_MAX];
	int r = named ? n->fn(n->arg, o->digest) : 0;

	if (r < 0 || !o->path || o->path_len != 2 * n->size + 1 || o->path[2] != '/')
		return r;
	memcpy(hex, o->path, 2);
	memcpy(hex + 2, o->path + 3, 2 * n->size - 2);
	if (hex_get(hex, bytes, n->size) < 0 || (named && !memcmp(bytes, o->digest, n->size)))
		return 0;
	return n->fn(n->arg, bytes);
}

int image_needs(const struct image *image, size_t size, int (*fn)(void *arg, const uint8_t *digest),
		void *arg, struct cairn_error *err)
{
	struct needing n = {size, fn, arg};

	return image_objects(image, tell_object, &n, err);
}
