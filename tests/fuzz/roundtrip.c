/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Oracles about images that several targets share. */
#include "roundtrip.h"

#include <string.h>

#include "base/buf.h"
#include "dump/parse.h"
#include "dump/print.h"
#include "erofs/reader.h"
#include "erofs/write.h"
#include "tree/diff.h"
#include "tree/objects.h"

#define IMAGE_MAX (64u << 20) /* larger images are not kept; no small input makes one */

static int keep(void *arg, const uint8_t *data, size_t size)
{
	return buf_put((struct buf *)arg, data, size);
}

/* The image into @k; false when it is refused. */
static bool write_image(const struct tree *tree, int format, struct buf *k)
{
	struct erofs_plan *plan cleanup(erofs_plan) = NULL;
	struct cairn_error err = {0};

	*k = BUF_INIT(IMAGE_MAX);
	if (erofs_plan_new(tree, format, tree_alg(tree), &(struct team){0}, &plan, &err) < 0) {
		must(err.code < 0 && err.text[0]);
		return false;
	}
	must(erofs_emit(plan, keep, k) == 0);
	must(k->len == erofs_plan_size(plan));
	return true;
}

void roundtrip(const struct tree *tree, int format)
{
	static struct buf first, second;
	struct cairn_error err = {0};
	enum cairn_alg alg;
	struct tree *again;
	struct image img;

	if (write_image(tree, format, &first)) {
		must(image_open(&img, first.data, first.len, &err) == 0);
		must(image_check(&img, &alg, &err) == 0);
		must(image_load(&img, 0, NULL, &again, &err) == 0);
		must(write_image(again, img.format, &second));
		must(second.len == first.len && !memcmp(second.data, first.data, first.len));
		tree_free(again);
		buf_fini(&second);
	}
	buf_fini(&first);
}

static int put(void *arg, const void *data, unsigned long size)
{
	return buf_put((struct buf *)arg, data, size);
}

static int count(void *arg, const struct cairn_difference *difference)
{
	(void)arg;
	(void)difference;
	return 0;
}

void reprint(const struct tree *tree)
{
	struct buf text = BUF_INIT(4 * IMAGE_MAX);
	struct dump_parser *parser = NULL;
	struct cairn_error err = {0};
	struct tree *again = NULL;
	int r;

	must(dump_print(tree, CAIRN_PRINT_LS, tree->root, put, &text) == 0);
	text.len = 0;
	must(dump_print(tree, CAIRN_PRINT_DUMP, tree->root, put, &text) == 0);
	must(dump_parser_new(0, &parser) == 0);
	r = dump_parser_feed(parser, text.data, text.len, &err);
	if (r == 0)
		r = dump_parser_finish(parser, &again, &err);
	/* Escaped, xattrs can take more text than a line may have. */
	must(r == 0 || strstr(err.text, "Too many xattrs"));
	if (r == 0)
		must(tree_diff(tree, again, count, NULL) == 0);
	tree_free(again);
	dump_parser_free(parser);
	buf_fini(&text);
}
