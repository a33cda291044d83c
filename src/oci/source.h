/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Where images come from: one interface for registries, layouts, archives and directories.
 *
 *  1. A source hands out documents and blobs; it is not trusted: what came is checked here, against size and
 *     digest, by oci_source_document() and oci_source_blob(), before anybody parses or believes it.
 *  2. Blobs are pushed: each byte comes once and in order, and nothing holds a blob as a whole.
 *  3. After it was opened any number of threads may use a source at once.
 */
#ifndef OCI_SOURCE_H
#define OCI_SOURCE_H

#include "base/buf.h"
#include "base/error.h"
#include "oci/document.h"

/* Takes the next @size bytes. Returns 0, or a negative errno with words. */
typedef int (*source_fn)(void *arg, const void *data, size_t size, struct cairn_error *err);

/* A document that was asked for by name, so that only its bytes tell what it is. */
struct source_top {
	struct buf bytes;
	char *media_type; /* as announced, on the heap; NULL: not */
	char digest[OCI_DIGEST_MAX];
};

#define SOURCE_TOP_INIT ((struct source_top){.bytes = BUF_INIT(OCI_DOCUMENT_MAX)})
void oci_source_top_fini(struct source_top *top);
#define cleanup_source_top __attribute__((__cleanup__(oci_source_top_fini)))

struct source_range {
	uint64_t from, size; /* size is not 0 */
};

struct source;

/* Takes a layer's tar in order: bytes, and contents that are files somewhere. */
struct source_sink {
	source_fn bytes;
	/* The next @size bytes are the content of the regular file open at @fd, from its beginning on. */
	int (*file)(void *arg, int fd, uint64_t size, struct cairn_error *err);
	void *arg;
};

struct source_ops {
	/* What the reference names. */
	int (*top)(struct source *s, struct source_top *ret, struct cairn_error *err);

	/* The bytes of a manifest, index or config: at most d->size, unchecked. */
	int (*document)(struct source *s, const struct oci_descriptor *d, struct buf *ret,
			struct cairn_error *err);

	/* The bytes of a blob from the first to the last, unchecked. */
	int (*blob)(struct source *s, const struct oci_descriptor *d, source_fn fn, void *arg,
		    struct cairn_error *err);

	/* Parts of it: @fn is told the number of the range; of each range the bytes come in order, the
	 * ranges in any. -EOPNOTSUPP: the other side gives no parts. NULL: likewise. */
	int (*ranges)(struct source *s, const struct oci_descriptor *d,
		      const struct source_range *ranges, size_t nr,
		      int (*fn)(void *arg, size_t i, const void *data, size_t size,
				struct cairn_error *err),
		      void *arg, struct cairn_error *err);

	/* The tar of the layer with @diff_id, unchecked, where the place has layers unpacked and no blobs of them.
	 * NULL: it has blobs. */
	int (*layer)(struct source *s, const char *diff_id, const struct source_sink *sink,
		     struct cairn_error *err);

	/* The index that the place has of its images; NULL: none. */
	const struct oci_document *(*index)(struct source *s);

	/* Calls @fn for each tag of the repository. NULL: there are none. */
	int (*tags)(struct source *s, int (*fn)(void *arg, const char *tag), void *arg,
		    struct cairn_error *err);

	/* An index of what refers to the manifest @digest. NULL: none can. */
	int (*referrers)(struct source *s, const char *digest, const char *artifact_type,
			 struct buf *ret, struct cairn_error *err);

	void (*free)(struct source *s);
};

struct source {
	const struct source_ops *ops;
	char *name; /* in messages */
};

struct registry_options;
struct cairn_store;

/* Opens what @ref names. @options: for registries, and for all which of several images is meant. @store: for
 * OCI_STORE; NULL: none. */
int oci_source_open(const struct oci_reference *ref, const struct registry_options *options,
		    const struct cairn_store *store, struct source **ret, struct cairn_error *err);
void oci_source_free(struct source *s);
DEFINE_CLEANUP(struct source *, oci_source, oci_source_free)

/* Each is for oci_source_open(). @ref is copied where needed. */
int oci_source_layout_open(const struct oci_reference *ref, struct source **ret,
			   struct cairn_error *err);
int oci_source_registry_open(const struct oci_reference *ref,
			     const struct registry_options *options, struct source **ret,
			     struct cairn_error *err);
int oci_source_docker_open(const struct oci_reference *ref, struct source **ret,
			   struct cairn_error *err);
int oci_source_tar_open(const struct oci_reference *ref, struct source **ret,
			struct cairn_error *err);
int oci_source_dir_open(const struct oci_reference *ref, struct source **ret,
			struct cairn_error *err);
int oci_source_storage_open(const struct oci_reference *ref, struct source **ret,
			    struct cairn_error *err);

/* A container image of @store, by its name or by the digest of its manifest. Its layers it has as tars. @tag: NULL: for
 * the list of all. */
int oci_source_store_open(const struct cairn_store *store, const char *tag, struct source **ret,
			  struct cairn_error *err);

/* Where the file storage.conf at @conf says that the containers-storage is, into *@ret, on the heap; what is there is
 * freed. *@ret stays as it is if the file is missing or does not say. */
int oci_storage_root(const char *conf, char **ret, struct cairn_error *err);

/* The bytes of the document @d, at most OCI_DOCUMENT_MAX, checked against its size and digest. */
int oci_source_document(struct source *s, const struct oci_descriptor *d, const char *what,
			struct buf *ret, struct cairn_error *err);

/* The bytes of the blob @d to @fn, checked: when this returns 0 they had its size and digest. Returns
 * -EILSEQ (kind DIGEST) when they had not. */
int oci_source_blob(struct source *s, const struct oci_descriptor *d, source_fn fn, void *arg,
		    struct cairn_error *err);

/* In an index of a layout: the entries whose name is @tag (NULL: all); more than one is only allowed if
 * their platforms differ, then it is an index for oci_platform_choose(). Used by layouts and archives. */
int oci_source_layout_resolve(const struct oci_document *index, const struct oci_reference *ref,
			      const struct oci_descriptor **ret, struct cairn_error *err);

#endif
