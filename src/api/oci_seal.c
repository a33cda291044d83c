/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Sealing container images, and checking seals. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/oci-internal.h"
#include "oci/auth.h"
#include "oci/json.h"
#include "oci/push.h"
#include "oci/seal.h"

/* The V1 digest of the image in one of the modes of attributes. */
static int merged_digest(const struct pull *p, enum cairn_xattr_mode xattrs, enum cairn_alg alg,
			 struct cairn_digest *ret, struct cairn_error *err)
{
	const struct cairn_pull_options options = {.profile = CAIRN_PROFILE_COMPOSEFS,
						   .xattrs = xattrs};
	const struct cairn_image_options image = {.format = CAIRN_FORMAT_V1, .alg = alg};
	struct cairn_image_result result;
	struct tree *tree = NULL;
	int r = oci_merge(p, &options, &tree, err);

	if (r == 0)
		r = cairn_image_write((const struct cairn_tree *)tree, &image, &result, err);
	tree_free(tree);
	if (r == 0)
		*ret = result.digest;
	return r;
}

static int read_layers(const struct cairn_oci *oci, enum cairn_alg alg,
		       const struct cairn_pull_options *options, struct pull *ret,
		       struct cairn_error *err)
{
	struct cairn_pull_options composefs = *options;

	if (!cairn_digest_size(alg))
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE, "unknown digest algorithm");
	composefs.profile = CAIRN_PROFILE_COMPOSEFS;
	return oci_read_layers(oci, NULL, CAIRN_ALG_BIT(alg), &composefs, false, NULL, ret, err);
}

static int open_certs(const char *const *certs, size_t nr, struct seal_certs **ret,
		      struct cairn_error *err)
{
	return nr ? seal_certs_open(certs, nr, ret, err) : 0;
}

int oci_check_seal(const struct cairn_oci *oci, const struct cairn_digest *digest,
		   const char *const *certs, size_t nr, struct seal *ret, struct cairn_error *err)
{
	struct seal_certs *trusted cleanup(seal_certs) = NULL;
	struct seal seal;
	int r = open_certs(certs, nr, &trusted, err);

	if (r == 0)
		r = seal_collect(oci->image, &seal, err);
	if (r < 0)
		return r;
	r = seal_verify(&seal, oci->image, digest, trusted, err);
	if (r < 0)
		seal_fini(&seal);
	else
		*ret = seal;
	return r;
}

int cairn_store_check_seal(const struct cairn_store *store, const struct cairn_digest *digest,
			   const char *const *certs, size_t nr, int *ret_signed,
			   struct cairn_error *err)
{
	struct seal_certs *trusted cleanup(seal_certs) = NULL;
	bool is_signed = false;
	int r = open_certs(certs, nr, &trusted, err);

	if (r == 0)
		r = seal_check_kept(store, digest, trusted, &is_signed, err);
	if (r == 0 && ret_signed)
		*ret_signed = is_signed;
	return r;
}

int cairn_oci_verify(struct cairn_oci *oci, enum cairn_alg alg, const char *const *certs, size_t nr,
		     const struct cairn_pull_options *options, struct cairn_verify_result *ret,
		     struct cairn_error *err)
{
	static const enum cairn_xattr_mode modes[] = {CAIRN_XATTRS_ALLOWLIST, CAIRN_XATTRS_USER};
	struct seal_certs *trusted cleanup(seal_certs) = NULL;
	struct seal seal cleanup_seal = {0};
	struct pull p cleanup_pull = {0};
	struct cairn_verify_result result = {0};
	struct cairn_error first;
	int r = open_certs(certs, nr, &trusted, err);

	if (r == 0)
		r = seal_collect(oci->image, &seal, err);
	if (r == 0 && !seal.nr_entries)
		r = error_set(err, -ENODATA, CAIRN_ERROR_DIGEST, "the image is not sealed");
	if (r == 0)
		r = read_layers(oci, alg, options, &p, err);
	/* A seal does not say which attributes its image has. */
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(modes); i++) {
		struct cairn_error words;

		r = merged_digest(&p, modes[i], alg, &result.digest, err);
		if (r < 0)
			return r;
		result.xattrs = modes[i];
		r = seal_verify(&seal, oci->image, &result.digest, trusted, &words);
		if (r == 0)
			break;
		if (i == 0)
			first = words;
		if (i + 1 == ARRAY_SIZE(modes) || r != -EILSEQ) {
			if (err)
				*err = first;
			return first.code;
		}
		r = 0;
	}
	if (r < 0)
		return r;
	result.seals = seal.nr_entries;
	result.artifacts = seal.nr_artifacts;
	result.is_signed = trusted != NULL;
	*ret = result;
	return 0;
}

/* --- sealing --------------------------------------------------------------------------------- */

struct sealing {
	const struct cairn_oci *oci;
	const struct cairn_seal_options *o;
	struct dest *dest;
	struct cairn_digest merged;
};

static int digest_of(const struct sealing *s, enum seal_role role, struct cairn_digest *ret,
		     struct cairn_error *err)
{
	int r = 0;

	*ret = s->merged;
	if (role != SEAL_MERGED)
		r = seal_document_digest(s->oci->image, role, s->o->alg, ret);
	return r < 0 ? error_errno(err, r, "seal") : 0;
}

/* Adds one signature to the layers of the artifact, and sends it. */
static int add_signature(struct sealing *s, json_t *layers, enum seal_role role,
			 struct cairn_error *err)
{
	struct buf blob cleanup_buf = BUF_INIT(SEAL_SIGNATURE_MAX);
	char key[SEAL_KEY_MAX], hex[CAIRN_DIGEST_HEX_MAX], blob_digest[OCI_DIGEST_MAX];
	struct cairn_digest digest;
	int r = digest_of(s, role, &digest, err);

	if (r == 0)
		r = seal_sign(s->o->key_file, s->o->cert_file, &digest, &blob.data, &blob.len, err);
	if (r < 0)
		return r;
	blob.size = blob.len;
	seal_key(role, s->o->alg, key);
	cairn_digest_to_hex(&digest, hex);
	if (oci_hash_data(NULL, blob.data, blob.len, blob_digest) < 0 ||
	    json_array_append_new(layers,
				  json_pack("{s:s,s:s,s:I,s:{s:s}}", "mediaType", SEAL_BLOB_TYPE,
					    "digest", blob_digest, "size", (json_int_t)blob.len,
					    "annotations", key, hex)) < 0)
		return error_errno(err, -ENOMEM, "seal");
	return dest_put_bytes(s->dest, blob_digest, &blob, err);
}

static int put_document(const json_t *document, struct buf *bytes, char digest[OCI_DIGEST_MAX],
			struct cairn_error *err)
{
	char *text cleanup_free = json_dumps(document, JSON_COMPACT);

	if (!text || buf_put(bytes, text, strlen(text)) < 0 ||
	    oci_hash_data(NULL, bytes->data, bytes->len, digest) < 0)
		return error_errno(err, -ENOMEM, "seal");
	return 0;
}

static int seal_artifact(struct sealing *s, char digest[OCI_DIGEST_MAX], struct cairn_error *err)
{
	const struct oci_image *image = s->oci->image;
	json_t *layers cleanup(json) = json_array(), *artifact cleanup(json) = NULL;
	struct buf bytes cleanup_buf = BUF_INIT(OCI_DOCUMENT_MAX), empty cleanup_buf = BUF_INIT(16);
	char empty_digest[OCI_DIGEST_MAX];
	int r = buf_put(&empty, "{}", 2);

	if (r == 0)
		r = oci_hash_data(NULL, "{}", 2, empty_digest);
	if (r < 0)
		return error_errno(err, r, "seal");
	for (unsigned int role = SEAL_MANIFEST; role <= SEAL_MERGED && r == 0; role++)
		r = add_signature(s, layers, (enum seal_role)role, err);
	if (r == 0)
		r = dest_put_bytes(s->dest, empty_digest, &empty, err);
	if (r < 0)
		return r;
	artifact =
		json_pack("{s:i,s:s,s:s,s:{s:s,s:s,s:i},s:O,s:{s:s,s:s,s:I}}", "schemaVersion", 2,
			  "mediaType", OCI_TYPE_MANIFEST, "artifactType", SEAL_ARTIFACT_TYPE,
			  "config", "mediaType", OCI_TYPE_EMPTY, "digest", empty_digest, "size", 2,
			  "layers", layers, "subject", "mediaType", image->manifest->media_type,
			  "digest", image->digest, "size", (json_int_t)image->manifest_bytes.len);
	r = artifact ? put_document(artifact, &bytes, digest, err)
		     : error_errno(err, -ENOMEM, "seal");
	return r < 0 ? r
		     : s->dest->ops->manifest(s->dest, &bytes, OCI_TYPE_MANIFEST, digest, NULL,
					      image->digest, SEAL_ARTIFACT_TYPE, err);
}

/* Into the annotations of @object. */
static int annotate(const struct sealing *s, json_t *object, enum seal_role role,
		    struct cairn_error *err)
{
	char key[SEAL_KEY_MAX + 4], hex[CAIRN_DIGEST_HEX_MAX], *signature cleanup_free = NULL;
	char *encoded cleanup_free = NULL;
	json_t *annotations = json_object_get(object, "annotations");
	struct cairn_digest digest;
	size_t size = 0;
	int r = digest_of(s, role, &digest, err);

	if (r < 0)
		return r;
	if (!annotations) {
		json_object_set_new(object, "annotations", json_object());
		annotations = json_object_get(object, "annotations");
	}
	seal_key(role, s->o->alg, key);
	cairn_digest_to_hex(&digest, hex);
	json_object_set_new(annotations, key, json_string(hex));
	if (!s->o->key_file)
		return 0;
	r = seal_sign(s->o->key_file, s->o->cert_file, &digest, &signature, &size, err);
	if (r < 0)
		return r;
	encoded = base64_encode(signature, size);
	strcat(key, ".sig");
	if (!encoded || json_object_set_new(annotations, key, json_string(encoded)) < 0)
		return error_errno(err, -ENOMEM, "seal");
	return 0;
}

static int seal_inline(struct sealing *s, char digest[OCI_DIGEST_MAX], struct cairn_error *err)
{
	const struct oci_document *m = s->oci->image->manifest;
	json_t *manifest cleanup(json) = json_deep_copy(m->json);
	struct buf bytes cleanup_buf = BUF_INIT(OCI_DOCUMENT_MAX);
	int r;

	if (!manifest)
		return error_errno(err, -ENOMEM, "seal");
	r = annotate(s, json_object_get(manifest, "config"), SEAL_CONFIG, err);
	if (r == 0)
		r = annotate(s, manifest, SEAL_MERGED, err);
	if (r == 0)
		r = put_document(manifest, &bytes, digest, err);
	return r < 0 ? r
		     : s->dest->ops->manifest(s->dest, &bytes, m->media_type, digest,
					      s->o->inline_tag, NULL, NULL, err);
}

static int check_sealing(const struct cairn_seal_options *o, struct cairn_error *err)
{
	if (!o->key_file != !o->cert_file)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
				 "a key needs its certificate, and a certificate its key");
	if (!o->inline_tag && !o->key_file)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
				 "a seal in a manifest of its own must be signed: it needs a key");
	if (o->inline_tag && !oci_layout_name_is_valid(o->inline_tag))
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE, "'%.100s' is not a tag",
				 o->inline_tag);
	return 0;
}

int cairn_oci_seal(struct cairn_oci *oci, const struct cairn_seal_options *seal,
		   const struct cairn_pull_options *options, char *ret, struct cairn_digest *image,
		   struct cairn_error *err)
{
	struct dest *dest cleanup(dest) = NULL;
	struct pull p cleanup_pull = {0};
	struct sealing s = {.oci = oci, .o = seal};
	char digest[OCI_DIGEST_MAX];
	int r = check_sealing(seal, err);

	if (r == 0)
		r = dest_open(&oci->ref, &oci->context.registry, &dest, err);
	if (r == 0)
		r = read_layers(oci, seal->alg, options, &p, err);
	for (size_t i = 0; r == 0 && i < p.nr_layers; i++) {
		if (p.layers[i].stats.order_sensitive)
			r = error_set(
				err, -EINVAL, CAIRN_ERROR_FORMAT,
				"layer %zu: what it is depends on the order of its entries, on which "
				"tools do not agree",
				i);
	}
	if (r == 0)
		r = merged_digest(&p, seal->xattrs, seal->alg, &s.merged, err);
	if (r < 0)
		return r;
	s.dest = dest;
	r = seal->inline_tag ? seal_inline(&s, digest, err) : seal_artifact(&s, digest, err);
	if (r < 0)
		return r;
	snprintf(ret, CAIRN_CONTENT_DIGEST_MAX, "%.135s", digest);
	*image = s.merged;
	return 0;
}
