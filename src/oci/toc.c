/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Annotations, footers, and where a table of contents says that contents are. */
#include "oci/toc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/hex.h"
#include "oci/json_scan.h"

#define PREFIX  "io.github.containers.zstd-chunked."
#define LEGACY  "io.containers.zstd-chunked."
#define ESTARGZ "containerd.io/snapshot/stargz/toc.digest"

/* --- annotations ----------------------------------------------------------------------------- */

/* "A:B:C" or "A:B:C:1" — digits only. */
static int read_numbers(const char *text, uint64_t *ret, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		uint64_t n = 0;
		const char *start = text;

		for (; *text >= '0' && *text <= '9'; text++) {
			uint64_t digit = (uint64_t)(*text - '0');

			if (n > ((uint64_t)INT64_MAX - digit) / 10)
				return -EINVAL;
			n = n * 10 + digit;
		}
		if (text == start || *text != (i + 1 < nr ? ':' : '\0'))
			return -EINVAL;
		text++;
		ret[i] = n;
	}
	return 0;
}

static int bad_annotation(struct cairn_error *err, const char *name)
{
	return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "annotation " PREFIX "%s is malformed",
			 name);
}

/* Of zstd:chunked of the first generation, or without tar-split. */
static int legacy_place(const struct oci_descriptor *layer, const char *checksum, const char *place,
			struct toc_place *ret)
{
	uint64_t n[4];

	if (place && !strncmp(checksum, "sha256:", 7) && oci_digest_is_valid(checksum) &&
	    read_numbers(place, n, 4) == 0 && n[3] == 1 && n[0] >= 8 && n[1] <= layer->size &&
	    n[0] <= layer->size - n[1] && n[1] <= TOC_SIZE_MAX && n[2] <= TOC_SIZE_MAX)
		*ret = (struct toc_place){n[0], n[1], n[2], checksum, 0, 0, 0};
	return TOC_LEGACY;
}

static int estargz_place(const char *digest, struct toc_place *ret, struct cairn_error *err)
{
	if (strncmp(digest, "sha256:", 7) || !oci_digest_is_valid(digest))
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "annotation " ESTARGZ " is malformed");
	ret->digest = digest;
	return TOC_ESTARGZ;
}

static int chunked_place(const struct oci_descriptor *layer, const char *checksum,
			 const char *place, const char *split, struct toc_place *ret,
			 struct cairn_error *err)
{
	uint64_t n[4];

	if (strncmp(checksum, "sha256:", 7) || !oci_digest_is_valid(checksum))
		return bad_annotation(err, "manifest-checksum");
	if (read_numbers(place, n, 4) < 0)
		return bad_annotation(err, "manifest-position");
	*ret = (struct toc_place){.offset = n[0], .size = n[1], .unpacked = n[2]};
	if (n[3] != 1)
		return TOC_LEGACY;
	if (read_numbers(split, n, 3) < 0)
		return bad_annotation(err, "tarsplit-position");
	ret->split_offset = n[0];
	ret->split_size = n[1];
	ret->split_unpacked = n[2];
	if (ret->offset < 8 || ret->size > layer->size || ret->offset > layer->size - ret->size)
		return bad_annotation(err, "manifest-position");
	if (ret->split_offset < ret->offset + ret->size || ret->split_size > layer->size ||
	    ret->split_offset > layer->size - ret->split_size)
		return bad_annotation(err, "tarsplit-position");
	if (ret->size > TOC_SIZE_MAX || ret->unpacked > TOC_SIZE_MAX)
		return TOC_LEGACY;
	ret->digest = checksum;
	return ret->split_size > TOC_SIZE_MAX ? TOC_LEGACY : TOC_CHUNKED;
}

int toc_place_of(const struct oci_descriptor *layer, struct toc_place *ret, struct cairn_error *err)
{
	const char *checksum = oci_annotation(layer, PREFIX "manifest-checksum");
	const char *place = oci_annotation(layer, PREFIX "manifest-position");
	const char *split = oci_annotation(layer, PREFIX "tarsplit-position");
	const char *old = oci_annotation(layer, LEGACY "manifest-checksum");
	const char *estargz = oci_annotation(layer, ESTARGZ);

	*ret = (struct toc_place){0};
	if (estargz && (checksum || old))
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "a layer with two tables of contents");
	if (estargz)
		return estargz_place(estargz, ret, err);
	if (oci_type_compression(layer->media_type) != OCI_ZSTD)
		return TOC_NONE;
	if (checksum && place && split)
		return chunked_place(layer, checksum, place, split, ret, err);
	if (checksum)
		return legacy_place(layer, checksum, place, ret);
	return old ? legacy_place(layer, old, oci_annotation(layer, LEGACY "manifest-position"),
				  ret)
		   : TOC_NONE;
}

bool toc_key_of(const struct oci_descriptor *layer, char out[TOC_KEY_MAX])
{
	struct toc_place place;
	int kind = toc_place_of(layer, &place, NULL);

	if (kind <= TOC_NONE || !place.digest)
		return false;
	snprintf(out, TOC_KEY_MAX, "toc:%s:%s", kind == TOC_ESTARGZ ? "estargz" : "zstd",
		 place.digest);
	return true;
}

/* --- footers of stargz ----------------------------------------------------------------------- */

#define GZIP_HEAD  "\x1f\x8b\x08\x04\0\0\0\0\0\xff"         /* with an extra field */
#define EMPTY_TAIL "STARGZ\x01\0\0\xff\xff\0\0\0\0\0\0\0\0" /* an empty member ends */
#define FIELD      "\x1a\0SG\x16\0"
#define OLD_FIELD  "\x16\0" /* which has no header of its own, against the rules of gzip */

static bool footer_is(const uint8_t *footer, const char *field, size_t field_size,
		      uint64_t *ret_offset)
{
	const uint8_t *digits = footer + 10 + field_size;
	uint8_t offset[8];

	if (memcmp(footer, GZIP_HEAD, 10) || memcmp(footer + 10, field, field_size) ||
	    memcmp(digits + 16, EMPTY_TAIL, sizeof(EMPTY_TAIL) - 1) ||
	    hex_get((const char *)digits, offset, sizeof(offset)) < 0)
		return false;
	*ret_offset = 0;
	for (size_t i = 0; i < sizeof(offset); i++)
		*ret_offset = *ret_offset << 8 | offset[i];
	return true;
}

size_t stargz_footer(const uint8_t last[STARGZ_FOOTER_SIZE], uint64_t size, uint64_t *ret_offset)
{
	const uint8_t *old = last + STARGZ_FOOTER_SIZE - STARGZ_OLD_FOOTER_SIZE;
	size_t footer = 0;
	uint64_t offset;

	if (footer_is(last, FIELD, sizeof(FIELD) - 1, &offset))
		footer = STARGZ_FOOTER_SIZE;
	else if (footer_is(old, OLD_FIELD, sizeof(OLD_FIELD) - 1, &offset))
		footer = STARGZ_OLD_FOOTER_SIZE;
	if (!footer || !offset || size <= footer || offset >= size - footer)
		return 0;
	*ret_offset = offset;
	return footer;
}

/* --- the table ------------------------------------------------------------------------------- */

struct entry {
	char type[16], name[TOC_NAME_MAX], digest[OCI_DIGEST_MAX], chunk_type[16];
	char chunk_digest[OCI_DIGEST_MAX];
	uint64_t size, offset, inner, end, chunk_offset, chunk_size;
};

struct parse {
	struct json_scan scan;
	struct toc *toc;
	uint64_t end;    /* of contents in the blob */
	uint64_t filled; /* bytes of the last file that its chunks have */
	bool open;       /* more chunks of the last file must follow */
	bool open_ends;  /* the end of some file is where the next one begins */
	const char *error;
};

static int bad(struct parse *p, const char *why)
{
	p->error = why;
	return -EINVAL;
}

static int read_field(struct json_scan *s, const char *name, struct entry *e)
{
	if (!strcmp(name, "type"))
		return json_scan_text(s, e->type, sizeof(e->type), NULL);
	if (!strcmp(name, "name"))
		return json_scan_text(s, e->name, sizeof(e->name), NULL);
	if (!strcmp(name, "digest"))
		return json_scan_text(s, e->digest, sizeof(e->digest), NULL);
	if (!strcmp(name, "chunkType"))
		return json_scan_text(s, e->chunk_type, sizeof(e->chunk_type), NULL);
	if (!strcmp(name, "chunkDigest"))
		return json_scan_text(s, e->chunk_digest, sizeof(e->chunk_digest), NULL);
	if (!strcmp(name, "size"))
		return json_scan_size(s, &e->size);
	if (!strcmp(name, "offset"))
		return json_scan_size(s, &e->offset);
	if (!strcmp(name, "innerOffset"))
		return json_scan_size(s, &e->inner);
	if (!strcmp(name, "endOffset"))
		return json_scan_size(s, &e->end);
	if (!strcmp(name, "chunkOffset"))
		return json_scan_size(s, &e->chunk_offset);
	if (!strcmp(name, "chunkSize"))
		return json_scan_size(s, &e->chunk_size);
	return json_scan_skip(s);
}

static int read_digest(const char *text, uint8_t out[32])
{
	if (strncmp(text, "sha256:", 7) || !oci_digest_is_valid(text))
		return -EINVAL;
	return hex_get(text + 7, out, 32);
}

static int add_chunk(struct parse *p, const struct entry *e)
{
	struct toc *toc = p->toc;
	struct toc_file *f = &toc->files[toc->nr_files - 1];
	const struct toc_chunk *last = f->nr_chunks ? &toc->chunks[toc->nr_chunks - 1] : NULL;
	uint64_t size = e->chunk_size ? e->chunk_size : f->size - p->filled;
	bool zeros = !strcmp(e->chunk_type, "zeros");
	struct toc_chunk *c;

	if (!zeros && *e->chunk_type)
		return bad(p, "a chunk of an unknown type");
	if (e->chunk_offset != p->filled)
		return bad(p, "chunks of a file do not follow each other");
	if (!size || size > f->size - p->filled)
		return bad(p, "chunks of a file do not have its size");
	if (e->offset >= f->end || (last && e->offset < last->offset))
		return bad(p, "a chunk lies outside of its file's bytes");
	if (toc->nr_chunks == TOC_CHUNKS_MAX)
		return bad(p, "too many chunks");
	if (toc->nr_chunks == toc->room_chunks) {
		size_t room = MAX(2 * toc->room_chunks, (size_t)1024);
		void *grown = reallocarray(toc->chunks, room, sizeof(*toc->chunks));

		if (!grown)
			return -ENOMEM;
		toc->chunks = (struct toc_chunk *)grown;
		toc->room_chunks = room;
	}
	c = &toc->chunks[toc->nr_chunks++];
	*c = (struct toc_chunk){.offset = e->offset, .size = size, .zeros = zeros};
	toc->shared |= e->inner != 0;
	if (*e->chunk_digest) {
		if (read_digest(e->chunk_digest, c->digest) < 0)
			return bad(p, "a chunk's digest that is none");
		if (size == f->size && memcmp(c->digest, f->digest, sizeof(c->digest)))
			return bad(p, "a file of one chunk with two digests");
		c->has_digest = true;
	}
	toc->unchecked |= !c->has_digest && !zeros;
	f->nr_chunks++;
	p->filled += size;
	p->open = p->filled < f->size;
	return 0;
}

static int add_file(struct parse *p, const struct entry *e)
{
	struct toc *toc = p->toc;
	struct toc_file *f;

	uint64_t end = e->end ? e->end : p->end;
	uint8_t digest[32];

	if (read_digest(e->digest, digest) < 0)
		return bad(p, "a file without a sha256 digest");
	if (end <= e->offset || end > p->end)
		return bad(p, "a file whose bytes are not in the blob");
	if (toc->nr_files == TOC_FILES_MAX)
		return bad(p, "too many files");
	if (toc->nr_files == toc->room_files) {
		size_t room = MAX(2 * toc->room_files, (size_t)1024);
		void *grown = reallocarray(toc->files, room, sizeof(*toc->files));

		if (!grown)
			return -ENOMEM;
		toc->files = (struct toc_file *)grown;
		toc->room_files = room;
	}
	f = &toc->files[toc->nr_files++];
	*f = (struct toc_file){.size = e->size,
			       .end = end,
			       .open_end = !e->end,
			       .chunk = (uint32_t)toc->nr_chunks,
			       .name = (uint32_t)toc->names.len};
	memcpy(f->digest, digest, sizeof(f->digest));
	p->open_ends |= !e->end;
	if (buf_put(&toc->names, e->name, strlen(e->name) + 1) < 0)
		return -ENOMEM;
	p->filled = 0;
	return add_chunk(p, e);
}

static int add_entry(struct parse *p, const struct entry *e)
{
	bool chunk = !strcmp(e->type, "chunk");

	if (strstr(e->name, "\xef\xbf\xbd"))
		p->toc->replaced = true;
	if (p->open != chunk)
		return bad(p,
			   chunk ? "a chunk without a file" : "a file without all of its chunks");
	if (chunk)
		return add_chunk(p, e);
	return !strcmp(e->type, "reg") && e->size ? add_file(p, e) : 0;
}

static int read_entries(struct parse *p, struct entry *e)
{
	struct json_scan *s = &p->scan;
	char name[32];
	int r = json_scan_array(s);

	while (r == 0 && (r = json_scan_element(s)) == 1) {
		e->type[0] = e->name[0] = e->digest[0] = e->chunk_type[0] = '\0';
		e->chunk_digest[0] = '\0';
		e->size = e->offset = e->inner = e->end = e->chunk_offset = e->chunk_size = 0;
		r = json_scan_object(s);
		while (r == 0 && (r = json_scan_name(s, name, sizeof(name))) == 1)
			r = read_field(s, name, e);
		if (r == 0)
			r = add_entry(p, e);
	}
	return r;
}

static int read_toc(struct parse *p, struct entry *e)
{
	struct json_scan *s = &p->scan;
	uint64_t version = 0;
	bool seen = false;
	char name[32];
	int r = json_scan_object(s);

	while (r == 0 && (r = json_scan_name(s, name, sizeof(name))) == 1) {
		if (!strcmp(name, "version")) {
			r = json_scan_size(s, &version);
		} else if (!strcmp(name, "tarSplitDigest")) {
			r = json_scan_text(s, p->toc->split_digest, sizeof(p->toc->split_digest),
					   NULL);
		} else if (!strcmp(name, "entries")) {
			if (seen)
				return bad(p, "entries twice");
			seen = true;
			r = read_entries(p, e);
		} else {
			r = json_scan_skip(s);
		}
	}
	if (r == 0)
		r = json_scan_end(s);
	if (r < 0)
		return r;
	if (version != 1)
		return bad(p, "not of version 1");
	if (p->open)
		return bad(p, "a file without all of its chunks");
	if (*p->toc->split_digest && (strncmp(p->toc->split_digest, "sha256:", 7) ||
				      !oci_digest_is_valid(p->toc->split_digest)))
		return bad(p, "a tarSplitDigest that is none");
	return 0;
}

/* Where a file ends whose end is not told: at the next larger offset. */
static int close_ends(struct toc *toc)
{
	uint64_t *offsets cleanup_free =
		(uint64_t *)reallocarray(NULL, toc->nr_chunks + 1, sizeof(*offsets));

	if (!offsets)
		return -ENOMEM;
	for (size_t i = 0; i < toc->nr_chunks; i++)
		offsets[i] = toc->chunks[i].offset;
	qsort(offsets, toc->nr_chunks, sizeof(*offsets), compare_u64);
	for (size_t i = 0; i < toc->nr_files; i++) {
		struct toc_file *f = &toc->files[i];
		uint64_t last = toc->chunks[f->chunk + f->nr_chunks - 1].offset;
		size_t low = 0, high = toc->nr_chunks;

		while (f->open_end && low < high) {
			size_t middle = low + (high - low) / 2;

			if (offsets[middle] > last)
				high = middle;
			else
				low = middle + 1;
		}
		if (f->open_end && low < toc->nr_chunks)
			f->end = offsets[low];
	}
	return 0;
}

int toc_parse(const void *data, size_t size, uint64_t end, struct toc *ret, struct cairn_error *err)
{
	struct toc toc = {.names = BUF_INIT(TOC_SIZE_MAX)};
	struct parse p = {.toc = &toc, .end = end};
	struct entry *e cleanup_free = (struct entry *)malloc(sizeof(*e));
	int r = -ENOMEM;

	json_scan_init(&p.scan, data, size);
	if (e)
		r = read_toc(&p, e);
	if (r == 0 && p.open_ends)
		r = close_ends(&toc);
	if (r < 0) {
		toc_fini(&toc);
		if (r == -ENOMEM)
			return error_errno(err, r, "table of contents");
		return error_set(err, r, CAIRN_ERROR_FORMAT, "table of contents, byte %zu: %s",
				 (size_t)(p.scan.at - p.scan.start),
				 p.error        ? p.error
				 : p.scan.error ? p.scan.error
						: "malformed");
	}
	*ret = toc;
	return 0;
}

void toc_fini(struct toc *toc)
{
	free(toc->files);
	free(toc->chunks);
	buf_fini(&toc->names);
	toc->files = NULL;
	toc->chunks = NULL;
}

void toc_chunk_range(const struct toc *toc, const struct toc_file *file, uint32_t i,
		     uint64_t *ret_from, uint64_t *ret_size)
{
	const struct toc_chunk *c = &toc->chunks[file->chunk + i];
	uint64_t end = i + 1 < file->nr_chunks ? c[1].offset : file->end;

	*ret_from = c->offset;
	*ret_size = end - c->offset;
}
