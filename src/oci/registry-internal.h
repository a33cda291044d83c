/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The inside of a registry: registry.c sends, registry_token.c gets tokens. */
#ifndef OCI_REGISTRY_INTERNAL_H
#define OCI_REGISTRY_INTERNAL_H

#include <pthread.h>

#include "oci/auth.h"
#include "oci/registry.h"

#define CLIENTS_MAX   32
#define TOKENS_MAX    64
#define SCOPE_MAX     1200
#define TOKEN_MIN     60 /* seconds that a token lasts at least */
#define WARNINGS_MAX  16 /* of one registry; more are not told */
#define TOKEN_RESERVE 10 /* … and before its end it is not used any more */

struct token {
	char *scope;
	char *value; /* "Bearer …" */
	int64_t until;
};

struct registry {
	const struct registry_options *options;
	char *host; /* as in references */
	char *api;  /* where it answers */
	bool insecure;
	char *ca_data, *cert_file, *key_file;

	pthread_mutex_t lock; /* over all below */
	const char *scheme;   /* "https", "http"; NULL: not known yet */
	struct http *idle[CLIENTS_MAX];
	unsigned int nr_idle;
	bool looked_up; /* the credentials */
	struct credentials credentials;
	struct challenge challenge; /* what it asks for; realm "" and scheme OTHER: not known */
	struct token tokens[TOKENS_MAX];
	unsigned int nr_tokens;
	char *warnings[WARNINGS_MAX]; /* that were told */
	unsigned int nr_warnings;
};

struct http *registry_borrow(struct registry *r, struct cairn_error *err);
void registry_return(struct registry *r, struct http *h);

/* The value for an Authorization header in @ret, on the heap, NULL if none is known or wanted. With
 * @challenges (from an answer 401) what is missing is got. Returns 0; -EACCES: there is nothing more that we
 * could say; or another negative errno. */
int registry_authorization(struct registry *r, const char *name, const char *from,
			   enum registry_access access, const struct challenge *challenges,
			   unsigned int nr, char **ret, struct cairn_error *err);

#endif
