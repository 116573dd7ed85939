"""Forged URLs, names and redirects: every way we know to name an address that a guest must not reach."""

import ipaddress
import itertools

from world import FORBIDDEN, PUBLIC

TARGETS = ["127.0.0.1", "10.66.0.1", "169.254.169.254", "192.168.66.1", "198.41.199.1", "0.0.0.0"]


def spellings(address):
    """A v4 address in the ways that URL parsers and resolvers take."""
    a, b, c, d = map(int, address.split("."))
    number = int(ipaddress.ip_address(address))
    yield address
    yield address + "."
    yield f"{number}"
    yield f"0x{number:x}"
    yield f"0X{number:08X}"
    yield f"0{number:o}"
    yield f"0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}"
    yield f"0{a:o}.0{b:o}.0{c:o}.0{d:o}"
    yield f"{a}.{b}.{c * 256 + d}"
    yield f"{a}.{b * 65536 + c * 256 + d}"
    yield f"0x{a:x}.{b}.0{c:o}.{d}"
    yield "".join(chr(0xFF10 + int(x)) if x.isdigit() else "\u3002" for x in address)  # full-width
    yield address.replace(".", "\uff0e")
    yield "%" + "%".join(f"{ord(x):02x}" for x in address)
    yield f"[::ffff:{address}]"
    yield f"[::ffff:{a * 256 + b:x}:{c * 256 + d:x}]"
    yield f"[::{address}]"
    yield f"[64:ff9b::{address}]"
    yield f"[64:ff9b:1::{address}]"
    yield f"[2002:{a * 256 + b:x}:{c * 256 + d:x}::]"
    yield f"[2001:0:{a * 256 + b:x}:{c * 256 + d:x}:0:0:{(a * 256 + b) ^ 0xffff:x}:{(c * 256 + d) ^ 0xffff:x}]"
    yield f"[2a0f:ffff::5efe:{address}]"
    yield f"[2a0f:ffff::200:5efe:{address}]"
    yield f"[::ffff:0:{address}]"


def forged_urls():
    urls = []
    for target in TARGETS:
        for i, spelling in enumerate(spellings(target)):
            urls.append(f"http://{spelling}{':8080' if i % 2 else ''}/")
    for host in ["localhost", "LOCALHOST", "localhost.", "a.localhost", "[::1]", "[0:0:0:0:0:0:0:1]", "[::]", "[fe80::1]", "[fd00:66::1]", "[fd00:ec2::254]",
                 "[2a0f:fffe::1]", "127.127.127.127", "127.0.1", "0", "0x0", "255.255.255.255", "224.0.0.1", "[ff02::1]", "ip6-localhost"]:
        urls += [f"http://{host}/", f"http://{host}:8080/"]
    for f in FORBIDDEN:
        host = f"[{f}]" if ":" in f else f
        urls += [f"http://{host}/", f"http://{host}:8080/"]
    for host in ["127.0.0.1", "10.66.0.1"]:
        # Parsers that disagree about where the host ends.
        urls += [f"http://good.test@{host}/", f"http://good.test:80@{host}/", f"http://good.test\\@{host}/", f"http://{host}#@good.test/",
                 f"http://{host}\\.good.test/", f"http://{host}%2f.good.test/", f"http://good.test%00.{host}/", f"http:\\\\{host}/", f"http:/{host}/",
                 f"http:{host}", f"http:///{host}/", f"\thttp://{host}/", f"http://{host}\t/", f"ht\ntp://{host}/", f"http://{host}?@good.test/",
                 f"http://{host}:80@good.test:8080/", f"http://good.test%40{host}/", f"HTTP://{host}/", f"http://{host}:0080/", f"ws://{host}/", f"ftp://{host}/",
                 f"http://{host}%2e/", f"http://{host}\u00ad/", f"http://{host}\u200b/"]
    return urls


def forged_names():
    """Names, and what the DNS answers for each."""
    names = {}
    for i, target in enumerate(["127.0.0.1", "0.0.0.0", "198.41.199.1", "::1", "::ffff:10.66.0.1", "64:ff9b::a42:1", "2a0f:fffe::1", *FORBIDDEN]):
        names[f"n{i}.test"] = [target]
        names[f"twice{i}.test"] = [target, target]
    names["xn--n-0ga.test"] = ["10.66.0.1"]
    names["metadata.google.internal"] = ["169.254.169.254"]
    return names


def forged_redirects():
    targets = list(itertools.chain(*(list(spellings(t))[:12] for t in TARGETS[:4])))
    return [f"http://{PUBLIC}/redirect?to=http://{t}/" for t in targets if all(ord(c) < 128 for c in t)] + [
        f"http://{PUBLIC}/redirect?to={t}" for t in ["//127.0.0.1/", "\\\\127.0.0.1/", "http:/127.0.0.1/", "http://n0.test/", "http://localhost/",
                                                   "ftp://127.0.0.1/", "file:///etc/passwd", "http://u:p@127.0.0.1/"]]


# Forged in looks only: these name the good host, and may reach it.
REACHABLE = {f"http://good.test\\@{h}/" for h in ("127.0.0.1", "10.66.0.1")} | {f"http://{PUBLIC}/redirect?to=http:/127.0.0.1/"}
