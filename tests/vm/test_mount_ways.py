#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0
"""The tests of tests/system/test_mount.py in the guest, whose kernel is older: there the ways by path
and by string are those that users get."""

import os
import sys

import pytest

SCRATCH = os.environ.get('SCRATCH')
TESTS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'system', 'test_mount.py')

if __name__ == '__main__':
    if not SCRATCH:
        print('no $SCRATCH: for tests/lib/guest.py')
        sys.exit(77)
    # The interruptions at every call take minutes in an emulated machine.
    sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', '--tb=short', '--basetemp', SCRATCH + '/pytest',
                          '-k', 'not nothing_stays_behind', TESTS]))
