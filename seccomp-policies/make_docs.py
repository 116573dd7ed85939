"""Prints docs/seccomp.md, made from the policy files beside this program. `./dev docs` writes it; a test compares."""

import json
import pathlib

ORDER = ("guest", "guest-jitless", "zygote", "launcher", "broker-net", "broker-files", "broker-log", "supervisor")
OPERATORS = {"EQ": "=", "NE": "≠", "LT": "<", "LE": "≤", "GE": "≥", "GT": ">"}

HEAD = """# System calls, process by process

Made from `seccomp-policies/` by `./dev docs`; do not edit. A call that is not in a process's table kills the process,
and so do calls by the i386 and x32 entries. The filter tests calls in the order of its table. What an argument must be
stands beside the call: `arg 2 = 6` means that the third argument must be 6; `arg 3 & 0x20 = 0x20` that this bit must be set.

Each verdict is tested for all numbers from 0 to 600 with the edges of every restricted argument, against the compiled
filter as a pure function and in a live process (`sandbox/seccomp_policy_test.cc`).

Since Linux 6.15 the kernel lets two numbers pass every filter: `uretprobe` (335) and `uprobe` (336), by which its own probes
return. Called from anywhere else they end in SIGILL or ENXIO.
"""


def number(value):
    return str(value) if value < 16 else hex(value)


def condition(argument):
    op = argument["op"].removeprefix("SCMP_CMP_")
    name = f"arg {argument['index']}"
    if op == "MASKED_EQ":
        return f"{name} & {number(argument['value'])} = {number(argument['valueTwo'])}"
    return f"{name} {OPERATORS[op]} {number(argument['value'])}"


def table(policy):
    yield "| call | allowed if | who needs it |"
    yield "|---|---|---|"
    for rule in policy["syscalls"]:
        conditions = ", ".join(condition(a) for a in rule.get("args", []))
        if rule["action"] == "SCMP_ACT_ERRNO":
            conditions = f"never: answers errno {rule['errnoRet']}"
        names = ", ".join(f"`{n}`" for n in rule["names"])
        yield f"| {names} | {conditions.replace('|', chr(92) + '|')} | {rule['comment'].replace('|', chr(92) + '|')} |"


def document():
    here = pathlib.Path(__file__).parent
    assert sorted(p.stem for p in here.glob("*.json")) == sorted(ORDER), "a policy file that docs/seccomp.md does not know"
    lines = [HEAD]
    for name in ORDER:
        policy = json.loads((here / f"{name}.json").read_text())
        calls = len({n for rule in policy["syscalls"] for n in rule["names"]})
        lines += [f"## {name}: {calls} calls", "", policy["comment"], "", *table(policy), ""]
    return "\n".join(lines)


if __name__ == "__main__":
    print(document(), end="")
