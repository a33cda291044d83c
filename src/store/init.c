/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Making a repository, and giving an old one its meta.json. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "store/store.h"
#include "sys/dir.h"
#include "sys/verity.h"

static int differs(const struct cairn_store *s, const char *what, struct cairn_error *err)
{
	return error_set(err, -EEXIST, CAIRN_ERROR_USAGE, "%s: is there already, with another %s",
			 s->path, what);
}

static int compare(const struct cairn_store *s, const struct cairn_store_config *c,
		   struct cairn_error *err)
{
	if (c->alg && c->alg != (uint32_t)s->alg)
		return differs(s, "algorithm", err);
	if (c->format != CAIRN_FORMAT_AUTO && c->format != s->meta.format)
		return differs(s, "format of images", err);
	if (c->formats & ~s->meta.formats)
		return differs(s, "set of formats", err);
	if (c->secure >= 0 && (bool)c->secure != s->secure)
		return differs(s, "state of fs-verity", err);
	return 0;
}

/* Answer of the callback that ends a list early. */
#define STOP (-1000)

/* Notes the name of an object. */
static int stop_at_object(void *arg, const char *name, size_t len, unsigned char type)
{
	(void)type;
	if (len != 62 && len != 126)
		return 0;
	memcpy(arg, name, len + 1);
	return STOP;
}

/* What the first object has, so have the others (repository §3). */
static bool first_object_has_verity(const struct cairn_store *s)
{
	_Alignas(8) char buffer[8192];
	char name[CAIRN_DIGEST_HEX_MAX] = "";
	struct statx stx;

	for (unsigned int i = 0; i < 256 && !*name; i++) {
		cleanup_fd int fd = store_open_part(s, i);

		if (fd < 0 || dir_list(fd, buffer, sizeof(buffer), stop_at_object, name) >= 0)
			continue;
		if (!statx(fd, name, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &stx))
			return stx.stx_attributes & STATX_ATTR_VERITY;
	}
	return false;
}

/* Tools that wrote no meta.json wrote V2 images (repository §3). */
static bool has_old_images(const struct cairn_store *s)
{
	return !faccessat(s->dirfd, "images", F_OK, AT_SYMLINK_NOFOLLOW) ||
	       !faccessat(s->dirfd, "streams", F_OK, AT_SYMLINK_NOFOLLOW);
}

static int settle(struct cairn_store *s, const struct cairn_store_config *c, struct store_meta *ret,
		  bool *ret_secure, struct cairn_error *err)
{
	bool possible = verity_supported(s->dirfd);

	if (c->alg && s->alg_fixed && c->alg != (uint32_t)s->alg)
		return differs(s, "algorithm", err);
	if (c->secure > 0 && !possible)
		return error_set(err, -EOPNOTSUPP, CAIRN_ERROR_UNSUPPORTED,
				 "%s: its file system has no fs-verity", s->path);
	*ret_secure = c->secure >= 0 ? c->secure : possible;
	if (c->secure < 0 && !s->empty)
		*ret_secure = possible && first_object_has_verity(s);

	ret->alg = c->alg ? (enum cairn_alg)c->alg : s->alg;
	ret->format = c->format;
	if (c->format == CAIRN_FORMAT_AUTO)
		ret->format = has_old_images(s) ? CAIRN_FORMAT_V2 : CAIRN_FORMAT_V1;
	ret->formats = c->formats | 1u << ret->format;
	if (ret->alg == CAIRN_SHA512 && ret->formats & 1u << CAIRN_FORMAT_V0)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
				 "%s: images of format 0 have no SHA-512", s->path);
	return 0;
}

/* FS_IOC_ENABLE_VERITY may be there and refuse, so it is tried on meta.json itself. */
static int make_meta(struct cairn_store *s, const struct cairn_store_config *c,
		     struct cairn_error *err)
{
	struct store_meta meta = {0};
	bool secure = false;
	int r = settle(s, c, &meta, &secure, err);

	if (r < 0)
		return r;
	r = store_write_meta(s, &meta, secure, err);
	if (r == -EEXIST) {
		r = store_read_meta(s, err);
		return r < 0 ? r : compare(s, c, err);
	}
	if ((r == -EOPNOTSUPP || r == -EINVAL) && secure && c->secure < 0)
		r = store_write_meta(s, &meta, false, err);
	return r < 0 ? r : 1;
}

int store_init(const char *path, const struct cairn_store_config *config, struct cairn_store **ret,
	       struct cairn_error *err)
{
	static const struct cairn_store_config any = {.format = CAIRN_FORMAT_AUTO, .secure = -1};
	cleanup(store) struct cairn_store *s = NULL;
	int r = store_open(path, CAIRN_STORE_CREATE, &s, err);

	if (r < 0)
		return r;
	if (!config)
		config = &any;
	if (s->bare)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
				 "%s: a bare directory of objects, not a repository", path);
	r = s->has_meta ? compare(s, config, err) : make_meta(s, config, err);
	if (r < 0)
		return r;
	*ret = take_ptr(s);
	return r;
}

void store_info(const struct cairn_store *s, struct cairn_store_info *ret)
{
	*ret = (struct cairn_store_info){
		.bare = s->bare,
		.version = s->has_meta ? META_VERSION : 0,
		.alg = s->alg,
		.secure = s->secure,
		.format = s->has_meta ? s->meta.format : CAIRN_FORMAT_AUTO,
		.formats = s->has_meta ? s->meta.formats : 0,
		.read_only = s->read_only,
		.feature = s->has_meta ? s->meta.read_only : "",
	};
}
