/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Programs that keep credentials: docker-credential-NAME. */
#ifndef OCI_CREDENTIALS_INTERNAL_H
#define OCI_CREDENTIALS_INTERNAL_H

#include "oci/auth.h"

/* Runs `docker-credential-NAME get`, found in PATH, with @key on its standard input. That it has none is no
 * error. Returns 0 or a negative errno. */
int credentials_ask_helper(const char *name, const char *key, struct credentials *ret,
			   struct cairn_error *err);

#endif
