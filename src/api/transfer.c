/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The public functions that bring images into a store: look what is lacking, see that there is room, bring
 * it, make it durable, name it.
 */
#include <errno.h>
#include <sys/stat.h>

#include "api/api-internal.h"
#include "erofs/reader.h"
#include "store/names.h"
#include "transfer/transfer.h"
#include "tree/objects.h"

DEFINE_CLEANUP(struct cairn_tree *, public_tree, cairn_tree_free)
DEFINE_CLEANUP(struct tree *, tree, tree_free)

static const struct cairn_transfer_options defaults;

static int prepare(struct cairn_store *to, const char *name, struct cairn_error *err)
{
	int r = name ? store_check_name(name, err) : 0;

	if (!r && to->bare)
		r = error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
			      "%s: a bare directory of objects has no names", to->path);
	return r ? r : store_begin(to, err);
}

static int name_image(struct cairn_store *to, const struct cairn_digest *digest, const char *name,
		      struct cairn_error *err)
{
	char hex[CAIRN_DIGEST_HEX_MAX];
	int r = store_sync(to, err);

	cairn_digest_to_hex(digest, hex);
	if (!r)
		r = store_set_entry(to, STORE_IMAGES, hex, digest, err);
	if (!r && name)
		r = store_set_ref(to, STORE_IMAGES, name, hex, true, err);
	return r;
}

/* --- copying --------------------------------------------------------------------------------- */

/* The image as it is, in a store of the same algorithm. */
static int copy_same(struct cairn_store *to, const struct cairn_store *from, int fd,
		     struct wants *w, const char *name, const struct cairn_transfer_options *o,
		     struct cairn_transfer_result *ret, struct cairn_error *err)
{
	const struct store_source image = {
		.fd = fd, .digest = ret->digest, .size = ret->image_size, .link = o->link};
	struct store_imported imported;
	int r = wants_lacking(w, to, err);

	/* Shared files need no room. */
	if (!r && !o->link)
		r = store_room(to, from->dirfd, w->bytes, err);
	if (!r)
		r = transfer_copy(to, from, w, o, NULL, ret, err);
	if (!r)
		r = store_import(to, &image, &imported, err);
	return r < 0 ? r : name_image(to, &ret->digest, name, err);
}

/* Another image, of which contents and itself have other digests. */
static int copy_other(struct cairn_store *to, const struct cairn_store *from, struct tree *t,
		      const struct wants *w, const char *name,
		      const struct cairn_transfer_options *o, struct cairn_transfer_result *ret,
		      struct cairn_error *err)
{
	size_t size = cairn_digest_size(to->alg);
	cleanup_free uint8_t *digests = (uint8_t *)malloc(w->nr * size + 1);
	const struct cairn_image_options options = {.format = t->source_format, .jobs = o->jobs};
	struct cairn_image_result result;
	int r;

	if (!digests)
		return error_errno(err, -ENOMEM, "copy the image");
	r = store_room(to, from->dirfd, w->bytes, err);
	if (!r)
		r = transfer_copy(to, from, w, o, digests, ret, err);
	if (!r)
		r = store_sync(to, err);
	if (!r && tree_set_digests(t, to->alg, digests, w->nr) < 0)
		r = error_errno(err, -ENOMEM, "copy the image");
	if (!r)
		r = cairn_store_add_image(to, tree_to_public(t), &options, name, &result, err);
	if (r < 0)
		return r;
	ret->digest = result.digest;
	ret->image_size = result.size;
	return 0;
}

int cairn_store_copy(struct cairn_store *to, const struct cairn_store *from,
		     const struct cairn_digest *digest, const char *name,
		     const struct cairn_transfer_options *options,
		     struct cairn_transfer_result *ret, struct cairn_error *err)
{
	const struct cairn_transfer_options *o = options ? options : &defaults;
	struct cairn_transfer_result result = {.digest = *digest};
	cleanup(public_tree) struct cairn_tree *tree = NULL;
	cleanup_wants struct wants w = WANTS_INIT;
	cleanup_fd int fd = -1;
	struct stat st;
	int r;

	if (!to->alg_fixed)
		(void)cairn_store_set_alg(to, (enum cairn_alg)digest->alg);
	r = prepare(to, name, err);
	if (r < 0)
		return r;
	fd = store_open_image(from, digest, err);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return error_errno(err, -errno, "stat the image");
	result.image_size = (uint64_t)st.st_size;
	r = cairn_tree_from_image(fd, 0, 1, NULL, &tree, err);
	if (!r)
		r = wants_of_tree(tree_from_public(tree), &w, err);
	if (r < 0)
		return r;
	result.needed = w.nr;
	r = digest->alg == to->alg
		    ? copy_same(to, from, fd, &w, name, o, &result, err)
		    : copy_other(to, from, (struct tree *)tree, &w, name, o, &result, err);
	if (!r && ret)
		*ret = result;
	return r;
}

/* --- fetching -------------------------------------------------------------------------------- */

/* The image that came is untrusted until its digest is known to be right, and then still may be anything. */
static int wants_of_image(const struct buf *image, struct wants *ret, struct cairn_error *err)
{
	cleanup(tree) struct tree *t = NULL;
	struct image img;
	int r = image_open(&img, image->data, image->len, err);

	if (!r)
		r = image_load(&img, 0, NULL, &t, err);
	return r ? r : wants_of_tree(t, ret, err);
}

int cairn_store_fetch(struct cairn_store *to, const char *url, const char *remote, const char *name,
		      const struct cairn_transfer_options *options,
		      struct cairn_transfer_result *ret, struct cairn_error *err)
{
	const struct cairn_transfer_options *o = options ? options : &defaults;
	struct cairn_transfer_result result = {0};
	cleanup(fetch) struct fetch *f = NULL;
	cleanup_buf struct buf image = BUF_INIT(0);
	cleanup_wants struct wants w = WANTS_INIT;
	int r;

	if (!remote && !o->digest)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
				 "fetch: neither a name nor a digest");
	if (!to->alg_fixed && o->digest)
		(void)cairn_store_set_alg(to, (enum cairn_alg)o->digest->alg);
	r = prepare(to, name, err);
	if (!r)
		r = fetch_open(to, url, o, &f, err);
	if (!r)
		r = fetch_image(f, remote, &image, &result.digest, err);
	if (r < 0)
		return r;
	if (result.digest.alg != to->alg)
		return error_set(err, -ENOTSUP, CAIRN_ERROR_UNSUPPORTED,
				 "%s: its digests are not of the algorithm of %s", url, to->path);
	r = wants_of_image(&image, &w, err);
	if (r < 0)
		return error_prepend(err, "%s", url) ?: r;
	result.image_size = image.len;
	result.needed = w.nr;
	r = wants_lacking(&w, to, err);
	if (!r)
		r = store_room(to, -1, w.bytes + image.len, err);
	if (!r)
		r = fetch_objects(f, &w, &result, err);
	if (!r)
		r = store_put(to, &result.digest, image.data, image.len, err);
	if (r >= 0)
		r = name_image(to, &result.digest, name, err);
	if (!r && ret)
		*ret = result;
	return r;
}

int cairn_store_export(struct cairn_store *store, uint64_t *ret_nr, struct cairn_error *err)
{
	uint64_t nr;
	int r = index_write(store, &nr, err);

	if (!r && ret_nr)
		*ret_nr = nr;
	return r;
}
