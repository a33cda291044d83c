/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * SHA-256 and SHA-512 of many messages of one length, side by side.
 *
 * Blocks of a file and descriptors of many files are independent of each other, so a processor with
 * wide vectors hashes sixteen of them in the time of two. Which kernels there are is a table; which
 * one takes how many messages is planned once per process from what the processor supports.
 */
#ifndef DIGEST_SHA2_H
#define DIGEST_SHA2_H

#include <cairn/digest.h>

#include "base/macro.h"

#define SHA2_LANES_MAX  32 /* messages of the widest kernel */
#define SHA2_ROUNDS_MAX 80

/* One message: the @len bytes at @data, then zeros up to the common length. */
struct sha2_msg {
	const void *data;
	size_t len;   /* at most the common length; nothing beyond it is read */
	uint8_t *out; /* gets the digest; may not overlap the data of any message of the call */
};

/* A common length, prepared: every message of that length ends in the same padding, whose message
 * schedule is therefore known. */
struct sha2_length {
	size_t size; /* bytes of a message, a multiple of 64 (SHA-256) or 128 (SHA-512) */
	union {
		uint32_t w32[64]; /* schedule of the padding block, round constants added */
		uint64_t w64[SHA2_ROUNDS_MAX];
	};
};

/* A kernel. */
struct sha2_impl {
	const char *name;
	enum cairn_alg alg;
	unsigned int lanes; /* messages a call takes, at most SHA2_LANES_MAX */
	unsigned int cost;  /* of a call, in 0.1 us for messages of 4096 bytes, however many */
	bool (*supported)(void);

	/* @nr: 1 to lanes. */
	void (*hash)(const struct sha2_length *length, const struct sha2_msg *msgs,
		     unsigned int nr);
};

/* Every kernel of this build, also those that this processor cannot run; NULL at the end. */
extern const struct sha2_impl *const sha2_impls[];

/* How one algorithm is hashed here. */
struct sha2 {
	enum cairn_alg alg;
	unsigned int digest_size;

	/* The lengths that fs-verity needs. */
	struct sha2_length block;      /* 4096 bytes */
	struct sha2_length descriptor; /* 256 bytes */

	/* [nr]: the kernel to begin with when nr messages are left. */
	const struct sha2_impl *choice[SHA2_LANES_MAX + 1];
};

/* The plan for @alg on this processor, made at the first call. Any thread may call it. */
const struct sha2 *sha2_get(enum cairn_alg alg);

/* Calls what a processor without instructions for it takes, so that nothing has to be loaded later. */
void sha2_load(void);

/* Plans @alg with only the kernel @only, which the processor must support, or with all (NULL). */
void sha2_init(struct sha2 *h, enum cairn_alg alg, const struct sha2_impl *only);

/* Prepares the length @size. */
void sha2_length_init(struct sha2_length *length, enum cairn_alg alg, size_t size);

/* Hashes @nr messages, any number. @length: one of those in @h, or made by sha2_length_init(). */
void sha2_hash(const struct sha2 *h, const struct sha2_length *length, const struct sha2_msg *msgs,
	       size_t nr);

#endif
