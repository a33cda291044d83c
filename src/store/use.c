/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Keeping what is in the store already, with all that it needs, from being collected. */
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "erofs/reader.h"
#include "store/names.h"
#include "store/splitstream.h"
#include "tree/tree.h"

struct use {
	struct cairn_store *store;
	struct cairn_error *err;
};

static int use_object(void *arg, const struct image_object *o)
{
	const struct use *use = (const struct use *)arg;
	struct cairn_store *s = use->store;
	struct cairn_digest digest = {.alg = s->alg};
	char path[OBJECT_PATH_MAX];
	int r;

	if (o->digest_size != cairn_digest_size(s->alg))
		return 0; /* it is not by its digest that it has an object here */
	memcpy(digest.bytes, o->digest, o->digest_size);
	r = store_has(s, &digest, o->size, use->err);
	if (r)
		return MIN(r, 0);
	object_path(path, o->digest, o->digest_size);
	return error_set(use->err, -ENOENT, CAIRN_ERROR_SYSTEM, "its object %s is missing in %s",
			 path, s->path);
}

int store_use_image(struct cairn_store *s, const struct cairn_digest *id, struct cairn_error *err)
{
	struct use use = {s, err};
	struct image image;
	char hex[CAIRN_DIGEST_HEX_MAX];
	cleanup_fd int fd = -1;
	struct stat st;
	void *data;
	int r = store_use(s, id, err);

	if (r < 0)
		return r;
	fd = store_open_image(s, id, err);
	if (fd < 0)
		return fd;
	cairn_digest_to_hex(id, hex);
	if (fstat(fd, &st) < 0)
		return error_errno(err, -errno, "read image %s", hex);
	data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return error_errno(err, -errno, "read image %s", hex);
	r = image_open(&image, data, (uint64_t)st.st_size, err);
	if (!r)
		r = image_objects(&image, use_object, &use, err);
	if (r < 0)
		error_prepend(err, "image %s", hex);
	munmap(data, (size_t)st.st_size);
	return r;
}

static int use_part(void *arg, const struct cairn_digest *id)
{
	const struct use *use = (const struct use *)arg;
	char path[OBJECT_PATH_MAX];
	cleanup_fd int fd = -1;
	int r = store_use(use->store, id, use->err);

	if (r < 0)
		return r;
	object_path(path, id->bytes, cairn_digest_size((enum cairn_alg)id->alg));
	fd = store_open_object(use->store, path, use->err);
	return MIN(fd, 0);
}

int store_use_stream(struct cairn_store *s, const struct cairn_digest *id, struct cairn_error *err)
{
	struct splitstream *stream cleanup(splitstream) = NULL;
	struct use use = {s, err};
	char path[OBJECT_PATH_MAX];
	cleanup_fd int fd = -1;
	int r = store_use(s, id, err);

	if (r < 0)
		return r;
	object_path(path, id->bytes, cairn_digest_size((enum cairn_alg)id->alg));
	fd = store_open_object(s, path, err);
	if (fd < 0)
		return fd;
	r = splitstream_open(fd, s->alg, &stream, err);
	return r < 0 ? r : splitstream_refs(stream, SPLITSTREAM_OBJECTS, use_part, &use, err);
}
