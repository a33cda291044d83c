/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Names of container images: references to the streams of their manifests (repository §9). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "store/names.h"

#define FOLDER "oci/"

int store_tag_entry(const char *tag, char out[STORE_REF_MAX + 1], struct cairn_error *err)
{
	size_t len = (size_t)snprintf(out, STORE_REF_MAX, FOLDER);

	for (const char *p = tag; *p && *tag != '@'; p++) {
		if (len + 4 > STORE_REF_MAX)
			break;
		if (*p == '/' || *p == '%')
			len += (size_t)sprintf(out + len, "%%%02X", (unsigned char)*p);
		else
			out[len++] = *p;
		if (!p[1]) {
			out[len] = '\0';
			return 0;
		}
	}
	return error_set(err, -EINVAL, CAIRN_ERROR_USAGE, "'%.200s' cannot be a tag", tag);
}

/* "a%2Fb" is a/b; what is no such escape is left as it is. */
static void unescape(const char *text, char *out)
{
	uint8_t byte;

	while (*text) {
		if (*text == '%' && strlen(text) > 2 && hex_get(text + 1, &byte, 1) == 0) {
			*out++ = (char)byte;
			text += 3;
		} else {
			*out++ = *text++;
		}
	}
	*out = '\0';
}

bool store_tag_of(const struct store_name *ref, char out[STORE_REF_MAX + 1])
{
	if (ref->kind != STORE_STREAMS || strncmp(ref->name, FOLDER, strlen(FOLDER)) ||
	    strncmp(ref->target, STORE_MANIFEST_PREFIX, strlen(STORE_MANIFEST_PREFIX)) ||
	    strlen(ref->name) > STORE_REF_MAX)
		return false;
	unescape(ref->name + strlen(FOLDER), out);
	return true;
}
