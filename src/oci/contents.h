/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Which object has the content with a SHA-256: tables of contents name files by that, the store by fs-verity.
 *
 * It is a cache in the store's own folder. An entry is made when the content was hashed both ways; one that
 * is found is only a proposal, for the object may be gone. What is missing is found again by hashing
 * the objects that have one of the sizes that are looked for.
 */
#ifndef OCI_CONTENTS_H
#define OCI_CONTENTS_H

#include "store/store.h"

#define CONTENTS_FILE_MAX (256u << 20) /* bytes: four million contents */

struct contents;

int contents_open(struct cairn_store *store, struct contents **ret, struct cairn_error *err);
void contents_close(struct contents *c);
DEFINE_CLEANUP(struct contents *, contents, contents_close)

/* The object with the content whose SHA-256 is @sha256[32]. Returns 1 or 0. Any thread. */
int contents_find(struct contents *c, const uint8_t *sha256, struct cairn_digest *ret);

/* Notes one that was hashed both ways. Any thread. */
void contents_add(struct contents *c, const uint8_t *sha256, const struct cairn_digest *id);

/* Hashes the objects of the store that nothing is known about and that have one of the sizes @sizes[0..@nr),
 * which are sorted. Best effort. Any thread; one at a time does it. */
void contents_learn(struct contents *c, const uint64_t *sizes, size_t nr);

/* Writes what was added; failing costs only time later. */
void contents_save(struct contents *c);

#endif
