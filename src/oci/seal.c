/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* What an image's seals say, and whether it is true. */
#include "oci/seal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "digest/verity.h"
#include "oci/auth.h"

static const char *const role_names[SEAL_ROLES] = {
	[SEAL_MANIFEST] = "manifest",      [SEAL_CONFIG] = "config",
	[SEAL_MERGED] = "merged.erofs.v1", [SEAL_BOOTABLE] = "merged.bootable.erofs.v1",
	[SEAL_LAYER] = "layer.erofs.v1",
};

void seal_key(enum seal_role role, enum cairn_alg alg, char out[SEAL_KEY_MAX])
{
	snprintf(out, SEAL_KEY_MAX, "composefs.%s.fsverity-sha%u-12", role_names[role],
		 alg == CAIRN_SHA512 ? 512u : 256u);
}

int seal_key_parse(const char *key, size_t len, enum seal_role *ret_role, enum cairn_alg *ret_alg)
{
	char wanted[SEAL_KEY_MAX];

	for (unsigned int role = 0; role < SEAL_ROLES; role++) {
		for (unsigned int alg = CAIRN_SHA256; alg <= CAIRN_SHA512; alg++) {
			seal_key((enum seal_role)role, (enum cairn_alg)alg, wanted);
			if (strlen(wanted) != len || memcmp(wanted, key, len))
				continue;
			*ret_role = (enum seal_role)role;
			*ret_alg = (enum cairn_alg)alg;
			return 0;
		}
	}
	return -EINVAL;
}

void seal_fini(struct seal *seal)
{
	for (unsigned int i = 0; i < seal->nr_entries; i++)
		free(seal->entries[i].signature);
	seal->nr_entries = 0;
}

/* --- reading --------------------------------------------------------------------------------- */

static int bad(struct cairn_error *err, const char *key, const char *why)
{
	return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "seal: %.100s: %s", key, why);
}

/* Takes @signature over. */
static int add(struct seal *seal, enum seal_role role, enum cairn_alg alg, const char *key,
	       const char *value, char *signature, size_t size, struct cairn_error *err)
{
	struct seal_entry *e = &seal->entries[seal->nr_entries];
	struct cairn_digest digest;

	if (cairn_digest_from_hex(value, &digest) < 0 || digest.alg != alg ||
	    strspn(value, "0123456789abcdef") != strlen(value)) {
		free(signature);
		return bad(err, key, "its value is not a digest of that algorithm in lower case");
	}
	/* Not reproducible here, or not defined. */
	if (role == SEAL_BOOTABLE || role == SEAL_LAYER) {
		free(signature);
		return 0;
	}
	if (seal->nr_entries == SEAL_ENTRIES_MAX) {
		free(signature);
		return bad(err, key, "too many seals");
	}
	*e = (struct seal_entry){role, digest, signature, size};
	seal->nr_entries++;
	return 0;
}

struct inline_seal {
	struct seal *seal;
	const struct oci_descriptor *place;
	struct cairn_error *err;
	bool config; /* of the config's descriptor, else of the manifest */
};

static int take_annotation(void *arg, const char *key, const char *value)
{
	const struct inline_seal *in = (const struct inline_seal *)arg;
	char name[SEAL_KEY_MAX + 4], *signature = NULL;
	const char *encoded;
	enum seal_role role;
	enum cairn_alg alg;
	size_t size = 0;

	if (seal_key_parse(key, strlen(key), &role, &alg) < 0 ||
	    (role == SEAL_CONFIG) != in->config || role == SEAL_MANIFEST)
		return 0;
	snprintf(name, sizeof(name), "%s.sig", key);
	encoded = oci_annotation(in->place, name);
	if (encoded) {
		signature = base64_decode(encoded, strlen(encoded), &size);
		if (!signature || size > SEAL_SIGNATURE_MAX) {
			free(signature);
			return bad(in->err, name, "not base64 of a signature");
		}
	}
	return add(in->seal, role, alg, key, value, signature, size, in->err);
}

static int collect_inline(const struct oci_image *image, struct seal *seal, struct cairn_error *err)
{
	struct inline_seal in = {seal, &image->manifest->self, err, false};
	int r = oci_annotations(in.place, take_annotation, &in);

	in.place = &image->manifest->config;
	in.config = true;
	return r < 0 ? r : oci_annotations(in.place, take_annotation, &in);
}

/* --- artifacts ------------------------------------------------------------------------------- */

struct artifact_layer {
	const struct oci_descriptor *d;
	const char *key, *value; /* of the one annotation that is a seal */
	unsigned int nr;
	enum seal_role role;
	enum cairn_alg alg;
};

static int find_key(void *arg, const char *key, const char *value)
{
	struct artifact_layer *l = (struct artifact_layer *)arg;

	if (seal_key_parse(key, strlen(key), &l->role, &l->alg) < 0)
		return 0;
	l->key = key;
	l->value = value;
	l->nr++;
	return 0;
}

static int keep(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	return buf_put((struct buf *)arg, data, size) < 0
		       ? error_set(err, -EFBIG, CAIRN_ERROR_FORMAT, "a signature that is too long")
		       : 0;
}

static int take_layer(const struct oci_image *image, const struct artifact_layer *l,
		      struct seal *seal, struct cairn_error *err)
{
	struct buf blob = BUF_INIT(SEAL_SIGNATURE_MAX);
	int r = l->d->size > SEAL_SIGNATURE_MAX
			? bad(err, l->key, "a signature that is too long")
			: oci_source_blob(image->source, l->d, keep, &blob, err);

	if (r < 0) {
		buf_fini(&blob);
		return r;
	}
	return add(seal, l->role, l->alg, l->key, l->value, blob.data, blob.len, err);
}

/* Roles in their order, one algorithm, merged among them. */
static int take_artifact(const struct oci_image *image, const struct oci_document *artifact,
			 struct seal *seal, struct cairn_error *err)
{
	int last = -1, r = 0;
	enum cairn_alg alg = (enum cairn_alg)0;
	bool merged = false;

	for (size_t i = 0; i < artifact->nr_parts && r == 0; i++) {
		struct artifact_layer l = {.d = &artifact->parts[i]};

		(void)oci_annotations(l.d, find_key, &l);
		if (strcmp(l.d->media_type, SEAL_BLOB_TYPE) || l.nr != 1 || l.role == SEAL_LAYER)
			return bad(err, l.key ? l.key : "artifact", "a layer that is no seal");
		if ((int)l.role <= last)
			return bad(err, l.key,
				   "not in the order manifest, config, merged, bootable");
		if (alg && l.alg != alg)
			return bad(err, l.key, "two algorithms in one artifact");
		last = (int)l.role;
		alg = l.alg;
		merged |= l.role == SEAL_MERGED;
		r = take_layer(image, &l, seal, err);
	}
	return r == 0 && !merged ? bad(err, "artifact", "it does not seal the merged image") : r;
}

static int collect_artifact(const struct oci_image *image, const struct oci_descriptor *d,
			    struct seal *seal, struct cairn_error *err)
{
	struct oci_document *artifact cleanup(oci_document) = NULL;
	struct buf bytes cleanup_buf = BUF_INIT(OCI_DOCUMENT_MAX);
	int r = oci_source_document(image->source, d, "seal", &bytes, err);

	if (r == 0)
		r = oci_document_parse(bytes.data, bytes.len, d->media_type, &artifact, err);
	if (r < 0)
		return r;
	/* What lists referrers is believed nothing. */
	if (artifact->kind != OCI_KIND_MANIFEST || !artifact->artifact_type ||
	    strcmp(artifact->artifact_type, SEAL_ARTIFACT_TYPE) || !artifact->subject.digest ||
	    strcmp(artifact->subject.digest, image->digest))
		return 0;
	if (++seal->nr_artifacts > SEAL_ARTIFACTS_MAX)
		return bad(err, "artifact", "too many of them");
	return take_artifact(image, artifact, seal, err);
}

int seal_collect(const struct oci_image *image, struct seal *ret, struct cairn_error *err)
{
	const struct source_ops *ops = image->source->ops;
	struct oci_document *index cleanup(oci_document) = NULL;
	struct buf bytes cleanup_buf = BUF_INIT(OCI_DOCUMENT_MAX);
	struct seal seal = {0};
	int r = collect_inline(image, &seal, err);

	if (r == 0 && ops->referrers) {
		r = ops->referrers(image->source, image->digest, SEAL_ARTIFACT_TYPE, &bytes, err);
		if (r == 0)
			r = oci_document_parse(bytes.data, bytes.len, OCI_TYPE_INDEX, &index, err);
	}
	for (size_t i = 0; r == 0 && index && i < index->nr_parts; i++)
		r = collect_artifact(image, &index->parts[i], &seal, err);
	if (r < 0) {
		seal_fini(&seal);
		return r;
	}
	*ret = seal;
	return 0;
}

/* --- comparing ------------------------------------------------------------------------------- */

int seal_document_digest(const struct oci_image *image, enum seal_role role, enum cairn_alg alg,
			 struct cairn_digest *ret)
{
	const struct buf *bytes =
		role == SEAL_CONFIG ? &image->config_bytes : &image->manifest_bytes;

	return verity_digest_data(bytes->data, bytes->len, CAIRN_ALG_BIT(alg), ret);
}

static int wrong(const struct seal_entry *e, const struct cairn_digest *found,
		 struct cairn_error *err)
{
	char a[CAIRN_DIGEST_HEX_MAX], b[CAIRN_DIGEST_HEX_MAX];

	cairn_digest_to_hex(found, a);
	cairn_digest_to_hex(&e->digest, b);
	return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST, "%s has digest %s, it is sealed with %s",
			 e->role == SEAL_MERGED   ? "the image"
			 : e->role == SEAL_CONFIG ? "the config"
						  : "the manifest",
			 a, b);
}

static int verify_entry(const struct seal_entry *e, const struct oci_image *image,
			const struct cairn_digest *merged, const struct seal_certs *certs,
			struct cairn_error *err)
{
	struct cairn_digest found = *merged;
	int r = 0;

	if (e->role != SEAL_MERGED)
		r = seal_document_digest(image, e->role, (enum cairn_alg)e->digest.alg, &found);
	if (r < 0)
		return error_errno(err, r, "seal");
	if (memcmp(&found, &e->digest, sizeof(found)))
		return wrong(e, &found, err);
	if (!certs || !e->signature_size)
		return 0;
	return seal_check_signature(certs, &e->digest, e->signature, e->signature_size, err);
}

int seal_verify(const struct seal *seal, const struct oci_image *image,
		const struct cairn_digest *merged, const struct seal_certs *certs,
		struct cairn_error *err)
{
	bool sealed = false, is_signed = false;

	for (unsigned int i = 0; i < seal->nr_entries; i++) {
		const struct seal_entry *e = &seal->entries[i];
		int r;

		if (e->digest.alg != merged->alg)
			continue;
		r = verify_entry(e, image, merged, certs, err);
		if (r < 0)
			return r;
		sealed |= e->role == SEAL_MERGED;
		is_signed |= e->role == SEAL_MERGED && e->signature_size;
	}
	if (!sealed)
		return error_set(err, -ENODATA, CAIRN_ERROR_DIGEST,
				 "the image is not sealed with %s",
				 merged->alg == CAIRN_SHA512 ? "sha512" : "sha256");
	if (certs && !is_signed)
		return error_set(err, -ENODATA, CAIRN_ERROR_DIGEST, "the seal is not signed");
	return 0;
}
