"""The web-platform tests' data files, run inside a guest: all of them pass, but for the exceptions that are named here."""

import re

import pytest
from conftest import ROOT

# By file: how many checks pass at least, and what does not hold (a pattern for its report) and why.
POLYFILL = "urlpattern-polyfill 10.1 does not"
FILES = {
    "urltestdata": (7194, {}),
    "setters_tests": (749, {}),
    "toascii": (87, {}),
    "IdnaTestV2": (2670, {}),
    "percent-encoding": (7, {}),
    "encodings": (912, {}),
    "mime-types": (69, {}),
    "generated-mime-types": (871, {r"^x/x;(,=x|x=,);bonus=x": "in a header's value a comma begins another value (Fetch, get, decode, and split)"}),
    "base64": (160, {}),
    "data-urls": (140, {}),
    "urlpatterntestdata": (1206, {
        r'^\[{"pathname":"[^"]*:a?[^\x00-\uffff\ud800-\udfff]': f"{POLYFILL} take letters outside of the BMP as names",
        r'"port":"80': f"{POLYFILL} cut a port after its digits",
        r'"hostname":"(bad|example)': f"{POLYFILL} cut a host name at what ends it in a URL",
        r"\{sub\.\}\?example\{\.com": f"{POLYFILL} let a group cross from one component to the next",
        r"--a\]|&&\[": f"{POLYFILL} compile its regular expressions with the v flag",
    }),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_data_file(postern, name):
    script = (ROOT / "tests" / "support" / "wpt_data.mjs").read_text()
    value = postern(script, "--mount", f"{ROOT / 'tests' / 'wpt'}:/wpt", "--timeout=60s", "--cpu=60s", args=(name,)).value
    least, exceptions = FILES[name]
    unexplained = [what for what in value["failed"] if not any(re.search(pattern, what) for pattern in exceptions)]
    assert unexplained == [], (len(unexplained), value["passed"])
    assert value["passed"] >= least
    stale = [pattern for pattern in exceptions if not any(re.search(pattern, what) for what in value["failed"])]
    assert stale == [], "these hold now"
