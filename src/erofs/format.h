/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The image on disk: sizes, offsets and constants (image-format §1, §2, §5; erofs-variants §2).
 * Everything is little-endian.
 */
#ifndef EROFS_FORMAT_H
#define EROFS_FORMAT_H

#define BLOCK_SIZE 4096u
#define SLOT_SIZE  32u /* inodes begin on multiples of it; nid = offset / SLOT_SIZE */

/* --- composefs header, at 0 ------------------------------------------------------------------- */

#define HEADER_SIZE         32u
#define HEADER_MAGIC        0xd078629au
#define HEADER_VERSION      1u /* of the container; the format variant is a field of its own */
#define HEADER_FLAG_HAS_ACL 1u

#define HEADER_AT_MAGIC   0 /* u32 */
#define HEADER_AT_VERSION 4
#define HEADER_AT_FLAGS   8
#define HEADER_AT_FORMAT  12

/* --- EROFS superblock, at SUPER_OFFSET ---------------------------------------------------------- */

#define SUPER_OFFSET          1024u
#define SUPER_SIZE            128u
#define SUPER_MAGIC           0xe0f5e1e2u
#define SUPER_COMPAT_MTIME    2u
#define SUPER_COMPAT_XFILTER  4u
#define SUPER_COMPAT_CHECKSUM 1u

#define SUPER_AT_MAGIC       0  /* u32 */
#define SUPER_AT_CHECKSUM    4  /* u32 */
#define SUPER_AT_COMPAT      8  /* u32 */
#define SUPER_AT_BLOCK_BITS  12 /* u8 */
#define SUPER_AT_ROOT_NID    14 /* u16 */
#define SUPER_AT_INODES      16 /* u64 */
#define SUPER_AT_BUILD_TIME  24 /* u64, seconds */
#define SUPER_AT_BUILD_NSEC  32 /* u32 */
#define SUPER_AT_BLOCKS      36 /* u32, of the whole file */
#define SUPER_AT_META_BLOCK  40 /* u32 */
#define SUPER_AT_XATTR_BLOCK 44 /* u32 */
#define SUPER_AT_INCOMPAT    80 /* u32 */

#define INODES_OFFSET (SUPER_OFFSET + SUPER_SIZE)

/* --- inodes ----------------------------------------------------------------------------------- */

#define COMPACT_SIZE  32u
#define EXTENDED_SIZE 64u

#define INODE_AT_FORMAT 0 /* u16: layout << 1 | extended */
#define INODE_AT_ICOUNT 2 /* u16 */
#define INODE_AT_MODE   4 /* u16 */

#define COMPACT_AT_NLINK 6  /* u16 */
#define COMPACT_AT_SIZE  8  /* u32 */
#define COMPACT_AT_U     16 /* u32 */
#define COMPACT_AT_INO   20 /* u32 */
#define COMPACT_AT_UID   24 /* u16 */
#define COMPACT_AT_GID   26 /* u16 */

#define EXTENDED_AT_SIZE  8  /* u64 */
#define EXTENDED_AT_U     16 /* u32 */
#define EXTENDED_AT_INO   20 /* u32 */
#define EXTENDED_AT_UID   24 /* u32 */
#define EXTENDED_AT_GID   28 /* u32 */
#define EXTENDED_AT_MTIME 32 /* u64 */
#define EXTENDED_AT_NSEC  40 /* u32 */
#define EXTENDED_AT_NLINK 44 /* u32 */

enum inode_layout {
	LAYOUT_PLAIN = 0,  /* data in blocks */
	LAYOUT_INLINE = 2, /* the last bytes of data follow the inode */
	LAYOUT_CHUNK = 4,  /* block pointers follow the inode, all of them holes here */
};

/* --- files whose content is elsewhere ----------------------------------------------------------- */

#define CHUNK_BITS_MIN    12u
#define CHUNK_BITS_MAX    43u
#define CHUNK_FORMAT_V2   31u /* V2 always takes the largest */
#define CHUNK_FORMAT_MASK 31u
#define CHUNK_NULL        0xffffffffu
#define CHUNKS_MAX        1024u /* pointers of one file, hence 2^53 bytes (image-format §4.3) */

/* --- directories ------------------------------------------------------------------------------- */

#define DIRENT_SIZE    12u
#define DIRENT_AT_NID  0  /* u64 */
#define DIRENT_AT_NAME 8  /* u16, from the start of the block */
#define DIRENT_AT_TYPE 10 /* u8 */

enum dirent_type {
	DIRENT_REG = 1,
	DIRENT_DIR = 2,
	DIRENT_CHR = 3,
	DIRENT_BLK = 4,
	DIRENT_FIFO = 5,
	DIRENT_SOCK = 6,
	DIRENT_LNK = 7,
};

/* A tail of more bytes than this takes a block of its own (image-format §3). */
#define TAIL_MAX 2048u

/* --- extended attributes ------------------------------------------------------------------------ */

#define XATTR_HEADER_SIZE   12u
#define XATTR_AT_FILTER     0 /* u32 */
#define XATTR_AT_NR_SHARED  4 /* u8 */
#define XATTR_ENTRY_SIZE    4u
#define XENTRY_AT_NAME_LEN  0 /* u8, of the suffix */
#define XENTRY_AT_INDEX     1 /* u8 */
#define XENTRY_AT_VALUE_LEN 2 /* u16 */

#define XATTR_FILTER_SEED 0x25bbe08fu
#define XATTR_SHARED_MAX  128u /* references of one inode; V0 and V1 */

#define XATTR_INDEX_LUSTRE 5
#define XATTR_INDEX_MAX    6

/* --- the overlay's own xattrs --------------------------------------------------------------------- */

#define OVERLAY_PREFIX   "trusted.overlay."
#define OVERLAY_ESCAPED  "trusted.overlay.overlay."
#define OVERLAY_METACOPY "trusted.overlay.metacopy"
#define OVERLAY_REDIRECT "trusted.overlay.redirect"
#define OVERLAY_OPAQUE   "trusted.overlay.opaque"

/* Version 0, total length, flags 0, algorithm; the digest follows. */
#define METACOPY_HEADER_SIZE 4u

#define STUBS 256u /* whiteouts 00 … ff in the root (image-format §4.5) */

#endif
