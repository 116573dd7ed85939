"""The address guard, by connecting for real: the host has a route to every forbidden address, a listener stands on each, and
the proof is that none of them was ever connected to."""

import json
import subprocess

import pytest
from conftest import POSTERN
from forged import REACHABLE, forged_names, forged_redirects, forged_urls
from world import FORBIDDEN, OTHER, PUBLIC, PUBLIC6, RESOLVER, World

FETCH_ALL = """
const urls = JSON.parse(process.argv[2]);
const all = [];
for (let i = 0; i < urls.length; i += 32) {
  all.push(...await Promise.all(urls.slice(i, i + 32).map((u) =>
    fetch(u).then((r) => r.text()).then((t) => t, (e) => e.cause?.code ?? e.name))));
}
__return(all);
"""


def policy(*rules, **network):
    return json.dumps({"version": 1, "network": {"permission": "allow", "rules": [r if isinstance(r, dict) else {"allow": r} for r in rules],
                                                 "dns": {"servers": [RESOLVER]}, **network}})


@pytest.fixture
def fetch_all(tmp_path):
    def run(world, urls, text, *options):
        (tmp_path / "p.yaml").write_text(text)
        (tmp_path / "job.mjs").write_text(FETCH_ALL)
        done = world.run("run", "--json", f"--policy={tmp_path}/p.yaml", *options, str(tmp_path / "job.mjs"), json.dumps(urls))
        result = json.loads(done.stdout)
        assert "value" in result, result
        return result["value"]

    return run


def test_no_forged_url_reaches_a_forbidden_listener(fetch_all):
    names = forged_names()
    urls = forged_urls() + [f"http://{name}{port}/" for name in names for port in ("", ":8080")]
    redirects = forged_redirects()
    assert len(set(urls + redirects)) >= 300
    with World({name: [answers] for name, answers in names.items()} | {"good.test": [[PUBLIC]]}) as world:
        values = fetch_all(world, urls + redirects, policy("*"))
        assert world.forbidden() == []
        reached = [u for u, v in zip(urls + redirects, values) if v == "fine"]
        assert set(reached) == {u for u in urls + redirects if u in REACHABLE}
        # The listeners do listen, and the host does have a way to them.
        assert fetch_all(world, [f"http://{FORBIDDEN[0]}/"], policy(FORBIDDEN[0])) == ["fine"]
        assert [c[0] for c in world.forbidden()] == [FORBIDDEN[0]]


@pytest.mark.parametrize("answers", [[[PUBLIC], [FORBIDDEN[0]]], [[PUBLIC], ["127.0.0.1"]], [[PUBLIC], [PUBLIC, FORBIDDEN[4]]],
                                     [[PUBLIC], ["198.41.199.1"]], [[PUBLIC, PUBLIC6], ["fd00:66::1"]]])
def test_rebinding_has_no_effect(fetch_all, answers):
    """An answer that changes between look-ups: for a second request, a redirect, a closed and a kept connection."""
    with World({"rebind.test": answers, "good.test": [[PUBLIC]]}) as world:
        urls = ["http://rebind.test/", "http://rebind.test/close", "http://rebind.test:8080/", "http://good.test/redirect?to=http://rebind.test/x",
                "http://rebind.test/redirect?to=http://rebind.test:8080/y", "http://rebind.test/"]
        (first, *_) = values = fetch_all(world, urls, policy("*"))
        assert first == "fine" and len(values) == len(urls)
        code = "const all = []; for (const u of %s) { all.push(await fetch(u).then((r) => r.text(), (e) => e.cause.code)); await new Promise((r) => setTimeout(r, 1100)); } __return(all);"
        done = world.run("eval", "--json", "--policy=/dev/stdin", code % json.dumps(urls[:3]), input=policy("*"))
        assert len(json.loads(done.stdout)["value"]) == 3
        assert world.forbidden() == []


def test_a_kept_connection_serves_only_what_its_rule_opened(fetch_all):
    """/inside may go to a private address, the rest of the host may not; the second request would find the first one's connection."""
    with World({"mixed.test": [[FORBIDDEN[0]]]}) as world:
        rules = policy({"allow": "http://mixed.test", "paths": ["/inside"], "addresses": [f"{FORBIDDEN[0]}/32"]}, "mixed.test")
        urls = ["http://mixed.test/inside", "http://mixed.test/outside"]
        code = "const all = []; for (const u of %s) all.push(await fetch(u).then((r) => r.text(), (e) => e.cause.code)); __return(all);"
        done = world.run("eval", "--json", "--policy=/dev/stdin", code % json.dumps(urls), input=rules)
        assert json.loads(done.stdout)["value"] == ["fine", "ERR_ADDRESS_BLOCKED"]
        assert [c[2] for c in world.forbidden()] == ["/inside "]


def test_own_addresses_are_watched_live(tmp_path):
    """An address that the host gets while the guest runs is one of its own from then on."""
    job = tmp_path / "job.mjs"
    job.write_text("""
      const t = (u) => fetch(u).then((r) => r.text(), (e) => e.cause.code);
      const before = await t('http://198.41.200.2/close');
      console.log('now');
      let after;
      for (let i = 0; i < 200 && after !== 'ERR_ADDRESS_BLOCKED'; i++) after = await t('http://198.41.200.2/close');
      __return([before, after]);""")
    with World() as world:
        rules = tmp_path / "p.yaml"
        rules.write_text(policy("*", limits={"headers_timeout": "500ms", "connect_timeout": "500ms"}))
        process = subprocess.Popen([*world.enter(world.host.pid), POSTERN, "run", f"--policy={rules}", str(job)], stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True)
        assert process.stdout.readline() == "now\n"
        world._in(world.host.pid, f"ip addr add {OTHER}/32 dev lo")
        rest, _ = process.communicate(timeout=60)
        assert process.returncode == 0, rest
        again = world.run("eval", "--allow-net=*", f"__return(await fetch('http://{OTHER}/').then(() => 0, (e) => e.cause.message))")
        assert "an address of this host" in again.stdout


def test_a_name_is_looked_up_only_after_a_rule_allowed_it(fetch_all):
    with World({"good.test": [[PUBLIC]], "secret-1234.evil.test": [[PUBLIC]]}) as world:
        values = fetch_all(world, ["http://good.test/", "http://secret-1234.evil.test/"], policy("good.test"))
        assert values == ["fine", "ERR_NETWORK_DENIED"]
        assert set(world.queries()) == {"good.test"}


def test_both_families_are_used(fetch_all):
    with World({"six.test": [[PUBLIC6]], "dead6.test": [["2a0f:ffff::dead", PUBLIC]]}) as world:
        assert fetch_all(world, ["http://six.test/", "http://dead6.test/"], policy("*")) == ["fine", "fine"]
        assert {c[0] for c in world.connections()} == {PUBLIC6, PUBLIC}


def test_report_mode_lets_through_and_prints_the_policy(tmp_path):
    with World({"api.test": [[PUBLIC]], "inside.test": [[FORBIDDEN[0]]]}) as world:
        code = """
          for (const path of ['/a', '/b/c']) await (await fetch('http://api.test' + path)).text();
          await (await fetch('http://api.test/a', { method: 'PUT' })).text();
          await (await fetch('http://api.test/old')).text();
          __return(await fetch('http://inside.test/').then(() => 0, (e) => e.cause.code));"""
        text = json.loads(policy("http://api.test/old", {"deny": "http://api.test/a"}))
        done = world.run("eval", "--json", "--network-report", "--policy=/dev/stdin", code, input=json.dumps(text))
        result = json.loads(done.stdout)
        assert result["value"] == "ERR_ADDRESS_BLOCKED"  # the guard still enforces
        assert world.forbidden() == []
        report = result["networkReport"]
        assert '{allow: "http://api.test", methods: [GET, PUT], paths: ["/a"]}\n' in report
        assert '{allow: "http://api.test", methods: [GET], paths: ["/b/c", "/old"]}\n' in report
        # What it prints is a policy under which the same run is denied nothing but the blocked address.
        found = tmp_path / "found.yaml"
        found.write_text(report + f"  dns: {{servers: [{RESOLVER}]}}\n")
        again = json.loads(world.run("eval", "--json", f"--policy={found}", code).stdout)
        assert (again["value"], again["usage"]["denied"]) == ("ERR_ADDRESS_BLOCKED", 1)
