/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* An image that was opened, and what is needed to speak to where it is. */
#ifndef API_OCI_INTERNAL_H
#define API_OCI_INTERNAL_H

#include <cairn/oci.h>

#include "oci/pull.h"
#include "oci/registry.h"

/* The options in the form that the rooms take; owns what it points to. */
struct oci_context {
	struct registry_options registry;
	struct registries registries;
	struct oci_platform platform;
	bool platform_given;
	char *texts[3];
	int (*cancelled)(void *arg);
	void *cancelled_arg;
	char **auth_files, **certs_dirs;
};

struct cairn_oci {
	struct oci_context context;
	struct oci_reference ref;
	struct source *source;
	struct oci_image *image;
	char *reference; /* in full */
	char platform[OCI_PLATFORM_TEXT_MAX];
};

int oci_context_init(struct oci_context *c, const struct cairn_oci_options *options,
		     struct cairn_error *err);
/* Reads the layers of an image in the profile of @o: into @store, or where that is NULL only their trees with
 * digests of @algs (CAIRN_ALG_BIT). @names: as in struct pull_options. */
int oci_read_layers(const struct cairn_oci *oci, struct cairn_store *store, unsigned int algs,
		    const struct cairn_pull_options *o, bool again, struct names_batch *names,
		    struct pull *ret, struct cairn_error *err);

/* What all of them are together. */
int oci_merge(const struct pull *p, const struct cairn_pull_options *o, struct tree **ret,
	      struct cairn_error *err);

/* Whether the seals of the image say that the merged image (V1) has @digest, as cairn_oci_verify(). @ret: those. */
struct seal;
int oci_check_seal(const struct cairn_oci *oci, const struct cairn_digest *digest,
		   const char *const *certs, size_t nr, struct seal *ret, struct cairn_error *err);

void oci_context_fini(struct oci_context *c);

#endif
