/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * oci:DIR — an OCI layout (oci-image.md §5) —, oci-archive:FILE — the same in a tar archive — and dir:DIR, as
 * skopeo writes it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "oci/files.h"
#include "oci/json.h"
#include "oci/source.h"

#define REF_NAME        "org.opencontainers.image.ref.name"
#define BLOB_PATH_MAX   (OCI_DIGEST_MAX + 8)
#define LAYOUT_FILE_MAX 4096 /* bytes of oci-layout */

struct layout {
	struct source source;
	struct files *files;
	bool flat; /* dir: blobs lie in the directory itself, named by the hexadecimal digest alone */
	struct oci_reference ref;
	struct oci_document *index; /* of a layout */
};

static void blob_path(const struct layout *l, const char *digest, char out[BLOB_PATH_MAX])
{
	const char *colon = strchr(digest, ':');

	if (l->flat)
		snprintf(out, BLOB_PATH_MAX, "%s", colon + 1);
	else
		snprintf(out, BLOB_PATH_MAX, "blobs/%.*s/%s", (int)(colon - digest), digest,
			 colon + 1);
}

/* --- the source ------------------------------------------------------------------------------ */

static int layout_document(struct source *s, const struct oci_descriptor *d, struct buf *ret,
			   struct cairn_error *err)
{
	struct layout *l = (struct layout *)s;
	char path[BLOB_PATH_MAX];

	blob_path(l, d->digest, path);
	return files_read(l->files, path, OCI_DOCUMENT_MAX, ret, err);
}

static int layout_blob(struct source *s, const struct oci_descriptor *d, source_fn fn, void *arg,
		       struct cairn_error *err)
{
	struct layout *l = (struct layout *)s;
	char path[BLOB_PATH_MAX];

	blob_path(l, d->digest, path);
	return files_stream(l->files, path, 0, UINT64_MAX, fn, arg, err);
}

/* Tells which range the bytes belong to. */
struct numbered {
	int (*fn)(void *arg, size_t i, const void *data, size_t size, struct cairn_error *err);
	void *arg;
	size_t i;
};

static int numbered_piece(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	const struct numbered *n = (const struct numbered *)arg;

	return n->fn(n->arg, n->i, data, size, err);
}

static int layout_ranges(struct source *s, const struct oci_descriptor *d,
			 const struct source_range *ranges, size_t nr,
			 int (*fn)(void *arg, size_t i, const void *data, size_t size,
				   struct cairn_error *err),
			 void *arg, struct cairn_error *err)
{
	struct layout *l = (struct layout *)s;
	struct numbered n = {.fn = fn, .arg = arg};
	char path[BLOB_PATH_MAX];
	int r = 0;

	blob_path(l, d->digest, path);
	for (; n.i < nr && r == 0; n.i++)
		r = files_stream(l->files, path, ranges[n.i].from, ranges[n.i].size, numbered_piece,
				 &n, err);
	return r;
}

/* The chosen entry of index.json, or index.json itself where several platforms are meant. */
static int layout_top(struct source *s, struct source_top *ret, struct cairn_error *err)
{
	struct layout *l = (struct layout *)s;
	const struct oci_descriptor *d = NULL;
	int r = oci_source_layout_resolve(l->index, &l->ref, &d, err);

	if (r < 0)
		return r;
	ret->media_type = strdup(d ? d->media_type : OCI_TYPE_INDEX);
	if (!ret->media_type)
		return error_errno(err, -ENOMEM, "manifest");
	if (d) {
		r = oci_source_document(s, d, d->digest, &ret->bytes, err);
		snprintf(ret->digest, sizeof(ret->digest), "%s", d->digest);
		return r;
	}
	r = files_read(l->files, "index.json", OCI_DOCUMENT_MAX, &ret->bytes, err);
	return r < 0 ? r : oci_hash_data(NULL, ret->bytes.data, ret->bytes.len, ret->digest);
}

static int dir_top(struct source *s, struct source_top *ret, struct cairn_error *err)
{
	struct layout *l = (struct layout *)s;
	int r = files_read(l->files, "manifest.json", OCI_DOCUMENT_MAX, &ret->bytes, err);

	return r < 0 ? r : oci_hash_data(NULL, ret->bytes.data, ret->bytes.len, ret->digest);
}

/* Referrers of a layout are the manifests in its index that have the subject. */
static int layout_referrers(struct source *s, const char *digest, const char *artifact_type,
			    struct buf *ret, struct cairn_error *err)
{
	struct layout *l = (struct layout *)s;
	json_t *list cleanup(json) = json_array(), *index cleanup(json) = NULL;
	char *text cleanup_free = NULL;

	for (size_t i = 0; i < l->index->nr_parts; i++) {
		const struct oci_descriptor *d = &l->index->parts[i];
		struct oci_document *doc cleanup(oci_document) = NULL;
		struct buf bytes cleanup_buf = BUF_INIT(OCI_DOCUMENT_MAX);

		if (oci_kind_of(d->media_type) != OCI_KIND_MANIFEST ||
		    oci_source_document(s, d, d->digest, &bytes, NULL) < 0 ||
		    oci_document_parse(bytes.data, bytes.len, d->media_type, &doc, NULL) < 0)
			continue;
		if (!doc->subject.digest || strcmp(doc->subject.digest, digest))
			continue;
		if (!artifact_type ||
		    !strcmp(doc->artifact_type ? doc->artifact_type : doc->config.media_type,
			    artifact_type))
			json_array_append(list, d->json);
	}
	index = json_pack("{s:i,s:s,s:O}", "schemaVersion", 2, "mediaType", OCI_TYPE_INDEX,
			  "manifests", list);
	text = index ? json_dumps(index, JSON_COMPACT) : NULL;
	if (!text || buf_put(ret, text, strlen(text)) < 0)
		return error_errno(err, -ENOMEM, "referrers");
	return 0;
}

static const struct oci_document *layout_index(struct source *s)
{
	return ((struct layout *)s)->index;
}

static void layout_free(struct source *s)
{
	struct layout *l = (struct layout *)s;

	files_close(l->files);
	oci_reference_fini(&l->ref);
	oci_document_free(l->index);
	free(l);
}

static const struct source_ops layout_ops = {
	.top = layout_top,
	.document = layout_document,
	.blob = layout_blob,
	.ranges = layout_ranges,
	.index = layout_index,
	.referrers = layout_referrers,
	.free = layout_free,
};

static const struct source_ops dir_ops = {
	.top = dir_top,
	.document = layout_document,
	.blob = layout_blob,
	.ranges = layout_ranges,
	.free = layout_free,
};

/* --- which image ----------------------------------------------------------------------------- */

static bool differ_in_platform(const struct oci_document *index, const char *name)
{
	for (size_t i = 0; i < index->nr_parts; i++) {
		const struct oci_descriptor *a = &index->parts[i];
		const char *a_name = oci_annotation(a, REF_NAME);

		if (name && (!a_name || strcmp(a_name, name)))
			continue;
		for (size_t k = 0; k < i; k++) {
			const struct oci_descriptor *b = &index->parts[k];
			const char *b_name = oci_annotation(b, REF_NAME);

			if (name && (!b_name || strcmp(b_name, name)))
				continue;
			if (!a->has_platform || !b->has_platform ||
			    !memcmp(&a->platform, &b->platform, sizeof(a->platform)))
				return false;
		}
	}
	return true;
}

int oci_source_layout_resolve(const struct oci_document *index, const struct oci_reference *ref,
			      const struct oci_descriptor **ret, struct cairn_error *err)
{
	const struct oci_descriptor *found = NULL;
	unsigned int nr = 0;

	for (size_t i = 0; i < index->nr_parts; i++) {
		const struct oci_descriptor *d = &index->parts[i];
		const char *name = oci_annotation(d, REF_NAME);

		if (ref->tag && (!name || strcmp(name, ref->tag)))
			continue;
		if (ref->digest && strcmp(d->digest, ref->digest))
			continue;
		/* Referrers stand in the same list. */
		if (!ref->tag && !ref->digest && d->artifact_type)
			continue;
		found = d;
		nr++;
	}
	if (nr == 1 || (nr && ref->digest)) {
		*ret = found;
		return 0;
	}
	if (!nr)
		return error_set(err, -ENOENT, CAIRN_ERROR_SYSTEM, "there is no image%s%s in it",
				 ref->tag || ref->digest ? " " : "",
				 ref->tag      ? ref->tag
				 : ref->digest ? ref->digest
					       : "");
	if (differ_in_platform(index, ref->tag)) {
		*ret = NULL;
		return 0;
	}
	return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
			 "%u images%s%s are in it: name one, as in oci:DIR:NAME", nr,
			 ref->tag ? " called " : "", ref->tag ? ref->tag : "");
}

/* --- opening --------------------------------------------------------------------------------- */

static int new_layout(const struct oci_reference *ref, const struct source_ops *ops,
		      struct layout **ret, struct cairn_error *err)
{
	struct layout *l = (struct layout *)calloc(1, sizeof(*l));
	int r;

	if (!l)
		return error_errno(err, -ENOMEM, "%s", ref->path);
	l->source.ops = ops;
	l->source.name = strdup(ref->path);
	l->flat = ops == &dir_ops;
	l->ref = (struct oci_reference){
		.transport = ref->transport,
		.tag = ref->tag ? strdup(ref->tag) : NULL,
		.digest = ref->digest ? strdup(ref->digest) : NULL,
	};
	r = ref->transport == OCI_ARCHIVE ? files_open_archive(ref->path, &l->files, err)
					  : files_open_directory(ref->path, &l->files, err);
	if (r < 0) {
		oci_source_free(&l->source);
		return r;
	}
	*ret = l;
	return 0;
}

static int read_layout(struct layout *l, struct cairn_error *err)
{
	struct buf bytes cleanup_buf = BUF_INIT(OCI_DOCUMENT_MAX);
	const char *version = NULL;
	json_t *marker cleanup(json) = NULL;
	int r = files_read(l->files, "oci-layout", LAYOUT_FILE_MAX, &bytes, err);

	if (r == 0)
		r = json_read(bytes.data, bytes.len, OCI_DEPTH_MAX, "oci-layout", &marker, err);
	if (r == 0)
		r = json_text(marker, "imageLayoutVersion", &version, "oci-layout", err);
	if (r < 0)
		return r;
	if (!version || strncmp(version, "1.", 2))
		return error_set(err, -ENOTSUP, CAIRN_ERROR_UNSUPPORTED,
				 "oci-layout: version '%.20s', not 1.x", version ? version : "");
	r = files_read(l->files, "index.json", OCI_DOCUMENT_MAX, &bytes, err);
	if (r == 0)
		r = oci_document_parse(bytes.data, bytes.len, NULL, &l->index, err);
	if (r == 0 && l->index->kind != OCI_KIND_INDEX)
		r = error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "index.json: not an index");
	return r;
}

int oci_source_layout_open(const struct oci_reference *ref, struct source **ret,
			   struct cairn_error *err)
{
	struct layout *l;
	int r = new_layout(ref, &layout_ops, &l, err);

	if (r < 0)
		return r;
	r = read_layout(l, err);
	if (r < 0) {
		error_prepend(err, "%s", ref->path);
		oci_source_free(&l->source);
		return r;
	}
	*ret = &l->source;
	return 0;
}

int oci_source_dir_open(const struct oci_reference *ref, struct source **ret,
			struct cairn_error *err)
{
	struct layout *l;
	int r = new_layout(ref, &dir_ops, &l, err);

	if (r == 0)
		*ret = &l->source;
	return r;
}
