/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * containers-storage: — what podman, buildah and CRI-O have unpacked on this machine.
 *
 *	DRIVER-images/images.json	names, and the top layer of each image
 *	DRIVER-images/ID/KEY		manifest and config; KEY in base64 behind '=' unless it is only [.0-9a-z]
 *	DRIVER-layers/layers.json	the diff_id of each layer, and the one below it
 *	DRIVER-layers/ID.tar-split.gz	all of its tar but the contents of files …
 *	overlay/ID/diff, vfs/dir/ID	… which are here
 *
 * There are no blobs: a layer is its tar, put together from the last two. Nothing of all that is believed; the tar
 * must have the diff_id that the config tells.
 *
 *  1. images.lock and layers.lock are taken, shared, while what they are about is read: both for their lists,
 *     layers.lock also for each layer while its tar is put together, as podman's own export does. In between,
 *     others can go on; what they have removed then is missed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "oci/auth.h"
#include "oci/json.h"
#include "oci/source.h"
#include "oci/storage_lock.h"
#include "oci/toc.h"
#include "oci/toml.h"
#include "sys/decompress.h"
#include "sys/dir.h"
#include "sys/io.h"

#define JSON_FILE_MAX ((size_t)64 << 20) /* of a list: some 100,000 images */
#define CONF_MAX      ((size_t)1 << 20)
#define SPLIT_MAX                                                                                  \
	((uint64_t)8 << 30) /* bytes of a tar-split: the headers of the largest layer, in base64 */
#define CHAIN_MAX      OCI_LAYERS_MAX
#define ID_PREFIX_MIN  4
#define PIECE          (256u << 10)
#define STORAGE_ID_MAX 128

static const struct driver {
	const char *name, *before, *behind; /* the files of layer ID are in BEFORE ID BEHIND */
} drivers[] = {
	{"overlay", "overlay/", "/diff"},
	{"vfs", "vfs/dir/", ""},
};

struct storage {
	struct source source;
	int dirfd;
	const struct driver *driver;
	json_t *layers;      /* layers.json */
	const json_t *image; /* in images */
	json_t *images;      /* images.json */
	char *digest;        /* of the manifest that is wanted; NULL: the image's own */
};

/* Whether the user still wants it, told by the sink. */
static int still_wanted(void *arg, struct cairn_error *err)
{
	const struct source_sink *sink = (const struct source_sink *)arg;

	return sink->bytes(sink->arg, "", 0, err);
}

/* The lock of the list @what. Returns a descriptor; -ENOENT: there is none; … */
static int lock_list(const struct storage *s, const char *what, const struct source_sink *sink,
		     struct cairn_error *err)
{
	char path[64];

	snprintf(path, sizeof(path), "%s-%s/%s.lock", s->driver->name, what, what);
	return storage_lock(s->dirfd, s->source.name, path, STORAGE_PATIENCE_MS,
			    sink ? still_wanted : NULL, (void *)(uintptr_t)sink, err);
}

/* --- files ----------------------------------------------------------------------------------- */

static int read_file(const struct storage *s, const char *path, size_t max, struct buf *ret,
		     struct cairn_error *err)
{
	int fd cleanup_fd = open_beneath(s->dirfd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return error_errno(err, fd, "%s/%s", s->source.name, path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size > max)
		return error_set(err, -EFBIG, CAIRN_ERROR_FORMAT,
				 "%s/%s: not a file of at most %zu bytes", s->source.name, path,
				 max);
	ret->len = 0;
	if (buf_reserve(ret, (size_t)st.st_size) < 0)
		return error_errno(err, -ENOMEM, "%s", path);
	n = read_full(fd, ret->data, (size_t)st.st_size);
	if (n < 0)
		return error_errno(err, (int)n, "%s/%s", s->source.name, path);
	ret->len = (size_t)n;
	return 0;
}

/* A list of objects: json_read() wants an object, so it becomes the member of one. */
static int read_list(const struct storage *s, const char *what, json_t **ret,
		     struct cairn_error *err)
{
	struct buf text cleanup_buf = BUF_INIT(JSON_FILE_MAX),
			whole cleanup_buf = BUF_INIT(JSON_FILE_MAX + 64);
	json_t *object cleanup(json) = NULL, *list;
	int lock cleanup_fd = -1, r;
	char path[64];

	lock = lock_list(s, what, NULL, err);
	if (lock < 0 && lock != -ENOENT)
		return lock;
	snprintf(path, sizeof(path), "%s-%s/%s.json", s->driver->name, what, what);
	r = read_file(s, path, JSON_FILE_MAX, &text, err);
	if (r < 0)
		return r;
	if (buf_put(&whole, "{\"list\":", 8) < 0 || buf_put(&whole, text.data, text.len) < 0 ||
	    buf_put(&whole, "}", 1) < 0)
		return error_errno(err, -ENOMEM, "%s", path);
	r = json_read(whole.data, whole.len, OCI_DEPTH_MAX, path, &object, err);
	if (r < 0)
		return r;
	if (json_member(object, "list", JSON_ARRAY, &list, path, err) != 1)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "%s/%s: not a list",
				 s->source.name, path);
	*ret = json_incref(list);
	return 0;
}

static bool is_id(const char *id)
{
	size_t len = id ? strlen(id) : 0;

	return len && len < STORAGE_ID_MAX && strspn(id, "0123456789abcdef") == len;
}

/* --- which image ----------------------------------------------------------------------------- */

/* Whether an image called @name is meant by @wanted: without a registry localhost and docker.io are tried, as podman does. */
static bool is_called(const char *name, const char *wanted)
{
	static const char *const places[] = {"", "localhost/", "docker.io/library/", "docker.io/"};
	const char *slash = strrchr(wanted, '/');
	const bool tagged = strchr(slash ? slash : wanted, ':') != NULL;

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		const size_t len = strlen(places[i]), rest = strlen(wanted);

		if (!strncmp(name, places[i], len) && !strncmp(name + len, wanted, rest) &&
		    !strcmp(name + len + rest, tagged ? "" : ":latest"))
			return true;
	}
	return false;
}

static bool has_name(const json_t *image, const char *wanted)
{
	const json_t *names = json_object_get(image, "names");

	for (size_t i = 0; i < json_array_size(names); i++) {
		const char *name = json_string_value(json_array_get(names, i));

		if (name && is_called(name, wanted))
			return true;
	}
	return false;
}

static bool has_id(const json_t *image, const char *wanted)
{
	const char *id = json_string_value(json_object_get(image, "id"));

	return id && strlen(wanted) >= ID_PREFIX_MIN && is_id(wanted) &&
	       !strncmp(id, wanted, strlen(wanted));
}

static int find_image(struct storage *s, const char *wanted, struct cairn_error *err)
{
	unsigned int nr = 0;

	for (size_t i = 0; i < json_array_size(s->images) && !s->image; i++) {
		if (has_name(json_array_get(s->images, i), wanted))
			s->image = json_array_get(s->images, i);
	}
	for (size_t i = 0; i < json_array_size(s->images) && (!s->image || nr); i++) {
		if (!has_id(json_array_get(s->images, i), wanted))
			continue;
		s->image = json_array_get(s->images, i);
		nr++;
	}
	if (nr > 1)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
				 "%s: %u images in %s have an id that begins so", wanted, nr,
				 s->source.name);
	return s->image ? 0
			: error_set(err, -ENOENT, CAIRN_ERROR_SYSTEM, "%s: no such image in %s",
				    wanted, s->source.name);
}

/* --- documents ------------------------------------------------------------------------------- */

static int read_key(const struct storage *s, const char *key, struct buf *ret,
		    struct cairn_error *err)
{
	const char *id = json_string_value(json_object_get(s->image, "id"));
	char *encoded cleanup_free = NULL, *path cleanup_free = NULL;

	if (!is_id(id))
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "%s: an image without an id",
				 s->source.name);
	if (strspn(key, ".0123456789abcdefghijklmnopqrstuvwxyz") != strlen(key)) {
		encoded = base64_encode(key, strlen(key));
		if (!encoded)
			return error_errno(err, -ENOMEM, "%s", key);
	}
	if (asprintf(&path, "%s-images/%s/%s%s", s->driver->name, id, encoded ? "=" : "",
		     encoded ? encoded : key) < 0)
		return error_errno(err, -ENOMEM, "%s", key);
	return read_file(s, path, OCI_DOCUMENT_MAX, ret, err);
}

static int storage_top(struct source *source, struct source_top *ret, struct cairn_error *err)
{
	const struct storage *s = (const struct storage *)source;
	char key[OCI_DIGEST_MAX + 16] = "manifest";
	int r;

	if (s->digest)
		snprintf(key, sizeof(key), "manifest-%s", s->digest);
	r = read_key(s, key, &ret->bytes, err);
	if (r == 0 && oci_hash_data(s->digest, ret->bytes.data, ret->bytes.len, ret->digest) < 0)
		r = error_errno(err, -ENOMEM, "manifest");
	if (r == 0 && s->digest && strcmp(ret->digest, s->digest))
		r = error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
			      "manifest: it has digest %s, not %s", ret->digest, s->digest);
	return r;
}

static int storage_document(struct source *source, const struct oci_descriptor *d, struct buf *ret,
			    struct cairn_error *err)
{
	const struct storage *s = (const struct storage *)source;
	char key[OCI_DIGEST_MAX + 16];

	snprintf(key, sizeof(key), "%s%s",
		 oci_kind_of(d->media_type) == OCI_KIND_MANIFEST ? "manifest-" : "", d->digest);
	return read_key(s, key, ret, err);
}

static int storage_blob(struct source *source, const struct oci_descriptor *d, source_fn fn,
			void *arg, struct cairn_error *err)
{
	(void)source;
	(void)fn;
	(void)arg;
	return error_set(err, -ENOENT, CAIRN_ERROR_SYSTEM,
			 "%s: a containers-storage has layers unpacked, and not their blobs",
			 d->digest);
}

/* --- layers ---------------------------------------------------------------------------------- */

static const json_t *layer_called(const struct storage *s, const char *id)
{
	for (size_t i = 0; id && i < json_array_size(s->layers); i++) {
		const json_t *layer = json_array_get(s->layers, i);
		const char *found = json_string_value(json_object_get(layer, "id"));

		if (found && !strcmp(found, id))
			return layer;
	}
	return NULL;
}

/* The id of a layer of the image that is said to have @diff_id, from the top down. */
static const char *find_layer(const struct storage *s, const char *diff_id)
{
	const char *id = json_string_value(json_object_get(s->image, "layer"));

	for (unsigned int i = 0; i < CHAIN_MAX; i++) {
		const json_t *layer = layer_called(s, id);
		const char *found = json_string_value(json_object_get(layer, "diff-digest"));

		if (!layer || !is_id(id))
			return NULL;
		if (found && !strcmp(found, diff_id))
			return id;
		id = json_string_value(json_object_get(layer, "parent"));
	}
	return NULL;
}

struct building {
	const struct source_sink *sink;
	const char *id;
	int files; /* the directory with them */
	struct split_reader reader;
};

static int on_raw(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	const struct building *b = (const struct building *)arg;

	return b->sink->bytes(b->sink->arg, data, size, err);
}

static int on_file(void *arg, const char *name, uint64_t size, struct cairn_error *err)
{
	const struct building *b = (const struct building *)arg;
	int fd cleanup_fd = -1;
	struct stat st;

	while (*name == '/')
		name++;
	fd = open_beneath(b->files, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return error_errno(err, fd, "%.200s", name);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != size)
		return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
				 "%.200s: not a file of %llu bytes any more", name,
				 (unsigned long long)size);
	return b->sink->file(b->sink->arg, fd, size, err);
}

static int split_piece(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	return split_reader_feed(arg, data, size, err);
}

static int feed_split(struct building *b, int split, struct cairn_error *err)
{
	struct decompressor *d cleanup(decompressor) = NULL;
	char *piece cleanup_free = (char *)malloc(PIECE);
	int r = piece ? decompressor_new(COMPRESSION_GZIP, SPLIT_MAX, split_piece, &b->reader, &d)
		      : -ENOMEM;
	ssize_t n;

	if (r < 0)
		return error_errno(err, r, "tar-split");
	while (r == 0 && (n = read_full(split, piece, PIECE)) != 0)
		r = n < 0 ? error_errno(err, (int)n, "tar-split")
			  : decompressor_feed(d, piece, (size_t)n, err);
	if (r == 0)
		r = decompressor_finish(d, err);
	return r < 0 ? r : split_reader_finish(&b->reader, err);
}

static int storage_layer(struct source *source, const char *diff_id, const struct source_sink *sink,
			 struct cairn_error *err)
{
	const struct storage *s = (const struct storage *)source;
	struct building b = {.sink = sink, .id = find_layer(s, diff_id), .files = -1};
	const struct split_handler handler = {on_raw, on_file, &b};
	char path[STORAGE_ID_MAX + 64];
	int lock cleanup_fd = -1, split cleanup_fd = -1, r;

	if (!b.id)
		return error_set(err, -ENOENT, CAIRN_ERROR_SYSTEM, "%s: no such layer in %s",
				 diff_id, source->name);
	lock = lock_list(s, "layers", sink, err);
	if (lock < 0 && lock != -ENOENT)
		return lock;
	snprintf(path, sizeof(path), "%s-layers/%s.tar-split.gz", s->driver->name, b.id);
	split = open_beneath(s->dirfd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (split < 0)
		return error_errno(err, split, "%s/%s", source->name, path);
	snprintf(path, sizeof(path), "%s%s%s", s->driver->before, b.id, s->driver->behind);
	b.files = open_beneath(s->dirfd, path, O_RDONLY | O_DIRECTORY);
	if (b.files < 0)
		return error_errno(err, b.files, "%s/%s", source->name, path);
	r = split_reader_init(&b.reader, &handler);
	r = r < 0 ? error_errno(err, r, "tar-split") : feed_split(&b, split, err);
	if (r < 0 && r != -ECANCELED)
		error_prepend(err, "%s/%s", source->name, path);
	split_reader_fini(&b.reader);
	close(b.files);
	return r;
}

/* --- opening --------------------------------------------------------------------------------- */

static void storage_free(struct source *source)
{
	struct storage *s = (struct storage *)source;

	if (s->dirfd >= 0)
		close(s->dirfd);
	json_decref(s->layers);
	json_decref(s->images);
	free(s->digest);
	free(s);
}

static const struct source_ops storage_ops = {
	.top = storage_top,
	.document = storage_document,
	.blob = storage_blob,
	.layer = storage_layer,
	.free = storage_free,
};

/* "[DRIVER@]DIR[+RUN]", as skopeo writes it, in place. */
static char *directory_of(char *text, const char **ret_driver)
{
	char *at = strchr(text, '@'), *plus = strchr(text, '+');

	*ret_driver = NULL;
	if (at && *text != '/') {
		*at = '\0';
		*ret_driver = text;
		text = at + 1;
	}
	if (plus && plus > text)
		*plus = '\0';
	return text;
}

/* The first driver that the directory has images of. */
static int find_driver(struct storage *s, const char *wanted, struct cairn_error *err)
{
	char path[64];

	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
		snprintf(path, sizeof(path), "%s-images/images.json", drivers[i].name);
		if ((wanted && strcmp(wanted, drivers[i].name)) ||
		    faccessat(s->dirfd, path, F_OK, AT_EACCESS) < 0)
			continue;
		s->driver = &drivers[i];
		return 0;
	}
	return error_set(err, -ENOENT, CAIRN_ERROR_SYSTEM,
			 "%s: no containers-storage of the driver %s", s->source.name,
			 wanted ? wanted : "overlay or vfs");
}

int oci_source_storage_open(const struct oci_reference *ref, struct source **ret,
			    struct cairn_error *err)
{
	struct storage *s = (struct storage *)calloc(1, sizeof(*s));
	char *place cleanup_free = ref->path ? strdup(ref->path) : NULL;
	char *wanted cleanup_free = strdup(ref->tag), *at;
	const char *driver, *dir;
	int r = 0;

	if (!s || !place || !wanted) {
		free(s);
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
				 "containers-storage: whose is not known; say "
				 "containers-storage:[DIR]NAME");
	}
	dir = directory_of(place, &driver);
	s->source.ops = &storage_ops;
	s->source.name = strdup(dir);
	s->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	at = strrchr(wanted, '@');
	if (at && oci_digest_is_valid(at + 1)) {
		s->digest = strdup(at + 1);
		*at = '\0';
	}
	if (s->dirfd < 0)
		r = error_errno(err, -errno, "%s", dir);
	if (r == 0)
		r = find_driver(s, driver, err);
	if (r == 0)
		r = read_list(s, "images", &s->images, err);
	if (r == 0)
		r = read_list(s, "layers", &s->layers, err);
	if (r == 0)
		r = find_image(s, wanted, err);
	if (r < 0) {
		oci_source_free(&s->source);
		return r;
	}
	*ret = &s->source;
	return 0;
}

/* --- where it is ----------------------------------------------------------------------------- */

static int take_value(void *arg, enum toml_kind kind, const char *path, const char *text,
		      int64_t number, struct cairn_error *err)
{
	char **root = (char **)arg;

	(void)number;
	(void)err;
	if (kind == TOML_STRING && !strcmp(path, "storage.graphroot") && *text) {
		free(*root);
		*root = strdup(text);
	}
	return 0;
}

int oci_storage_root(const char *conf, char **ret, struct cairn_error *err)
{
	struct buf text cleanup_buf = BUF_INIT(CONF_MAX);
	int fd cleanup_fd = open(conf, O_RDONLY | O_CLOEXEC | O_NOCTTY), r;
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? 0 : error_errno(err, -errno, "%s", conf);
	if (buf_reserve(&text, CONF_MAX) < 0)
		return error_errno(err, -ENOMEM, "%s", conf);
	n = read_full(fd, text.data, CONF_MAX);
	if (n < 0)
		return error_errno(err, (int)n, "%s", conf);
	r = toml_read(text.data, (size_t)n, take_value, ret, err);
	if (r < 0)
		error_prepend(err, "%s", conf);
	return r;
}
