/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Writing zstd:chunked.
 *
 *	tar → headers, padding → frame ┐
 *	    → content          → frame ┴→ blob	and: a line of the table, a line of tar-split
 */
#include "oci/chunked_write.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <zstd.h>

#include "base/bytes.h"
#include "base/utf8.h"
#include "oci/auth.h"
#include "tar/tar.h"

#define OUT_SIZE      (128u << 10)
#define RAW_LINE_MAX  (1u << 20) /* bytes of headers in a line of tar-split */
#define SKIPPABLE     0x184D2A50u
#define FOOTER_SIZE   64
#define TYPE_CRFS     1
#define CRC64_ISO     UINT64_C(0xD800000000000000)
#define JSON_MAX      TOC_SIZE_MAX
#define TIME_TEXT_MAX 64

struct chunked_writer {
	cairn_write_fn write;
	void *arg;
	ZSTD_CCtx *zstd;
	bool in_frame;
	char *out;
	struct oci_hash blob, tar, content;
	uint64_t written, tar_size, files;
	struct tar_reader *reader;
	struct buf toc, split; /* JSON */
	struct buf raw;        /* bytes of the tar that wait for their line in tar-split */
	uint64_t position;     /* lines of tar-split so far */
	uint64_t crc_table[256];

	/* Of the content that comes. */
	struct buf entry; /* its entry in the table, without the end */
	char *name;       /* for tar-split */
	uint64_t size, offset, crc;
};

static int no_memory(struct cairn_error *err)
{
	return error_errno(err, -ENOMEM, "convert");
}

/* --- the blob -------------------------------------------------------------------------------- */

static int put_blob(struct chunked_writer *w, const void *data, size_t size,
		    struct cairn_error *err)
{
	int r;

	if (!size)
		return 0;
	if (oci_hash_update(&w->blob, data, size) < 0)
		return no_memory(err);
	w->written += size;
	r = w->write(w->arg, data, size);
	return r < 0 ? error_errno(err, r, "write") : 0;
}

static int compress(struct chunked_writer *w, const void *data, size_t size, ZSTD_EndDirective end,
		    struct cairn_error *err)
{
	ZSTD_inBuffer in = {data, size, 0};
	size_t left;

	if (!size && !w->in_frame)
		return 0;
	w->in_frame = end != ZSTD_e_end;
	do {
		ZSTD_outBuffer out = {w->out, OUT_SIZE, 0};
		int r;

		left = ZSTD_compressStream2(w->zstd, &out, &in, end);
		if (ZSTD_isError(left))
			return error_set(err, -EIO, CAIRN_ERROR_SYSTEM, "zstd: %s",
					 ZSTD_getErrorName(left));
		r = put_blob(w, w->out, out.pos, err);
		if (r < 0)
			return r;
	} while (end == ZSTD_e_end ? left != 0 : in.pos < in.size);
	return 0;
}

static int end_frame(struct chunked_writer *w, struct cairn_error *err)
{
	return compress(w, NULL, 0, ZSTD_e_end, err);
}

/* --- JSON ------------------------------------------------------------------------------------ */

static int put(struct buf *b, const char *text)
{
	return buf_put(b, text, strlen(text));
}

__printf_like(2, 3) static int putf(struct buf *b, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return put(b, text);
}

/* What is not UTF-8 becomes U+FFFD: readers see by that that the name cannot be said. */
static int put_string(struct buf *b, const char *text, size_t len)
{
	int r = put(b, "\"");

	for (size_t i = 0; i < len && r == 0;) {
		unsigned char c = (unsigned char)text[i];
		size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

		if (n > len - i || !utf8_valid(text + i, n)) {
			r = put(b, "\xef\xbf\xbd");
			n = 1;
		} else if (c == '"' || c == '\\') {
			r = putf(b, "\\%c", c);
		} else if (c < 0x20 || c == 0x7f) {
			r = putf(b, "\\u%04x", c);
		} else {
			r = buf_put(b, text + i, n);
		}
		i += n;
	}
	return r == 0 ? put(b, "\"") : r;
}

static int put_base64(struct buf *b, const void *data, size_t size)
{
	char *text cleanup_free = base64_encode(data, size);

	return text ? put(b, text) : -ENOMEM;
}

static int put_time(struct buf *b, const struct tar_entry *e)
{
	char text[TIME_TEXT_MAX], fraction[16] = "";
	time_t seconds = (time_t)e->mtime;
	struct tm tm;

	if (!gmtime_r(&seconds, &tm))
		return -EINVAL;
	if (e->mtime_nsec) {
		snprintf(fraction, sizeof(fraction), ".%09u", e->mtime_nsec);
		for (size_t i = strlen(fraction); fraction[i - 1] == '0'; i--)
			fraction[i - 1] = '\0';
	}
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	return putf(b, ",\"modtime\":\"%s%sZ\"", text, fraction);
}

static int compare_xattrs(const void *a, const void *b)
{
	const struct xattr_input *x = *(const struct xattr_input *const *)a;
	const struct xattr_input *y = *(const struct xattr_input *const *)b;
	int c = compare_bytes(x->name, x->name_len, y->name, y->name_len);

	return c ? c : (x > y) - (x < y);
}

static int put_xattrs(struct buf *b, const struct tar_entry *e)
{
	const struct xattr_input *sorted[TAR_XATTRS_MAX];
	const char *separator = ",\"xattrs\":{";
	int r = 0;

	for (size_t i = 0; i < e->nr_xattrs; i++)
		sorted[i] = &e->xattrs[i];
	qsort(sorted, e->nr_xattrs, sizeof(*sorted), compare_xattrs);
	for (size_t i = 0; i < e->nr_xattrs && r == 0; i++) {
		/* Of one name the last counts. */
		if (i + 1 < e->nr_xattrs &&
		    !compare_bytes(sorted[i]->name, sorted[i]->name_len, sorted[i + 1]->name,
				   sorted[i + 1]->name_len))
			continue;
		r = put(b, separator);
		if (r == 0)
			r = put_string(b, sorted[i]->name, sorted[i]->name_len);
		if (r == 0)
			r = put(b, ":\"");
		if (r == 0)
			r = put_base64(b, sorted[i]->value, sorted[i]->value_len);
		if (r == 0)
			r = put(b, "\"");
		separator = ",";
	}
	return r == 0 && e->nr_xattrs ? put(b, "}") : r;
}

/* All of an entry but where its content is. */
static int put_entry(struct buf *b, const struct tar_entry *e)
{
	static const struct {
		enum tar_type type;
		const char *name;
	} types[] = {{TAR_FILE, "reg"},     {TAR_HARDLINK, "hardlink"}, {TAR_SYMLINK, "symlink"},
		     {TAR_CHARDEV, "char"}, {TAR_BLOCKDEV, "block"},    {TAR_DIRECTORY, "dir"},
		     {TAR_FIFO, "fifo"}};
	const char *type = "reg";
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (types[i].type == e->type)
			type = types[i].name;
	}
	if (e->flags & TAR_OLD_DIRECTORY)
		type = "dir";
	r = putf(b, "{\"type\":\"%s\",\"name\":", type);
	if (r == 0)
		r = put_string(b, e->path, e->path_len);
	if (r == 0 && e->target_len)
		r = put(b, ",\"linkName\":");
	if (r == 0 && e->target_len)
		r = put_string(b, e->target, e->target_len);
	if (r == 0 && e->mode)
		r = putf(b, ",\"mode\":%u", e->mode);
	if (r == 0 && e->size)
		r = putf(b, ",\"size\":%llu", (unsigned long long)e->size);
	if (r == 0 && e->uid)
		r = putf(b, ",\"uid\":%u", e->uid);
	if (r == 0 && e->gid)
		r = putf(b, ",\"gid\":%u", e->gid);
	if (r == 0)
		r = put_time(b, e);
	if (r == 0 && e->major)
		r = putf(b, ",\"devMajor\":%u", e->major);
	if (r == 0 && e->minor)
		r = putf(b, ",\"devMinor\":%u", e->minor);
	return r == 0 ? put_xattrs(b, e) : r;
}

/* --- tar-split ------------------------------------------------------------------------------- */

static int flush_raw(struct chunked_writer *w)
{
	int r;

	if (!w->raw.len)
		return 0;
	r = put(&w->split, "{\"type\":2,\"payload\":\"");
	if (r == 0)
		r = put_base64(&w->split, w->raw.data, w->raw.len);
	w->raw.len = 0;
	return r == 0 ? putf(&w->split, "\",\"position\":%llu}\n",
			     (unsigned long long)w->position++)
		      : r;
}

static int put_split_name(struct chunked_writer *w, const char *name)
{
	size_t len = strlen(name);
	int r;

	if (utf8_valid(name, len)) {
		r = put(&w->split, "{\"type\":1,\"name\":");
		return r == 0 ? put_string(&w->split, name, len) : r;
	}
	r = put(&w->split, "{\"type\":1,\"name_raw\":\"");
	if (r == 0)
		r = put_base64(&w->split, name, len);
	return r == 0 ? put(&w->split, "\"") : r;
}

static int put_split_file(struct chunked_writer *w, const char *name, uint64_t size, uint64_t crc)
{
	uint8_t sum[8];
	int r = flush_raw(w);

	for (unsigned int i = 0; i < 8; i++)
		sum[i] = (uint8_t)(crc >> (56 - 8 * i));
	if (r == 0)
		r = put_split_name(w, name);
	if (r == 0 && size)
		r = putf(&w->split, ",\"size\":%llu,\"payload\":\"", (unsigned long long)size);
	if (r == 0 && size)
		r = put_base64(&w->split, sum, sizeof(sum));
	if (r == 0)
		r = put(&w->split, size ? "\"" : ",\"payload\":null");
	return r == 0 ? putf(&w->split, ",\"position\":%llu}\n", (unsigned long long)w->position++)
		      : r;
}

/* --- the tar --------------------------------------------------------------------------------- */

static int on_raw(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	struct chunked_writer *w = (struct chunked_writer *)arg;
	const char *at = (const char *)data;
	int r = compress(w, data, size, ZSTD_e_continue, err);

	while (r == 0 && size) {
		size_t n = MIN(size, RAW_LINE_MAX - w->raw.len);

		if (buf_put(&w->raw, at, n) < 0)
			return no_memory(err);
		at += n;
		size -= n;
		if (w->raw.len == RAW_LINE_MAX && flush_raw(w) < 0)
			return no_memory(err);
	}
	return r;
}

static int end_entry(struct chunked_writer *w, struct cairn_error *err)
{
	int r = w->toc.len > 1 && w->toc.data[w->toc.len - 1] == '}' ? put(&w->toc, ",") : 0;

	if (r == 0)
		r = buf_put(&w->toc, w->entry.data, w->entry.len);
	if (r == 0)
		r = put(&w->toc, "}");
	return r < 0 ? error_errno(err, r, "table of contents") : 0;
}

static int on_entry(void *arg, const struct tar_entry *e, struct cairn_error *err)
{
	struct chunked_writer *w = (struct chunked_writer *)arg;
	uint64_t size = e->type == TAR_FILE ? e->size : 0;
	int r;

	w->entry.len = 0;
	r = put_entry(&w->entry, e);
	if (r < 0)
		return error_errno(err, r, "%.200s", e->path);
	w->size = size;
	if (!size) {
		if (put_split_file(w, e->path, 0, 0) < 0)
			return no_memory(err);
		return end_entry(w, err);
	}
	free(w->name);
	w->name = strdup(e->path);
	w->crc = ~UINT64_C(0);
	r = w->name && oci_hash_init(&w->content, NULL) == 0 ? end_frame(w, err) : no_memory(err);
	w->offset = w->written;
	return r;
}

static int end_content(struct chunked_writer *w, struct cairn_error *err)
{
	char digest[OCI_DIGEST_MAX];
	int r = end_frame(w, err);

	if (r < 0)
		return r;
	r = oci_hash_final(&w->content, digest);
	if (r == 0)
		r = putf(&w->entry, ",\"digest\":\"%s\",\"offset\":%llu,\"endOffset\":%llu", digest,
			 (unsigned long long)w->offset, (unsigned long long)w->written);
	if (r == 0)
		r = put_split_file(w, w->name, w->size, ~w->crc);
	w->files++;
	return r < 0 ? no_memory(err) : end_entry(w, err);
}

static int on_content(void *arg, const void *data, size_t size, bool end, struct cairn_error *err)
{
	struct chunked_writer *w = (struct chunked_writer *)arg;
	const uint8_t *bytes = (const uint8_t *)data;
	uint64_t crc = w->crc;
	int r;

	if (!w->size)
		return 0;
	for (size_t i = 0; i < size; i++)
		crc = w->crc_table[(uint8_t)(crc ^ bytes[i])] ^ (crc >> 8);
	w->crc = crc;
	if (oci_hash_update(&w->content, data, size) < 0)
		return no_memory(err);
	r = compress(w, data, size, ZSTD_e_continue, err);
	return r < 0 || !end ? r : end_content(w, err);
}

/* --- all ------------------------------------------------------------------------------------- */

static void make_crc_table(uint64_t table[256])
{
	for (unsigned int i = 0; i < 256; i++) {
		uint64_t crc = i;

		for (unsigned int k = 0; k < 8; k++)
			crc = crc & 1 ? crc >> 1 ^ CRC64_ISO : crc >> 1;
		table[i] = crc;
	}
}

int chunked_writer_new(int level, cairn_write_fn write, void *arg, struct chunked_writer **ret)
{
	struct chunked_writer *w cleanup(chunked_writer) =
		(struct chunked_writer *)calloc(1, sizeof(*w));
	const struct tar_handler handler = {on_raw, on_entry, on_content, w};

	if (level < 1 || level > CHUNKED_LEVEL_MAX)
		return -EINVAL;
	if (!w)
		return -ENOMEM;
	w->write = write;
	w->arg = arg;
	w->toc = w->split = BUF_INIT(JSON_MAX);
	w->raw = BUF_INIT(RAW_LINE_MAX);
	w->entry = BUF_INIT(4u << 20);
	w->out = (char *)malloc(OUT_SIZE);
	w->zstd = ZSTD_createCCtx();
	make_crc_table(w->crc_table);
	if (!w->out || !w->zstd || oci_hash_init(&w->blob, NULL) < 0 ||
	    oci_hash_init(&w->tar, NULL) < 0 || tar_reader_new(&handler, &w->reader) < 0 ||
	    put(&w->toc, "{\"version\":1,\"entries\":[") < 0)
		return -ENOMEM;
	ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, level);
	ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_checksumFlag, 1);
	*ret = take_ptr(w);
	return 0;
}

void chunked_writer_free(struct chunked_writer *w)
{
	if (!w)
		return;
	ZSTD_freeCCtx(w->zstd);
	oci_hash_fini(&w->blob);
	oci_hash_fini(&w->tar);
	oci_hash_fini(&w->content);
	tar_reader_free(w->reader);
	buf_fini(&w->toc);
	buf_fini(&w->split);
	buf_fini(&w->raw);
	buf_fini(&w->entry);
	free(w->out);
	free(w->name);
	free(w);
}

int chunked_writer_feed(void *writer, const void *data, size_t size, struct cairn_error *err)
{
	struct chunked_writer *w = (struct chunked_writer *)writer;

	w->tar_size += size;
	if (oci_hash_update(&w->tar, data, size) < 0)
		return no_memory(err);
	return tar_reader_feed(w->reader, data, size, err);
}

/* @data compressed, in a skippable frame. *@ret_offset: of the payload in the blob. */
static int put_table(struct chunked_writer *w, const struct buf *data, uint64_t *ret_offset,
		     uint64_t *ret_size, char digest[OCI_DIGEST_MAX], struct cairn_error *err)
{
	size_t bound = ZSTD_compressBound(data->len), n;
	char *packed cleanup_free = (char *)malloc(bound);
	uint8_t header[8];
	int r;

	if (!packed)
		return no_memory(err);
	n = ZSTD_compressCCtx(w->zstd, packed, bound, data->data, data->len, CHUNKED_LEVEL_DEFAULT);
	if (ZSTD_isError(n))
		return error_set(err, -EIO, CAIRN_ERROR_SYSTEM, "zstd: %s", ZSTD_getErrorName(n));
	put_le32(header, SKIPPABLE);
	put_le32(header + 4, (uint32_t)n);
	r = oci_hash_data(NULL, packed, n, digest);
	if (r < 0)
		return no_memory(err);
	r = put_blob(w, header, sizeof(header), err);
	*ret_offset = w->written;
	*ret_size = n;
	return r < 0 ? r : put_blob(w, packed, n, err);
}

static int put_footer(struct chunked_writer *w, const uint64_t numbers[7], struct cairn_error *err)
{
	uint8_t footer[8 + FOOTER_SIZE];

	put_le32(footer, SKIPPABLE);
	put_le32(footer + 4, FOOTER_SIZE);
	for (unsigned int i = 0; i < 7; i++)
		put_le64(footer + 8 + 8 * i, numbers[i]);
	memcpy(footer + 64, "GNUlInUx", 8);
	return put_blob(w, footer, sizeof(footer), err);
}

/* The tar-split comes second in the blob, and its digest is in the table that comes first: it is compressed
 * twice. */
static int put_tables(struct chunked_writer *w, struct chunked_written *ret,
		      struct cairn_error *err)
{
	size_t bound = ZSTD_compressBound(w->split.len), n;
	char *packed cleanup_free = (char *)malloc(bound);
	char digest[OCI_DIGEST_MAX];
	uint64_t toc, toc_size, split, split_size;
	int r;

	if (!packed)
		return no_memory(err);
	n = ZSTD_compressCCtx(w->zstd, packed, bound, w->split.data, w->split.len,
			      CHUNKED_LEVEL_DEFAULT);
	if (ZSTD_isError(n) || oci_hash_data(NULL, packed, n, digest) < 0)
		return no_memory(err);
	r = putf(&w->toc, "],\"tarSplitDigest\":\"%s\"}", digest);
	if (r < 0)
		return no_memory(err);
	r = put_table(w, &w->toc, &toc, &toc_size, ret->toc_digest, err);
	if (r == 0)
		r = put_table(w, &w->split, &split, &split_size, digest, err);
	if (r < 0)
		return r;
	snprintf(ret->toc_position, sizeof(ret->toc_position), "%llu:%llu:%zu:%u",
		 (unsigned long long)toc, (unsigned long long)toc_size, w->toc.len, TYPE_CRFS);
	snprintf(ret->split_position, sizeof(ret->split_position), "%llu:%llu:%zu",
		 (unsigned long long)split, (unsigned long long)split_size, w->split.len);
	return put_footer(w,
			  (const uint64_t[7]){toc, toc_size, w->toc.len, TYPE_CRFS, split,
					      split_size, w->split.len},
			  err);
}

int chunked_writer_finish(struct chunked_writer *w, struct chunked_written *ret,
			  struct cairn_error *err)
{
	int r = tar_reader_finish(w->reader, err);

	if (r == 0)
		r = end_frame(w, err);
	if (r == 0 && flush_raw(w) < 0)
		r = no_memory(err);
	if (r == 0)
		r = put_tables(w, ret, err);
	if (r < 0)
		return r;
	if (oci_hash_final(&w->blob, ret->digest) < 0 || oci_hash_final(&w->tar, ret->diff_id) < 0)
		return no_memory(err);
	ret->tar_size = w->tar_size;
	ret->size = w->written;
	ret->files = w->files;
	return 0;
}
