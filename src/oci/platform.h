/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* For which machine an image is, and which of several fits best (oci-image.md §6). */
#ifndef OCI_PLATFORM_H
#define OCI_PLATFORM_H

#include <cairn/error.h>

#include "base/macro.h"

#define OCI_WORD_MAX 32 /* characters of an operating system, architecture or variant, with NUL */

/* As oci_platform_set() makes it: lower case, one spelling, no variant that is the default. */
struct oci_platform {
	char os[OCI_WORD_MAX];
	char architecture[OCI_WORD_MAX];
	char variant[OCI_WORD_MAX];
	bool has_features; /* os.features are asked for, which we do not know */
};

/* Makes the one spelling of each word. Words that are too long become "?", which matches nothing. */
void oci_platform_set(struct oci_platform *p, const char *os, const char *architecture,
		      const char *variant);

/* The machine that `uname -m` calls @machine, running Linux. */
void oci_platform_of_machine(struct oci_platform *p, const char *machine);

/* Reads "[OS/]ARCHITECTURE[/VARIANT]". Returns 0 or -EINVAL (USAGE). */
int oci_platform_parse(const char *text, struct oci_platform *ret, struct cairn_error *err);

#define OCI_PLATFORM_TEXT_MAX (3 * OCI_WORD_MAX)
/* "linux/arm64/v9". Returns @out. */
const char *oci_platform_format(const struct oci_platform *p, char out[OCI_PLATFORM_TEXT_MAX]);

/* How well an image for @image runs on @wanted: 0 not at all, else the more the better. The same
 * architecture only; an older variant will do where the newer one includes it. */
unsigned int oci_platform_rank(const struct oci_platform *image, const struct oci_platform *wanted);

/* Attestations and the like, which are for no machine. */
bool oci_platform_is_unknown(const struct oci_platform *p);

struct oci_document;
struct oci_descriptor;

/* The entry of an index that fits best; of equals the first, but one marked as zstd comes before those
 * that are not. NULL: none fits. */
const struct oci_descriptor *oci_platform_choose(const struct oci_document *index,
						 const struct oci_platform *wanted);

#endif
