"""The most memory that guests had which want all of it, for two limits: each case of tests/whole_program/test_hostile_javascript.py that ends by
memory or by an error of memory, as a table in MiB."""

import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests"))
from conftest import POSTERN  # noqa: E402
from test_hostile_javascript import CAUGHT, OUT_OF_MEMORY  # noqa: E402

LIMITS = (128, 512)
cases = {**OUT_OF_MEMORY, **{name: f"try {{ {code} }} catch {{}}" for name, (code, _) in CAUGHT.items()}}


def peak(code, limit):
    with tempfile.NamedTemporaryFile("w", suffix=".mjs") as file:
        file.write(code)
        file.flush()
        done = subprocess.run([POSTERN, "run", "--json", f"--memory={limit}MiB", "--timeout=2m", file.name], capture_output=True, text=True)
    outcome = json.loads(done.stdout)
    return outcome["outcome"], outcome["usage"]["peakMemoryBytes"] >> 20


print("| case | " + " | ".join(f"{limit} MiB" for limit in LIMITS) + " |")
print("|---|" + "---|" * len(LIMITS))
for name, code in cases.items():
    print(f"| {name} | " + " | ".join("{0[1]}, {0[0]}".format(peak(code, limit)) for limit in LIMITS) + " |", flush=True)
