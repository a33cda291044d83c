/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Image → tree. Oracles: whatever was loaded can be printed and parsed back; if it can be written,
 * the result is canonical; what passes the check is written again byte for byte.
 */
#include <string.h>

#include "dump/print.h"
#include "erofs/reader.h"
#include "roundtrip.h"

static int drop(void *arg, const void *data, unsigned long size)
{
	(void)arg;
	(void)data;
	(void)size;
	return 0;
}

/* As the reference reads: nothing holds but that it ends. */
static void load_compat(const struct image *img)
{
	static const char *const filter[] = {"a", "usr", NULL};
	struct cairn_error err = {0};
	struct tree *tree = NULL;

	if (image_load(img, CAIRN_LOAD_COMPAT, NULL, &tree, &err) == 0) {
		must(dump_print(tree, CAIRN_PRINT_DUMP, tree->root, drop, NULL) == 0);
		tree_free(tree);
	}
	if (image_load(img, CAIRN_LOAD_COMPAT, filter, &tree, &err) == 0)
		tree_free(tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cairn_error err = {0};
	struct tree *tree = NULL;
	enum cairn_alg alg;
	struct image img;

	if (image_open(&img, data, size, &err) < 0) {
		must(err.code < 0 && err.text[0]);
		return 0;
	}
	load_compat(&img);
	if (image_load(&img, 0, NULL, &tree, &err) < 0) {
		must(err.code < 0 && err.text[0]);
		must(image_check(&img, &alg, &err) < 0);
		return 0;
	}
	reprint(tree);
	roundtrip(tree, img.format);
	tree_free(tree);
	return 0;
}
