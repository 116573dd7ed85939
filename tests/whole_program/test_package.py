"""The Debian package: what it holds and depends on, installing, using, removing and purging it in a fresh system; the man page and the
completions; `cmake --install`; and that the same source makes the same package."""

import os
import re
import shutil
import subprocess

import pytest
from conftest import POSTERN, RELEASE, ROOT
from test_containers import PODMAN
from test_image import base_tree

HELPED = ("run", "eval", "serve", "check", "explain", "doctor", "report", "manual", "completions")


def said(*words, **options):
    done = subprocess.run(words, capture_output=True, text=True, timeout=600, **options)
    assert done.returncode == 0, (words, done.stdout[-1000:], done.stderr[-1000:])
    return done.stdout


def options_of(command):
    return set(re.findall(r"--[a-z][a-z-]+", said(POSTERN, command, "--help"))) - {"--help"}


# ---- man page and completions


def test_the_man_page_has_every_command_and_option():
    page = subprocess.run(["man", "-l", "-"], input=said(POSTERN, "manual"), capture_output=True, text=True, env={**os.environ, "MANWIDTH": "300", "LC_ALL": "C.UTF-8"})
    assert page.returncode == 0 and page.stderr == "", page.stderr
    for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "EXIT STATUS", "ENVIRONMENT", "FILES", "SEE ALSO"):
        assert f"\n{section}\n" in page.stdout, section
    for command in HELPED:
        assert f"postern {command}" in page.stdout
        missing = {o for o in options_of(command) if not re.search(re.escape(o) + r"(=|\s|$)", page.stdout, re.M)}
        assert missing == set(), command


def test_the_man_page_is_without_warnings():
    done = subprocess.run(["man", "--warnings=all", "-l", "-"], input=said(POSTERN, "manual"), capture_output=True, text=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
    assert done.stderr == ""


def bash(line):
    """What bash offers for a line that is being typed."""
    script = said(POSTERN, "completions", "bash")
    words = line.split(" ")
    typed = " ".join(f"'{w}'" for w in words)
    ask = f'{script}\nCOMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; COMP_LINE="{line}"; COMP_POINT={len(line)}; _postern; printf "%s\\n" "${{COMPREPLY[@]}}"'
    return set(said("bash", "-c", ask, cwd=ROOT).split())


def test_bash_completes_commands_options_and_files():
    assert bash("postern ") >= set(HELPED)
    assert bash("postern se") == {"serve"}
    for command in HELPED:
        assert {o.removesuffix("=") for o in bash(f"postern {command} --") if o.startswith("--")} >= options_of(command), command
    assert bash("postern run --allow") == {"--allow-net="}
    assert "examples" in bash("postern run ex")


def test_fish_completes_commands_options_and_files(tmp_path):
    script = tmp_path / "postern.fish"
    script.write_text(said(POSTERN, "completions", "fish"))

    def offers(line):
        return {c.split("\t")[0] for c in said("fish", "--no-config", "-c", f"source {script}; complete -C '{line}'", cwd=ROOT, env={**os.environ, "HOME": str(tmp_path)}).splitlines()}

    assert offers("postern ") >= set(HELPED)
    for command in HELPED:
        assert {o.rstrip("=") for o in offers(f"postern {command} --")} >= options_of(command), command
    assert "examples/" in offers("postern run ex")


def test_zsh_completes_commands_and_options(tmp_path):
    """Loaded by zsh's own completion system; that it names every option is read in it."""
    (tmp_path / "_postern").write_text(said(POSTERN, "completions", "zsh"))
    check = f"""
        fpath=({tmp_path} $fpath); autoload -Uz compinit; compinit -u -D
        print -r -- "completer ${{_comps[postern]}}"
        autoload +X _postern && print -r -- loaded
    """
    text = said("zsh", "-f", "-c", check, env={**os.environ, "HOME": str(tmp_path)})
    assert "completer _postern" in text and "loaded" in text
    source = (tmp_path / "_postern").read_text()
    said("zsh", "-f", "-n", str(tmp_path / "_postern"))
    for command in HELPED:
        part = source.split(f"        {command}) _arguments")[1].split(";;")[0]
        assert all(f"'{o}" in part for o in options_of(command)), command


def test_there_are_no_completions_for_other_shells():
    done = subprocess.run([POSTERN, "completions", "csh"], capture_output=True, text=True)
    assert done.returncode == 2 and "bash, zsh and fish" in done.stderr


# ---- the package


@pytest.fixture(scope="session")
def deb(package):
    return package / "postern.deb"


def test_the_package_names_its_dependencies(deb):
    control = said("dpkg-deb", "-f", deb)
    fields = dict(line.split(": ", 1) for line in control.splitlines() if re.match(r"[A-Z]\S*: ", line))
    needed = {d.split()[0] for d in fields["Depends"].split(", ")}
    assert {"ca-certificates", "libc6"} <= needed and any(d.startswith("libcurl4") for d in needed) and any(d.startswith("libprometheus-cpp") for d in needed)
    assert fields["Package"] == "postern" and fields["Architecture"] in ("amd64", "arm64")


def test_the_package_holds_no_path_of_where_it_was_built(deb, tmp_path):
    said("dpkg-deb", "-x", deb, tmp_path)
    for file in tmp_path.rglob("*"):
        if file.is_file() and not file.is_symlink() and file.name != "node":
            assert str(ROOT).encode() not in file.read_bytes(), file


def test_the_package_has_the_licences_of_what_is_in_it(deb, tmp_path):
    said("dpkg-deb", "-x", deb, tmp_path)
    documents = tmp_path / "usr" / "share" / "doc" / "postern"
    assert "LICENSE.packages" in (documents / "copyright").read_text() and (documents / "LICENSE.node").stat().st_size > 10_000
    licences = (documents / "LICENSE.packages").read_text()
    runtime = ROOT / "worker" / "runtime"
    imported = {name for file in runtime.rglob("*.js")
                for name in re.findall(r"from '((?:@[\w-]+/)?[a-z][\w-]*)[\w/.-]*';", file.read_text())} - {"node-constants", "failure-codes"}  # fmt: skip
    assert len(imported) >= 4
    for name in imported | {"react-native-fast-url"}:
        assert re.search(rf"^{name} [\d.]+ \(", licences, re.M), name


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    tree = tmp_path_factory.mktemp("fresh") / "root"
    subprocess.run(["cp", "-a", base_tree(), tree], check=True)
    os.chmod(tree, 0o755)
    yield tree
    shutil.rmtree(tree, ignore_errors=True)


def test_installing_using_and_removing_it_in_a_fresh_system(deb, tree):
    shutil.copy(deb, tree / "postern.deb")
    before = listing(tree)
    script = """
        set -e
        apt-get update -qq >/dev/null
        apt-get install -y -qq --no-install-recommends /postern.deb >/dev/null 2>&1
        echo "status $(dpkg-query -W -f='${Status}' postern)"
        echo "eval $(postern eval '6 * 7')"
        echo "version $(postern --version)"
        test -s /usr/share/man/man1/postern.1.gz || ls /etc/dpkg/dpkg.cfg.d
        postern check /etc/postern/policy.yaml >/dev/null && echo "policy fine"
        echo "# changed" >> /etc/postern/policy.yaml
        apt-get remove -y -qq postern >/dev/null 2>&1
        test ! -e /usr/bin/postern && test ! -e /usr/lib/postern && echo "removed"
        test -e /etc/postern/policy.yaml && echo "configuration kept"
        apt-get purge -y -qq postern >/dev/null 2>&1
        test ! -e /etc/postern && echo "purged"
    """
    done = subprocess.run([*PODMAN, "--network=host", "--rootfs", tree, "/bin/sh", "-c", script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, (done.stdout, done.stderr[-2000:])
    assert done.stdout.splitlines() == ["status install ok installed", "eval 42", "version postern 0.1.0", "policy fine", "removed", "configuration kept", "purged"]
    left = {p for p in listing(tree) - before if "postern" in p and not p.startswith(("var/", "postern.deb"))}
    assert left == set()


def listing(tree):
    return {str(p.relative_to(tree)) for p in tree.rglob("*")}


def test_cmake_installs_what_the_package_has(deb, tmp_path):
    said("cmake", "--install", RELEASE, env={**os.environ, "DESTDIR": str(tmp_path / "staged")})
    staged = {str(p.relative_to(tmp_path / "staged")).replace("usr/local", "usr") for p in (tmp_path / "staged").rglob("*") if p.is_file()}
    packaged = {line.split()[-1].removeprefix("./") for line in said("dpkg-deb", "-c", deb).splitlines() if not line.startswith("d")}
    assert staged == packaged
    assert said(tmp_path / "staged" / "usr" / "local" / "bin" / "postern", "eval", "6 * 7") == "42\n"


def test_a_package_is_the_same_when_it_is_made_again(deb, tmp_path):
    """From the same build; ./dev reproducible builds twice, from nothing."""
    said("cpack", "-B", tmp_path, cwd=RELEASE)
    again = next(tmp_path.glob("*.deb"))
    assert again.read_bytes() == deb.read_bytes()


def test_the_startup_snapshot_is_the_same_when_it_is_made_again(tmp_path):
    installed = RELEASE / "lib" / "postern"
    made = (installed / "postern-worker.snapshot").read_bytes()
    again = tmp_path / "again.snapshot"
    said(
        installed / "node", "--postern-snapshot", RELEASE / "worker" / "runtime.js", again,
        env={**os.environ, "LD_PRELOAD": str(installed / "libpostern-worker.so")},
    )  # fmt: skip
    assert again.read_bytes() == made
    # V8's own field, "rehashability": 1 where each isolate hashes with its own seed, whatever seed the snapshot was made with
    assert int.from_bytes(made[4:8], "little") == 1
