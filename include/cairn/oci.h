/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Container images: finding them in registries, layouts and archives, and what they are made of.
 *
 *	docker://HOST/NAME[:TAG][@DIGEST]	a registry; "docker://" may be left out
 *	oci:DIR[:NAME][@DIGEST]		an OCI layout
 *	oci-archive:FILE[:NAME]		the same in a tar archive
 *	docker-archive:FILE[:NAME:TAG]	what `docker save` writes; or :@N, the N-th from 0 on
 *	tar:FILE			one layer
 *	dir:DIR				as skopeo writes it
 *	containers-storage:[[DIR]]NAME	what podman and buildah have here; DIR in brackets
 *	store:NAME			what was pulled into a store
 *
 * What is fetched is checked by size and digest before anything is made of it.
 */
#ifndef CAIRN_OCI_H
#define CAIRN_OCI_H

#include <cairn/export.h>
#include <cairn/image.h>
#include <cairn/layer.h>

#ifdef __cplusplus
extern "C" {
#endif

enum cairn_oci_flags {
	CAIRN_OCI_PLAIN_HTTP = 1 << 0, /* speak http to registries */
	CAIRN_OCI_INSECURE =
		1 << 1, /* accept any certificate, or http if that is what they speak */
};

/* How to reach registries, and which image of several is meant. Zero is the default of every field; texts are
 * borrowed until the call that takes them returns. Files that are missing count as empty, but for the
 * one that @auth_file names. */
struct cairn_oci_options {
	unsigned int flags;      /* enum cairn_oci_flags */
	const char *platform;    /* [OS/]ARCHITECTURE[/VARIANT]; NULL: this machine */
	const char *credentials; /* USER:PASSWORD; NULL: from the files */
	const char *auth_file;   /* instead of @auth_files */
	const char *const
		*auth_files; /* auth.json, config.json, .dockercfg: the first hit counts */
	size_t nr_auth_files;
	const char *const *certs_dirs; /* directories with HOST[:PORT]/ *.crt, *.cert and *.key */
	size_t nr_certs_dirs;
	const char *registries_conf;     /* version 2 */
	const char *registries_conf_dir; /* *.conf after it */
	const char *storage_dir;  /* of containers-storage: without a directory; NULL: none */
	const char *storage_conf; /* storage.conf, which may name another */
	const struct cairn_store *store; /* of store:NAME, until the image is closed; NULL: none */
	const char *proxy, *no_proxy;    /* URL of a proxy, and hosts without it */
	int (*cancelled)(void *arg);     /* asked several times a second; 1: stop. May be NULL */
	void *cancelled_arg;
	/* Told, once for each, what registries want people to read; @text without control characters. From
	 * any thread. May be NULL. */
	void (*warn)(void *arg, const char *host, const char *text);
	void *warn_arg;
};

struct cairn_oci;

/* Finds the image that @reference names: reads its manifest and config. Returns 0; -ENOENT: there is none, or
 * none for the platform; -EILSEQ (kind DIGEST): something has not the digest that it should have; -EINVAL
 * (USAGE: the reference; FORMAT: a document); -EACCES: the registry refuses; or another negative errno. */
CAIRN_API int cairn_oci_open(const char *reference, const struct cairn_oci_options *options,
			     struct cairn_oci **ret, struct cairn_error *err);
CAIRN_API void cairn_oci_close(struct cairn_oci *oci);

/* What is known of an image; valid until it is closed. NULL: not told. */
struct cairn_oci_info {
	const char *reference;  /* in full */
	const char *digest;     /* of the manifest, "sha256:…" */
	const char *top_digest; /* of what the reference names; another one when that is an index */
	const char *media_type; /* of the manifest */
	const char *config_digest;
	const char *config_type;
	const char *platform; /* "linux/amd64" */
	const char *created;
	const char *artifact_type; /* of what is no container image */
	int is_image;
	size_t nr_layers;
	uint64_t size;        /* bytes of the layers, compressed */
	const void *manifest; /* as received */
	size_t manifest_size;
	const void *config; /* NULL: none that is an image's */
	size_t config_size;
};

CAIRN_API void cairn_oci_info(const struct cairn_oci *oci, struct cairn_oci_info *ret);

struct cairn_oci_layer {
	const char *digest; /* of the blob */
	const char *media_type;
	uint64_t size;       /* bytes of the blob */
	const char *diff_id; /* digest of the tar in it, as the config tells; NULL: an artifact */
	const char *compression; /* "gzip", "zstd", "zstd:chunked", "estargz" or "none" */
	const char *created_by;  /* from the history */
};

/* Layer @i, from the base at 0 on. Returns 0 or -EINVAL. */
CAIRN_API int cairn_oci_layer(const struct cairn_oci *oci, size_t i, struct cairn_oci_layer *ret);

/* Whether @store has layer @i by its table of contents alone (CAIRN_PARTIAL_TABLE). Returns 1, 0 or -EINVAL. */
CAIRN_API int cairn_oci_layer_by_table(const struct cairn_oci *oci, const struct cairn_store *store,
				       size_t i);

/* Which layers @store has, by the diff_id that was computed: calls @fn with the number of each that it has, @tag NULL, and again with the tag of
 * each image in the store that has the same one. Returns 0, what @fn returned below 0, or a negative errno. */
CAIRN_API int cairn_oci_shared(const struct cairn_oci *oci, const struct cairn_store *store,
			       int (*fn)(void *arg, size_t layer, const char *tag), void *arg,
			       struct cairn_error *err);

/* An image that a place has. */
struct cairn_oci_entry {
	const char *name;     /* tag, or the name in a layout; NULL: none */
	const char *digest;   /* of its manifest or index; NULL: not known without asking for it */
	const char *platform; /* NULL: not told */
	const char *media_type;
	uint64_t size; /* bytes of its manifest */
};

/* Calls @fn for each image that the place of @reference has: tags of a repository; images in a layout; of a
 * reference with tag or digest the entries of its index. Returns 0, what @fn returned, or as
 * cairn_oci_open(). */
CAIRN_API int cairn_oci_list(const char *reference, const struct cairn_oci_options *options,
			     int (*fn)(void *arg, const struct cairn_oci_entry *entry), void *arg,
			     struct cairn_error *err);

/* --- into a store ---------------------------------------------------------------------------- */

enum cairn_pull_state {
	CAIRN_PULL_WAITING = 0,
	CAIRN_PULL_FETCHING,
	CAIRN_PULL_DONE,
	CAIRN_PULL_KNOWN, /* the store had it */
};

/* How far a layer is. */
struct cairn_pull_layer {
	enum cairn_pull_state state;
	uint64_t done;  /* bytes fetched */
	uint64_t size;  /* bytes of the blob */
	uint64_t saved; /* bytes of it that need not be fetched, for their files are here */
};

/* Told of all @nr layers some ten times a second, never by two threads at once. Returning non-zero cancels
 * the pull, which then fails with -ECANCELED. */
typedef int (*cairn_pull_progress_fn)(void *arg, const struct cairn_pull_layer *layers, size_t nr);

/* Which layers may be put together of what the store has and what is missing, where a table of contents tells what that is. */
enum cairn_partial {
	CAIRN_PARTIAL_VERIFIED =
		0, /* those whose diff_id can be computed even so: zstd:chunked with tar-split */
	CAIRN_PARTIAL_TABLE, /* and those whose table the manifest pins: the table vouches for them instead of the diff_id */
	CAIRN_PARTIAL_NONE, /* none: all layers are fetched whole */
};

struct cairn_pull_options {
	enum cairn_profile profile;
	enum cairn_xattr_mode xattrs;
	int format;        /* enum cairn_format; AUTO: that of the store, else V1 */
	unsigned int jobs; /* layers at once; 0: 1 */
	int keep_blobs;   /* keep the layers also as they come, so that they can go out unchanged */
	int require_seal; /* the image must be sealed (cairn_oci_verify()), else it gets no name */
	const char *const *certs; /* PEM files: and the seal be signed by one of these */
	size_t nr_certs;
	int partial; /* enum cairn_partial; with a seal that is required not TABLE */
	/* Told of each layer that was fetched whole although partial is TABLE, because it has no table that could be used, and
	 * why. May be NULL. */
	void (*whole)(void *arg, size_t layer, const char *why);
	void *whole_arg;
	const char *name; /* reference in the store for the image, and its tag; NULL: none */
	const struct cairn_digest *expected; /* that the image must have; NULL: any */
	cairn_pull_progress_fn progress;     /* may be NULL */
	void *progress_arg;
};

/* What became of the signature of a seal that was required: with a kernel that checks such, and fs-verity in the store, the
 * image's file gets it, so that the kernel checks it at each opening. */
enum cairn_kernel_seal {
	CAIRN_KERNEL_NONE = 0,    /* there is no signature, or none was asked for */
	CAIRN_KERNEL_SIGNED,      /* the file has it */
	CAIRN_KERNEL_NO_KEY,      /* the keyring .fs-verity has no certificate for it */
	CAIRN_KERNEL_UNSUPPORTED, /* no fs-verity there, or a kernel without built-in signatures */
};

struct cairn_pull_result {
	struct cairn_image_result image;
	size_t layers, known_layers; /* of them those that were not fetched */
	size_t table_layers; /* of which a table of contents vouches for what they are, and no diff_id was computed */
	uint64_t fetched_bytes, known_bytes;  /* of blobs */
	uint64_t new_objects, new_bytes;      /* that the store lacked */
	uint64_t duplicates, order_sensitive; /* as struct cairn_layer_stats, over all layers */
	int sealed;                           /* 1: its seal was asked for, and is right */
	int kernel;                           /* enum cairn_kernel_seal */
};

/* Brings the layers of @oci into @store, makes the image that they are together, and gives it its name.
 * Layers that the store has, by the diff_id that was computed of their bytes, are not fetched; those
 * that were complete when something fails stay. The name appears when all is right and durable.
 * Returns 0; -EILSEQ (kind DIGEST): a blob, a layer or the image has another digest; -ENOSPC: it cannot
 * fit, said before anything is fetched; -ECANCELED; or as cairn_layer_read(), cairn_layers_merge() and
 * cairn_store_add_image(). */
CAIRN_API int cairn_oci_pull(struct cairn_oci *oci, struct cairn_store *store,
			     const struct cairn_pull_options *options,
			     struct cairn_pull_result *ret, struct cairn_error *err);

/* The image that @options would make of the layers, of which only the digest is wanted; nothing is stored. Format
 * AUTO is V1. */
CAIRN_API int cairn_oci_digest(struct cairn_oci *oci, enum cairn_alg alg,
			       const struct cairn_pull_options *options,
			       struct cairn_image_result *ret, struct cairn_error *err);

/* One of the digests of an image. */
struct cairn_oci_part {
	size_t layer; /* whose metadata image it is (cairn_layers_merge() with partial); SIZE_MAX: of all layers together */
	struct cairn_image_result image;
};

/* Calls @fn for the image and for the metadata image of each layer, in the formats V1 and V2 and with both digest
 * algorithms; nothing is stored, and each layer is read once. Returns 0, what @fn returned, or as cairn_oci_digest(). */
CAIRN_API int cairn_oci_digests(struct cairn_oci *oci, const struct cairn_pull_options *options,
				int (*fn)(void *arg, const struct cairn_oci_part *part), void *arg,
				struct cairn_error *err);

/* Looks for the rules by which the layers give the image with @digest, as cairn_layers_match(). Of @options only
 * jobs and progress count. Returns 1 and *@ret; 0: none gives it; or a negative errno. */
CAIRN_API int cairn_oci_match(struct cairn_oci *oci, const struct cairn_digest *digest,
			      const struct cairn_pull_options *options,
			      struct cairn_layer_rules *ret, struct cairn_error *err);

/* --- zstd:chunked ---------------------------------------------------------------------------- */

struct cairn_chunked {
	char diff_id[CAIRN_CONTENT_DIGEST_MAX]; /* of the tar */
	uint64_t tar_size;                      /* bytes of it */
	char digest[CAIRN_CONTENT_DIGEST_MAX];  /* of the blob */
	uint64_t size;                          /* bytes of it */
	uint64_t files;                         /* contents that can be fetched alone */
	/* Values of the annotations that the descriptor of the layer must have:
	 * io.github.containers.zstd-chunked.manifest-checksum, .manifest-position, .tarsplit-position */
	char toc_digest[CAIRN_CONTENT_DIGEST_MAX], toc_position[96], split_position[72];
};

/* Turns the tar open at @fd, plain, gzip or zstd, into a zstd:chunked layer: any decompressor of zstd gives the tar
 * back, and a pull can fetch single files of it. @level: 1 to 19, 0: 3. Returns 0; -EINVAL …, as
 * cairn_layer_read(); or what @write returned. */
CAIRN_API int cairn_layer_convert(int fd, int level, cairn_write_fn write, void *arg,
				  cairn_progress_fn progress, void *progress_arg,
				  struct cairn_chunked *ret, struct cairn_error *err);

/* --- out of a store -------------------------------------------------------------------------- */

struct cairn_push_result {
	char digest[CAIRN_CONTENT_DIGEST_MAX]; /* of the manifest over there */
	int changed;   /* 1: it is another one than in the store, for a layer is compressed anew */
	size_t layers; /* of them … */
	size_t kept, made;   /* … went out as they came or were there; were compressed anew */
	size_t mounted;      /* of those kept: the registry took them from another repository */
	uint64_t sent_bytes; /* of layers */
};

struct cairn_push_options {
	int level;         /* of zstd for layers that are compressed anew, 1 to 19; 0: 3 */
	unsigned int jobs; /* layers at once; 0: 1 */
};

/* Sends the container image @name of @store (its tag, or the digest of its manifest) to @reference: a registry
 * or an OCI layout. Layers go out as they came if they were kept (keep_blobs), were plain, or are there
 * already; or the registry takes them from another repository of it, which is asked for where an image of the store
 * with the same layer has the name of such a one as its own. Others are compressed as zstd:chunked: then their digests
 * are others, their diff_ids the same. Returns 0; -ENOENT: no such image, or a layer is missing; -EACCES; … */
CAIRN_API int cairn_oci_push(struct cairn_store *store, const char *name, const char *reference,
			     const struct cairn_oci_options *options,
			     const struct cairn_push_options *push, struct cairn_push_result *ret,
			     struct cairn_error *err);

/* --- one more layer -------------------------------------------------------------------------- */

struct cairn_commit_options {
	const char *created; /* RFC 3339: "2026-01-31T12:00:00Z" */
	const char *created_by;
	const char *comment; /* NULL: none */
	/* As in struct cairn_export_options: sockets, which a tar cannot have. May be NULL. */
	void (*refused)(void *arg, const struct cairn_refusal *refusal);
	void *refused_arg;
};

struct cairn_commit_result {
	struct cairn_layer_result layer;
	char manifest[CAIRN_CONTENT_DIGEST_MAX]; /* digest of the new image's manifest */
	struct cairn_pull_result pull;
};

/* Makes an image of the container image @name of @store (its tag, or the digest of its manifest) and one more layer,
 * @layer, whose contents the store has (cairn_layer_from_upper()). Config and manifest are those of @name but for the
 * layer, the time and the history; annotations are not taken over. Its name and all else follow from @pull, as for
 * cairn_oci_pull(). The layer is kept as a plain tar. Returns 0; -ENOENT: no such image; or as cairn_layer_write() and cairn_oci_pull(). */
CAIRN_API int cairn_oci_commit(struct cairn_store *store, const char *name,
			       const struct cairn_tree *layer,
			       const struct cairn_commit_options *options,
			       const struct cairn_pull_options *pull,
			       struct cairn_commit_result *ret, struct cairn_error *err);

/* --- seals ----------------------------------------------------------------------------------- */

struct cairn_verify_result {
	struct cairn_digest digest;   /* of the image that the layers make, format V1 */
	enum cairn_xattr_mode xattrs; /* that give it */
	size_t seals,
		artifacts; /* digests that were compared; of them from manifests that refer to it */
	int is_signed;     /* 1: by one of the certificates */
};

/* Whether the image is what its seals say: annotations of its manifest, and manifests of type
 * application/vnd.composefs.metadata.v1 that refer to it. The image is made of its layers in profile
 * composefs, and compared. @certs[0..@nr): PEM files; with any, a signature by one of them is required.
 * Of @options only jobs and progress count. Returns 0; -ENODATA (kind DIGEST): there is no seal, or no
 * signature; -EILSEQ, -EKEYREJECTED (DIGEST): it is not what the seal says. */
CAIRN_API int cairn_oci_verify(struct cairn_oci *oci, enum cairn_alg alg, const char *const *certs,
			       size_t nr, const struct cairn_pull_options *options,
			       struct cairn_verify_result *ret, struct cairn_error *err);

/* Whether the image @digest of the store was sealed when it was pulled with require_seal. @certs[0..@nr): PEM files; with any,
 * its seal must be signed by one of them. @ret_signed (may be NULL): whether it is signed at all. Returns 0; -ENODATA
 * (kind DIGEST): it was not; -EKEYREJECTED (DIGEST): it is signed by somebody else. */
CAIRN_API int cairn_store_check_seal(const struct cairn_store *store,
				     const struct cairn_digest *digest, const char *const *certs,
				     size_t nr, int *ret_signed, struct cairn_error *err);

struct cairn_seal_options {
	enum cairn_alg alg;
	enum cairn_xattr_mode xattrs;
	const char *key_file, *cert_file; /* PEM; both or neither. Needed but for @inline_tag */
	/* NULL: a manifest that refers to the image is added. Else the manifest itself is written with
	 * annotations, under this tag beside the old one; its digest is another then. */
	const char *inline_tag;
};

/* Seals the image where it is, a registry or an OCI layout. @ret: digest of the manifest that was written, a
 * char[CAIRN_CONTENT_DIGEST_MAX]. @image: that of the image. Returns 0; -EINVAL (FORMAT): its layers depend on the
 * order of their entries, so that not all tools make the same image of them; or a negative errno. */
CAIRN_API int cairn_oci_seal(struct cairn_oci *oci, const struct cairn_seal_options *seal,
			     const struct cairn_pull_options *options, char *ret,
			     struct cairn_digest *image, struct cairn_error *err);

#ifdef __cplusplus
}
#endif

#endif
