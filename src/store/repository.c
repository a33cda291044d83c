/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * meta.json in its place (repository §2).
 *
 *	read    openat2 without links, a regular file of bounded size; fs-verity on it: a secure store
 *	write   nameless file, fsync, FS_IOC_ENABLE_VERITY, linkat that does not replace, fsync of the
 *		directory: the name is there only when everything about it is true
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "store/store.h"
#include "sys/dir.h"
#include "sys/io.h"
#include "sys/verity.h"

#define META      "meta.json"
#define META_MODE 0644

int store_read_meta(struct cairn_store *s, struct cairn_error *err)
{
	cleanup_fd int fd = open_beneath(s->dirfd, META, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	struct cairn_digest measured;
	cleanup_free char *text = NULL;
	struct stat st;
	ssize_t n;
	int r;

	if (fd == -ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, fd < 0 ? fd : -errno, "open %s/" META, s->path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "%s/" META ": not a regular file", s->path);
	text = (char *)malloc(META_MAX + 1);
	if (!text)
		return error_errno(err, -ENOMEM, "read %s/" META, s->path);
	n = read_full(fd, text, META_MAX + 1);
	if (n < 0)
		return error_errno(err, (int)n, "read %s/" META, s->path);

	r = meta_parse(text, (size_t)n, &s->meta, err);
	if (r < 0) {
		error_prepend(err, "%s/" META, s->path);
		return r;
	}
	s->has_meta = true;
	s->fresh = false;
	s->secure = !verity_measure(fd, &measured);
	s->alg = s->meta.alg;
	s->alg_fixed = true;
	s->read_only |= *s->meta.read_only != '\0';
	return 0;
}

static int publish(struct pending *p, bool secure, enum cairn_alg alg)
{
	int r;

	if (fsync(p->fd) < 0)
		return -errno;
	if (secure) {
		r = pending_seal(p);
		if (!r)
			r = verity_enable(p->fd, alg);
		if (r < 0)
			return r;
	}
	return pending_link(p, META);
}

int store_write_meta(struct cairn_store *s, const struct store_meta *meta, bool secure,
		     struct cairn_error *err)
{
	cleanup_pending struct pending p = PENDING_INIT;
	struct buf text cleanup_buf = BUF_INIT(META_MAX);
	int r = meta_print(meta, &text);

	if (!r)
		r = pending_open(s->dirfd, ".tmp-meta-", META_MODE, &p);
	if (!r)
		r = write_all(p.fd, text.data, text.len);
	if (!r)
		r = publish(&p, secure, meta->alg);
	if (!r && fsync(s->dirfd) < 0)
		r = -errno;
	if (r < 0)
		return error_errno(err, r, "write %s/" META, s->path);
	s->meta = *meta;
	s->has_meta = true;
	s->secure = secure;
	s->fresh = false;
	s->alg = meta->alg;
	s->alg_fixed = true;
	return 0;
}
