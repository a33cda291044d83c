/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Destinations, and an OCI layout as one (oci-image.md §5). */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "oci/json.h"
#include "oci/push.h"
#include "sys/dir.h"
#include "sys/io.h"
#include "sys/pending.h"

#define REF_NAME "org.opencontainers.image.ref.name"
#define PIECE    (256u << 10)

int dest_open(const struct oci_reference *ref, const struct registry_options *options,
	      struct dest **ret, struct cairn_error *err)
{
	switch (ref->transport) {
	case OCI_REGISTRY:
		return dest_registry_open(ref, options, ret, err);
	case OCI_LAYOUT:
		return dest_layout_open(ref, ret, err);
	default:
		return error_set(err, -ENOTSUP, CAIRN_ERROR_USAGE,
				 "only registries and OCI layouts (oci:DIR) are written");
	}
}

void dest_free(struct dest *d)
{
	if (d)
		d->ops->free(d);
}

int dest_put_bytes(struct dest *d, const char *digest, const struct buf *bytes,
		   struct cairn_error *err)
{
	int r = d->ops->has(d, digest, bytes->len, err);
	int fd cleanup_fd = r == 0 ? memfd_create("blob", MFD_CLOEXEC) : -1;

	if (r != 0)
		return MIN(r, 0);
	if (fd < 0)
		return error_errno(err, -errno, "blob");
	r = pwrite_all(fd, bytes->data, bytes->len, 0);
	return r < 0 ? error_errno(err, r, "blob") : d->ops->blob(d, digest, bytes->len, fd, err);
}

/* --- layouts --------------------------------------------------------------------------------- */

struct layout_dest {
	struct dest dest;
	int dirfd;
	char *path;
};

static int blob_path(const char *digest, char out[OCI_DIGEST_MAX + 8])
{
	const char *colon = strchr(digest, ':');

	return snprintf(out, OCI_DIGEST_MAX + 8, "blobs/%.*s/%s", (int)(colon - digest), digest,
			colon + 1);
}

static int layout_has(struct dest *d, const char *digest, uint64_t size, struct cairn_error *err)
{
	struct layout_dest *l = (struct layout_dest *)d;
	char path[OCI_DIGEST_MAX + 8];
	struct stat st;

	(void)err;
	blob_path(digest, path);
	return !fstatat(l->dirfd, path, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode) &&
	       (uint64_t)st.st_size == size;
}

static int copy_file(int from, int to, uint64_t size)
{
	char *piece cleanup_free = (char *)malloc(PIECE);
	uint64_t at = 0;

	if (!piece)
		return -ENOMEM;
	while (at < size) {
		ssize_t n = pread(from, piece, (size_t)MIN(size - at, (uint64_t)PIECE), (off_t)at);
		int r = n > 0 ? write_all(to, piece, (size_t)n) : n < 0 ? -errno : -EIO;

		if (r < 0)
			return r;
		at += (uint64_t)n;
	}
	return 0;
}

static int make_parents(const struct layout_dest *l, const char *digest)
{
	char path[OCI_DIGEST_MAX + 8], *slash;

	if (mkdirat(l->dirfd, "blobs", 0777) < 0 && errno != EEXIST)
		return -errno;
	blob_path(digest, path);
	slash = strrchr(path, '/');
	*slash = '\0';
	return mkdirat(l->dirfd, path, 0777) < 0 && errno != EEXIST ? -errno : 0;
}

static int layout_blob(struct dest *d, const char *digest, uint64_t size, int fd,
		       struct cairn_error *err)
{
	struct layout_dest *l = (struct layout_dest *)d;
	struct pending file cleanup_pending = PENDING_INIT;
	char path[OCI_DIGEST_MAX + 8];
	int r = make_parents(l, digest);

	if (r == 0)
		r = pending_open(l->dirfd, ".cairn-", 0666, &file);
	if (r == 0)
		r = copy_file(fd, file.fd, size);
	if (r == 0 && fsync(file.fd) < 0)
		r = -errno;
	blob_path(digest, path);
	if (r == 0)
		r = pending_replace(&file, path);
	return r < 0 ? error_errno(err, r, "%s: %s", l->path, path) : 0;
}

static int read_index(const struct layout_dest *l, json_t **ret, struct cairn_error *err)
{
	struct buf bytes cleanup_buf = BUF_INIT(OCI_DOCUMENT_MAX);
	int fd cleanup_fd = open_beneath(l->dirfd, "index.json", O_RDONLY | O_NONBLOCK);
	ssize_t n;

	if (fd < 0 && fd != -ENOENT)
		return error_errno(err, fd, "%s: index.json", l->path);
	if (fd < 0) {
		*ret = json_pack("{s:i,s:s,s:[]}", "schemaVersion", 2, "mediaType", OCI_TYPE_INDEX,
				 "manifests");
		return *ret ? 0 : error_errno(err, -ENOMEM, "index.json");
	}
	if (buf_reserve(&bytes, OCI_DOCUMENT_MAX) < 0)
		return error_errno(err, -ENOMEM, "index.json");
	n = read_full(fd, bytes.data, OCI_DOCUMENT_MAX);
	if (n < 0)
		return error_errno(err, (int)n, "%s: index.json", l->path);
	return json_read(bytes.data, (size_t)n, OCI_DEPTH_MAX, "index.json", ret, err);
}

/* Adds the entry, in place of one with the same name, or with the same digest and none. */
static int change_index(json_t *index, json_t *entry, const char *digest, const char *tag)
{
	json_t *list = json_object_get(index, "manifests");

	for (size_t i = json_array_size(list); i-- > 0;) {
		const json_t *old = json_array_get(list, i);
		const char *name = json_string_value(
			json_object_get(json_object_get(old, "annotations"), REF_NAME));
		const char *old_digest = json_string_value(json_object_get(old, "digest"));

		if (tag ? name && !strcmp(name, tag)
			: !name && old_digest && !strcmp(old_digest, digest))
			json_array_remove(list, i);
	}
	return json_array_append(list, entry);
}

static int write_index(const struct layout_dest *l, const json_t *index, struct cairn_error *err)
{
	struct pending file cleanup_pending = PENDING_INIT;
	char *text cleanup_free = json_dumps(index, JSON_COMPACT);
	int r = text ? pending_open(l->dirfd, ".cairn-", 0666, &file) : -ENOMEM;

	if (r == 0)
		r = write_all(file.fd, text, strlen(text));
	if (r == 0 && fsync(file.fd) < 0)
		r = -errno;
	if (r == 0)
		r = pending_replace(&file, "index.json");
	return r < 0 ? error_errno(err, r, "%s: index.json", l->path) : 0;
}

static int layout_manifest(struct dest *d, const struct buf *bytes, const char *media_type,
			   const char *digest, const char *tag, const char *subject,
			   const char *artifact_type, struct cairn_error *err)
{
	struct layout_dest *l = (struct layout_dest *)d;
	json_t *index cleanup(json) = NULL, *entry cleanup(json) = NULL;
	int r = dest_put_bytes(d, digest, bytes, err);

	(void)subject;
	if (r < 0)
		return r;
	entry = json_pack("{s:s,s:s,s:I}", "mediaType", media_type, "digest", digest, "size",
			  (json_int_t)bytes->len);
	if (entry && artifact_type)
		json_object_set_new(entry, "artifactType", json_string(artifact_type));
	if (entry && tag)
		json_object_set_new(entry, "annotations", json_pack("{s:s}", REF_NAME, tag));
	if (!entry)
		return error_errno(err, -ENOMEM, "index.json");
	/* Others that add an image at the same time wait. */
	if (flock(l->dirfd, LOCK_EX) < 0)
		return error_errno(err, -errno, "%s", l->path);
	r = read_index(l, &index, err);
	if (r == 0 && change_index(index, entry, digest, tag) < 0)
		r = error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "%s: index.json has no manifests",
			      l->path);
	if (r == 0)
		r = write_index(l, index, err);
	(void)flock(l->dirfd, LOCK_UN);
	return r;
}

static void layout_free(struct dest *d)
{
	struct layout_dest *l = (struct layout_dest *)d;

	if (l->dirfd >= 0)
		close(l->dirfd);
	free(l->path);
	free(l);
}

static const struct dest_ops layout_ops = {
	.has = layout_has,
	.blob = layout_blob,
	.manifest = layout_manifest,
	.free = layout_free,
};

static int make_layout(struct layout_dest *l)
{
	static const char marker[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
	int fd cleanup_fd = -1;

	if (mkdir(l->path, 0777) < 0 && errno != EEXIST)
		return -errno;
	l->dirfd = open(l->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (l->dirfd < 0)
		return -errno;
	fd = openat(l->dirfd, "oci-layout", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    0666);
	if (fd < 0)
		return errno == EEXIST ? 0 : -errno;
	return write_all(fd, marker, strlen(marker));
}

int dest_layout_open(const struct oci_reference *ref, struct dest **ret, struct cairn_error *err)
{
	struct layout_dest *l = (struct layout_dest *)calloc(1, sizeof(*l));
	int r;

	if (!l)
		return error_errno(err, -ENOMEM, "%s", ref->path);
	l->dest.ops = &layout_ops;
	l->dirfd = -1;
	l->path = strdup(ref->path);
	r = l->path ? make_layout(l) : -ENOMEM;
	if (r < 0) {
		error_errno(err, r, "%s", ref->path);
		layout_free(&l->dest);
		return r;
	}
	*ret = &l->dest;
	return 0;
}
