/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Which layers of a store were verified here: lines "DIFF_ID STREAM" in the file `layers` of the store's own
 * folder. It is a cache: what is not in it is read and hashed, and then is. In place of the diff_id may be what else
 * vouches for a layer.
 */
#ifndef OCI_KNOWN_H
#define OCI_KNOWN_H

#include "oci/layer_import.h"

#define KNOWN_FILE_MAX (8u << 20)

struct known_layers;

int known_layers_open(struct cairn_store *store, struct known_layers **ret,
		      struct cairn_error *err);
void known_layers_free(struct known_layers *k);

/* Opens the split stream of the layer @diff_id, after it was found that the tar in it has that digest.
 * Returns a descriptor and its digest; -ENOENT: there is none, or one that is broken or not what its name
 * says. */
int known_layer_open(struct known_layers *k, const char *diff_id, struct cairn_digest *ret,
		     struct cairn_error *err);

/* Likewise for a layer that only its table of contents vouches for, by toc_key_of(): only what was noted here counts. */
int known_table_open(struct known_layers *k, const char *key, struct cairn_digest *ret);

/* Notes that @stream was verified, or that a table vouches for it. */
void known_layers_add(struct known_layers *k, const char *key, const struct cairn_digest *stream);

/* Writes what was added; failing costs only time later. */
void known_layers_save(struct known_layers *k);

#endif
