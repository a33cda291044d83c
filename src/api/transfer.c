/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The public functions that bring images into a store: look what is lacking, see that there is room, bring
 * it, make it durable, name it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "api/transfer-internal.h"
#include "digest/verity.h"
#include "erofs/reader.h"
#include "store/names.h"
#include "tree/objects.h"

DEFINE_CLEANUP(struct cairn_tree *, public_tree, cairn_tree_free)
DEFINE_CLEANUP(struct tree *, tree, tree_free)

static const struct cairn_transfer_options defaults;

static int check_target(const struct cairn_store *to, const char *name, struct cairn_error *err)
{
	int r = name ? store_check_name(name, err) : 0;

	if (!r && to->bare)
		r = error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
			      "%s: a bare directory of objects has no names", to->path);
	return r;
}

/* A store in which nothing is yet takes the algorithm of what comes first. */
static int begin(struct cairn_store *to, enum cairn_alg alg, struct cairn_error *err)
{
	if (!to->alg_fixed && alg)
		(void)cairn_store_set_alg(to, alg);
	return store_begin(to, err);
}

/* --- objects --------------------------------------------------------------------------------- */

/* By the other algorithm it is not known what is here already, only what cannot be. */
static int check_room(const struct transfer *t, const struct wants *w, struct cairn_error *err)
{
	struct buf sizes cleanup_buf = BUF_INIT(SIZE_MAX / 2);
	const int source = t->from ? t->from->dirfd : -1;

	if (t->options->link)
		return 0; /* shared files need none */
	if (t->alg == t->to->alg)
		return store_room(t->to, source, w->bytes, err);
	for (size_t i = 0; i < w->nr; i++)
		if (w->want[i].size != WANT_SIZE_UNKNOWN &&
		    buf_put(&sizes, &w->want[i].size, sizeof(w->want[i].size)) < 0)
			return error_errno(err, -ENOMEM, "bring the image");
	return store_room_for_sizes(t->to, source, &sizes, err);
}

int transfer_bring(struct transfer *t, struct wants *w, uint8_t **ret_digests,
		   struct cairn_error *err)
{
	const bool other = t->alg != t->to->alg;
	cleanup_free uint8_t *digests = NULL;
	int r = other ? 0 : wants_lacking(w, t->to, err);

	if (other) {
		digests = (uint8_t *)malloc(w->nr * cairn_digest_size(t->to->alg) + 1);
		if (!digests)
			return error_errno(err, -ENOMEM, "bring the image");
	}
	if (!r)
		r = check_room(t, w, err);
	if (!r)
		r = t->from ? transfer_copy(t->to, t->from, w, t->options, digests, &t->result, err)
			    : fetch_objects(t->fetch, w, digests, &t->result, err);
	if (!r)
		*ret_digests = take_ptr(digests);
	return r;
}

int transfer_map(const struct transfer *t, const struct wants *w, const uint8_t *digests,
		 const struct cairn_digest *there, struct cairn_digest *ret,
		 struct cairn_error *err)
{
	const size_t size = cairn_digest_size(t->to->alg);
	int64_t at;

	*ret = *there;
	if (t->alg == t->to->alg)
		return 0;
	at = wants_find(w, there);
	if (at < 0)
		return error_set(err, (int)at, CAIRN_ERROR_FORMAT,
				 "an object that was not asked for");
	*ret = (struct cairn_digest){.alg = t->to->alg};
	memcpy(ret->bytes, digests + (size_t)at * size, size);
	return 0;
}

/* A file that came, kept open. */
struct opening {
	enum cairn_alg alg;
	int fd;
};

static int take_file(void *arg, const struct cairn_digest *id, int fd)
{
	struct opening *o = (struct opening *)arg;
	struct cairn_digest found;
	int r = store_digest_fd(fd, o->alg, &found);

	if (r < 0)
		return r;
	if (memcmp(&found, id, sizeof(found)) != 0)
		return -EILSEQ;
	o->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return o->fd < 0 ? -errno : 0;
}

/* An object that is only read. */
static int fetch_file(struct transfer *t, const struct wants *w, struct cairn_error *err)
{
	struct opening o = {t->alg, -1};
	char path[OBJECT_PATH_MAX];
	int r = fetch_each(t->fetch, w, take_file, &o, err);

	if (r < 0 || o.fd >= 0)
		return r < 0 ? r : o.fd;
	(void)object_path(path, w->want[0].digest.bytes, cairn_digest_size(t->alg));
	return error_set(err, -ENOENT, CAIRN_ERROR_SYSTEM,
			 "object %s: is not there, or does not have its digest", path);
}

/* The same, from the store if it has it. @keep: it becomes an object. */
static int open_served(struct transfer *t, const struct cairn_digest *id, uint64_t most, bool keep,
		       struct cairn_error *err)
{
	struct want want = {*id, WANT_SIZE_UNKNOWN, most};
	const struct wants w = {.want = &want, .nr = 1};
	struct cairn_transfer_result unused = {0}; /* no more counted than images are */
	char path[OBJECT_PATH_MAX];
	struct stat st;
	int r;

	if (t->alg != t->to->alg)
		return fetch_file(t, &w, err);
	r = store_use(t->to, id, err);
	if (r < 0)
		return r;
	(void)object_path(path, id->bytes, cairn_digest_size(t->alg));
	if (store_find_object(t->to, path, NULL, &st) < 0) {
		if (!keep)
			return fetch_file(t, &w, err);
		r = fetch_objects(t->fetch, &w, NULL, &unused, err);
	}
	return r < 0 ? r : store_open_image(t->to, id, err);
}

int transfer_open(struct transfer *t, const struct cairn_digest *id, uint64_t most, bool keep,
		  struct cairn_error *err)
{
	cleanup_fd int fd =
		t->from ? store_open_image(t->from, id, err) : open_served(t, id, most, keep, err);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return error_errno(err, -errno, "stat an object");
	if ((uint64_t)st.st_size > most)
		return error_set(err, -EFBIG, CAIRN_ERROR_FORMAT,
				 "a split stream of %llu MiB, at most %llu are accepted",
				 (unsigned long long)st.st_size >> 20,
				 (unsigned long long)most >> 20);
	return take_fd(&fd);
}

/* --- an image -------------------------------------------------------------------------------- */

/* As it is there. */
struct original {
	struct cairn_digest digest;
	int fd; /* -1: @data */
	const struct buf *data;
	struct tree *tree;
	const char *name; /* that it gets; NULL: none */
};

/* The image as it is, in a store of the same algorithm. */
static int take_same(struct transfer *t, const struct original *o, struct names_batch *names,
		     struct cairn_error *err)
{
	const struct store_source image = {.fd = o->fd,
					   .digest = o->digest,
					   .size = t->result.image_size,
					   .link = t->options->link};
	struct store_imported imported;
	char hex[CAIRN_DIGEST_HEX_MAX];
	int r = o->data ? store_put(t->to, &o->digest, o->data->data, o->data->len, err)
			: store_import(t->to, &image, &imported, err);

	cairn_digest_to_hex(&o->digest, hex);
	if (r >= 0)
		r = names_batch_entry(names, STORE_IMAGES, hex, &o->digest, err);
	if (!r && o->name)
		r = names_batch_ref(names, STORE_IMAGES, o->name, hex, err);
	return r;
}

/* Another image, of which contents and itself have other digests. */
static int take_other(struct transfer *t, const struct original *o, const struct wants *w,
		      const uint8_t *digests, struct names_batch *names, struct cairn_error *err)
{
	const struct cairn_image_options options = {.format = o->tree->source_format,
						    .jobs = t->options->jobs};
	const size_t size = cairn_digest_size(t->to->alg);
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
	r = image_into_batch(t->to, tree_to_public(o->tree), &options, o->name, names, NULL,
			     &result, err);
	if (r < 0)
		return r;
	t->result.digest = result.digest;
	t->result.image_size = result.size;
	return 0;
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

int cairn_store_copy(struct cairn_store *to, const struct cairn_store *from,
		     const struct cairn_digest *digest, const char *name,
		     const struct cairn_transfer_options *options,
		     struct cairn_transfer_result *ret, struct cairn_error *err)
{
	struct transfer t = {.to = to,
			     .from = from,
			     .alg = (enum cairn_alg)digest->alg,
			     .options = options ? options : &defaults};
	cleanup(container) struct container *container = NULL;
	cleanup(public_tree) struct cairn_tree *tree = NULL;
	cleanup_fd int fd = -1;
	struct stat st;
	int r = check_target(to, name, err);

	if (!r)
		r = begin(to, t.alg, err);
	if (r < 0)
		return r;
	fd = store_open_image(from, digest, err);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return error_errno(err, -errno, "stat the image");
	t.result.image_size = (uint64_t)st.st_size;
	r = cairn_tree_from_image(fd, 0, 1, NULL, &tree, err);
	if (!r && t.options->container && name) {
		t.container = t.options->container;
		r = of_container(&t, open_container(&t, t.container, &container, err), err);
	}
	if (r >= 0) {
		const struct original o = {
			.digest = *digest, .fd = fd, .tree = (struct tree *)tree, .name = name};

		r = bring_all(&t, &o, container, err);
	}
	if (!r && ret)
		*ret = t.result;
	return r;
}

/* --- fetching -------------------------------------------------------------------------------- */

/* The image that came is untrusted until its digest is known to be right, and then still may be anything. */
static int load_image(const struct buf *image, struct tree **ret, struct cairn_error *err)
{
	struct image img;
	int r = image_open(&img, image->data, image->len, err);

	return r ? r : image_load(&img, 0, NULL, ret, err);
}

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
	r = load_image(&image, &tree, err);
	o.tree = tree;
	if (!r)
		r = set_alg(t, &o, found, err);
	if (r < 0)
		return error_prepend(err, "%s", url) ?: r;
	t->result.image_size = image.len;
	return bring_all(t, &o, container, err);
}

int cairn_store_fetch(struct cairn_store *to, const char *url, const char *remote, const char *name,
		      const struct cairn_transfer_options *options,
		      struct cairn_transfer_result *ret, struct cairn_error *err)
{
	struct transfer t = {.to = to, .options = options ? options : &defaults};
	cleanup(fetch) struct fetch *f = NULL;
	struct fetch_found found = {0};
	int r;

	if (!remote && !t.options->digest)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
				 "fetch: neither a name nor a digest");
	r = check_target(to, name, err);
	if (!r)
		r = fetch_open(to, url, t.options, &f, err);
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
	if (!r && ret) {
		*ret = t.result;
	}
	return r;
}

int cairn_store_export(struct cairn_store *store, uint64_t *ret_images, uint64_t *ret_containers,
		       struct cairn_error *err)
{
	uint64_t nr[2];
	int r = index_write(store, nr, err);

	if (!r && ret_images)
		*ret_images = nr[INDEX_IMAGE];
	if (!r && ret_containers)
		*ret_containers = nr[INDEX_CONTAINER];
	return r;
}
