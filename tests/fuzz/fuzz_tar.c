/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * tar → entries → tar → entries. Oracles: where the input is cut changes nothing; all of its bytes come
 * out again, in order; what is written of the entries reads as the same entries.
 *
 * Each input is tried as it is, and with right checksums, without which few mutations would get far.
 */
#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "tar/tar.h"

#define OUT_MAX (16u << 20)

struct record {
	struct buf text;  /* entries and contents */
	struct buf bytes; /* all that came out */
	struct tar_writer *copy;
	bool copied; /* what was read could be written */
	uint64_t due;
};

static void put(struct buf *b, const void *data, size_t size)
{
	must(buf_put(b, data, size) == 0);
}

static int on_raw(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	struct record *r = arg;

	(void)err;
	must(size && !r->due);
	put(&r->bytes, data, size);
	return 0;
}

static int on_entry(void *arg, const struct tar_entry *e, struct cairn_error *err)
{
	struct record *r = arg;
	uint64_t numbers[] = {e->type,      e->mode,  e->uid,  e->gid,
			      e->major,     e->minor, e->size, (uint64_t)e->mtime,
			      e->mtime_nsec};
	uint32_t len = e->path_len;

	(void)err;
	must(!r->due && e->path_len && strlen(e->path) == e->path_len);
	must(strlen(e->target) == e->target_len && e->nr_xattrs <= TAR_XATTRS_MAX);
	must(e->mtime_nsec < 1000000000 && e->mode <= 07777);
	/* Directories get a slash. */
	if (e->type == TAR_DIRECTORY && e->path[len - 1] == '/')
		len--;
	put(&r->text, numbers, sizeof(numbers));
	put(&r->text, e->path, len);
	put(&r->text, e->target, e->target_len + 1);
	for (size_t i = 0; i < e->nr_xattrs; i++) {
		put(&r->text, e->xattrs[i].name, e->xattrs[i].name_len);
		put(&r->text, e->xattrs[i].value, e->xattrs[i].value_len);
	}
	r->due = e->size;
	if (r->copied)
		r->copied = tar_write_entry(r->copy, e, err) == 0;
	return 0;
}

static int on_content(void *arg, const void *data, size_t size, bool end, struct cairn_error *err)
{
	struct record *r = arg;

	(void)err;
	must(size <= r->due && (size || end));
	r->due -= size;
	must(end == !r->due);
	put(&r->bytes, data, size);
	put(&r->text, data, size);
	if (r->copied)
		must(tar_write_content(r->copy, data, size) == 0);
	return 0;
}

static bool read_all(const uint8_t *data, size_t size, size_t piece, struct tar_writer *copy,
		     struct record *rec)
{
	const struct tar_handler handler = {on_raw, on_entry, on_content, rec};
	struct tar_reader *r = NULL;
	struct cairn_error err = {0};
	int code = 0;

	*rec = (struct record){.text = BUF_INIT(OUT_MAX),
			       .bytes = BUF_INIT(OUT_MAX),
			       .copy = copy,
			       .copied = copy != NULL};
	must(tar_reader_new(&handler, &r) == 0);
	for (size_t at = 0; at < size && !code; at += piece)
		code = tar_reader_feed(r, data + at, piece < size - at ? piece : size - at, &err);
	if (!code)
		code = tar_reader_finish(r, &err);
	must(!code || (err.code == code && err.text[0]));
	tar_reader_free(r);
	if (!code)
		must(rec->bytes.len == size && (!size || !memcmp(rec->bytes.data, data, size)));
	return !code;
}

static void record_fini(struct record *r)
{
	buf_fini(&r->text);
	buf_fini(&r->bytes);
}

static int collect(void *arg, const void *data, unsigned long size)
{
	put(arg, data, size);
	return 0;
}

static bool same(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && (!a->len || !memcmp(a->data, b->data, a->len));
}

static void try_archive(const uint8_t *data, size_t size)
{
	struct buf archive = BUF_INIT(OUT_MAX);
	struct tar_writer w = TAR_WRITER_INIT(collect, &archive);
	struct record whole, cut, again;
	bool good = read_all(data, size, size ? size : 1, &w, &whole);

	must(read_all(data, size, 97, NULL, &cut) == good);
	must(same(&whole.text, &cut.text));
	if (good && whole.copied) {
		must(tar_write_end(&w) == 0);
		must(read_all((uint8_t *)archive.data, archive.len, 4096, NULL, &again));
		must(same(&whole.text, &again.text));
		record_fini(&again);
	}
	record_fini(&whole);
	record_fini(&cut);
	tar_writer_fini(&w);
	buf_fini(&archive);
}

/* Gives every block that looks like a header its checksum. */
static void fix_sums(uint8_t *data, size_t size)
{
	for (; size >= TAR_BLOCK; data += TAR_BLOCK, size -= TAR_BLOCK) {
		uint32_t sum = 0;

		if (memcmp(data + 257, "ustar", 5))
			continue;
		memset(data + 148, ' ', 8);
		for (size_t i = 0; i < TAR_BLOCK; i++)
			sum += data[i];
		for (size_t i = 6; i--; sum >>= 3)
			data[148 + i] = (uint8_t)('0' + (sum & 7));
		data[154] = '\0';
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *fixed = malloc(size ? size : 1);

	must(fixed != NULL);
	try_archive(data, size);
	if (size)
		memcpy(fixed, data, size);
	fix_sums(fixed, size);
	try_archive(fixed, size);
	free(fixed);
	return 0;
}
