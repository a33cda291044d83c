/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Hexadecimal text. Digests are long enough for sixteen digits at a time. */
#include "base/hex.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define ROW(h)                                                                                     \
	h "0" h "1" h "2" h "3" h "4" h "5" h "6" h "7" h "8" h "9" h "a" h "b" h "c" h "d" h      \
	  "e" h "f"

/* The two digits of every byte, one after the other. */
static const char pairs[] = ROW("0") ROW("1") ROW("2") ROW("3") ROW("4") ROW("5") ROW("6") ROW("7")
	ROW("8") ROW("9") ROW("a") ROW("b") ROW("c") ROW("d") ROW("e") ROW("f");

const uint8_t hex_value_plus_one[256] = {
	['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,
	['6'] = 7,  ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12,
	['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16, ['A'] = 11, ['B'] = 12,
	['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

#ifdef __SSE2__

/* The digit of each nibble. */
static __m128i digits_of(__m128i nibbles)
{
	__m128i letters = _mm_cmpgt_epi8(nibbles, _mm_set1_epi8(9));

	return _mm_add_epi8(_mm_add_epi8(nibbles, _mm_set1_epi8('0')),
			    _mm_and_si128(letters, _mm_set1_epi8('a' - '0' - 10)));
}

static size_t put_wide(char *out, const uint8_t *bytes, size_t size)
{
	const __m128i low = _mm_set1_epi8(15);
	size_t i = 0;

	for (; i + 16 <= size; i += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(bytes + i));
		__m128i high_nibbles = digits_of(_mm_and_si128(_mm_srli_epi16(v, 4), low));
		__m128i low_nibbles = digits_of(_mm_and_si128(v, low));

		_mm_storeu_si128((__m128i *)(void *)(out + 2 * i),
				 _mm_unpacklo_epi8(high_nibbles, low_nibbles));
		_mm_storeu_si128((__m128i *)(void *)(out + 2 * i + 16),
				 _mm_unpackhi_epi8(high_nibbles, low_nibbles));
	}
	return i;
}

/* The values of sixteen digits; @bad gets the bytes that are none. */
static __m128i nibbles_of(const char *text, __m128i *bad)
{
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)text);
	__m128i digit = _mm_sub_epi8(v, _mm_set1_epi8('0'));
	__m128i letter = _mm_sub_epi8(_mm_or_si128(v, _mm_set1_epi8(0x20)), _mm_set1_epi8('a'));
	__m128i is_digit = _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit);
	__m128i is_letter = _mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(5)), letter);

	*bad = _mm_or_si128(*bad,
			    _mm_andnot_si128(_mm_or_si128(is_digit, is_letter), _mm_set1_epi8(-1)));
	return _mm_or_si128(_mm_and_si128(is_digit, digit),
			    _mm_and_si128(is_letter, _mm_add_epi8(letter, _mm_set1_epi8(10))));
}

/* Pairs of nibbles to bytes, each in a lane of sixteen bits. */
static __m128i join_nibbles(__m128i n)
{
	return _mm_and_si128(_mm_or_si128(_mm_slli_epi16(n, 4), _mm_srli_epi16(n, 8)),
			     _mm_set1_epi16(255));
}

static size_t get_wide(const char *text, uint8_t *out, size_t size, int *bad)
{
	__m128i wrong = _mm_setzero_si128();
	size_t i = 0;

	for (; i + 16 <= size; i += 16) {
		__m128i first = join_nibbles(nibbles_of(text + 2 * i, &wrong));
		__m128i second = join_nibbles(nibbles_of(text + 2 * i + 16, &wrong));

		_mm_storeu_si128((__m128i *)(void *)(out + i), _mm_packus_epi16(first, second));
	}
	if (_mm_movemask_epi8(wrong))
		*bad = -1;
	return i;
}

#else

static size_t put_wide(char *out, const uint8_t *bytes, size_t size)
{
	(void)out;
	(void)bytes;
	(void)size;
	return 0;
}

static size_t get_wide(const char *text, uint8_t *out, size_t size, int *bad)
{
	(void)text;
	(void)out;
	(void)size;
	(void)bad;
	return 0;
}

#endif

char *hex_put(char *out, const uint8_t *bytes, size_t size)
{
	for (size_t i = put_wide(out, bytes, size); i < size; i++)
		memcpy(out + 2 * i, pairs + 2 * bytes[i], 2);
	return out + 2 * size;
}

int hex_get(const char *text, uint8_t *out, size_t size)
{
	int bad = 0;

	for (size_t i = get_wide(text, out, size, &bad); i < size; i++) {
		int high = hex_digit(text[2 * i]);
		int low = hex_digit(text[2 * i + 1]);

		bad |= high | low;
		out[i] = (uint8_t)((unsigned int)high << 4 | (unsigned int)low);
	}
	return bad < 0 ? -1 : 0;
}
