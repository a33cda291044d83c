/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Split streams that go from one store to another: what they need, with the sizes, which the format does not tell
 * but the tar in it does; and the same stream with the ids of the other store.
 *
 * Nothing of a stream is believed: what is told are claims, which are true when the objects came and had these
 * digests and sizes.
 */
#ifndef OCI_PARTS_H
#define OCI_PARTS_H

#include "store/names.h"
#include "store/splitstream.h"

#define PARTS_MAX (4u << 20) /* objects of one layer: as many as it may have entries */

/* Opens the split stream in the file @fd, which must be one of @type with ids of @alg (0: either). Returns 0; -EINVAL
 * (FORMAT): it is none, another one, or larger than a layer can be; or as splitstream_open(). */
int parts_open(int fd, enum cairn_alg alg, uint64_t type, struct splitstream **ret,
	       struct cairn_error *err);

/* Of a stream that is one object (manifest, config, blob): which, and its bytes. Returns 0 or -EINVAL (FORMAT). */
int parts_only(const struct splitstream *s, struct cairn_digest *ret, uint64_t *ret_size,
	       struct cairn_error *err);

/* Of a layer's stream: calls @fn for each object in it, of one perhaps several times. Returns 0, what @fn returned below
 * 0, or a negative errno. */
int parts_of_layer(const struct splitstream *s,
		   int (*fn)(void *arg, const struct cairn_digest *id, uint64_t size), void *arg,
		   struct cairn_error *err);

/* Writes the stream into @to with other ids. @map: puts the one for @id into *@ret and returns the bytes of the
 * object, or a negative errno. Names are left out: a layer has none. *@ret: of the stream there, which is durable with
 * the store. */
int parts_rewrite(const struct splitstream *s, struct cairn_store *to,
		  int64_t (*map)(void *arg, const struct cairn_digest *id,
				 struct cairn_digest *ret),
		  void *arg, struct cairn_digest *ret, struct cairn_error *err);

#endif
