/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The list of images that a server shows. Oracle: there is one way to write what was read. */
#include "fuzz.h"

#include <stdio.h>
#include <string.h>

#include "transfer/transfer.h"

struct text {
	char *data;
	size_t len, nr;
};

static int put_line(void *arg, const struct index_line *line)
{
	struct text *t = arg;
	char hex[CAIRN_DIGEST_HEX_MAX];

	must(line->len && line->len <= 1024);
	cairn_digest_to_hex(&line->digest, hex);
	t->len += (size_t)sprintf(t->data + t->len, "%s %s:%s %llu ",
				  line->kind == INDEX_IMAGE ? "image" : "container",
				  line->digest.alg == CAIRN_SHA256 ? "sha256" : "sha512", hex,
				  (unsigned long long)line->size);
	memcpy(t->data + t->len, line->name, line->len);
	t->len += line->len;
	t->data[t->len++] = '\n';
	t->nr++;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Room for a line more than there can be, whatever is printed of it. */
	struct text t = {.data = malloc(2 * size + 2048)};
	struct cairn_error err = {0};
	int r;

	must(t.data != NULL);
	t.len = (size_t)sprintf(t.data, "cairn-index 1\n");
	r = index_parse((const char *)data, size, put_line, &t, &err);
	if (r < 0) {
		must(err.code < 0 && err.text[0]);
	} else {
		t.len += (size_t)sprintf(t.data + t.len, "end %zu\n", t.nr);
		must(t.len == size && !memcmp(t.data, data, size));
	}
	free(t.data);
	return 0;
}
