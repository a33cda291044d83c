/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Images with all their contents from one store into another, on this machine or from a web server.
 *
 * Only what the receiving store (with its parents) lacks is brought. Nothing gets a name before its bytes
 * were found to have the digest that they must have, and the image is named last, when all is durable. What an
 * interrupted transfer has brought stays, and the next one goes on from there.
 */
#ifndef CAIRN_TRANSFER_H
#define CAIRN_TRANSFER_H

#include <cairn/layer.h>
#include <cairn/names.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cairn_transfer_options {
	unsigned int jobs; /* threads, or connections; 0: 1 thread, 8 connections */
	int link;          /* copying: objects may become hard links to those of the other store */
	const struct cairn_digest
		*digest;            /* fetching: what the image must have; NULL: what it has */
	int plain_http;             /* fetching: http:// also from other machines */
	const char *container;      /* copying: the container image there that is to come along, its
				     * layers and all; NULL: none */
	cairn_progress_fn progress; /* may be NULL */
	void *progress_arg;
};

/* What became of the container image that has the image's name (cairn_oci_pull()). */
enum cairn_container_state {
	CAIRN_CONTAINER_NONE = 0,    /* there is none */
	CAIRN_CONTAINER_BROUGHT,     /* it is here, under the name */
	CAIRN_CONTAINER_OTHER,       /* left there: its layers make another image than this */
	CAIRN_CONTAINER_UNSUPPORTED, /* left there: of a kind that has no layers, or of whose layers one is only what its table of contents says */
};

struct cairn_transfer_result {
	struct cairn_digest digest; /* of the image in the receiving store */
	uint64_t image_size;        /* bytes of it */
	uint64_t needed;            /* objects that the image needs */
	uint64_t objects, bytes;    /* of them, those that were brought */
	uint64_t cloned, linked;    /* of these, those that share blocks, or their file */
	uint64_t received;          /* bytes that came over the network */
	int container;              /* enum cairn_container_state */
	char manifest[CAIRN_CONTENT_DIGEST_MAX]; /* of that: digest of its manifest, or "" */
	size_t layers, blobs;                    /* of that; blobs that are kept as they were */
	int sealed;                              /* 1: its seal came along */
};

/* Copies the image @digest of @from into @to and lets reference @name (NULL: none) name it there; with
 * options->container also the container image that it was made of: manifest, config, layers, what is kept of blobs, and its
 * seal, all of them compared with their digests, if its layers make this image. In a store of the other algorithm all
 * contents are digested again, the image is another one, and a seal, which is about the digest, stays behind.
 * @ret: may be NULL. Returns 0; -ENOENT: @from lacks the image or a content; -EILSEQ (DIGEST): one has
 * other bytes; -EINVAL (FORMAT): what it says of them cannot be; -ENOSPC; or another negative errno. */
CAIRN_API int cairn_store_copy(struct cairn_store *to, const struct cairn_store *from,
			       const struct cairn_digest *digest, const char *name,
			       const struct cairn_transfer_options *options,
			       struct cairn_transfer_result *ret, struct cairn_error *err);

/* Fetches an image from a store that is served at @url, and lets @name (NULL: none) name it.
 * @remote: its reference there, with the container image that has it too; NULL: that whose digest is options->digest,
 * alone. Returns as above;
 * -ENOPKG (UNSUPPORTED): there is no libcurl here. */
CAIRN_API int cairn_store_fetch(struct cairn_store *to, const char *url, const char *remote,
				const char *name, const struct cairn_transfer_options *options,
				struct cairn_transfer_result *ret, struct cairn_error *err);

/* Writes the list of the images that references name, and of the container images, as cairn_store_fetch() asks for
 * it: STORE/cairn/index (docs/format/index.md), replaced as a whole. *@ret_images, *@ret_containers: how many of each
 * are in it; may be NULL. */
CAIRN_API int cairn_store_export(struct cairn_store *store, uint64_t *ret_images,
				 uint64_t *ret_containers, struct cairn_error *err);

#ifdef __cplusplus
}
#endif

#endif
