/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Merkle trees of large objects beside the store: STORE/cairn/trees/DIGEST (docs/design/verified-reads.md).
 *
 * A file is the object's tree as fs-verity has it, highest level first (digest/merkle.h), and nothing
 * else. It needs no trust: the root in it gives the digest in its name, or it is not used. So whoever may
 * write there can cost others time, and no more. It may be deleted at any time.
 */
#ifndef STORE_TREES_H
#define STORE_TREES_H

#include "store/store.h"

/* Smaller objects are hashed in a millisecond. */
#define TREES_CONTENT_MIN ((uint64_t)4 << 20)

/* The directory of @s's trees. @create: make it if it is not there. Bare stores have none. Returns a
 * descriptor or a negative errno. */
int trees_open_directory(const struct cairn_store *s, bool create);

/* The tree of the object with @digest, to be read. Returns a descriptor or -errno; -ENOENT also when it has
 * not @size bytes. */
int trees_open(int dirfd, const struct cairn_digest *digest, uint64_t size);

/* Gives the tree in @p the name of @digest in place of what has it. Best effort. */
void trees_publish(struct pending *p, const struct cairn_digest *digest);

/* Removes the trees of objects that @s has no more. */
void trees_sweep(int dirfd, const struct cairn_store *s);

#endif
