/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * What every fuzz target shares.
 *
 * A target is tests/fuzz/fuzz_NAME.c with LLVMFuzzerTestOneInput(), its corpus tests/fuzz/corpus/NAME/.
 * With libFuzzer it is a fuzzer; else replay.c gives it the corpus and mutations of it.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Gives @data[0..@size) to what is tested. Returns 0; anything wrong ends the process. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An oracle: what must hold whatever the input is. */
#define must(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

#endif
