/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Tables of contents, footers of stargz, and tar-split. Oracles: a table's entries, read in two ways, have the same files; refusals have words; every range of an accepted table lies in
 * the blob, every file's chunks add up; lines cut anywhere give the same.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "fuzz.h"
#include "oci/toc.h"

#define BLOB_END (1u << 20)

static void table(const uint8_t *data, size_t size)
{
	struct toc toc cleanup_toc = {0};
	struct cairn_error err = {0};
	int r = toc_parse(data, size, BLOB_END, &toc, &err);

	must(r == 0 || (r == err.code && err.text[0]));
	if (r < 0)
		return;
	for (size_t i = 0; i < toc.nr_files; i++) {
		const struct toc_file *f = &toc.files[i];
		uint64_t sum = 0, from, length;

		must(f->size && f->nr_chunks && f->end <= BLOB_END && f->name < toc.names.len);
		for (uint32_t k = 0; k < f->nr_chunks; k++) {
			sum += toc.chunks[f->chunk + k].size;
			toc_chunk_range(&toc, f, k, &from, &length);
			must(from <= f->end && length <= f->end - from);
		}
		must(sum == f->size);
	}
}

/* What the entries of a table are, told twice: those with contents are the files of toc_parse(), in its order. */
struct walked {
	const struct toc *toc;
	size_t next;
	uint64_t hash;
	bool same;
};

static int on_entry(void *arg, const struct tar_entry *e, struct cairn_error *err)
{
	struct walked *w = (struct walked *)arg;

	(void)err;
	must(e->path_len && !e->path[e->path_len] && strlen(e->path) == e->path_len);
	must(strlen(e->target) == e->target_len && e->mode <= 07777 && e->mtime_nsec < 1000000000);
	must(e->nr_xattrs <= TAR_XATTRS_MAX && (e->type == TAR_FILE || !e->size));
	for (size_t i = 0; i < e->nr_xattrs; i++) {
		must(e->xattrs[i].name_len);
		for (uint32_t k = 0; k < e->xattrs[i].name_len; k++)
			w->hash += (uint8_t)e->xattrs[i].name[k];
		for (uint32_t k = 0; k < e->xattrs[i].value_len; k++)
			w->hash += (uint8_t)e->xattrs[i].value[k];
	}
	if (w->toc && e->size) {
		w->same &= w->next < w->toc->nr_files && w->toc->files[w->next].size == e->size &&
			   !strcmp(w->toc->names.data + w->toc->files[w->next].name, e->path);
		w->next++;
	}
	return 0;
}

static void walk(const uint8_t *data, size_t size)
{
	struct toc toc cleanup_toc = {0};
	struct cairn_error err = {0};
	struct walked w = {.same = true};
	int r;

	if (toc_parse(data, size, BLOB_END, &toc, NULL) == 0)
		w.toc = &toc;
	r = toc_walk(data, size, on_entry, &w, &err);
	must(r == 0 || (r == err.code && err.text[0]));
	must(r < 0 || !w.toc || (w.same && w.next == toc.nr_files));
}

/* A footer that is taken is the one that its offset makes. */
static void footer(const uint8_t *data, size_t size)
{
	char made[64];
	uint64_t offset = 0;
	size_t n;

	if (size < STARGZ_FOOTER_SIZE)
		return;
	data += size - STARGZ_FOOTER_SIZE;
	n = stargz_footer(data, BLOB_END, &offset);
	must(!n || n == STARGZ_FOOTER_SIZE || n == STARGZ_OLD_FOOTER_SIZE);
	if (!n)
		return;
	must(offset && offset < BLOB_END - n);
	snprintf(made, sizeof(made), "%016llxSTARGZ", (unsigned long long)offset);
	must(!strncasecmp((const char *)data + STARGZ_FOOTER_SIZE - 13 - 22, made, 22));
}

struct sum {
	uint64_t hash, calls;
};

static void mix(struct sum *s, const void *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		s->hash = (s->hash ^ ((const uint8_t *)data)[i]) * 0x100000001b3;
	s->calls++;
}

static int on_raw(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	(void)err;
	mix(arg, data, size);
	return 0;
}

static int on_file(void *arg, const char *name, uint64_t size, struct cairn_error *err)
{
	(void)err;
	must(size > 0);
	mix(arg, name, strlen(name));
	mix(arg, &size, sizeof(size));
	return 0;
}

static int split(const uint8_t *data, size_t size, size_t piece, struct sum *sum)
{
	const struct split_handler handler = {on_raw, on_file, sum};
	struct split_reader reader cleanup_split_reader = {0};
	struct cairn_error err = {0};
	int r = 0;

	*sum = (struct sum){0xcbf29ce484222325, 0};
	must(split_reader_init(&reader, &handler) == 0);
	for (size_t at = 0; at < size && r == 0; at += piece)
		r = split_reader_feed(&reader, data + at, size - at < piece ? size - at : piece,
				      &err);
	if (r == 0)
		r = split_reader_finish(&reader, &err);
	must(r == 0 || (r == err.code && err.text[0]));
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sum whole, pieces;
	int r;

	table(data, size);
	walk(data, size);
	footer(data, size);
	r = split(data, size, size ? size : 1, &whole);
	must(split(data, size, 7, &pieces) == r);
	must(whole.hash == pieces.hash && whole.calls == pieces.calls);
	return 0;
}
