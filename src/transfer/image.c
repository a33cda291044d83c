/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Images into a store: look what is lacking, see that there is room, bring it, make it durable, name it.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "digest/verity.h"
#include "erofs/reader.h"
#include "oci/match.h"
#include "sys/io.h"
#include "transfer/bring-internal.h"
#include "tree/objects.h"

DEFINE_CLEANUP(struct tree *, tree, tree_free)

/* --- an image -------------------------------------------------------------------------------- */

/* As it is there. */
struct original {
	struct cairn_digest digest;
	int fd; /* -1: @data */
	const struct buf *data;
	struct tree *tree;
	const char *name; /* that it gets; NULL: none */
};

static int name_image(const struct cairn_digest *digest, const char *name,
		      struct names_batch *names, struct cairn_error *err)
{
	char hex[CAIRN_DIGEST_HEX_MAX];
	int r;

	cairn_digest_to_hex(digest, hex);
	r = names_batch_entry(names, STORE_IMAGES, hex, digest, err);
	return !r && name ? names_batch_ref(names, STORE_IMAGES, name, hex, err) : r;
}

/* The image as it is, in a store of the same algorithm. */
static int take_same(struct transfer *t, const struct original *o, struct names_batch *names,
		     struct cairn_error *err)
{
	const struct store_source image = {.fd = o->fd,
					   .digest = o->digest,
					   .size = t->result.image_size,
					   .link = t->options->link};
	struct store_imported imported;
	int r = o->data ? store_put(t->to, &o->digest, o->data->data, o->data->len, err)
			: store_import(t->to, &image, &imported, err);

	return r < 0 ? r : name_image(&o->digest, o->name, names, err);
}

static int write_image(void *arg, const void *data, unsigned long size)
{
	return write_all(((const struct pending *)arg)->fd, data, size);
}

/* Another image, of which contents and itself have other digests. */
static int take_other(struct transfer *t, const struct original *o, const struct wants *w,
		      const uint8_t *digests, struct names_batch *names, struct cairn_error *err)
{
	const size_t size = cairn_digest_size(t->to->alg);
	struct pending file cleanup_pending = PENDING_INIT;
	cleanup_wants struct wants own = WANTS_INIT;
	cleanup_free uint8_t *of_tree = NULL;
	struct cairn_image_result result;
	struct cairn_digest id;
	int r = wants_of_tree(o->tree, &own, err);

	if (!r)
		of_tree = (uint8_t *)malloc(own.nr * size + 1);
	for (size_t i = 0; of_tree && i < own.nr && !r; i++) {
		r = transfer_map(t, w, digests, &own.want[i].digest, &id, err);
		if (!r)
			memcpy(of_tree + i * size, id.bytes, size);
	}
	if (r < 0)
		return r;
	if (!of_tree || tree_set_digests(o->tree, t->to->alg, of_tree, own.nr) < 0)
		return error_errno(err, -ENOMEM, "bring the image");
	r = store_pending(t->to, &file, err);
	if (!r)
		r = image_make(o->tree, o->tree->source_format, t->to->alg, write_image, &file,
			       &result, err);
	if (!r)
		r = store_commit(t->to, &file, &result.digest, result.size, err);
	if (r < 0)
		return r;
	t->result.digest = result.digest;
	t->result.image_size = result.size;
	return name_image(&result.digest, o->name, names, err);
}

/* Whose fault it is. */
static int of_container(const struct transfer *t, int r, struct cairn_error *err)
{
	if (r < 0)
		error_prepend(err, "container image %s", t->container);
	return r;
}

/* What both need; nothing large is here yet. *@c becomes NULL if it does not belong to the image. */
static int plan(struct transfer *t, const struct original *o, struct container **c,
		struct wants *ret, struct cairn_error *err)
{
	int r = wants_of_tree(o->tree, ret, err);

	if (r < 0 || !*c)
		return r;
	r = container_makes(*c, &o->digest, o->tree->source_format, err);
	if (!r)
		*c = NULL;
	if (r > 0)
		r = container_wants(*c, ret, err);
	if (!r)
		r = wants_sort(ret, err);
	return of_container(t, r, err);
}

/* The image, and the container image @c that has its name; NULL: none. */
static int bring_all(struct transfer *t, const struct original *o, struct container *c,
		     struct cairn_error *err)
{
	cleanup(names_batch) struct names_batch *names = NULL;
	cleanup_wants struct wants w = WANTS_INIT;
	cleanup_free uint8_t *digests = NULL;
	int r = plan(t, o, &c, &w, err);

	if (r < 0)
		return r;
	t->result.digest = o->digest;
	t->result.needed += w.nr;
	if (names_batch_new(t->to, &names) < 0)
		return error_errno(err, -ENOMEM, "bring the image");
	r = transfer_bring(t, &w, &digests, err);
	if (!r)
		r = t->alg == t->to->alg ? take_same(t, o, names, err)
					 : take_other(t, o, &w, digests, names, err);
	if (!r && c)
		r = of_container(t,
				 container_take(c, &w, digests, &t->result.digest,
						o->tree->source_format, o->name, names, err),
				 err);
	return r < 0 ? r : names_batch_commit(names, err);
}

/* An image that came is untrusted until its digest is known to be right, and then still may be anything. */
static int load_image(const void *data, size_t size, struct tree **ret, struct cairn_error *err)
{
	struct image img;
	int r = image_open(&img, data, size, err);

	return r ? r : image_load(&img, 0, NULL, ret, err);
}

/* A store in which nothing is yet takes the algorithm of what comes first. */
static int begin(struct cairn_store *to, enum cairn_alg alg, struct cairn_error *err)
{
	if (!to->alg_fixed && alg) {
		to->alg = alg;
		to->alg_fixed = true;
	}
	return store_begin(to, err);
}

/* --- copying --------------------------------------------------------------------------------- */

/* The container image @tag of the other store, if there is one. Returns 1, 0 or a negative errno. */
static int open_container(struct transfer *t, const char *tag, struct container **ret,
			  struct cairn_error *err)
{
	char name[STORE_REF_MAX + 1], entry[STORE_NAME_MAX + 1];
	struct cairn_digest stream;
	int r;

	if (store_tag_entry(tag, name, NULL) < 0)
		return 0;
	r = store_ref(t->from, STORE_STREAMS, name, entry, err);
	if (!r)
		r = store_entry(t->from, STORE_STREAMS, entry, &stream, err);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	if (strncmp(entry, STORE_MANIFEST_PREFIX, strlen(STORE_MANIFEST_PREFIX)) != 0)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "%s: names '%s', not a manifest",
				 tag, entry);
	return container_open(t, &stream, entry + strlen(STORE_MANIFEST_PREFIX), ret, err);
}

static int load_file(int fd, size_t size, struct tree **ret, struct cairn_error *err)
{
	void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	int r;

	if (data == MAP_FAILED)
		return error_errno(err, -errno, "read the image");
	r = load_image(data, size, ret, err);
	munmap(data, size);
	return r;
}

int transfer_from_store(struct cairn_store *to, const struct cairn_store *from,
			const struct cairn_digest *digest, const char *name,
			const struct cairn_transfer_options *options,
			struct cairn_transfer_result *ret, struct cairn_error *err)
{
	struct transfer t = {
		.to = to, .from = from, .alg = (enum cairn_alg)digest->alg, .options = options};
	cleanup(container) struct container *container = NULL;
	cleanup(tree) struct tree *tree = NULL;
	cleanup_fd int fd = -1;
	struct stat st;
	int r = begin(to, t.alg, err);

	if (r < 0)
		return r;
	fd = store_open_image(from, digest, err);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return error_errno(err, -errno, "stat the image");
	t.result.image_size = (uint64_t)st.st_size;
	r = load_file(fd, (size_t)st.st_size, &tree, err);
	if (!r && options->container && name) {
		t.container = options->container;
		r = of_container(&t, open_container(&t, t.container, &container, err), err);
	}
	if (r >= 0) {
		const struct original o = {.digest = *digest, .fd = fd, .tree = tree, .name = name};

		r = bring_all(&t, &o, container, err);
	}
	if (!r)
		*ret = t.result;
	return r;
}

/* --- fetching -------------------------------------------------------------------------------- */

/* The image that has no name there but that of its container image. */
static int find_image(const struct container *c, const char *url, const char *remote,
		      struct fetch_found *found, struct cairn_error *err)
{
	if (found->image.alg || !found->list)
		return 0;
	if (c)
		found->image = container_image(c);
	return found->image.alg
		       ? 0
		       : error_set(err, -ENOENT, CAIRN_ERROR_SYSTEM,
				   "%s: has no image of the container image %s", url, remote);
}

/* A server without a list does not say of which algorithm the digest of an image is: that of its contents. */
static int set_alg(struct transfer *t, struct original *o, const struct fetch_found *found,
		   struct cairn_error *err)
{
	struct cairn_digest digests[VERITY_ALGS_MAX];
	cleanup_wants struct wants w = WANTS_INIT;
	int r;

	if (found->image.alg)
		return 0;
	r = wants_of_tree(o->tree, &w, err);
	if (r < 0 || !w.nr || w.want[0].digest.alg == (uint32_t)t->alg)
		return r;
	t->alg = (enum cairn_alg)w.want[0].digest.alg;
	r = verity_digest_data(o->data->data, o->data->len, CAIRN_ALG_BIT(t->alg), digests);
	if (r < 0)
		return error_errno(err, r, "the image");
	o->digest = digests[0];
	return 0;
}

static int fetch_found(struct transfer *t, const char *url, const char *remote, const char *name,
		       struct fetch_found *found, struct cairn_error *err)
{
	cleanup(container) struct container *container = NULL;
	cleanup(tree) struct tree *tree = NULL;
	cleanup_buf struct buf image = BUF_INIT(0);
	struct original o = {.fd = -1, .data = &image, .name = name};
	int r = 0;

	if (found->container.alg == (uint32_t)t->alg && name) {
		t->container = remote;
		r = of_container(t, container_open(t, &found->container, NULL, &container, err),
				 err);
	}
	if (r >= 0)
		r = find_image(container, url, remote, found, err);
	if (!r)
		r = fetch_image(t->fetch, remote, found, &image, &o.digest, err);
	if (r < 0)
		return r;
	r = load_image(image.data, image.len, &tree, err);
	o.tree = tree;
	if (!r)
		r = set_alg(t, &o, found, err);
	if (r < 0)
		return error_prepend(err, "%s", url) ?: r;
	t->result.image_size = image.len;
	return bring_all(t, &o, container, err);
}

int transfer_from_server(struct cairn_store *to, const char *url, const char *remote,
			 const char *name, const struct cairn_transfer_options *options,
			 struct cairn_transfer_result *ret, struct cairn_error *err)
{
	struct transfer t = {.to = to, .options = options};
	cleanup(fetch) struct fetch *f = NULL;
	struct fetch_found found = {0};
	int r = fetch_open(to, url, options, &f, err);

	if (!r)
		r = fetch_look(f, remote, &found, err);
	if (!r)
		r = begin(to, (enum cairn_alg)MAX(found.image.alg, found.container.alg), err);
	t.fetch = f;
	t.alg = (enum cairn_alg)(found.image.alg       ? found.image.alg
				 : found.container.alg ? found.container.alg
						       : (uint32_t)to->alg);
	if (!r)
		r = fetch_found(&t, url, remote, name, &found, err);
	if (!r)
		*ret = t.result;
	return r;
}
