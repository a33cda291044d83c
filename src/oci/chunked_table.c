/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Layers of which only the table of contents tells what they are (estargz.md §2, §3, §5): eStargz, and zstd:chunked without
 * tar-split. The manifest pins the table, the table each content.
 *
 * Of eStargz the table is itself the last entry of the archive, and in the tree of who unpacks it. Nothing pins the header of that
 * entry, so that it must be the one that all writers make: then so do we, and believe nothing.
 */
#include <errno.h>
#include <string.h>

#include "oci/chunked-internal.h"
#include "oci/source.h"
#include "sys/decompress.h"

#define TABLE_NAME "stargz.index.json"
#define TABLE_TAIL (64u << 10) /* bytes of an archive around a table, and more */

/* --- the table of eStargz -------------------------------------------------------------------- */

static int collect(void *arg, size_t i, const void *data, size_t size, struct cairn_error *err)
{
	(void)i;
	return buf_put((struct buf *)arg, data, size) < 0 ? error_errno(err, -EFBIG, "table") : 0;
}

static int fetch(struct chunked_work *w, uint64_t from, uint64_t size, struct buf *ret,
		 struct cairn_error *err)
{
	const struct source_range range = {from, size};
	struct source *source = w->p->source;
	int r = source->ops->ranges(source, w->p->layer, &range, 1, collect, ret, err);

	if (r == 0 && ret->len != size)
		r = error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
			      "%zu bytes have come, not the %llu that were asked for", ret->len,
			      (unsigned long long)size);
	w->fetched += size;
	return r;
}

struct unpacking {
	struct tar_reader *reader;
	struct buf *table;
	unsigned int entries;
	bool usual; /* the header is the one that all writers make */
};

static int on_entry(void *arg, const struct tar_entry *e, struct cairn_error *err)
{
	struct unpacking *u = (struct unpacking *)arg;

	(void)err;
	u->entries++;
	u->usual = u->entries == 1 && e->type == TAR_FILE && !strcmp(e->path, TABLE_NAME) &&
		   !e->mode && !e->uid && !e->gid && !e->mtime && !e->mtime_nsec && !e->nr_xattrs;
	return 0;
}

static int on_content(void *arg, const void *data, size_t size, bool end, struct cairn_error *err)
{
	struct unpacking *u = (struct unpacking *)arg;

	(void)end;
	return buf_put(u->table, data, size) < 0 ? error_set(err, -EFBIG, CAIRN_ERROR_FORMAT,
							     "more than %u bytes", TOC_SIZE_MAX)
						 : 0;
}

static int feed_reader(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	return tar_reader_feed((struct tar_reader *)arg, data, size, err);
}

/* Nothing of it is authenticated before the table's digest is. */
static int unpack(struct unpacking *u, const struct buf *packed, struct cairn_error *err)
{
	const struct tar_handler handler = {NULL, on_entry, on_content, u};
	struct tar_reader *reader cleanup(tar_reader) = NULL;
	struct decompressor *d cleanup(decompressor) = NULL;
	int r = tar_reader_new(&handler, &reader);

	if (r == 0)
		r = decompressor_new(COMPRESSION_GZIP, (uint64_t)TOC_SIZE_MAX + TABLE_TAIL,
				     feed_reader, reader, &d);
	if (r < 0)
		return error_errno(err, r, "table of contents");
	r = decompressor_feed(d, packed->data, packed->len, err);
	if (r == 0)
		r = decompressor_finish(d, err);
	if (r == 0)
		r = tar_reader_finish(reader, err);
	return r;
}

int chunked_stargz_table(struct chunked_work *w, const char *digest, struct cairn_error *err)
{
	struct buf footer cleanup_buf = BUF_INIT(STARGZ_FOOTER_SIZE),
			  packed cleanup_buf = BUF_INIT(TOC_SIZE_MAX);
	struct unpacking u = {.table = &w->table};
	const uint64_t size = w->p->layer->size;
	uint64_t offset;
	size_t footer_size;
	int r;

	if (size <= STARGZ_FOOTER_SIZE)
		return -EOPNOTSUPP;
	r = fetch(w, size - STARGZ_FOOTER_SIZE, STARGZ_FOOTER_SIZE, &footer, err);
	if (r < 0)
		return r;
	footer_size = stargz_footer((const uint8_t *)footer.data, size, &offset);
	if (!footer_size || size - footer_size - offset > TOC_SIZE_MAX)
		return -EOPNOTSUPP;
	r = fetch(w, offset, size - footer_size - offset, &packed, err);
	if (r == 0)
		r = unpack(&u, &packed, err);
	if (r == 0)
		r = chunked_check("table of contents", w->table.data, w->table.len, digest, err);
	if (r < 0) {
		error_prepend(err, "at byte %llu", (unsigned long long)offset);
		return r;
	}
	w->blob_end = offset;
	return u.usual ? 0 : -EOPNOTSUPP;
}

/* --- the tar --------------------------------------------------------------------------------- */

struct building {
	struct chunked_work *w;
	struct tar_writer writer;
	struct cairn_error error; /* of the import */
};

static int write_piece(void *arg, const void *data, unsigned long size)
{
	struct building *b = (struct building *)arg;

	return chunked_feed(b->w, data, size, &b->error);
}

/* What the import says is more than what the writer can. */
static int told(const struct building *b, int r, struct cairn_error *err)
{
	if (r < 0 && b->error.code && err)
		*err = b->error;
	return r;
}

static int add_entry(void *arg, const struct tar_entry *e, struct cairn_error *err)
{
	struct building *b = (struct building *)arg;
	int r = tar_write_entry(&b->writer, e, err);

	if (r < 0 || !e->size)
		return told(b, r, err);
	r = chunked_file(b->w, e->path, e->size, err);
	if (r == 0)
		r = told(b, tar_write_passed(&b->writer), err);
	return r;
}

/* As writers of eStargz put it there. */
static int add_table(struct building *b, struct cairn_error *err)
{
	const struct buf *table = &b->w->table;
	const struct tar_entry e = {.type = TAR_FILE,
				    .path = TABLE_NAME,
				    .path_len = sizeof(TABLE_NAME) - 1,
				    .target = "",
				    .size = table->len};
	int r = tar_write_entry(&b->writer, &e, err);

	if (r == 0)
		r = tar_write_content(&b->writer, table->data, table->len);
	return told(b, r, err);
}

int chunked_table_tar(struct chunked_work *w, bool stargz, struct cairn_error *err)
{
	struct building b = {.w = w, .writer = TAR_WRITER_INIT(write_piece, &b)};
	int r = toc_walk(w->table.data, w->table.len, add_entry, &b, err);

	if (r == 0 && w->next != w->toc.nr_files)
		r = error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
			      "a table of contents that is read in two ways");
	if (r == 0 && stargz)
		r = add_table(&b, err);
	if (r == 0)
		r = told(&b, tar_write_end(&b.writer), err);
	tar_writer_fini(&b.writer);
	return r;
}
