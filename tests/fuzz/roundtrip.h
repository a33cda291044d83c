/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Oracles about images that several targets share. */
#ifndef FUZZ_ROUNDTRIP_H
#define FUZZ_ROUNDTRIP_H

#include "fuzz.h"
#include "tree/tree.h"

/* Writes the image of @tree, which may be refused. What was written must pass the check, and the tree
 * in it must give the same image again. */
void roundtrip(const struct tree *tree, int format);

/* Prints the tree, parses the text, and finds no difference. */
void reprint(const struct tree *tree);

#endif
