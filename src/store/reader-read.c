/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * A range of an object, verified where it lies before anybody gets it.
 *
 * The range is read in whole blocks: in place if it begins and ends with one, which is what page caches
 * ask for, else by way of a buffer of our own.
 */
#include <errno.h>
#include <string.h>

#include "store/reader-internal.h"
#include "sys/io.h"

static int bad_block(struct reader_object *o, uint64_t block, uint64_t *ret_block,
		     struct cairn_error *err)
{
	o->stale = true;
	if (ret_block)
		*ret_block = block;
	return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
			 "object %s: block %llu is not what its digest says", o->path,
			 (unsigned long long)block);
}

/* Returns the number of the first block of @data[0..@size) that is wrong, -1: none, or -2 and *@ret_error.
 * @first: the number of the first block, which is in span @span like all others. */
static int64_t check_in_span(const struct reader_object *o, uint64_t span, uint64_t first,
			     const uint8_t *data, size_t size, int *ret_error)
{
	uint8_t leaves[VERITY_BLOCK_SIZE] = {0};
	const uint64_t at = first % o->m.fanout;
	const uint64_t whole = MIN(reader_span_size(o), o->m.size - span * reader_span_size(o));
	int64_t bad;

	/* All of the span is here: its own hashes are the leaves. */
	if (!at && size == whole && !reader_check_span(o, span, data, size, leaves))
		return -1;
	*ret_error = reader_leaves(o, span, leaves);
	if (*ret_error == -EILSEQ)
		return (int64_t)first; /* which one cannot be known */
	if (*ret_error < 0)
		return -2;
	bad = merkle_bad_block(&o->m, data, size, leaves + at * o->m.sha->digest_size);
	return bad < 0 ? -1 : (int64_t)first + bad;
}

static int64_t check_by_spans(const struct reader_object *o, uint64_t first, const uint8_t *data,
			      size_t size, int *ret_error)
{
	while (size) {
		const uint64_t span = first / o->m.fanout;
		const uint64_t rest = (span + 1) * o->m.fanout - first;
		const size_t part = (size_t)MIN((uint64_t)size, rest * VERITY_BLOCK_SIZE);
		int64_t bad = check_in_span(o, span, first, data, part, ret_error);

		if (bad != -1)
			return bad;
		data += part;
		size -= part;
		first += rest;
	}
	return -1;
}

/* Whether the blocks in @data, from number @first on, are right. */
static int check(struct reader_object *o, uint64_t first, const uint8_t *data, size_t size,
		 uint64_t *ret_block, struct cairn_error *err)
{
	const unsigned int digest_size = o->m.sha->digest_size;
	int64_t bad;
	int error;

	if (!o->m.levels || o->leaves) {
		bad = merkle_bad_block(&o->m, data, size,
				       o->m.levels ? o->leaves + first * digest_size : o->root);
		bad = bad < 0 ? -1 : (int64_t)first + bad;
	} else {
		bad = check_by_spans(o, first, data, size, &error);
	}
	if (bad == -2)
		return error_errno(err, error, "read object %s", o->path);
	return bad < 0 ? 0 : bad_block(o, (uint64_t)bad, ret_block, err);
}

/* @offset and @size are of whole blocks, or end with the content. */
static ssize_t read_blocks(struct reader_object *o, uint8_t *data, size_t size, uint64_t offset,
			   uint64_t *ret_block, struct cairn_error *err)
{
	const uint64_t first = offset / VERITY_BLOCK_SIZE;
	ssize_t n = pread_full(o->fd, data, size, (off_t)offset);
	int k;

	if (n < 0)
		return error_errno(err, (int)n, "read object %s", o->path);
	if (o->state == READER_ENFORCED)
		return n;
	if ((size_t)n < size)
		return bad_block(o, first + (uint64_t)n / VERITY_BLOCK_SIZE, ret_block, err);
	k = check(o, first, data, size, ret_block, err);
	return k < 0 ? k : n;
}

/* By way of a buffer with whole blocks. */
static ssize_t read_unaligned(struct reader_object *o, void *buffer, size_t size, uint64_t offset,
			      uint64_t *ret_block, struct cairn_error *err)
{
	const uint64_t start = offset - offset % VERITY_BLOCK_SIZE;
	const uint64_t end = MIN(ROUND_UP(offset + size, (uint64_t)VERITY_BLOCK_SIZE), o->m.size);
	cleanup_free uint8_t *data = (uint8_t *)malloc((size_t)(end - start));
	ssize_t n;

	if (!data)
		return error_errno(err, -ENOMEM, "read object %s", o->path);
	n = read_blocks(o, data, (size_t)(end - start), start, ret_block, err);
	if (n < 0)
		return n;
	if ((uint64_t)n < offset - start + size)
		size = (uint64_t)n > offset - start ? (size_t)((uint64_t)n - (offset - start)) : 0;
	memcpy(buffer, data + (offset - start), size);
	return (ssize_t)size;
}

ssize_t reader_read(struct reader *r, struct reader_object *o, void *buffer, size_t size,
		    uint64_t offset, uint64_t *ret_block, struct cairn_error *err)
{
	bool filled = false;
	int k;

	if (ret_block)
		*ret_block = UINT64_MAX;
	if (offset >= o->m.size)
		return 0;
	size = (size_t)MIN((uint64_t)size, o->m.size - offset);
	if (o->state == READER_NEW || o->state == READER_BAD) {
		const bool all = size == o->m.size && size <= READER_PIECE;

		k = reader_prepare(r, o, all ? buffer : NULL, &filled, err);
		if (k < 0)
			return k;
		if (filled)
			return (ssize_t)size;
	}
	if (o->state == READER_ENFORCED ||
	    (offset % VERITY_BLOCK_SIZE == 0 &&
	     (size % VERITY_BLOCK_SIZE == 0 || offset + size == o->m.size)))
		return read_blocks(o, (uint8_t *)buffer, size, offset, ret_block, err);
	return read_unaligned(o, buffer, size, offset, ret_block, err);
}
