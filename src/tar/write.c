/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Writing tar: ustar, and a pax header for what it cannot say. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tar/format-internal.h"
#include "tar/tar.h"

static const char zeros[2 * TAR_BLOCK];

static int put(struct tar_writer *w, const void *data, size_t size)
{
	int r = size ? w->write(w->arg, data, size) : 0;

	w->offset += size;
	return MIN(r, 0);
}

static uint32_t padding(uint64_t size)
{
	return (uint32_t)(-size % TAR_BLOCK);
}

void tar_writer_fini(struct tar_writer *w)
{
	buf_fini(&w->pax);
}

/* --- pax ------------------------------------------------------------------------------------- */

/* "LEN KEY=VALUE\n", where LEN counts itself. */
static int pax_record(struct tar_writer *w, const char *prefix, const char *key, size_t key_len,
		      const void *value, size_t value_len)
{
	size_t rest = strlen(prefix) + key_len + value_len + 3; /* space, =, newline */
	size_t len = rest + 1;
	char digits[24];
	int n;

	while ((n = snprintf(digits, sizeof(digits), "%zu", len)) > 0 && rest + (size_t)n != len)
		len = rest + (size_t)n;
	if (buf_reserve(&w->pax, len) < 0)
		return -EFBIG;
	(void)buf_put(&w->pax, digits, (size_t)n);
	(void)buf_put(&w->pax, " ", 1);
	(void)buf_put(&w->pax, prefix, strlen(prefix));
	(void)buf_put(&w->pax, key, key_len);
	(void)buf_put(&w->pax, "=", 1);
	(void)buf_put(&w->pax, value, value_len);
	return buf_put(&w->pax, "\n", 1);
}

static int pax_text(struct tar_writer *w, const char *key, const char *value, size_t len)
{
	return pax_record(w, "", key, strlen(key), value, len);
}

static int __printf_like(3, 4)
	pax_number(struct tar_writer *w, const char *key, const char *fmt, ...)
{
	char text[64];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return pax_text(w, key, text, (size_t)n);
}

/* Seconds are rounded down, but pax writes the sign in front of the whole. */
static int pax_mtime(struct tar_writer *w, const struct tar_entry *e)
{
	int64_t seconds = e->mtime;
	uint32_t nsec = e->mtime_nsec;
	const char *sign = "";
	char fraction[16] = "";
	uint64_t whole;

	if (seconds < 0) {
		sign = "-";
		if (nsec) {
			seconds++;
			nsec = 1000000000 - nsec;
		}
	}
	whole = seconds < 0 ? (uint64_t)0 - (uint64_t)seconds : (uint64_t)seconds;
	if (nsec) {
		size_t len = (size_t)snprintf(fraction, sizeof(fraction), ".%09u", nsec);

		while (fraction[len - 1] == '0')
			fraction[--len] = '\0';
	}
	return pax_number(w, "mtime", "%s%llu%s", sign, (unsigned long long)whole, fraction);
}

static int pax_xattrs(struct tar_writer *w, const struct tar_entry *e, struct cairn_error *err)
{
	for (size_t i = 0; i < e->nr_xattrs; i++) {
		const struct xattr_input *x = &e->xattrs[i];

		if (memchr(x->name, '=', x->name_len))
			return error_set(err, -EINVAL, CAIRN_ERROR_UNSUPPORTED,
					 "%.200s: the name of an extended attribute has a =, "
					 "which tar cannot say",
					 e->path);
		if (pax_record(w, PAX_XATTR, x->name, x->name_len, x->value, x->value_len) < 0)
			return -EFBIG;
	}
	return 0;
}

/* --- ustar ----------------------------------------------------------------------------------- */

/* @value in octal, with a NUL behind, filling the field. False: it does not fit. */
static bool put_octal(char *field, size_t size, uint64_t value)
{
	field[--size] = '\0';
	while (size) {
		field[--size] = (char)('0' + (value & 7));
		value >>= 3;
	}
	return !value;
}

/* Splits the path at a slash into prefix and name. False: it does not fit. */
static bool put_path(struct tar_header *h, const char *path, size_t len)
{
	size_t at;

	if (len <= sizeof(h->name)) {
		memcpy(h->name, path, len);
		return true;
	}
	if (len > sizeof(h->prefix) + 1 + sizeof(h->name))
		return false;
	/* The leftmost slash with a name behind it that fits. A path beginning with one has no prefix:
	 * an empty one is none. */
	for (at = len - sizeof(h->name) - 1; at < len - 1 && path[at] != '/';)
		at++;
	if (at >= len - 1 || !at || at > sizeof(h->prefix))
		return false;
	memcpy(h->prefix, path, at);
	memcpy(h->name, path + at + 1, len - at - 1);
	return true;
}

static void put_checksum(struct tar_header *h)
{
	const uint8_t *bytes = (const uint8_t *)h;
	uint32_t sum = 0;

	memset(h->checksum, ' ', sizeof(h->checksum));
	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += bytes[i];
	(void)put_octal(h->checksum, sizeof(h->checksum) - 1, sum);
}

static void header_init(struct tar_header *h, char type)
{
	memset(h, 0, sizeof(*h));
	memcpy(h->magic, "ustar", 6);
	memcpy(h->version, "00", 2);
	h->type = type;
}

/* The pax header in front of an entry. */
static int put_pax(struct tar_writer *w, const struct tar_entry *e)
{
	static const char dir[] = "PaxHeaders/";
	struct tar_header h;
	size_t len = e->path_len, at;
	int r;

	if (!w->pax.len)
		return 0;
	while (len > 1 && e->path[len - 1] == '/')
		len--;
	for (at = len; at && e->path[at - 1] != '/';)
		at--;
	header_init(&h, TAR_PAX);
	memcpy(h.name, dir, sizeof(dir) - 1);
	memcpy(h.name + sizeof(dir) - 1, e->path + at,
	       MIN(len - at, sizeof(h.name) - sizeof(dir) + 1));
	(void)put_octal(h.mode, sizeof(h.mode), 0644);
	(void)put_octal(h.uid, sizeof(h.uid), 0);
	(void)put_octal(h.gid, sizeof(h.gid), 0);
	(void)put_octal(h.size, sizeof(h.size), w->pax.len);
	(void)put_octal(h.mtime, sizeof(h.mtime), 0);
	put_checksum(&h);
	r = put(w, &h, sizeof(h));
	if (!r)
		r = put(w, w->pax.data, w->pax.len);
	return r ? r : put(w, zeros, padding(w->pax.len));
}

/* Numbers into the header, or into the pax header when they do not fit. */
static int put_numbers(struct tar_writer *w, struct tar_header *h, const struct tar_entry *e,
		       uint64_t size)
{
	int r = 0;

	(void)put_octal(h->mode, sizeof(h->mode), e->mode & 07777);
	if (!put_octal(h->uid, sizeof(h->uid), e->uid)) {
		(void)put_octal(h->uid, sizeof(h->uid), 0);
		r = pax_number(w, "uid", "%u", e->uid);
	}
	if (!put_octal(h->gid, sizeof(h->gid), e->gid) && !r) {
		(void)put_octal(h->gid, sizeof(h->gid), 0);
		r = pax_number(w, "gid", "%u", e->gid);
	}
	if (!put_octal(h->size, sizeof(h->size), size) && !r) {
		(void)put_octal(h->size, sizeof(h->size), 0);
		r = pax_number(w, "size", "%llu", (unsigned long long)size);
	}
	if ((e->mtime < 0 || !put_octal(h->mtime, sizeof(h->mtime), (uint64_t)e->mtime) ||
	     e->mtime_nsec) &&
	    !r) {
		if (e->mtime < 0 || (uint64_t)e->mtime >> 33)
			(void)put_octal(h->mtime, sizeof(h->mtime), 0);
		r = pax_mtime(w, e);
	}
	return r;
}

static int put_names(struct tar_writer *w, struct tar_header *h, const struct tar_entry *e)
{
	bool slash = e->type == TAR_DIRECTORY && e->path[e->path_len - 1] != '/';
	size_t len = e->path_len + slash;
	cleanup_free char *path = (char *)malloc(len);
	int r = 0;

	if (!path)
		return -ENOMEM;
	memcpy(path, e->path, e->path_len);
	if (slash)
		path[len - 1] = '/';
	if (!put_path(h, path, len))
		r = pax_text(w, "path", path, len);
	if (r < 0 || (e->type != TAR_HARDLINK && e->type != TAR_SYMLINK))
		return r;
	if (e->target_len > sizeof(h->target))
		return pax_text(w, "linkpath", e->target, e->target_len);
	memcpy(h->target, e->target, e->target_len);
	return 0;
}

int tar_write_entry(struct tar_writer *w, const struct tar_entry *e, struct cairn_error *err)
{
	uint64_t size = e->type == TAR_FILE ? e->size : 0;
	struct tar_header h;
	int r;

	header_init(&h, (char)e->type);
	w->pax.len = 0;
	r = put_names(w, &h, e);
	if (!r)
		r = put_numbers(w, &h, e, size);
	if (e->type == TAR_CHARDEV || e->type == TAR_BLOCKDEV) {
		(void)put_octal(h.major, sizeof(h.major), e->major);
		(void)put_octal(h.minor, sizeof(h.minor), e->minor);
	}
	if (!r)
		r = pax_xattrs(w, e, err);
	if (!r && e->acl_access)
		r = pax_text(w, "SCHILY.acl.access", e->acl_access, strlen(e->acl_access));
	if (!r && e->acl_default)
		r = pax_text(w, "SCHILY.acl.default", e->acl_default, strlen(e->acl_default));
	if (r == -EINVAL)
		return r;
	if (r == -EFBIG)
		return error_set(err, r, CAIRN_ERROR_UNSUPPORTED,
				 "%.200s: more than 1 MiB of names and extended attributes",
				 e->path);
	if (r < 0)
		return error_errno(err, r, "%.200s", e->path);

	put_checksum(&h);
	r = put_pax(w, e);
	if (!r)
		r = put(w, &h, sizeof(h));
	if (r < 0)
		return error_errno(err, r, "write the archive");
	w->due = size;
	w->pad = padding(size);
	return 0;
}

int tar_write_content(struct tar_writer *w, const void *data, size_t size)
{
	int r;

	if (size > w->due)
		return -EINVAL;
	r = put(w, data, size);
	w->due -= size;
	if (!r && size && !w->due)
		r = put(w, zeros, w->pad);
	return r;
}

int tar_write_passed(struct tar_writer *w)
{
	int r = w->due ? put(w, zeros, w->pad) : 0;

	w->offset += w->due;
	w->due = 0;
	return r;
}

int tar_write_end(struct tar_writer *w)
{
	return w->due ? -EINVAL : put(w, zeros, sizeof(zeros));
}
