/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Split stream → ids, names, stream → split stream. Oracles: no more bytes come out than the header
 * says; what was read whole and is written again reads the same; and
 * once its ids are in the order of its names, it is written the same again.
 */
#include "fuzz.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "oci/parts.h"

#define STREAM_MAX (1 << 20)

/* What was read, as text: parts, ids and names in order. */
struct record {
	struct buf text;
	struct splitwriter *copy; /* what is read is written there, too */
	uint64_t total;
};

/* Objects have no size of their own here; the first two bytes of the name say one. */
static uint64_t object_size(const struct cairn_digest *id)
{
	return get_le16(id->bytes);
}

static int on_bytes(void *arg, const void *data, size_t size)
{
	struct record *r = arg;

	r->total += size;
	if (r->copy && splitwriter_inline(r->copy, data, size) < 0)
		return -1;
	return buf_put(&r->text, data, size);
}

static int64_t on_object(void *arg, const struct cairn_digest *id)
{
	struct record *r = arg;

	r->total += object_size(id);
	if (r->copy && splitwriter_external(r->copy, id, object_size(id)) < 0)
		return -1;
	return buf_put(&r->text, id, sizeof(*id)) < 0 ? -1 : (int64_t)object_size(id);
}

static int on_name(void *arg, const char *name, size_t len, const struct cairn_digest *id)
{
	struct record *r = arg;

	must(!name[len]);
	if (r->copy && strlen(name) == len && splitwriter_named(r->copy, name, id) < 0)
		return -1;
	return 0;
}

static int on_ref(void *arg, const struct cairn_digest *id)
{
	++*(uint32_t *)arg;
	must(cairn_digest_size(id->alg) != 0);
	return 0;
}

static int on_part(void *arg, const struct cairn_digest *id, uint64_t size)
{
	must(size && cairn_digest_size(id->alg) != 0);
	return __builtin_add_overflow(*(uint64_t *)arg, size, (uint64_t *)arg) ? -EOVERFLOW : 0;
}

/* The sizes that the tar in it tells are no more than the stream says that it has. */
static void list_parts(const struct splitstream *s)
{
	struct cairn_error err = {0};
	uint64_t bytes = 0;
	int code = parts_of_layer(s, on_part, &bytes, &err);

	must(code < 0 || bytes <= splitstream_size(s));
	must(code == 0 || code == -EOVERFLOW || (err.code == code && err.text[0]));
}

/* Reads all there is. Returns whether it is whole. */
static bool read_all(const uint8_t *data, size_t size, bool copy, struct record *r)
{
	struct splitstream_sink sink = {on_bytes, on_object, r};
	struct cairn_error err = {0};
	struct splitstream *s = NULL;
	uint32_t nr = 0;
	int code;

	*r = (struct record){.text = BUF_INIT(STREAM_MAX)};
	code = splitstream_open_data(data, size, 0, &s, &err);
	must((code == 0) == (s != NULL));
	if (code < 0) {
		must(err.code == code && err.text[0]);
		return false;
	}
	must(splitstream_refs(s, SPLITSTREAM_OBJECTS, on_ref, &nr, &err) == 0);
	must(nr == splitstream_nr_refs(s, SPLITSTREAM_OBJECTS));
	if (copy)
		must(splitwriter_new(splitstream_alg(s), splitstream_type(s), &r->copy) == 0);
	code = splitstream_named(s, on_name, r, &err);
	if (!code)
		code = splitstream_read(s, &sink, &err);
	must(code < 0 || r->total == splitstream_size(s));
	must(r->total <= splitstream_size(s) + UINT16_MAX);
	list_parts(s);
	splitstream_free(s);
	return !code;
}

static int collect(void *arg, const void *data, unsigned long size)
{
	return buf_put(arg, data, size);
}

/* Reads the split stream @file, which must be whole, and writes it again. */
static struct buf write_again(const struct buf *file, const struct record *like)
{
	struct buf again = BUF_INIT(STREAM_MAX * 4);
	struct record r;

	must(read_all((uint8_t *)file->data, file->len, true, &r));
	must(r.text.len == like->text.len);
	must(!r.text.len || !memcmp(r.text.data, like->text.data, r.text.len));
	must(splitwriter_finish(r.copy, collect, &again) == 0);
	splitwriter_free(r.copy);
	buf_fini(&r.text);
	return again;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf first = BUF_INIT(STREAM_MAX * 4);
	struct record r;

	if (read_all(data, size, true, &r)) {
		struct buf second, third;

		must(splitwriter_finish(r.copy, collect, &first) == 0);
		second = write_again(&first, &r);
		third = write_again(&second, &r);
		must(second.len == third.len && !memcmp(second.data, third.data, third.len));
		buf_fini(&second);
		buf_fini(&third);
	}
	splitwriter_free(r.copy);
	buf_fini(&r.text);
	buf_fini(&first);
	return 0;
}
