/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * What images and their parts are called: content digests ("sha256:…") and references
 * ("docker://host/name:tag@digest", "oci:DIR:tag" …). oci-image.md §2, §5, §10; oci-registry.md §1.
 */
#ifndef OCI_NAME_H
#define OCI_NAME_H

#include <cairn/error.h>

#include "base/macro.h"

/* --- content digests ------------------------------------------------------------------------- */

#define OCI_DIGEST_MAX 256 /* characters of the longest digest that we carry, with NUL */
#define OCI_HASH_MAX   64  /* bytes of the longest hash */

/* Whether @text obeys the grammar; of algorithms that are registered, their exact form as well. */
bool oci_digest_is_valid(const char *text);

/* The same, and that it is one that we can compute. Returns 0; -EINVAL (FORMAT); -ENOTSUP (UNSUPPORTED).
 * @what names it in the words. */
int oci_digest_check(const char *text, const char *what, struct cairn_error *err);

/* Computes a content digest piece by piece. */
struct oci_hash {
	void *context;  /* of libcrypto; NULL: none is running */
	bool is_sha512; /* else sha256 */
};

/* @like: a digest whose algorithm is wanted; NULL: sha256. Returns 0, -ENOTSUP or -ENOMEM. */
int oci_hash_init(struct oci_hash *hash, const char *like);
int oci_hash_update(struct oci_hash *hash, const void *data, size_t size);

/* Writes the digest as text and ends. */
int oci_hash_final(struct oci_hash *hash, char out[OCI_DIGEST_MAX]);
/* Likewise, its bytes: 32 or 64. */
int oci_hash_raw(struct oci_hash *hash, uint8_t out[OCI_HASH_MAX]);
void oci_hash_fini(struct oci_hash *hash);

/* All at once. */
int oci_hash_data(const char *like, const void *data, size_t size, char out[OCI_DIGEST_MAX]);

/* The tag under which an index lists what refers to the manifest @digest, where a registry has no API for
 * that: "sha256-44136f…". */
void oci_referrers_tag(const char *digest, char out[OCI_DIGEST_MAX]);

/* --- references ------------------------------------------------------------------------------ */

enum oci_transport {
	OCI_REGISTRY = 1,   /* docker://HOST/NAME[:TAG][@DIGEST], or without docker:// */
	OCI_LAYOUT,         /* oci:DIR[:TAG] */
	OCI_ARCHIVE,        /* oci-archive:FILE[:TAG] */
	OCI_DOCKER_ARCHIVE, /* docker-archive:FILE[:NAME:TAG] or [:@N] */
	OCI_DIR,            /* dir:DIR, as skopeo writes it */
	OCI_TAR,            /* tar:FILE, one layer */
	OCI_STORAGE,        /* containers-storage:[[DIR]]NAME[:TAG] */
	OCI_STORE,          /* store:NAME, of a store that is given beside it */
};

struct oci_reference {
	enum oci_transport transport;
	char *path; /* local transports: file or directory */
	char *host; /* registry: as it was written, "docker.io" if it was not */
	char *name; /* registry: repository, with "library/" where that is meant */
	char *tag; /* registry: tag, "latest" when neither tag nor digest was given; layout: name of
			 the image; docker-archive, storage, store: name of the image. NULL: none */
	char *digest;     /* NULL: none */
	bool tag_implied; /* nobody wrote the "latest" */
	int64_t index;    /* docker-archive: @N; -1: none */
};

/* Reads a reference. Returns 0; -EINVAL (USAGE): it is none, with the reason. */
int oci_reference_parse(const char *text, struct oci_reference *ret, struct cairn_error *err);
void oci_reference_fini(struct oci_reference *ref);

/* "docker://host/name:tag" …, on the heap, NULL: out of memory. */
char *oci_reference_format(const struct oci_reference *ref);

/* Whether a tag, and the name of an image in a layout, obey their grammars. */
bool oci_tag_is_valid(const char *tag);
bool oci_layout_name_is_valid(const char *name);

#define cleanup_oci_reference __attribute__((__cleanup__(oci_reference_fini)))
#define cleanup_oci_hash      __attribute__((__cleanup__(oci_hash_fini)))

#endif
