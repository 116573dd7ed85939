"""Many guests, one after the other, through one zygote: nothing is left behind, and nothing is the same twice."""

import collections
import json
import signal
import subprocess

import pytest

from conftest import BUILD, RELEASE


def runs(*arguments, program="zygote_runs"):
    done = subprocess.run([BUILD / "bench" / program, *arguments], capture_output=True, text=True, timeout=120)
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
    if BUILD == RELEASE:  # the sanitizers keep what was freed
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


def pool(*arguments):
    """Two zygotes may be left: the idle spares of one that has had its guests still serve. A third is on its way out."""
    return runs(*(str(a) for a in arguments), program="pool_runs")


GOOD = "__return(6 * 7)"


def test_a_zygote_is_replaced_after_its_guests():
    report = pool(25, 3, 10, GOOD)
    assert report["values"] == [42] * 25 and report["errors"] == report["signals"] == [] and report["lost"] == 0
    assert report["zygotes"] >= 3 and report["left"] <= 3


def test_a_zygote_whose_guests_end_well_is_kept():
    report = pool(20, 3, 1000, GOOD, "throw new Error('x')", "process.exit(3)")
    assert report["zygotes"] == 1 and report["signals"] == [] and report["values"].count(42) == 7


def test_a_zygote_is_replaced_after_an_abnormal_death():
    """Every fifth guest dies by SIGSEGV: the others end as ever, on zygotes that had no such child before them."""
    report = pool(20, 1, 1000, GOOD, GOOD, GOOD, GOOD, "!crash")
    assert report["signals"] == [signal.SIGSEGV] * 4 and report["values"].count(42) == 16
    assert report["zygotes"] >= 5 and report["left"] <= 3 and report["errors"] == []


def test_a_guest_that_a_limit_killed_says_nothing_against_its_zygote():
    report = pool(20, 2, 1000, GOOD, "!limit")
    assert report["signals"] == [signal.SIGKILL] * 10 and report["values"].count(42) == 10
    assert report["zygotes"] == 1


def test_a_zygote_that_dies_takes_its_guests_only():
    report = pool(20, 2, 1000, GOOD, GOOD, GOOD, GOOD, "!zygote")
    assert report["lost"] >= 4 and report["zygotes"] >= 5 and report["errors"] == []
    assert len(report["values"]) == 20 and report["values"].count(42) >= 20 - 2 * 4 - 4


def test_workers_that_do_not_start_are_an_error_for_who_waits():
    """Not an endless series of attempts: three zygotes, and whoever waits is told why."""
    inject = [RELEASE / "tests" / "faults" / "inject", "--report=/dev/null", "--call=landlock_restrict_self", "--error=E2BIG", "--"]
    done = subprocess.run([*inject, BUILD / "bench" / "pool_runs", "2", "1", "10", GOOD], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert len(report["errors"]) == 2 and all("Landlock" in error for error in report["errors"])
    assert report["zygotes"] <= 8


def test_many_at_once_over_many_zygotes_lose_nothing():
    report = pool(120, 12, 7, GOOD, GOOD, GOOD, "!crash", "throw 1", "!limit")
    assert len(report["values"]) == 120 and report["values"].count(42) == 60
    assert sorted(report["signals"]) == [signal.SIGKILL] * 20 + [signal.SIGSEGV] * 20
    assert report["left"] <= 3 and report["lost"] == 0
