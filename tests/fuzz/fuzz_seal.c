/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Seals: signatures that are kept one behind the other, and the names of annotations. Oracles: a length that is accepted is the one
 * that X.690 gives, read here by other code; a name that is accepted is the one that its parts make.
 */
#include <string.h>

#include "fuzz.h"
#include "oci/seal.h"

/* Bytes of the first element by X.690 §8.1; 0: this code does not tell (long tags, indefinite or huge lengths). */
static size_t by_rule(const uint8_t *data, size_t size)
{
	uint64_t len = 0;
	size_t at = 2;

	if (size < 2 || (data[0] & 0x1f) == 0x1f)
		return 0;
	if (data[1] < 0x80)
		return data[1] <= size - at ? at + data[1] : 0;
	if (data[1] == 0x80 || data[1] > 0x84)
		return 0;
	for (unsigned int i = 0; i < (data[1] & 0x7fu); i++, at++) {
		if (at == size)
			return 0;
		len = len << 8 | data[at];
	}
	return len <= size - at ? at + (size_t)len : 0;
}

static void signatures(const uint8_t *data, size_t size)
{
	for (size_t at = 0, first; at < size; at += first) {
		const size_t wanted = by_rule(data + at, size - at);

		first = seal_first_size(data + at, size - at);
		must(first <= size - at);
		must(!wanted || first == wanted);
		if (!first)
			break;
	}
}

static void key(const char *text, size_t size)
{
	char made[SEAL_KEY_MAX];
	enum seal_role role;
	enum cairn_alg alg;

	if (seal_key_parse(text, size, &role, &alg) < 0)
		return;
	must(role < SEAL_ROLES && (alg == CAIRN_SHA256 || alg == CAIRN_SHA512));
	seal_key(role, alg, made);
	must(strlen(made) == size && !memcmp(made, text, size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	signatures(data, size);
	key((const char *)data, size);
	return 0;
}
