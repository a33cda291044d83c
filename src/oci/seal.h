/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Seals: the fs-verity digests that an image says it has, and signatures over them (oci/sealing.md §3,
 * repo/sealing.md).
 *
 *	inline		annotations of the manifest and of its config descriptor
 *	artifact	manifests that refer to it, each layer a signature with a digest as annotation
 *
 *  1. A digest proves nothing by itself: the image is made here from verified layers and compared.
 *  2. A signature says "this digest is good", not of what. What binds it to its role is the manifest or the
 *     artifact that it stands in, whose subject must be the image.
 *  3. Certificates in a signature are never trusted: only those that the caller gives.
 */
#ifndef OCI_SEAL_H
#define OCI_SEAL_H

#include <cairn/oci.h>

#include "oci/image.h"

#define SEAL_ENTRIES_MAX   32
#define SEAL_ARTIFACTS_MAX 16
#define SEAL_SIGNATURE_MAX 16128 /* bytes; what the kernel takes */
#define SEAL_ARTIFACT_TYPE "application/vnd.composefs.metadata.v1"
#define SEAL_BLOB_TYPE     "application/vnd.composefs.signature.v1+pkcs7"

enum seal_role {
	SEAL_MANIFEST = 0,
	SEAL_CONFIG,
	SEAL_MERGED,
	SEAL_BOOTABLE,
	SEAL_LAYER,
	SEAL_ROLES
};

struct seal_entry {
	enum seal_role role;
	struct cairn_digest digest;
	char *signature; /* PKCS#7, DER; NULL: none */
	size_t signature_size;
};

struct seal {
	struct seal_entry entries[SEAL_ENTRIES_MAX];
	unsigned int nr_entries, nr_artifacts;
};

#define SEAL_KEY_MAX 80
/* "composefs.merged.erofs.v1.fsverity-sha256-12" */
void seal_key(enum seal_role role, enum cairn_alg alg, char out[SEAL_KEY_MAX]);

/* Reads such a key, without ".sig". Returns 0 or -EINVAL: it is none that we know. */
int seal_key_parse(const char *key, size_t len, enum seal_role *ret_role, enum cairn_alg *ret_alg);

/* Of signatures that are kept one behind the other: bytes of the first of @data[0..@size), at most @size; 0: malformed. */
size_t seal_first_size(const void *data, size_t size);

/* All that the image and what refers to it say. Artifacts that are not about this image are passed over;
 * malformed ones are refused. Roles `layer` and `merged.bootable` are left out. */
int seal_collect(const struct oci_image *image, struct seal *ret, struct cairn_error *err);
void seal_fini(struct seal *seal);
#define cleanup_seal __attribute__((__cleanup__(seal_fini)))

/* --- signatures ------------------------------------------------------------------------------ */

/* Certificates in PEM files. */
struct seal_certs;
int seal_certs_open(const char *const *files, size_t nr, struct seal_certs **ret,
		    struct cairn_error *err);
void seal_certs_free(struct seal_certs *c);
DEFINE_CLEANUP(struct seal_certs *, seal_certs, seal_certs_free)

/* Whether @signature is one over @digest by one of the certificates, or one that they vouch for. Returns 0;
 * -EKEYREJECTED (kind DIGEST): it is not. */
int seal_check_signature(const struct seal_certs *certs, const struct cairn_digest *digest,
			 const void *signature, size_t size, struct cairn_error *err);

/* Signs: detached, binary, no attributes, no certificates, as `fsverity sign` does. *@ret: with free(). */
int seal_sign(const char *key_file, const char *cert_file, const struct cairn_digest *digest,
	      char **ret, size_t *ret_size, struct cairn_error *err);

/* The fs-verity digest of the config's or manifest's bytes. */
int seal_document_digest(const struct oci_image *image, enum seal_role role, enum cairn_alg alg,
			 struct cairn_digest *ret);

/* Compares: @merged is the digest of the image made here. @certs NULL: signatures are not asked for. Returns 0;
 * -ENODATA (DIGEST): there is no seal of that algorithm, or no signature; -EILSEQ, -EKEYREJECTED (DIGEST). */
int seal_verify(const struct seal *seal, const struct oci_image *image,
		const struct cairn_digest *merged, const struct seal_certs *certs,
		struct cairn_error *err);

/* --- kept in a store --------------------------------------------------------------------------- */

struct names_batch;

/* Keeps what @seal, which was verified, says of the image @image: a split stream *@ret, and its name in @names. */
int seal_keep(const struct seal *seal, struct cairn_store *store, const struct cairn_digest *image,
	      struct names_batch *names, struct cairn_digest *ret, struct cairn_error *err);

/* The same with what another store keeps: a split stream in the file @fd. Whether its signatures are good is asked
 * when somebody wants to know, with certificates; without one they are worth what their source is. */
int seal_take(int fd, struct cairn_store *store, const struct cairn_digest *image,
	      struct names_batch *names, struct cairn_digest *ret, struct cairn_error *err);

/* The first entry with a signature over the digest @image; NULL: none. */
const struct seal_entry *seal_signed_entry(const struct seal *seal,
					   const struct cairn_digest *image);

/* Whether the store keeps a seal of the image @image; with @certs it must be signed by one of them. Returns 0 and
 * whether it is signed at all; -ENODATA (DIGEST): there is none; -EKEYREJECTED (DIGEST). */
int seal_check_kept(const struct cairn_store *store, const struct cairn_digest *image,
		    const struct seal_certs *certs, bool *ret_signed, struct cairn_error *err);

#endif
