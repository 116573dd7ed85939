"""Abort signals of a long life: what follows one of them is forgotten when nobody needs it (DOM standard, 3.1), and is told otherwise."""

import pytest
from conftest import unless_sanitized

# Garbage enough that V8 collects what nobody holds.
COLLECTION = """
const collection = async () => {
  for (let i = 0; i < 3; i++) { for (let k = 0; k < 400; k++) new Array(10000).fill(k); await new Promise((done) => setTimeout(done, 1)); }
};
"""


@unless_sanitized
@pytest.mark.parametrize("use", ["(await fetch(url, { signal })).text()", "(await fetch(new Request(url, { signal }))).body.cancel()"])
def test_a_fetch_that_is_over_leaves_nothing_on_its_signal(postern, origin, use):
    """60 000 listeners would take more than the guest has."""
    result = postern("""
      const url = process.argv[2], { signal } = new AbortController();
      const one = async () => { for (let i = 0; i < 6000; i++) await (%s); };
      await Promise.all(Array.from({ length: 10 }, one));
      __return(signal.aborted);""" % use, "--memory=16MiB", "--timeout=60s", "--cpu=60s", f"--allow-net={origin.http}", args=[f"http://{origin.http}/ok"])
    assert result.json["outcome"] == "succeeded", (result.out, result.err)


@pytest.mark.parametrize("make", ["AbortSignal.any([signal])", "AbortSignal.any([AbortSignal.any([signal]), other])", "new Request('http://x/', { signal }).signal",
                                  "new Request(new Request('http://x/', { signal })).clone().signal", "heard(AbortSignal.any([signal]))"])
def test_a_signal_that_nobody_hears_is_forgotten(postern, make):
    """400 000 of them that follow two of a long life would take more than a hundred MiB."""
    result = postern("""
      const { signal } = new AbortController(), { signal: other } = new AbortController();
      const heard = (s) => { const f = () => {}; s.addEventListener('abort', f); s.removeEventListener('abort', f); return s; };
      for (let i = 0; i < 400_000; i++) { %s; if (i %% 1000 === 0) await new Promise(setImmediate); }
      __return(signal.aborted);""" % make, "--memory=48MiB", "--timeout=60s", "--cpu=60s", timeout=90)
    assert result.json["outcome"] == "succeeded", (result.out, result.err)
    assert result.value is False


def test_a_signal_that_somebody_hears_is_told(postern):
    """Though nothing else holds it, or what it was made of."""
    result = postern(COLLECTION + """
      const controller = new AbortController(), { signal } = controller, told = [];
      AbortSignal.any([signal]).addEventListener('abort', (e) => told.push(['event', e.target.aborted, e.target.reason]));
      AbortSignal.any([AbortSignal.any([signal]), new AbortController().signal]).onabort = () => told.push('of one that is gone');
      new Request('http://x/', { signal }).signal.addEventListener('abort', () => told.push('request'), { once: true });
      const kept = AbortSignal.any([AbortSignal.any([signal])]);
      const target = new EventTarget();
      target.addEventListener('x', () => told.push('not this'), { signal: AbortSignal.any([signal]) });
      await collection();
      signal.addEventListener('abort', () => told.push(['all at once', kept.aborted]));
      controller.abort('why');
      target.dispatchEvent(new Event('x'));
      __return([told, kept.aborted, kept.reason, AbortSignal.any([kept]).aborted]);""", "--timeout=30s")
    assert result.json["outcome"] == "succeeded", (result.out, result.err)
    told, *rest = result.value
    assert told[0] == ["all at once", True] and sorted(map(str, told[1:])) == sorted(map(str, [["event", True, "why"], "of one that is gone", "request"]))
    assert rest == [True, "why", True]
