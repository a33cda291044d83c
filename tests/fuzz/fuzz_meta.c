/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* meta.json. Oracle: what was read can be written, and reads as the same again. */
#include <string.h>

#include "fuzz.h"
#include "store/meta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf text cleanup_buf = BUF_INIT(META_MAX);
	struct store_meta m, again;
	struct cairn_error err = {0};

	if (meta_parse((const char *)data, size, &m, &err) < 0) {
		must(err.code < 0 && err.text[0]);
		return 0;
	}
	must(m.formats & 1u << m.format && m.formats < 8);
	must(meta_print(&m, &text) == 0);
	must(meta_parse(text.data, text.len, &again, NULL) == 0);
	must(again.alg == m.alg);
	/* V2 alone is what old tools wrote, too, whatever they meant. */
	must(again.format == m.format && again.formats == m.formats);
	return 0;
}
