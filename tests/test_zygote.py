"""Many guests, one after the other, through one zygote: nothing is left behind, and nothing is the same twice."""

import collections
import json
import subprocess

import pytest

from conftest import BUILD


def runs(*arguments):
    done = subprocess.run([BUILD / "bench" / "zygote_runs", *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


RANDOM = """
    const key = new Uint32Array(4);
    __return({
      math: Array.from({ length: 70 }, Math.random),  // more than V8 keeps ready at a time (64)
      bytes: Array.from(crypto.getRandomValues(key)),
      uuid: [crypto.randomUUID(), crypto.randomUUID()],
      blob: [URL.createObjectURL?.(new Blob(["x"]))].filter(Boolean),
    })"""


@pytest.fixture(scope="module")
def thousand():
    return runs("1000", RANDOM)


def test_a_thousand_runs_leave_nothing(thousand):
    assert thousand["descriptors"][0] == thousand["descriptors"][1]
    assert thousand["children"] == [0, 0]
    assert thousand["residentKiB"][1] - thousand["residentKiB"][0] < 512


def test_a_thousand_guests_share_no_random_value(thousand):
    """Math.random has 52 bits of a value, so that 70 000 of them have one pair in a million tries; the rest has more."""
    values = thousand["values"]
    assert len(values) >= 1000
    for kind in ("math", "uuid", "blob"):
        seen = collections.Counter(v for guest in values for v in guest[kind])
        assert [v for v, n in seen.items() if n > 1] == [], kind
    keys = {tuple(guest["bytes"]) for guest in values}
    assert len(keys) == len(values)
    assert all(0 <= v < 1 for guest in values for v in guest["math"])
    # Not only different: as a whole they are spread evenly. Five standard deviations of a mean.
    for place in (0, 69):
        mean = sum(guest["math"][place] for guest in values) / len(values)
        assert abs(mean - 0.5) < 5 * (1 / 12 / len(values)) ** 0.5


def test_what_is_the_same_in_a_thousand_guests_is_seen():
    """The control: of a value that a guest's zygote computed, all are alike."""
    values = runs("50", "__return(Math.floor(performance.timeOrigin / 1e9))")["values"]
    assert len(set(values)) == 1
