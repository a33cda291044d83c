/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Opening sources, and checking what comes out of them. */
#include "oci/source.h"

#include <errno.h>
#include <string.h>

void oci_source_top_fini(struct source_top *top)
{
	buf_fini(&top->bytes);
	free(top->media_type);
	top->media_type = NULL;
}

int oci_source_open(const struct oci_reference *ref, const struct registry_options *options,
		    const struct cairn_store *store, struct source **ret, struct cairn_error *err)
{
	switch (ref->transport) {
	case OCI_REGISTRY:
		return oci_source_registry_open(ref, options, ret, err);
	case OCI_LAYOUT:
	case OCI_ARCHIVE:
		return oci_source_layout_open(ref, ret, err);
	case OCI_DIR:
		return oci_source_dir_open(ref, ret, err);
	case OCI_DOCKER_ARCHIVE:
		return oci_source_docker_open(ref, ret, err);
	case OCI_TAR:
		return oci_source_tar_open(ref, ret, err);
	case OCI_STORAGE:
		return oci_source_storage_open(ref, ret, err);
	case OCI_STORE:
		return oci_source_store_open(store, ref->tag, ret, err);
	}
	return -EINVAL;
}

void oci_source_free(struct source *s)
{
	char *name;

	if (!s)
		return;
	name = s->name;
	s->ops->free(s);
	free(name);
}

static int wrong_digest(const char *what, const char *found, const char *wanted,
			struct cairn_error *err)
{
	return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST, "%s: it has digest %s, not %s", what,
			 found, wanted);
}

int oci_source_document(struct source *s, const struct oci_descriptor *d, const char *what,
			struct buf *ret, struct cairn_error *err)
{
	char found[OCI_DIGEST_MAX];
	int r = oci_digest_check(d->digest, what, err);

	if (r < 0)
		return r;
	if (d->size > OCI_DOCUMENT_MAX)
		return error_set(err, -EFBIG, CAIRN_ERROR_FORMAT,
				 "%s: %llu bytes, at most %u are accepted", what,
				 (unsigned long long)d->size, OCI_DOCUMENT_MAX);
	r = s->ops->document(s, d, ret, err);
	if (r < 0) {
		error_prepend(err, "%s", what);
		return r;
	}
	if (ret->len != d->size)
		return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST, "%s: it has %zu bytes, not %llu",
				 what, ret->len, (unsigned long long)d->size);
	r = oci_hash_data(d->digest, ret->data, ret->len, found);
	if (r < 0)
		return error_errno(err, r, "%s", what);
	return strcmp(found, d->digest) ? wrong_digest(what, found, d->digest, err) : 0;
}

struct checked {
	struct oci_hash hash;
	uint64_t size, limit;
	source_fn fn;
	void *arg;
};

static int check_piece(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	struct checked *c = (struct checked *)arg;

	if (size > c->limit - c->size)
		return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
				 "it is longer than the %llu bytes that the manifest tells",
				 (unsigned long long)c->limit);
	c->size += size;
	if (oci_hash_update(&c->hash, data, size) < 0)
		return error_errno(err, -ENOMEM, "hashing");
	return c->fn(c->arg, data, size, err);
}

int oci_source_blob(struct source *s, const struct oci_descriptor *d, source_fn fn, void *arg,
		    struct cairn_error *err)
{
	struct checked c = {.limit = d->size, .fn = fn, .arg = arg};
	char found[OCI_DIGEST_MAX];
	int r = oci_digest_check(d->digest, "blob", err);

	if (r == 0 && d->size > OCI_LAYER_SIZE_MAX)
		r = error_set(err, -EFBIG, CAIRN_ERROR_FORMAT,
			      "%llu bytes, at most %llu are accepted", (unsigned long long)d->size,
			      (unsigned long long)OCI_LAYER_SIZE_MAX);
	if (r < 0)
		return r;
	r = oci_hash_init(&c.hash, d->digest);
	if (r < 0)
		return error_errno(err, r, "hashing");
	r = s->ops->blob(s, d, check_piece, &c, err);
	if (r == 0 && c.size != d->size)
		r = error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
			      "it has %llu bytes, not %llu as the manifest tells",
			      (unsigned long long)c.size, (unsigned long long)d->size);
	if (r == 0)
		r = oci_hash_final(&c.hash, found);
	oci_hash_fini(&c.hash);
	if (r < 0)
		return r;
	return strcmp(found, d->digest) ? wrong_digest("blob", found, d->digest, err) : 0;
}
