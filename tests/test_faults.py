"""Every system call of Postern's own processes fails once, and every process is killed and stopped at points from its
start to its end: the run ends with an outcome that says so, and no process stays. tests/faults/inject.cc does it from outside."""

import json
import signal
import subprocess

import pytest

from conftest import BUILD, POSTERN

INJECT = str(BUILD / "tests" / "faults" / "inject")
WITHIN = 25  # seconds; a run that hangs is one that takes longer

# What each call may fail with; what a kernel never answers is left out (close: the descriptor is gone in any case).
ERRORS = {
    "clone": ["EAGAIN", "ENOMEM"], "pipe2": ["EMFILE"], "socketpair": ["EMFILE"], "socket": ["EMFILE"], "memfd_create": ["ENOMEM"],
    "eventfd2": ["EMFILE"], "epoll_create1": ["EMFILE"], "timerfd_create": ["EMFILE"], "pidfd_open": ["EMFILE"], "openat": ["EMFILE"],
    "openat2": ["EMFILE"], "epoll_ctl": ["ENOMEM"], "fcntl": ["EMFILE"], "dup2": ["EINTR"], "mmap": ["ENOMEM"], "mprotect": ["ENOMEM"],
    "read": ["EINTR", "EIO"], "write": ["EINTR", "ENOSPC"], "pwrite64": ["ENOSPC", "EINTR"], "sendmsg": ["EINTR", "ENOBUFS"],
    "recvmsg": ["EINTR", "ENOMEM"], "epoll_wait": ["EINTR"], "poll": ["EINTR"], "wait4": ["EINTR"], "connect": ["EADDRNOTAVAIL"],
    "sendto": ["EINTR", "ENOBUFS"], "recvfrom": ["EINTR", "ECONNRESET"], "getsockname": ["ENOBUFS"], "getpeername": ["ENOTCONN"],
    "setsockopt": ["ENOMEM"], "ioctl": ["ENOTTY"], "lseek": ["EINVAL"], "newfstatat": ["ENOMEM"], "getrandom": ["EINTR"], "prctl": ["EINVAL"],
    "seccomp": ["ENOMEM"], "unshare": ["EPERM", "ENOSPC"], "mount": ["EPERM"], "pivot_root": ["EPERM"], "chdir": ["EACCES"],
    "capset": ["EPERM"], "setgroups": ["EPERM"], "setresuid": ["EAGAIN"], "setresgid": ["EPERM"], "landlock_create_ruleset": ["ENOSYS", "EMFILE"],
    "landlock_add_rule": ["ENOMEM"], "landlock_restrict_self": ["E2BIG"], "prlimit64": ["EINVAL"], "close_range": ["ENOSYS"], "execve": ["ENOMEM"],
    "timerfd_settime": ["EINVAL"], "getdents64": ["ENOENT"], "madvise": ["ENOMEM"], "pidfd_send_signal": ["ESRCH"],
}  # fmt: skip
ROLES = ["supervisor", "supervisor-fork", "worker", "zygote", "guest", "broker-net-launcher", "broker-net", "broker-files-launcher",
         "broker-files", "log-launcher", "log"]  # fmt: skip


class Job:
    """A run that uses every part: a module, a fetch, an audit log and a recording."""

    def __init__(self, directory, origin):
        self.directory = directory
        (directory / "x.mjs").write_text("export const x = 1;")
        (directory / "job.mjs").write_text(
            f"""import {{ x }} from './x.mjs';
            const r = await fetch('http://{origin.host}/plain');
            console.log((await r.text()).length);
            __return(x);""")
        self.command = [POSTERN, "run", "--json", f"--allow-net={origin.host}", f"--audit-log={directory}/audit.jsonl",
                        f"--record={directory}/run.har", "--timeout=10s", str(directory / "job.mjs")]  # fmt: skip

    def run(self, *how):
        """(finished process, report). That inject returns at all says that no process of the run is left."""
        report = self.directory / "report.json"
        report.unlink(missing_ok=True)
        done = subprocess.run([INJECT, f"--report={report}", *how, "--", *self.command], capture_output=True, text=True, timeout=WITHIN)
        return done, json.loads(report.read_text())

    def count(self, call, role):
        return self.run(f"--call={call}")[1]["calls"].get(role, {})


@pytest.fixture
def job(tmp_path, origin):
    return Job(tmp_path, origin)


def wrong(done, report, output_failed=False):
    """What is wrong with how a run ended, if anything."""
    if report["stray"] != 0:
        return "it wanted to signal more than one process"
    if report["injected"] != 1:
        return f"injected {report['injected']} times"
    if done.returncode not in (0, 1, 2, 3, 124, 125, 127, 137, 159, *(128 + s for s in (signal.SIGKILL, signal.SIGTRAP))):
        return f"status {done.returncode}"
    if output_failed:
        return None if done.returncode != 0 else "status 0 without its output"
    if not done.stdout.startswith("{"):
        # Before the command line was read, or as the result is printed: a sentence.
        return None if done.returncode != 0 and done.stderr.strip() else f"no outcome, status {done.returncode}, {done.stderr[-200:]!r}"
    outcome = json.loads(done.stdout)
    if (outcome["outcome"] == "succeeded") != (done.returncode == 0):
        return f"{outcome['outcome']} with status {done.returncode}"
    if outcome["outcome"] != "succeeded" and not outcome.get("error", {}).get("message"):
        return f"no reason: {done.stdout[:300]}"
    return None
