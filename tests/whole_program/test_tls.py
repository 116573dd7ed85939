"""TLS: authorities, versions, client certificates and pins, a rule at a time."""

import base64
import hashlib
import subprocess

import pytest
from conftest import allowing


def policy(certificates, **tls):
    p = allowing({"allow": "good.test", "addresses": ["127.0.0.0/8"], "tls": tls})
    p["network"]["dns"] = {"hosts": {"good.test": "127.0.0.1"}}
    p["network"]["tls"] = {"ca_file": str(certificates[1])}
    return p


def pin(certificate):
    key = subprocess.run(["openssl", "x509", "-in", certificate, "-pubkey", "-noout"], capture_output=True, check=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "der"], input=key, capture_output=True, check=True).stdout
    return "sha256/" + base64.b64encode(hashlib.sha256(der).digest()).decode()


def test_client_certificate(fetch, origin, certificates):
    home = certificates[1].parent
    url = f"https://good.test:{origin.mutual_tls}/ok"
    ours = policy(certificates, certificate=str(home / "client.pem"), key=str(home / "client.key"))
    assert fetch(url, ours)["body"] == "fine"
    without = fetch(url, policy(certificates))
    assert without["code"] in ("ERR_TLS_ALERT", "ERR_CONNECTION_RESET", "ERR_RESPONSE_INCOMPLETE"), without


def test_a_client_certificate_that_does_not_fit_its_key(fetch, origin, certificates):
    home = certificates[1].parent
    wrong = policy(certificates, certificate=str(home / "client.pem"), key=str(certificates[0]["good"][1]))
    result = fetch(f"https://good.test:{origin.mutual_tls}/ok", wrong)
    assert result["code"] == "ERR_TLS_CLIENT_CERTIFICATE", result


def test_pins(fetch, origin, certificates):
    url = f"https://good.test:{origin.tls['good']}/ok"
    right, other = pin(certificates[0]["good"][0]), pin(certificates[0]["expired"][0])
    assert fetch(url, policy(certificates, pins=[other, right]))["body"] == "fine"
    wrong = fetch(url, policy(certificates, pins=[other]))
    assert wrong["code"] == "ERR_TLS_PIN" and "good.test" in wrong["message"]


def test_a_kept_connection_is_not_shared_between_rules(postern, origin, certificates):
    """The second rule pins another key: the connection that the first one made is none for it."""
    p = policy(certificates)
    url = f"https://good.test:{origin.tls['good']}"
    p["network"]["rules"].append({"allow": url, "paths": ["/headers"], "addresses": ["127.0.0.0/8"], "tls": {"pins": [pin(certificates[0]["expired"][0])]}})
    result = postern(f"const t = (p) => fetch('{url}' + p).then((r) => r.status, (e) => e.cause.code); __return([await t('/ok'), await t('/headers'), await t('/ok')]);",
                     policy=p)
    assert result.value == [200, "ERR_TLS_PIN", 200]


def test_old_versions_are_refused(fetch, origin, certificates):
    result = fetch(f"https://good.test:{origin.old_tls}/ok", policy(certificates))
    assert result["code"] in ("ERR_TLS_ALERT", "ERR_TLS_PROTOCOL"), result


@pytest.mark.parametrize("name,text,why", [("none.pem", None, "No such file"), ("bad.pem", "nothing", "is no PEM file")])
def test_files_that_cannot_be_used(postern, certificates, tmp_path, name, text, why):
    if text is not None:
        (tmp_path / name).write_text(text)
    for p in (policy(certificates, certificate=name, key=name), {"version": 1, "network": {"tls": {"ca_file": name}}}):
        result = postern("1", policy=p, json_result=False)
        assert result.status == 3 and str(tmp_path / name) in result.err and why in result.err
