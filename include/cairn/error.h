/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Errors of libcairn.
 *
 * A function that can fail returns an int: 0 or a positive number is success, a negative number is
 * -errno. Where words help, its last parameter is a struct cairn_error (NULL when the caller does
 * not want them): fixed size, on the caller's stack, never allocated, filled only on failure.
 */
#ifndef CAIRN_ERROR_H
#define CAIRN_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define CAIRN_API __attribute__((visibility("default")))
#else
#define CAIRN_API
#endif

/* What sort of failure it was; the exit status of cairn(1) follows from it. */
enum cairn_error_kind {
	CAIRN_ERROR_SYSTEM = 1,      /* the system refused: no such file, no space, interrupted */
	CAIRN_ERROR_USAGE = 2,       /* the caller asked for something that cannot be meant */
	CAIRN_ERROR_FORMAT = 3,      /* bytes that are not what their format allows */
	CAIRN_ERROR_DIGEST = 4,      /* content does not have the digest it must have */
	CAIRN_ERROR_UNSUPPORTED = 5, /* this kernel, file system or build cannot do it */
};

#define CAIRN_ERROR_TEXT_MAX 1000 /* bytes of text, with the terminating NUL; longer is cut */

struct cairn_error {
	int code;                        /* negative errno, the same that the function returned */
	enum cairn_error_kind kind;      /* see above */
	char text[CAIRN_ERROR_TEXT_MAX]; /* one sentence without a newline, outermost noun first */
};

/* A sink for output: takes all @size bytes at @data. Returns 0, or a negative errno that the caller
 * of the writing function gets back. */
typedef int (*cairn_write_fn)(void *arg, const void *data, unsigned long size);

/* Told from time to time how far a long operation is: files (or inodes) and bytes done so far, and
 * the total of each where it is known, else 0. Never called by two threads at once. Returning
 * non-zero cancels the operation, which then fails with -ECANCELED. */
typedef int (*cairn_progress_fn)(void *arg, unsigned long long files, unsigned long long bytes,
				 unsigned long long total_files, unsigned long long total_bytes);

#ifdef __cplusplus
}
#endif

#endif
