/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Which objects an image needs: the same for who collects, who checks and who counts. */
#ifndef STORE_NEEDS_H
#define STORE_NEEDS_H

#include <cairn/error.h>
#include <stddef.h>
#include <stdint.h>

struct image;

/* Calls @fn with the digest, @size bytes, of each object that files of @image have; of one perhaps several times.
 * An object is named by the digest beside the file, and by a path of the usual shape, which may
 * be there alone. Returns 0, what @fn returned below 0, or the failure of image_objects(). */
int image_needs(const struct image *image, size_t size, int (*fn)(void *arg, const uint8_t *digest),
		void *arg, struct cairn_error *err);

#endif
