"""docs/http.md is what Postern does, and what Node.js does, with each row of http_rows.py."""

import re

import pytest
from conftest import BUILD, POSTERN, allowing, our_processes
from http_rows import GROUPS, ROWS
from http_table import PRINTED, RawOrigin, ask, client, decisions


@pytest.fixture(scope="module")
def raw_origin():
    with RawOrigin() as origin:
        yield origin


@pytest.fixture(scope="module")
def table():
    return decisions()


def differing(expected, outcome):
    assert set(outcome) == {name for name, value in expected.items() if value is not None}
    return {name: {"page": value, "run": outcome[name]} for name, value in expected.items() if value not in (None, "varies") and value != outcome[name]}


def test_the_page_has_every_row_once(table):
    assert list(table) == list(ROWS) and len(ROWS) == sum(map(len, GROUPS.values())) > 200


@pytest.mark.parametrize("by_http", [False, True], ids=["fetch", "node:http"])
def test_postern_does_as_the_page_says(table, raw_origin, by_http):
    command = [POSTERN, "run", f"--allow-net={raw_origin.http},{raw_origin.other}", "--timeout=200s"]
    outcome = ask(command, PRINTED, raw_origin, by_http)
    assert differing({name: row[2 if by_http else 0] for name, row in table.items()}, outcome) == {}
    assert our_processes() == []


@pytest.mark.parametrize("by_http", [False, True], ids=["fetch", "node:http"])
def test_node_does_as_the_page_says(table, raw_origin, by_http):
    outcome = ask([(BUILD / "lib" / "postern" / "node").resolve(), "--no-warnings"], PRINTED, raw_origin, by_http)
    assert differing({name: row[3 if by_http else 1] for name, row in table.items()}, outcome) == {}


def test_each_error_names_its_cause(postern, raw_origin, table):
    """And none is the broker's end."""
    wrong = {name for name, row in table.items() if row[0].startswith("error ERR_")}
    rows = {name: row for name, row in ROWS.items() if name in wrong}
    code = client(raw_origin, rows=rows).replace("'error ' + codeOf(e)", "e.message")
    said = postern(code + "\n__return(outcome);", f"--allow-net={raw_origin.http},{raw_origin.other}", "--timeout=60s").value
    for name, message in said.items():
        assert message.startswith("fetch failed: ") and re.search(r"127\.0\.0\.1:\d+|the compressed body|the body |the header|redirects", message), (name, message)


def test_all_at_once_and_again_and_again(postern, raw_origin, table):
    """Whatever comes on the other connections, and before on the same one: each row has its own outcome."""
    rows = {name: row for name, row in ROWS.items() if "method" not in row.init}  # what is no GET may find its kept connection closed
    setup, asked = client(raw_origin, rows=rows).split("const outcome = {};")
    asked = asked.replace("await askByFetch", "() => askByFetch").replace("outcome[", "go[")
    result = postern(setup + "const go = {};" + asked + """
      const first = {}, unlike = new Set();
      for (let round = 0; round < 5; round++)
        await Promise.all(Object.entries(go).map(async ([name, ask]) => { const came = await ask(); if ((first[name] ??= came) !== came) unlike.add(name + ': ' + first[name] + ', ' + came); }));
      __return([first, [...unlike]]);""", policy=allowing(raw_origin.http, raw_origin.other))
    first, unlike = result.value
    assert unlike == []
    assert differing({name: table[name][0] for name in rows}, first) == {}
