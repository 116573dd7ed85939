"""Many guests, one after the other, through one zygote: nothing is left behind."""

import json
import subprocess

from conftest import BUILD


def test_a_thousand_runs_leave_nothing():
    done = subprocess.run([BUILD / "bench" / "zygote_runs", "1000"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["descriptors"][0] == report["descriptors"][1]
    assert report["children"] == [0, 0]
    assert report["residentKiB"][1] - report["residentKiB"][0] < 512
