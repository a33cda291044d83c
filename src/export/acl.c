/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* POSIX ACLs: what the kernel keeps in system.posix_acl_*, as text. */
#include <errno.h>
#include <stdio.h>

#include "base/bytes.h"
#include "export/export-internal.h"

#define ACL_VERSION 2
#define ACL_HEADER  4 /* bytes */
#define ACL_ENTRY   8

enum acl_tag {
	ACL_USER_OBJ = 0x01,
	ACL_USER = 0x02,
	ACL_GROUP_OBJ = 0x04,
	ACL_GROUP = 0x08,
	ACL_MASK = 0x10,
	ACL_OTHER = 0x20,
};

static const char *word_of(unsigned int tag)
{
	switch (tag) {
	case ACL_USER_OBJ:
	case ACL_USER:
		return "user";
	case ACL_GROUP_OBJ:
	case ACL_GROUP:
		return "group";
	case ACL_MASK:
		return "mask";
	case ACL_OTHER:
		return "other";
	default:
		return NULL;
	}
}

int acl_to_text(const void *value, size_t size, char out[ACL_TEXT_MAX])
{
	const uint8_t *p = (const uint8_t *)value;
	size_t len = 0;

	if (size < ACL_HEADER + ACL_ENTRY || (size - ACL_HEADER) % ACL_ENTRY ||
	    get_le32(p) != ACL_VERSION)
		return -EINVAL;
	for (size_t at = ACL_HEADER; at < size; at += ACL_ENTRY) {
		unsigned int tag = get_le16(p + at);
		unsigned int perm = get_le16(p + at + 2);
		const char *word = word_of(tag);
		char id[16] = "";

		if (!word || perm > 7 || len > ACL_TEXT_MAX - 64)
			return -EINVAL;
		if (tag == ACL_USER || tag == ACL_GROUP)
			snprintf(id, sizeof(id), "%u", get_le32(p + at + 4));
		len += (size_t)snprintf(out + len, ACL_TEXT_MAX - len, "%s%s:%s:%c%c%c",
					len ? "," : "", word, id, perm & 4 ? 'r' : '-',
					perm & 2 ? 'w' : '-', perm & 1 ? 'x' : '-');
	}
	return 0;
}
