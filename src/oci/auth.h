/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Who we are to a registry (oci-registry.md §3): what it asks for, and what we have for it.
 *
 * Secrets are overwritten before their memory is given back, and are in no message.
 */
#ifndef OCI_AUTH_H
#define OCI_AUTH_H

#include <cairn/error.h>

#include "base/macro.h"

/* --- what is asked for ----------------------------------------------------------------------- */

enum challenge_scheme { CHALLENGE_OTHER = 0, CHALLENGE_BASIC, CHALLENGE_BEARER };

#define CHALLENGES_MAX 8 /* in one header field */

struct challenge {
	enum challenge_scheme scheme;
	char realm[1024], service[256], scope[1024], error[64]; /* "": not told */
};

/* Reads the value of a WWW-Authenticate field; malformed challenges are left out. Returns how many are in
 * @ret. */
unsigned int challenge_parse(const char *value, struct challenge ret[CHALLENGES_MAX]);

/* --- what we have ---------------------------------------------------------------------------- */

struct credentials {
	char *user, *password; /* both or neither */
	char *identity;        /* a token to be exchanged for others; NULL: none */
	char *token;           /* a token for the registry itself; NULL: none */
};

void credentials_fini(struct credentials *c);
#define cleanup_credentials __attribute__((__cleanup__(credentials_fini)))

static inline bool credentials_are_there(const struct credentials *c)
{
	return c->user || c->identity || c->token;
}

/* Reads "user:password". Returns 0 or -EINVAL. */
int credentials_parse(const char *text, struct credentials *ret);

/* Looks for repository @name of registry @host in the files @files (the first that has it counts; those
 * that are missing are skipped), in the forms that containers and docker write, and asks the helper
 * that they name. @ret is empty when there are none. Returns 0; -EINVAL (FORMAT): a file is malformed; or
 * another negative errno. */
int credentials_find(const char *const *files, size_t nr_files, const char *host, const char *name,
		     struct credentials *ret, struct cairn_error *err);

/* The same in the text of one file, without asking helpers: @ret_helper is the one to be asked, on the
 * heap, or NULL. @legacy: the file is a .dockercfg. */
int credentials_in_text(const char *text, size_t size, bool legacy, const char *host,
			const char *name, struct credentials *ret, char **ret_helper,
			struct cairn_error *err);

/* Bytes of base64 @text[0..@len), on the heap with a NUL behind. NULL: it is not base64, or no memory. */
char *base64_decode(const char *text, size_t len, size_t *ret_size);

/* The other way; on the heap. NULL: no memory. */
char *base64_encode(const void *data, size_t size);

#endif
