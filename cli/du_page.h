/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The page that shows how the images of a store share their bytes. */
#ifndef CLI_DU_PAGE_H
#define CLI_DU_PAGE_H

#include "cli.h"

/* Writes @file: HTML with the picture in it, which needs nothing else. Returns 0 or a negative errno. */
int du_page_write(const char *file, const char *store, const struct cairn_usage *usage);

#endif
