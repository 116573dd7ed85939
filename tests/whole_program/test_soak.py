"""Five minutes of everything at once (tests/support/soak.py); ./dev soak does it for an hour."""

import os

from soak import Soak


def test_everything_is_answered_and_nothing_grows(tmp_path):
    Soak(float(os.environ.get("POSTERN_SOAK", "300")), tmp_path).go().check()
