# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""The tests of tests/system/test_mount.py with older kernels: there the ways by path and by string (6.12),
and the loop device and the merged layers (6.1), are those that users get."""

# guest: 6.12 6.1

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'system'))
# pylint: disable=wildcard-import,unused-wildcard-import
from test_mount import *  # noqa: E402,F401,F403

# The interruptions at every call take minutes in an emulated machine.
del test_nothing_stays_behind  # noqa: F821
