/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The layout of a split stream's header (splitstream.md §1, §5). */
#ifndef STORE_SPLITSTREAM_INTERNAL_H
#define STORE_SPLITSTREAM_INTERNAL_H

#define SPLIT_MAGIC       "SplitStream"
#define SPLIT_MAGIC_SIZE  11
#define SPLIT_HEADER_SIZE 32
#define SPLIT_INFO_SIZE   80
#define SPLIT_LG_BLOCK    12

enum split_header {
	SPLIT_AT_MAGIC = 0,
	SPLIT_AT_VERSION = 11,
	SPLIT_AT_FLAGS = 12,
	SPLIT_AT_ALG = 14,
	SPLIT_AT_LG_BLOCK = 15,
	SPLIT_AT_INFO = 16, /* start, end */
};

/* What bootc up to 1.15 wrote; read, never written. */
enum split_old_header {
	SPLIT_OLD_AT_INFO = 0,
	SPLIT_OLD_AT_MAGIC = 18,
	SPLIT_OLD_AT_VERSION = 29,
	SPLIT_OLD_AT_ALG = 30,
	SPLIT_OLD_AT_LG_BLOCK = 31,
};

/* Each range is a start and an end in the file. The streams' order differs from that in the file. */
enum split_info {
	SPLIT_AT_STREAM_REFS = 0,
	SPLIT_AT_OBJECT_REFS = 16,
	SPLIT_AT_STREAM = 32,
	SPLIT_AT_NAMED = 48,
	SPLIT_AT_TYPE = 64,
	SPLIT_AT_SIZE = 72,
};

#endif
