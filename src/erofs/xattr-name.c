/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Names of xattrs as EROFS stores them. */
#include "erofs/xattr-name.h"

#include <string.h>
#include <xxhash.h>

#include "erofs/format.h"

static const struct {
	const char *text;
	size_t len;
} prefixes[] = {
#define PREFIX(text)                                                                               \
	{                                                                                          \
		text, sizeof(text) - 1                                                             \
	}
	PREFIX(""),
	PREFIX("user."),
	PREFIX("system.posix_acl_access"),
	PREFIX("system.posix_acl_default"),
	PREFIX("trusted."),
	PREFIX("lustre."),
	PREFIX("security."),
#undef PREFIX
};

const char *xattr_prefix(unsigned int index)
{
	return index < ARRAY_SIZE(prefixes) ? prefixes[index].text : NULL;
}

unsigned int xattr_prefix_index(const char *name, size_t len, bool lustre, size_t *ret_len)
{
	for (unsigned int i = XATTR_INDEX_MAX; i; i--) {
		if (i == XATTR_INDEX_LUSTRE && !lustre)
			continue;
		if (len >= prefixes[i].len && !memcmp(name, prefixes[i].text, prefixes[i].len)) {
			*ret_len = prefixes[i].len;
			return i;
		}
	}
	*ret_len = 0;
	return 0;
}

unsigned int xattr_filter_bit(unsigned int index, const char *suffix, size_t len)
{
	return XXH32(suffix, len, XATTR_FILTER_SEED + index) % 32;
}
