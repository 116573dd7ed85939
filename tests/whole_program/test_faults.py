"""Every system call of Postern's own processes fails once, and every process is killed and stopped at points from its
start to its end: the run ends with an outcome that says so, and no process stays. tests/faults/inject.cc does it from outside."""

import concurrent.futures
import itertools
import json
import os
import signal
import subprocess

import pytest

from conftest import RELEASE, POSTERN

INJECT = str(RELEASE / "tests" / "faults" / "inject")
WITHIN = 60  # seconds; a run that takes longer hangs
AT_A_TIME = 3  # runs wait more than they compute
POINTS = int(os.environ.get("POSTERN_FAULT_POINTS", 2))  # of each call that is made more often; 0: every one

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


# What only the loader does, before main: it ends with 127 and a sentence of its own, or crashes.
LOADER = {("supervisor", call) for call in ("mmap", "mprotect")}
BAD_SIGNALS = [128 + s for s in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGPIPE)]


class Job:
    """A run that uses every part: a module, a fetch, an audit log and a recording."""

    def __init__(self, directory, origin):
        self.directory = directory
        directory.mkdir(exist_ok=True)
        (directory / "x.mjs").write_text("export const x = 1;")
        (directory / "job.mjs").write_text(
            f"""import {{ x }} from './x.mjs';
            const r = await fetch('http://{origin.http}/ok');
            console.log((await r.text()).length);
            __return(x);""")
        self.command = [POSTERN, "run", "--json", f"--allow-net={origin.http}", f"--audit-log={directory}/audit.jsonl",
                        f"--record={directory}/run.har", "--timeout=10s", str(directory / "job.mjs")]  # fmt: skip

    def run(self, *how):
        """(finished process, report). That inject returns at all says that no process of the run is left."""
        report = self.directory / "report.json"
        report.unlink(missing_ok=True)
        # A pid namespace of its own: whatever is signalled or left behind stays in it.
        done = subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", INJECT, f"--report={report}", *how, "--", *self.command],
                              capture_output=True, text=True, timeout=WITHIN)  # fmt: skip
        assert report.exists(), done.stderr
        return done, json.loads(report.read_text())


@pytest.fixture
def jobs(tmp_path, origin):
    """jobs(list of ways): what was wrong, a line each, after that many runs side by side."""

    def run_all(ways):
        places = itertools.count()

        def one(way):
            job = Job(tmp_path / f"job{next(places)}", origin)
            try:
                trouble = wrong(*job.run(*way), killed={"--role=supervisor", "--signal=SIGKILL"} <= set(way))
            except subprocess.TimeoutExpired:
                trouble = "it hangs"
            return trouble and " ".join(way) + ": " + trouble

        with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
            return [line for line in pool.map(one, ways) if line]

    return run_all


@pytest.fixture
def calls(tmp_path, origin):
    """How often each role makes each call in a run that nothing disturbs."""
    done, report = Job(tmp_path / "undisturbed", origin).run("--call=all")
    assert done.returncode == 0 and json.loads(done.stdout)["value"] == 1, done.stderr + done.stdout
    assert set(report["calls"]) - {"inject"} == set(ROLES)
    assert report["injected"] == report["stray"] == 0
    return report["calls"]


def points(count, wanted):
    """Numbers from 1 to `count`, evenly spread."""
    if wanted == 0 or count <= wanted:
        return range(1, count + 1)
    return sorted({1 + round(i * (count - 1) / (wanted - 1)) for i in range(wanted)})


def wrong(done, report, killed):
    """What is wrong with how a run ended, if anything. `killed`: the supervisor itself was."""
    if report["stray"] != 0:
        return "it wanted to signal more than one process"
    if done.returncode in BAD_SIGNALS:
        return f"the supervisor crashed: {done.returncode}"
    if not done.stdout.startswith("{"):
        # Killed, or before the command line was read, or the outcome could not be printed: a sentence.
        if done.returncode == 128 + signal.SIGKILL:
            return None
        return None if done.returncode != 0 and done.stderr.strip() else f"no outcome, status {done.returncode}, {done.stderr[-200:]!r}"
    outcome = json.loads(done.stdout)
    if report["injected"] == 0 and outcome["outcome"] != "succeeded":
        return f"undisturbed, but {outcome['outcome']}"
    if killed and done.returncode == 128 + signal.SIGKILL:
        return None  # when all was said
    if outcome["outcome"] == "succeeded" and done.returncode == 4:  # all but its log or recording
        return None if "postern: " in done.stderr else "status 4 without a word"
    if (outcome["outcome"] == "succeeded") != (done.returncode == 0):
        return f"{outcome['outcome']} with status {done.returncode}"
    if outcome["outcome"] != "succeeded" and not outcome.get("error", {}).get("message"):
        return f"no reason: {done.stdout[:300]}"
    return None


@pytest.mark.parametrize("role", ROLES)
def test_every_call_fails_once(role, calls, jobs):
    ways = [(f"--role={role}", f"--call={call}", f"--nth={nth}", f"--error={error}")
            for call, count in calls[role].items() if (role, call) not in LOADER
            for error in ERRORS.get(call, [])
            for nth in points(count, POINTS)]  # fmt: skip
    assert len(ways) > 5
    assert jobs(ways) == []


@pytest.mark.parametrize("role", ROLES)
def test_a_process_is_killed_at_any_time(role, calls, jobs):
    total = sum(calls[role].values())
    ways = [(f"--role={role}", "--call=all", f"--nth={nth}", "--signal=SIGKILL") for nth in points(total, 8 if POINTS else 0)]
    assert jobs(ways) == []


# Between fork and exec Boost.Process waits for its child; nobody but the user could stop that one.
@pytest.mark.parametrize("role", [r for r in ROLES if r not in ("supervisor", "supervisor-fork")])
def test_a_process_is_stopped_at_any_time(role, calls, jobs):
    """For good: what waits for it goes on without it, or ends the run at its limit."""
    total = sum(calls[role].values())
    ways = [(f"--role={role}", "--call=all", f"--nth={nth}", "--signal=SIGSTOP") for nth in points(total, 3 if POINTS else 0)]
    assert jobs(ways) == []


def test_the_supervisor_is_stopped_and_goes_on(calls, jobs):
    total = sum(calls["supervisor"].values())
    ways = [("--role=supervisor", "--call=all", f"--nth={nth}", "--signal=SIGSTOP", "--resume-after=400") for nth in points(total, 6 if POINTS else 0)]
    assert jobs(ways) == []


def test_a_signal_breaks_nothing_off(calls, tmp_path, origin):
    """EINTR, wherever a call that waits can give it: the run succeeds."""
    for role in ("supervisor", "broker-net", "broker-files", "log"):
        for call in ("read", "write", "pwrite64", "sendmsg", "recvmsg", "poll", "epoll_wait", "wait4"):
            for nth in points(calls[role].get(call, 0), POINTS):
                done, report = Job(tmp_path / "eintr", origin).run(f"--role={role}", f"--call={call}", f"--nth={nth}", "--error=EINTR")
                loader = role == "supervisor" and call == "read" and done.returncode == 127
                assert loader or done.returncode == 0, (role, call, nth, done.stdout[:300], done.stderr[:300])


def test_a_fault_is_seen(tmp_path, origin):
    """The control: what is injected does happen."""
    done, report = Job(tmp_path, origin).run("--role=supervisor", "--call=clone", "--nth=1", "--error=EAGAIN")
    assert report["injected"] == 1 and done.returncode == 125, done.stdout
    assert "Resource temporarily unavailable" in json.loads(done.stdout)["error"]["message"]


def test_no_process_is_killed_that_never_started(tmp_path, origin):
    """Where Boost.Process could make no pipe, the pid was -1, and the supervisor killed every process of its user."""
    for nth in range(1, 6):
        done, report = Job(tmp_path, origin).run("--role=supervisor", "--call=pipe2", f"--nth={nth}", "--error=EMFILE")
        assert report["stray"] == 0 and done.returncode != 0, done.stdout


@pytest.mark.parametrize("error, status", [("ENOSPC", 4), ("EIO", 4), ("EPIPE", 141)])
def test_an_outcome_that_cannot_be_printed_is_no_success(tmp_path, error, status):
    command = [POSTERN, "eval", "--json", "1"]
    report = tmp_path / "report.json"
    count = json.loads(_inject(report, command).read_text())["calls"]["supervisor"]["write"]
    done = subprocess.run([INJECT, f"--report={report}", "--role=supervisor", "--call=write", f"--nth={count}", f"--error={error}", "--", *command],
                          capture_output=True, text=True, timeout=WITHIN)  # fmt: skip
    assert done.returncode == status and ("cannot write standard output" in done.stderr) == (status == 4)


def _inject(report, command):
    subprocess.run([INJECT, f"--report={report}", "--call=all", "--", *command], capture_output=True, check=True, timeout=WITHIN)
    return report
