/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Deterministic mutations of an input, for where there is no libFuzzer. */
#ifndef FUZZ_MUTATE_H
#define FUZZ_MUTATE_H

#include <stddef.h>
#include <stdint.h>

struct input {
	uint8_t *data;
	size_t size;
};

/* Fills @out (room for @room bytes) with a mutation of one of the @nr inputs, parts of which may
 * come from another. The result depends on the inputs and @seed alone. Returns its size. */
size_t mutate(const struct input *inputs, size_t nr, uint64_t seed, uint8_t *out, size_t room);

#endif
