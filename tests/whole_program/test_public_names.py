"""The names that programs, scripts and dashboards of others rely on: flags, exit statuses, error codes, metrics, keys of JSON.

public_names.txt has them all. A name that goes, or changes, breaks somebody; a new one is a decision: add its line there.
"""

import json
import pathlib
import re
import subprocess

import yaml
from conftest import POSTERN, ROOT
from server import Server
from test_handler import Handler
from test_metrics import scrape

LISTED = pathlib.Path(__file__).parent / "public_names.txt"


def flags():
    """"run --timeout", by the shell's own completions."""
    script = subprocess.run([POSTERN, "completions", "bash"], capture_output=True, text=True, check=True).stdout
    for command, options in re.findall(r"^    (\w+|'')\) options=\"(.*)\" ;;$", script, re.M):
        yield from (f"{command.strip(chr(39))} {word.rstrip('=')}".strip() for word in options.split())


def exit_statuses():
    manual = subprocess.run([POSTERN, "manual"], capture_output=True, text=True, check=True).stdout
    section = manual.split(".SH EXIT STATUS")[1].split(".SH")[0]
    for status, meaning in re.findall(r"^\.TP\n(\d+)\n(.+)$", section, re.M):
        yield f"{status} {meaning}"


def error_codes():
    """In all that is no test: a code is text, which whoever throws it writes down."""
    for folder in ("base", "broker", "channel", "cli", "clients", "har", "loop", "policy", "run_api", "server", "supervisor", "worker"):
        for file in (ROOT / folder).rglob("*"):
            if file.suffix in (".cc", ".h", ".js") and "_test." not in file.name:
                yield from re.findall(r"\bERR_[A-Z0-9_]*[A-Z0-9]\b", file.read_text())


def members(value, path=""):
    """"usage.cpuMs" of each member of an object, however deep."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"{path}{key}"
            yield from members(inner, f"{path}{key}.")
    elif isinstance(value, list):
        for inner in value:
            yield from members(inner, path)


def schema_keys(schema, path=""):
    """The same of what a JSON Schema describes."""
    if isinstance(schema, dict):
        for key, inner in schema.get("properties", {}).items():
            yield f"{path}{key}"
            yield from schema_keys(inner, f"{path}{key}.")
        for word, inner in schema.items():
            if word != "properties":
                yield from schema_keys(inner, path)
    elif isinstance(schema, list):
        for inner in schema:
            yield from schema_keys(inner, path)


def as_json(command, *words):
    return json.loads(subprocess.run([POSTERN, command, "--json", *words], capture_output=True, text=True).stdout)


def json_keys(tmp_path, origin):
    log, recording = tmp_path / "audit.jsonl", tmp_path / "recording.har"
    code = f"await (await fetch('http://{origin.http}/ok')).text(); await fetch('http://denied.example/');"
    flags = [f"--allow-net={origin.http}", f"--audit-log={log}", f"--record={recording}", "--network-report"]
    yield from (f"outcome {name}" for name in members(as_json("eval", *flags, code)))
    events = [json.loads(line) for line in log.read_text().splitlines()]
    yield from (f"audit {event['event']} {name}" for event in events for name in members(event))
    yield from (f"har {name}" for name in members(json.loads(recording.read_text())))
    yield from (f"doctor {name}" for name in as_json("doctor"))  # what lies in them is the machine's
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nnetwork: {permission: allow, rules: [{allow: 'a.example'}]}\n")
    yield from (f"explain {name}" for name in members(as_json("explain", str(policy), "GET", "http://a.example/")))
    yield from (f"policy {name}" for name in schema_keys(json.loads((ROOT / "docs/policy.schema.json").read_text())))
    api = yaml.safe_load((ROOT / "docs/openapi.yaml").read_text())
    yield from (f"api {path}" for path in api["paths"])
    yield from (f"api {name} {key}" for name, schema in api["components"]["schemas"].items() for key in schema_keys(schema))


def metrics(tmp_path):
    """The whole names, labels and their values included: queries and dashboards have them."""
    for which, server in (("runs", Server(tmp_path, "--admin-listen=0")), ("handler", Handler(tmp_path, "--admin-listen=0", "--guests=1"))):
        with server as started:
            for name in scrape(started):
                yield f"{which} {name}"


def names(tmp_path, origin):
    found = {"flag": flags(), "exit": exit_statuses(), "code": error_codes(), "key": json_keys(tmp_path, origin), "metric": metrics(tmp_path)}
    return {f"{kind} {name}" for kind, each in found.items() for name in each}


def test_they_are_those_of_the_list(tmp_path, origin):
    found = names(tmp_path, origin)
    (tmp_path / LISTED.name).write_text("".join(f"{name}\n" for name in sorted(found)))
    listed = set(LISTED.read_text().splitlines())
    gone, new = sorted(listed - found), sorted(found - listed)
    assert not gone, f"names that are gone: {gone}"
    assert not new, f"names that are not in {LISTED.name}: {new}; the whole list is {tmp_path / LISTED.name}"
