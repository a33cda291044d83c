/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Which images are mounted on this machine. */
#ifndef API_MOUNTED_H
#define API_MOUNTED_H

#include <cairn/digest.h>

/* Calls @fn for each image that is mounted, of one perhaps several times (gc_mounted_fn of store/gc.h). Returns 0 or what @fn
 * returned below 0. */
int mounted_images(int (*fn)(void *arg, const struct cairn_digest *id), void *arg);

#endif
