/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Mutations: one to eight small changes to an input. Offsets fall on bytes that are not zero more
 * often than not, since the zeros of an image are mostly padding.
 */
#include "mutate.h"

#include <stdbool.h>
#include <string.h>

struct random {
	uint64_t state;
};

/* splitmix64 */
static uint64_t next_random(struct random *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static size_t below(struct random *r, size_t n)
{
	return n ? (size_t)(next_random(r) % n) : 0;
}

/* An offset into @data, if it can be of a byte that is not zero. */
static size_t pick_offset(struct random *r, const uint8_t *data, size_t size)
{
	size_t offset = below(r, size);

	if (below(r, 4) == 0)
		return offset;
	for (unsigned int i = 0; i < 64 && size && !data[offset]; i++)
		offset = below(r, size);
	return offset;
}

/* Overwrites a little-endian number of 1 to 8 bytes by one that is apt to break something. */
static void put_number(struct random *r, uint8_t *data, size_t size)
{
	static const uint64_t numbers[] = {
		0,          1,         2,         3,         7,          8,         31,
		32,         63,        64,        127,       128,        255,       256,
		2047,       2048,      4095,      4096,      4097,       5000,      5001,
		32767,      32768,     65535,     65536,     0x7fffffff, 1u << 31,  0xfffffffe,
		0xffffffff, 1ul << 32, 1ul << 43, 1ul << 53, INT64_MAX,  1ul << 63, UINT64_MAX,
	};
	size_t width = (size_t)1 << below(r, 4);
	size_t offset = pick_offset(r, data, size) & ~(width - 1);
	uint64_t number = numbers[below(r, sizeof(numbers) / sizeof(numbers[0]))];
	uint64_t old = 0;

	if (offset + width > size)
		return;
	memcpy(&old, data + offset, width);
	switch (below(r, 3)) {
	case 0:
		number = old + 1 - 2 * (number & 1); /* one more or one less */
		break;
	case 1:
		number = old ^ (1ull << below(r, 8 * width));
		break;
	}
	memcpy(data + offset, &number, width);
}

/* Moves bytes from one place, of @from, to another. */
static void copy_part(struct random *r, uint8_t *data, size_t size, const struct input *from)
{
	size_t len = 1 + below(r, below(r, 8) ? 64 : 4096);
	size_t source = pick_offset(r, from->data, from->size);
	size_t target = below(r, 2) ? pick_offset(r, data, size) : source;

	if (source + len > from->size || target + len > size)
		return;
	memmove(data + target, from->data + source, len);
}

/* Inserts or removes some bytes. Returns the new size. */
static size_t shift_part(struct random *r, uint8_t *data, size_t size, size_t room)
{
	size_t len = 1 + below(r, 16), offset = below(r, size);

	if (below(r, 2)) {
		if (size + len > room)
			return size;
		memmove(data + offset + len, data + offset, size - offset);
		return size + len;
	}
	if (offset + len > size)
		return size;
	memmove(data + offset, data + offset + len, size - offset - len);
	return size - len;
}

size_t mutate(const struct input *inputs, size_t nr, uint64_t seed, uint8_t *out, size_t room)
{
	struct random r = {seed};
	const struct input *base = &inputs[below(&r, nr)], *other = &inputs[below(&r, nr)];
	struct input self = {out, base->size < room ? base->size : room};

	memcpy(out, base->data, self.size);
	for (size_t changes = 1 + below(&r, 8); changes && self.size; changes--) {
		size_t kind = below(&r, 16);

		if (kind < 7)
			put_number(&r, out, self.size);
		else if (kind < 9)
			out[pick_offset(&r, out, self.size)] = (uint8_t)next_random(&r);
		else if (kind < 11)
			out[pick_offset(&r, out, self.size)] ^= (uint8_t)(1u << below(&r, 8));
		else if (kind < 13)
			copy_part(&r, out, self.size, &self);
		else if (kind < 14)
			copy_part(&r, out, self.size, other);
		else if (kind < 15)
			self.size = shift_part(&r, out, self.size, room);
		else if (below(&r, 4) == 0)
			self.size = below(&r, self.size);
	}
	return self.size;
}
