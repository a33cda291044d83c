/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The JSON documents of an image: index, manifest, config (oci-image.md §1, §3, §4, §6–§8).
 *
 *  1. Strict: UTF-8, no name twice, nothing behind the end, integers where integers belong, no name that only
 *     differs in case from one that we know (others match them without case). Unknown names are
 *     ignored.
 *  2. A document that could be two kinds at once is refused, whatever its media type says.
 *  3. The bytes as received are what has a digest, and what is kept; nothing is written again.
 *  4. Texts and descriptors point into the document and live as long.
 */
#ifndef OCI_DOCUMENT_H
#define OCI_DOCUMENT_H

#include "oci/name.h"
#include "oci/platform.h"

/* oci-image.md §12. */
#define OCI_DOCUMENT_MAX   (4u << 20) /* bytes; what registries and other clients accept */
#define OCI_DEPTH_MAX      64         /* of nesting in a document */
#define OCI_INDEX_MAX      4096       /* manifests in an index */
#define OCI_LAYERS_MAX     512        /* in an image */
#define OCI_HISTORY_MAX    4096       /* entries in a config */
#define OCI_LAYER_SIZE_MAX (64ull << 30)
#define OCI_KEY_MAX        1024       /* bytes of an annotation's name … */
#define OCI_VALUE_MAX      (1u << 20) /* … and of its value */
#define OCI_NESTED_MAX     4          /* indexes in indexes */

#define OCI_TYPE_INDEX       "application/vnd.oci.image.index.v1+json"
#define OCI_TYPE_MANIFEST    "application/vnd.oci.image.manifest.v1+json"
#define OCI_TYPE_CONFIG      "application/vnd.oci.image.config.v1+json"
#define OCI_TYPE_LAYER       "application/vnd.oci.image.layer.v1.tar"
#define OCI_TYPE_EMPTY       "application/vnd.oci.empty.v1+json"
#define DOCKER_TYPE_LIST     "application/vnd.docker.distribution.manifest.list.v2+json"
#define DOCKER_TYPE_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define DOCKER_TYPE_CONFIG   "application/vnd.docker.container.image.v1+json"
#define DOCKER_TYPE_LAYER    "application/vnd.docker.image.rootfs.diff.tar"

/* What a media type means to us. */
enum oci_kind {
	OCI_KIND_UNKNOWN = 0,
	OCI_KIND_INDEX,
	OCI_KIND_MANIFEST,
	OCI_KIND_CONFIG,
	OCI_KIND_LAYER, /* a tar, see oci_type_compression() */
	OCI_KIND_EMPTY,
	OCI_KIND_REFUSED, /* schema 1, encrypted layers */
};

enum oci_kind oci_kind_of(const char *media_type);

/* What a layer's media type says of its compression. */
enum oci_compression { OCI_PLAIN = 0, OCI_GZIP, OCI_ZSTD };
enum oci_compression oci_type_compression(const char *media_type);

struct json_t; /* of jansson */

/* Something by its digest. */
struct oci_descriptor {
	const char *media_type;
	const char *digest; /* checked: grammar, not that we know the algorithm */
	uint64_t size;
	const char *artifact_type; /* NULL: none */
	const char *data;          /* base64 of the content, NULL: none */
	struct oci_platform platform;
	bool has_platform;
	struct json_t *json; /* for oci_annotation(); NULL: none are there */
};

/* The value of an annotation, or NULL. */
const char *oci_annotation(const struct oci_descriptor *descriptor, const char *key);

/* Calls @fn for each annotation in byte order of the names. Returns 0 or what @fn returned. */
int oci_annotations(const struct oci_descriptor *descriptor,
		    int (*fn)(void *arg, const char *key, const char *value), void *arg);

struct oci_document {
	enum oci_kind kind;            /* INDEX or MANIFEST */
	const char *media_type;        /* the one that it has, or that follows from its kind */
	const char *artifact_type;     /* NULL: none */
	struct oci_descriptor self;    /* only its annotations */
	struct oci_descriptor config;  /* MANIFEST */
	struct oci_descriptor subject; /* digest NULL: none */
	struct oci_descriptor *parts;  /* INDEX: manifests; MANIFEST: layers, base first */
	size_t nr_parts;
	bool is_image; /* MANIFEST: with the config of a container image, else an artifact */
	struct json_t *json;
};

/* Reads an index or manifest from @data[0..@size). @type: the media type that it was announced with,
 * NULL if with none. Returns 0; -EINVAL (FORMAT); -ENOTSUP (UNSUPPORTED): schema 1. */
int oci_document_parse(const void *data, size_t size, const char *type, struct oci_document **ret,
		       struct cairn_error *err);
void oci_document_free(struct oci_document *document);

struct oci_history {
	const char *created_by; /* NULL: not told */
	const char *created;
	const char *comment;
	bool empty_layer;
};

struct oci_config {
	struct oci_platform platform;
	const char *created, *author; /* NULL: not told */
	const char **diff_ids; /* of the layers, base first; each is a digest that we can compute */
	size_t nr_diff_ids;
	struct oci_history *history;
	size_t nr_history;
	struct json_t *json;
	struct json_t *run; /* the member `config`; NULL: none */
};

int oci_config_parse(const void *data, size_t size, struct oci_config **ret,
		     struct cairn_error *err);
void oci_config_free(struct oci_config *config);

/* A label of the config (`config.Labels`), or NULL. */
const char *oci_label(const struct oci_config *config, const char *key);

/* The texts of one of the lists in `config` (Env, Cmd, Entrypoint), up to @max of them. Returns how many
 * there are. */
size_t oci_config_list(const struct oci_config *config, const char *name, const char **ret,
		       size_t max);

/* A text in `config` (User, WorkingDir), or NULL. */
const char *oci_config_text(const struct oci_config *config, const char *name);

DEFINE_CLEANUP(struct oci_document *, oci_document, oci_document_free)
DEFINE_CLEANUP(struct oci_config *, oci_config, oci_config_free)

#endif
