/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The public functions on images in a store and on references. */
#include <cairn/names.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "api/api-internal.h"
#include "oci/push.h"
#include "sys/io.h"
#include "tree/objects.h"

/* --- adding ---------------------------------------------------------------------------------- */

static int write_pending(void *arg, const void *data, unsigned long size)
{
	return write_all(((const struct pending *)arg)->fd, data, size);
}

/* V0 is what AUTO falls back from where a tree or algorithm needs it. */
static int format_of(const struct cairn_store *store, int format)
{
	if (format != CAIRN_FORMAT_AUTO || !store->has_meta ||
	    store->meta.format == CAIRN_FORMAT_V0)
		return format;
	return store->meta.format;
}

static int name_image(struct cairn_store *store, const char *name,
		      const struct cairn_digest *digest, bool replace, struct cairn_error *err)
{
	char hex[CAIRN_DIGEST_HEX_MAX];
	int r;

	cairn_digest_to_hex(digest, hex);
	r = store_set_entry(store, STORE_IMAGES, hex, digest, err);
	if (!r && name)
		r = store_set_ref(store, STORE_IMAGES, name, hex, replace, err);
	return r;
}

/* Every object of the tree must be there, and is noted to stay: a scan that had a cache has not asked. */
static int check_objects(struct cairn_store *store, const struct tree *t, struct cairn_error *err)
{
	enum cairn_alg alg = tree_alg(t);
	cleanup_free struct object_use *use = NULL;
	int64_t nr;

	nr = tree_objects(t, &use);
	if (nr < 0)
		return error_errno(err, (int)nr, "look for the objects of the image");
	for (int64_t i = 0; i < nr; i++) {
		struct cairn_digest digest = {.alg = store->alg};
		char path[NODE_PATH_QUOTED_MAX];
		const uint8_t *bytes = node_digest(use[i].node, store->alg);
		int r;

		if (!bytes || !(use[i].node->flags & NODE_OBJECT_PATH) || alg != store->alg)
			return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
					 "%s: has no object named by a digest of the store's "
					 "algorithm",
					 node_path_quoted(use[i].node, path));
		memcpy(digest.bytes, bytes, cairn_digest_size(store->alg));
		r = store_has(store, &digest, use[i].node->size, err);
		if (!r)
			r = error_set(err, -ENOENT, CAIRN_ERROR_SYSTEM,
				      "%s: its object is missing in %s",
				      node_path_quoted(use[i].node, path), store->path);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Gives them together with what else is in the batch. */
static int batch_image(struct names_batch *batch, const char *name,
		       const struct cairn_digest *digest, struct cairn_error *err)
{
	char hex[CAIRN_DIGEST_HEX_MAX];
	int r;

	cairn_digest_to_hex(digest, hex);
	r = names_batch_entry(batch, STORE_IMAGES, hex, digest, err);
	return !r && name ? names_batch_ref(batch, STORE_IMAGES, name, hex, err) : r;
}

int image_into_batch(struct cairn_store *store, const struct cairn_tree *tree,
		     const struct cairn_image_options *options, const char *name,
		     struct names_batch *batch, struct object_signature *sig,
		     struct cairn_image_result *ret, struct cairn_error *err)
{
	struct pending file cleanup_pending = PENDING_INIT;
	struct cairn_image_options to_store = *options;
	struct cairn_image_result result;
	int r = name ? store_check_name(name, err) : 0;

	if (!r && store->bare)
		r = error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
			      "%s: a bare directory of objects has no names", store->path);
	if (!r)
		r = store_begin(store, err);
	if (!r)
		r = check_objects(store, tree_from_public(tree), err);
	if (!r)
		r = store_pending(store, &file, err);
	if (r < 0)
		return r;

	to_store.format = format_of(store, options->format);
	to_store.alg = store->alg;
	to_store.write = write_pending;
	to_store.write_arg = &file;
	r = cairn_image_write(tree, &to_store, &result, err);
	if (r < 0)
		return r;
	r = sig ? store_commit_signed(store, &file, &result.digest, result.size, sig, err)
		: store_commit(store, &file, &result.digest, result.size, err);
	if (r >= 0)
		r = batch_image(batch, name, &result.digest, err);
	if (!r && ret)
		*ret = result;
	return r;
}

int cairn_store_add_image(struct cairn_store *store, const struct cairn_tree *tree,
			  const struct cairn_image_options *options, const char *name,
			  struct cairn_image_result *ret, struct cairn_error *err)
{
	struct names_batch *batch cleanup(names_batch) = NULL;
	struct cairn_image_result result;
	int r = names_batch_new(store, &batch);

	if (r < 0)
		return error_errno(err, r, "add an image to %s", store->path);
	r = image_into_batch(store, tree, options, name, batch, NULL, &result, err);
	if (!r)
		r = names_batch_commit(batch, err);
	if (!r && ret)
		*ret = result;
	return r;
}

int cairn_store_tag(struct cairn_store *store, const char *name, const struct cairn_digest *digest,
		    unsigned int flags, struct cairn_error *err)
{
	int r = store_check_name(name, err);

	if (!r)
		r = store_begin(store, err);
	if (r < 0)
		return r;
	r = store_use_image(store, digest, err);
	if (!r)
		r = store_sync(store, err);
	return r < 0 ? r : name_image(store, name, digest, flags & CAIRN_TAG_MOVE, err);
}

int cairn_store_untag(struct cairn_store *store, const char *name, struct cairn_error *err)
{
	char tag[STORE_REF_MAX + 1];
	struct cairn_error words = {0};
	int r = store_drop_ref(store, STORE_IMAGES, name, err), container;

	if ((r < 0 && r != -ENOENT) || store_tag_entry(name, tag, NULL) < 0)
		return r;
	/* What was pulled has the same name as a container image, which keeps its layers. */
	container = store_drop_ref(store, STORE_STREAMS, tag, &words);
	if (container == -ENOENT)
		return r;
	if (container < 0 && err)
		*err = words;
	return container;
}

/* --- finding --------------------------------------------------------------------------------- */

int cairn_store_resolve(const struct cairn_store *store, const char *text, struct cairn_digest *ret,
			struct cairn_error *err)
{
	const char *name = !strncmp(text, "ref:", 4) ? text + 4 : text;
	int r = store_resolve(store, text, ret, err);

	/* A container image that another tool has pulled has only that name. */
	return r == -ENOENT && store_tag_image(store, name, ret, NULL) == 0 ? 0 : r;
}

int cairn_store_open_image(const struct cairn_store *store, const struct cairn_digest *digest,
			   struct cairn_error *err)
{
	if (!cairn_digest_size((enum cairn_alg)digest->alg))
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
				 "open an image: unknown digest algorithm");
	return store_open_image(store, digest, err);
}

/* --- listing --------------------------------------------------------------------------------- */

/* How many references name each image: their targets, sorted. */
struct images {
	const struct cairn_store *store;
	char (*target)[CAIRN_DIGEST_HEX_MAX];
	size_t nr, size;
	int (*fn)(void *arg, const struct cairn_store_image *image);
	void *arg;
};

static int add_target(void *arg, const struct store_name *name)
{
	struct images *im = (struct images *)arg;

	if (!*name->target || strlen(name->target) >= CAIRN_DIGEST_HEX_MAX)
		return 0;
	if (im->nr == im->size) {
		size_t size = im->size ? 2 * im->size : 64;
		void *more = reallocarray(im->target, size, sizeof(*im->target));

		if (!more)
			return -ENOMEM;
		im->target = (char(*)[CAIRN_DIGEST_HEX_MAX])more;
		im->size = size;
	}
	strcpy(im->target[im->nr++], name->target);
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp((const char *)a, (const char *)b);
}

/* The first target that is not below @text. */
static size_t place_of(const struct images *im, const char *text)
{
	size_t low = 0, high = im->nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(im->target[middle], text) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void look_at(const struct images *im, struct cairn_store_image *image)
{
	char path[OBJECT_PATH_MAX];
	cleanup_fd int fd = -1;
	struct stat st;

	object_path(path, image->digest.bytes,
		    cairn_digest_size((enum cairn_alg)image->digest.alg));
	fd = store_open_object(im->store, path, NULL);
	if (fd < 0 || fstat(fd, &st) < 0) {
		image->problem =
			fd == -ENOENT ? "the image is missing" : "the image cannot be read";
		return;
	}
	image->size = (uint64_t)st.st_size;
	image->mtime = st.st_mtime;
	image->format = cairn_image_probe(fd);
	if (image->format < 0) {
		image->format = -1;
		image->problem = "not an image";
	}
}

static int tell_image(void *arg, const struct store_name *name)
{
	const struct images *im = (const struct images *)arg;
	struct cairn_store_image image = {
		.digest = name->id, .name = name->name, .format = -1, .problem = name->problem};

	for (size_t i = place_of(im, name->name); i < im->nr && !strcmp(im->target[i], name->name);
	     i++)
		image.nr_refs++;
	if (!image.problem)
		look_at(im, &image);
	return im->fn(im->arg, &image);
}

int cairn_store_images(const struct cairn_store *store,
		       int (*fn)(void *arg, const struct cairn_store_image *image), void *arg,
		       struct cairn_error *err)
{
	struct images im = {.store = store, .fn = fn, .arg = arg};
	int r = store_list_refs(store, STORE_IMAGES, add_target, &im, err);

	if (!r) {
		if (im.nr)
			qsort(im.target, im.nr, sizeof(*im.target), by_text);
		r = store_list_entries(store, STORE_IMAGES, tell_image, &im, err);
	}
	free(im.target);
	return r;
}

struct refs {
	const struct cairn_store *store;
	int (*fn)(void *arg, const struct cairn_store_ref *ref);
	void *arg;
};

static int tell_ref(void *arg, const struct store_name *name)
{
	const struct refs *refs = (const struct refs *)arg;
	struct cairn_store_ref ref = {.name = name->name,
				      .stream = name->kind == STORE_STREAMS,
				      .target = name->target,
				      .problem = name->problem};
	struct cairn_error err = {0};
	int r;

	if (!ref.problem) {
		r = store_entry(refs->store, name->kind, name->target, &ref.digest, &err);
		if (r == -ENOENT)
			ref.problem = "dangling: what it names is missing";
		else if (r < 0)
			ref.problem = err.text;
	}
	return refs->fn(refs->arg, &ref);
}

int cairn_store_refs(const struct cairn_store *store,
		     int (*fn)(void *arg, const struct cairn_store_ref *ref), void *arg,
		     struct cairn_error *err)
{
	struct refs refs = {store, fn, arg};
	int r = store_list_refs(store, STORE_IMAGES, tell_ref, &refs, err);

	return r < 0 ? r : store_list_refs(store, STORE_STREAMS, tell_ref, &refs, err);
}
