/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* A container image that comes along: what is known of it on the way. */
#ifndef TRANSFER_CONTAINER_INTERNAL_H
#define TRANSFER_CONTAINER_INTERNAL_H

#include "oci/known.h"
#include "oci/parts.h"
#include "oci/pull.h"
#include "transfer/bring-internal.h"

#define DOCUMENT_STREAM_MAX ((uint64_t)64 << 20) /* bytes of the stream of a document: its names */
#define LAYER_STREAM_MAX    ((uint64_t)1 << 30)  /* of a layer's: headers and ids, compressed */
#define NAMES_MAX           4096 /* in one of them: three for each layer, and some */

struct name {
	char *text;
	struct cairn_digest id;
};

struct names {
	struct name *name;
	size_t nr;
};

/* A layer's stream over there, or here if it is known. */
struct layer {
	int fd;
	int blob; /* the stream of its blob; -1: none, or not needed */
	struct cairn_digest id;
	struct cairn_error error;
};

struct container {
	struct source source;
	struct transfer *t;
	struct cairn_digest stream; /* of the manifest, there */
	const char *digest;         /* that it must have; NULL: any */
	struct names manifest, config;
	struct oci_image *image;
	struct pull pull;
	struct layer *layers;
	struct known_layers *known;
	struct cairn_digest seal;
};

/* The id that the stream has by the name @text; NULL: it has none of that name. */
const struct cairn_digest *find_name(const struct names *n, const char *text);

#endif
