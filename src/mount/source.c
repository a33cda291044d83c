/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The source of a mount, as every tool shows it from the kernel's table: it tells which image is mounted,
 * and how its bytes are kept right, for as long as the mount lives and to whoever can see it.
 *
 *	composefs			the digest is not known, or nobody may see it (CAIRN_MOUNT_COMPAT)
 *	composefs:HEX			fs-verity digest of the image; with verity=require: enforced
 *	composefs:HEX:checked@N		checked, N seconds after the beginning of 1970
 *	composefs:HEX:unverified	of a server that hands out what it finds (cli/mount_fuse.c)
 */
#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "mount/mount-internal.h"

#define NAME       "composefs"
#define CHECKED    ":checked@"
#define UNVERIFIED ":unverified"

_Static_assert(sizeof(NAME) + CAIRN_DIGEST_HEX_MAX + sizeof(CHECKED) + 20 <= SOURCE_MAX, "it fits");

void source_make(struct mount_plan *p)
{
	const struct cairn_digest *digest = &p->facts.digest;
	const size_t size = cairn_digest_size((enum cairn_alg)digest->alg);
	char hex[CAIRN_DIGEST_HEX_MAX] = "";

	if (size)
		*hex_put(hex, digest->bytes, size) = '\0';
	if (!size || p->options->flags & CAIRN_MOUNT_COMPAT)
		snprintf(p->source, sizeof(p->source), NAME);
	else if (p->facts.state == CAIRN_CHECKED)
		snprintf(p->source, sizeof(p->source), NAME ":%s" CHECKED "%lld", hex,
			 (long long)p->facts.checked);
	else
		snprintf(p->source, sizeof(p->source), NAME ":%s", hex);
}

bool source_parse(const char *source, bool verity, struct cairn_mounted *ret)
{
	const char *hex = source + strlen(NAME ":");
	char text[CAIRN_DIGEST_HEX_MAX];
	size_t len;

	if (strncmp(source, NAME, strlen(NAME)) != 0)
		return false;
	if (source[strlen(NAME)] == '\0')
		return true;
	if (source[strlen(NAME)] != ':')
		return false;

	len = strspn(hex, "0123456789abcdef");
	if (len >= sizeof(text))
		return true; /* a name that others gave it */
	memcpy(text, hex, len);
	text[len] = '\0';
	if (hex[len] != '\0' && strncmp(hex + len, CHECKED, strlen(CHECKED)) != 0 &&
	    strcmp(hex + len, UNVERIFIED) != 0)
		return true;
	if (cairn_digest_from_hex(text, &ret->digest) < 0)
		return true;
	if (strcmp(hex + len, UNVERIFIED) == 0)
		return true;
	if (hex[len] != '\0') {
		ret->state = CAIRN_CHECKED;
		ret->checked = strtoll(hex + len + strlen(CHECKED), NULL, 10);
	} else if (verity) {
		ret->state = CAIRN_ENFORCED;
	}
	return true;
}
