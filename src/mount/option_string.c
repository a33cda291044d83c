/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The option string of mount(2) for overlayfs.
 *
 * The kernel cuts it at commas, then the value of lowerdir at colons; both skip a character behind a
 * backslash, and at the end the backslashes are taken out, once. So one backslash before each of the
 * three is right for every kernel and every option that holds a path.
 */
#include "mount/mount-internal.h"

int option_put_path(struct buf *b, const char *path)
{
	int r = 0;

	for (; *path && r == 0; path++) {
		if (strchr("\\,:", *path))
			r = buf_put(b, "\\", 1);
		if (r == 0)
			r = buf_put(b, path, 1);
	}
	return r;
}

static int put(struct buf *b, const char *text)
{
	return buf_put(b, text, strlen(text));
}

static int put_path(struct buf *b, const char *key, const char *path)
{
	int r = put(b, key);

	return r < 0 ? r : option_put_path(b, path);
}

int option_string(struct buf *b, const struct mount_plan *p, const char *lower,
		  const char *separator)
{
	int r = put_path(b, "metacopy=on,redirect_dir=on,lowerdir=", lower);

	for (size_t i = 0; i < p->options->nr_basedirs && r == 0; i++)
		r = put_path(b, separator, p->bases[i].path);
	if (p->upper.path && r == 0)
		r = put_path(b, ",upperdir=", p->upper.path);
	if (p->work.path && r == 0)
		r = put_path(b, ",workdir=", p->work.path);
	if (p->verity && r == 0)
		r = put(b, ",verity=require");
	return r < 0 ? r : buf_put(b, "", 1);
}
