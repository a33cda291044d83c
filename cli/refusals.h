/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* What an export could not set: all of it with --verbose, else one sentence. */
#ifndef CLI_REFUSALS_H
#define CLI_REFUSALS_H

#include "base/buf.h"
#include "cli.h"

/* Gathers words for each, to be sorted: several threads find them. */
struct refusals {
	bool verbose;
	struct buf text; /* lines, each ends with NUL */
	bool more;       /* some did not fit */
};

#define REFUSALS_MAX (64u << 20) /* bytes of all lines */
#define REFUSALS_INIT                                                                              \
	{                                                                                          \
		.text = BUF_INIT(REFUSALS_MAX)                                                     \
	}

/* For struct cairn_export_options; @arg: the struct refusals. */
void refusals_add(void *arg, const struct cairn_refusal *refusal);

/* Tells of them. Returns their number. */
uint64_t refusals_tell(struct refusals *r, const struct cairn_export_result *result);

#endif
