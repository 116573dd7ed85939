"""Rules that are passed: requests that a server may take for another than the rules were asked about. The next one of a kind is a
line here, or in policy/rules/path_test.cc, decision_test.cc and address_guard_test.cc."""

import pytest
from conftest import allowing

DENIED = "ERR_NETWORK_DENIED"
ASK = """
  const out = [];
  for (const [path, headers] of JSON.parse(process.argv[3]))
    out.push(await fetch(process.argv[2] + path, { method: 'POST', headers }).then((r) => r.status, (e) => e.cause.code));
  __return(out);"""

# Fields with which frameworks let a request be another one than its first line says.
METHODS = [
    [["X-HTTP-Method-Override", "DELETE"]], [["x-http-method", "DELETE"]], [["X-Method-Override", "delete"]], [["X_HTTP_Method_Override", "DELETE"]],
    [["X-HTTP-Method-Override", "GET"], ["X-HTTP-Method", "DELETE"]], [["X-HTTP-Method-Override", "GET"], ["X-HTTP-Method-Override", "DELETE"]],
    [["X-HTTP-Method-Override", "GET,DELETE"]], [["X-HTTP-Method-Override", "GET; DELETE"]], [["X-HTTP-Method-Override", '"DELETE"']],
    [["HTTP-Method-Override", "DELETE"]], [["X-Http-Methodoverride", "DELETE"]], [["_method", "DELETE"]], [["x-http-verb", "DELETE"]],
    [["X-HTTP-Verb-Override", "DELETE"]], [["X-Forwarded-Method", "DELETE"]], [["X-Requested-Method", "DELETE"]],
]
PATHS = [
    [["X-Original-URL", "/admin/keys"]], [["X-Rewrite-URL", "/admin"]], [["x_original_url", "/admin?x"]], [["X-Original-URL", "http://other/admin"]],
    [["X-Original-URL", "admin"]], [["X-Original-URL", "/ok"], ["X-Original-URL", "/admin"]], [["X-Original-URI", "/%61dmin"]],
    [["Destination", "http://other/admin/x"]], [["x-amz-copy-source", "/admin/key"]], [["X-Envoy-Original-Path", "/admin"]], [["X-MS-Original-URL", "/admin"]],
    [["X-Waws-Unencoded-Url", "/admin"]], [["X-Rewritten-URL", "/admin"]], [["X-Forwarded-Url", "/admin"]],
]


@pytest.mark.parametrize("rules,fields", [
    ([{"methods": ["GET", "POST"]}], METHODS), ([{}, {"deny": True, "methods": ["DELETE"]}], METHODS),
    ([{"paths": ["/ok"]}], PATHS), ([{}, {"deny": True, "paths": ["/admin/**"]}], PATHS),
])
def test_no_field_makes_another_request_of_it(postern, origin, rules, fields):
    import json
    host = f"http://{origin.http}"
    made = [{("deny" if rule.pop("deny", False) else "allow"): host, **rule} for rule in map(dict, rules)]
    asked = [["/ok", headers] for headers in fields] + [["/ok", [["X-Other", "DELETE /admin"]]]]
    answers = postern(ASK, args=[host, json.dumps(asked)], policy=allowing(*made)).value
    assert answers == [DENIED] * len(fields) + [200]
    assert len(origin.requests) == 1
