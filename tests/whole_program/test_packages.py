"""Packages from npm that guests run as they are: installed here with npm, imported and used; what speaks to a service speaks to a local
fake of it."""

import http.server
import json
import subprocess
import threading
import uuid

import pytest
from conftest import BUILD, POSTERN, our_processes, unless_sanitized
from package_programs import FILES, LIKE_NODE, REFUSED, TOOLS

NODE = BUILD / "lib" / "postern" / "node"


@pytest.fixture
def run(installed):
    def run(code, *options, name="job.mjs"):
        (installed / name).write_text(code)
        done = subprocess.run([POSTERN, "run", "--json", "--timeout=30s", *options, installed / name], capture_output=True, text=True, timeout=60)
        outcome = json.loads(done.stdout)
        assert outcome["outcome"] == "succeeded", outcome
        assert our_processes() == []
        return outcome["value"]

    return run


# By package: what is run, and what it returns.
OFFLINE = {
    "zod": ("""import { z } from 'zod';
      const User = z.object({ name: z.string().min(1), age: z.number().int().optional(), at: z.coerce.date() });
      const bad = User.safeParse({ name: '', age: 1.5, at: 'never' });
      __return([User.parse({ name: 'a', at: '2020-01-01' }).at, bad.success, bad.error.issues.map((i) => i.path[0])]);""",
            ["2020-01-01T00:00:00.000Z", False, ["name", "age", "at"]]),
    "lodash": ("""import _ from 'lodash'; import debounce from 'lodash/debounce.js';
      let n = 0; const f = debounce(() => n++, 5); f(); f(); await new Promise((r) => setTimeout(r, 50));
      __return([_.chunk([1, 2, 3], 2), _.camelCase('to be'), _.merge({ a: { b: 1 } }, { a: { c: 2 } }), _.template('<%= x %>!')({ x: 1 }), n]);""",
               [[[1, 2], [3]], "toBe", {"a": {"b": 1, "c": 2}}, "1!", 1]),
    "date-fns": ("""import { addMonths, differenceInDays, format, formatDistance } from 'date-fns'; import { de } from 'date-fns/locale';
      const d = new Date(2024, 0, 31);
      __return([format(addMonths(d, 1), 'yyyy-MM-dd'), differenceInDays(new Date(2024, 2, 1), d), format(d, 'EEEE', { locale: de }), formatDistance(0, 60_000)]);""",
                 ["2024-02-29", 30, "Mittwoch", "1 minute"]),
    "hono": ("""import { Hono } from 'hono'; import { cors } from 'hono/cors'; import { html } from 'hono/html'; import { sign, verify } from 'hono/jwt';
      const app = new Hono(); app.use(cors()); app.get('/u/:id', (c) => c.json({ id: c.req.param('id') })); app.get('/h', (c) => c.html(html`<b>${'<'}</b>`));
      const r = await app.request('/u/7'); const t = await sign({ a: 1 }, 's', 'HS256');
      __return([await r.json(), r.headers.get('access-control-allow-origin'), await (await app.request('/h')).text(), (await verify(t, 's', 'HS256')).a]);""",
             [{"id": "7"}, "*", "<b>&lt;</b>", 1]),
    "fs-extra": ("""import fs from 'fs-extra';
      await fs.outputJson('/tmp/a/b.json', { a: 1 }); await fs.copy('/tmp/a', '/tmp/c'); await fs.copy(new URL('package.json', import.meta.url).pathname, '/tmp/c/p.json'); await fs.move('/tmp/a', '/tmp/d/e'); await fs.emptyDir('/tmp/d');
      __return([await fs.readJson('/tmp/c/b.json'), (await fs.readJson('/tmp/c/p.json')).private, await fs.pathExists('/tmp/a'), await fs.readdir('/tmp/d'), (await fs.ensureDir('/tmp/x/y'), fs.statSync('/tmp/x/y').isDirectory())]);""",
                 [{"a": 1}, True, False, [], True]),
    "graceful-fs": ("""import fs from 'graceful-fs'; import { promisify } from 'node:util';
      await promisify(fs.writeFile)('/tmp/a', 'x'.repeat(100_000)); let n = 0; for await (const piece of fs.createReadStream('/tmp/a')) n += piece.length;
      const all = await Promise.all(Array.from({ length: 50 }, () => promisify(fs.readFile)('/tmp/a', 'utf8')));
      const out = fs.createWriteStream('/tmp/b'); out.end('y'); await new Promise((done) => out.on('close', done));
      __return([n, all.every((text) => text.length === 100_000), fs.readFileSync('/tmp/b', 'utf8')]);""", [100_000, True, "y"]),
    "globby": ("""import { globby } from 'globby'; import fs from 'node:fs';
      fs.mkdirSync('/tmp/a/b', { recursive: true }); for (const name of ['x.js', 'b/y.js', 'b/z.js', 'c.txt']) fs.writeFileSync('/tmp/a/' + name, '');
      fs.writeFileSync('/tmp/a/.gitignore', 'z.js');
      __return([(await globby('**/*.js', { cwd: '/tmp/a', gitignore: true })).sort(), await globby(['*', '!*.js'], { cwd: '/tmp/a' })]);""",
               [["b/y.js", "x.js"], ["c.txt"]]),
    "tar": ("""import * as tar from 'tar'; import fs from 'node:fs';
      fs.mkdirSync('/tmp/a/b', { recursive: true }); fs.writeFileSync('/tmp/a/b/x.txt', 'hello'); fs.writeFileSync('/tmp/a/y', 'z'.repeat(300_000));
      await tar.c({ gzip: true, file: '/tmp/o.tgz', portable: true, cwd: '/tmp' }, ['a']); fs.rmSync('/tmp/a', { recursive: true });
      const seen = []; await tar.t({ file: '/tmp/o.tgz', onReadEntry: (entry) => seen.push(entry.path) }); await tar.x({ file: '/tmp/o.tgz', cwd: '/tmp' });
      __return([seen.sort(), fs.readFileSync('/tmp/a/b/x.txt', 'utf8'), fs.statSync('/tmp/a/y').size]);""",
            [["a/", "a/b/", "a/b/x.txt", "a/y"], "hello", 300_000]),
    "openpgp": ("""import * as pgp from 'openpgp';
      const { privateKey, publicKey } = await pgp.generateKey({ userIDs: [{ name: 'A', email: 'a@b.example' }], format: 'object' });
      const sealed = await pgp.encrypt({ message: await pgp.createMessage({ text: 'hi' }), encryptionKeys: publicKey, signingKeys: privateKey });
      const { data, signatures } = await pgp.decrypt({ message: await pgp.readMessage({ armoredMessage: sealed }), decryptionKeys: privateKey, verificationKeys: publicKey });
      const byPassword = await pgp.encrypt({ message: await pgp.createMessage({ text: 'ho' }), passwords: ['p'] });
      const second = await pgp.decrypt({ message: await pgp.readMessage({ armoredMessage: byPassword }), passwords: ['p'] });
      __return([sealed.split('\\n')[0].trim(), data, await signatures[0].verified, second.data]);""",
                ["-----BEGIN PGP MESSAGE-----", "hi", True, "ho"]),
    "jsonwebtoken": ("""import jwt from 'jsonwebtoken'; import { generateKeyPairSync } from 'node:crypto';
      const out = [], pem = { publicKeyEncoding: { type: 'spki', format: 'pem' }, privateKeyEncoding: { type: 'pkcs8', format: 'pem' } };
      const rsa = generateKeyPairSync('rsa', { modulusLength: 2048, ...pem }), ec = generateKeyPairSync('ec', { namedCurve: 'P-256', ...pem });
      for (const [algorithm, keys] of [['HS256', { privateKey: 's', publicKey: 's' }], ['RS256', rsa], ['PS512', rsa], ['ES256', ec]])
        out.push(jwt.verify(jwt.sign({ a: 1 }, keys.privateKey, { algorithm, expiresIn: '1h' }), keys.publicKey, { algorithms: [algorithm] }).a);
      try { jwt.verify(jwt.sign({}, rsa.privateKey, { algorithm: 'RS256' }) + 'x', rsa.publicKey); } catch (e) { out.push(e.name); }
      __return(out);""", [1, 1, 1, 1, "JsonWebTokenError"]),
    "web-push": ("""import webpush from 'web-push'; import crypto from 'node:crypto'; import ece from 'http_ece';
      const server = webpush.generateVAPIDKeys(), user = crypto.createECDH('prime256v1'), auth = crypto.randomBytes(16);
      const keys = { p256dh: user.generateKeys('base64url'), auth: auth.toString('base64url') };
      const made = webpush.generateRequestDetails({ endpoint: 'https://push.example/1', keys }, 'hello', { vapidDetails: { subject: 'mailto:a@b.example', ...server } });
      __return([String(ece.decrypt(made.body, { version: 'aes128gcm', privateKey: user, authSecret: auth.toString('base64url') })), made.headers.Authorization.split(' ')[0], server.publicKey.length]);""",
                 ["hello", "vapid", 87]),
    "jose": ("""import * as jose from 'jose';
      const out = [];
      for (const alg of ['HS256', 'RS256', 'PS384', 'ES256', 'ES512', 'EdDSA']) {
        const secret = new Uint8Array(32).fill(1);
        const keys = alg === 'HS256' ? { privateKey: secret, publicKey: secret } : await jose.generateKeyPair(alg, { extractable: true });
        const token = await new jose.SignJWT({ a: 1 }).setProtectedHeader({ alg }).setExpirationTime('1h').sign(keys.privateKey);
        out.push((await jose.jwtVerify(token, keys.publicKey)).payload.a);
      }
      for (const [alg, enc] of [['RSA-OAEP-256', 'A256GCM'], ['ECDH-ES+A128KW', 'A128CBC-HS256'], ['dir', 'A256GCM'], ['PBES2-HS256+A128KW', 'A128GCM']]) {
        const secret = new Uint8Array(32).fill(2);
        const keys = alg === 'dir' || alg.startsWith('PB') ? { publicKey: secret, privateKey: secret } : await jose.generateKeyPair(alg);
        const sealed = await new jose.EncryptJWT({ b: 2 }).setProtectedHeader({ alg, enc }).encrypt(keys.publicKey);
        out.push((await jose.jwtDecrypt(sealed, keys.privateKey, { keyManagementAlgorithms: [alg] })).payload.b);
      }
      const { publicKey } = await jose.generateKeyPair('ES256', { extractable: true });
      out.push((await jose.exportJWK(publicKey)).crv, (await jose.exportSPKI(publicKey)).startsWith('-----BEGIN PUBLIC KEY'));
      __return(out);""", [1] * 6 + [2] * 4 + ["P-256", True]),
    "cheerio": ("""import * as cheerio from 'cheerio';
      const $ = cheerio.load('<ul><li class=a>x</li><li>y</li></ul>'); $('li').last().addClass('z').text('<');
      __return([$('.a').text(), $('ul').html(), $('li').map((_, e) => $(e).attr('class')).get()]);""",
                ["x", '<li class="a">x</li><li class="z">&lt;</li>', ["a", "z"]]),
    "marked": ("import { marked } from 'marked'; __return(await marked('# hi\\n\\n- [x] a `b`\\n'));", '<h1>hi</h1>\n<ul>\n<li><input checked="" disabled="" type="checkbox"> a <code>b</code></li>\n</ul>\n'),
    "js-yaml": ("""import { load, dump } from 'js-yaml'; const v = load('a: [1, 2]\\nb: {c: !!str 3}\\n');
      let name; try { load('a: [1'); } catch (e) { name = e.name; } __return([v, load(dump({ x: [1, { z: null }] })), name]);""",
                [{"a": [1, 2], "b": {"c": "3"}}, {"x": [1, {"z": None}]}, "YAMLException"]),
    "uuid": ("""import { v1, v3, v4, v5, v7, validate, version } from 'uuid';
      __return([v5('a', v5.URL), v3('a', v3.DNS), [v1(), v4(), v7()].map((u) => validate(u) && version(u))]);""",
             ["e1407479-3136-56c0-9908-bb02fb0339e2", str(uuid.uuid3(uuid.NAMESPACE_DNS, "a")), [1, 4, 7]]),
    "nanoid": ("import { nanoid, customAlphabet } from 'nanoid'; __return([nanoid().length, customAlphabet('ab', 5)().length, nanoid() === nanoid()]);", [21, 5, False]),
    "rxjs": ("""import { firstValueFrom, from, interval, map, mergeMap, of, take, toArray } from 'rxjs'; import { delay } from 'rxjs/operators';
      __return(await Promise.all([firstValueFrom(from([1, 2, 3]).pipe(mergeMap((x) => of(x * 2).pipe(delay(1))), toArray())),
        firstValueFrom(interval(1).pipe(take(3), map((x) => x + 1), toArray()))]));""", [[2, 4, 6], [1, 2, 3]]),
    "immer": ("""import { enableMapSet, produce } from 'immer'; enableMapSet();
      const a = { l: [1], m: new Map([['k', { n: 1 }]]) }; const b = produce(a, (d) => { d.l.push(2); d.m.get('k').n = 5; });
      __return([a.l, b.l, a.m, b.m, Object.isFrozen(b)]);""", [[1], [1, 2], [["k", {"n": 1}]], [["k", {"n": 5}]], True]),
    "ajv": ("""import Ajv from 'ajv'; const v = new Ajv({ allErrors: true }).compile({ type: 'object', required: ['a'], properties: { b: { type: 'integer', minimum: 3 } } });
      __return([v({ a: 1, b: 3 }), v({ b: 2.5 }), v.errors.map((e) => e.keyword).sort()]);""", [True, False, ["minimum", "required", "type"]]),
}


def test_typescript_with_metadata_for_injection_and_jsx_on_a_server(installed):
    """What needs TypeScript's own compiler: legacy decorators with the types that they are for, and JSX."""
    (installed / "tsconfig.json").write_text('{"compilerOptions": {"experimentalDecorators": true, "emitDecoratorMetadata": true, "jsx": "react-jsx"}}')
    (installed / "service.ts").write_text("import { injectable } from 'tsyringe'; export enum Level { Low, High } @injectable() export class Service { level = Level[Level.High]; }")
    (installed / "job.tsx").write_text("""import 'reflect-metadata'; import { container, injectable } from 'tsyringe'; import { renderToString } from 'react-dom/server'; import { type FC, useState } from 'react'; import { Service } from './service';
      @injectable() class App { constructor(readonly service: Service) {} }
      const View: FC<{ name: string }> = ({ name }) => { const [n] = useState(3); return <p className="x">{name}<b>{n}</b></p>; };
      __return([container.resolve(App).service.level, renderToString(<View name={'<'} />)]);""")
    done = subprocess.run([POSTERN, "run", "--json", "--timeout=30s", installed / "job.tsx"], capture_output=True, text=True, timeout=60)
    (installed / "tsconfig.json").unlink()
    assert json.loads(done.stdout).get("value") == ["High", '<p class="x">&lt;<b>3</b></p>'], done.stdout


@unless_sanitized
def test_a_database_of_wasm(installed):
    """Its code and its memory count: where they do not fit, that is the outcome, and no crash of V8's."""
    (installed / "duck.cjs").write_text("""
      const { dirname, join } = require('path'), blocking = require.resolve('@duckdb/duckdb-wasm/dist/duckdb-node-blocking.cjs'), duckdb = require(blocking);
      const bundle = (name) => ({ mainModule: join(dirname(blocking), `duckdb-${name}.wasm`), mainWorker: '' });
      (async () => {
        const db = await duckdb.createDuckDB({ mvp: bundle('mvp'), eh: bundle('eh') }, new duckdb.VoidLogger(), duckdb.NODE_RUNTIME);
        await db.instantiate(() => {});
        console.log(db.connect().query('select 6 * 7 as n, sum(range) as s from range(1000)').toArray().map(String).join());
      })();""")
    run = lambda *options: subprocess.run([POSTERN, "run", *options, installed / "duck.cjs"], capture_output=True, text=True, timeout=60)  # noqa: E731
    small, large = run(), run("--memory=512MiB")
    assert (small.returncode, small.stdout) == (137, "") and "--memory" in small.stderr, small.stderr
    assert (large.returncode, large.stdout) == (0, '{"n": 42, "s": 499500}\n'), large.stderr


@pytest.mark.parametrize("package", OFFLINE)
def test_a_package_that_needs_nothing(run, package):
    code, expected = OFFLINE[package]
    value = run(code)
    assert value == expected


def printed(home, *words, mount=()):
    """What a program prints, and its exit code: in Node.js, and in a guest."""
    return [
        (done.stdout, done.returncode)
        for command in ([NODE, "--no-warnings"], [POSTERN, "run", "--timeout=30s", f"--cwd={home}", *mount])
        for done in [subprocess.run([*command, *words], capture_output=True, text=True, timeout=60, cwd=home, env={}, stdin=subprocess.DEVNULL)]
    ]


@pytest.mark.parametrize("package", LIKE_NODE)
def test_a_package_prints_what_it_prints_in_node(installed, package):
    (installed / "like.mjs").write_text(LIKE_NODE[package][1])
    by_node, by_guest = printed(installed, installed / "like.mjs")
    assert by_guest == by_node and by_node[0] != ""


@pytest.mark.parametrize("package", REFUSED)
def test_a_package_that_needs_what_no_guest_has_says_so(installed, package):
    _, code, sentence = REFUSED[package]
    (installed / "refused.mjs").write_text(code)
    done = subprocess.run([POSTERN, "run", "--timeout=30s", installed / "refused.mjs"], capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith(sentence) and done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("package", TOOLS)
def test_a_tool_prints_what_it_prints_in_node(installed, package):
    home = installed / "data"
    home.mkdir(exist_ok=True)
    for name, text in FILES.items():
        (home / name).write_text(text)
    tool, *words = TOOLS[package]
    by_node, by_guest = printed(home, installed / "node_modules" / ".bin" / tool, *words, mount=[f"--mount={home}"])
    assert by_guest == by_node and by_node[1] == 0


def test_commonjs_packages_by_require(run):
    value = run("""
      const names = ['zod', 'lodash', 'date-fns', 'axios', 'cheerio', 'rxjs', 'immer', 'ajv', 'uuid', 'js-yaml', 'openai', 'stripe'];
      __return(names.map((name) => typeof require(name)));""", name="job.cjs")
    assert set(value) <= {"function", "object"} and len(value) == 12


class Service(http.server.BaseHTTPRequestHandler):
    """Says what it was asked; streams what a model would."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
        asked = {"method": self.command, "path": self.path, "body": body, "headers": {k.lower(): v for k, v in self.headers.items()}}
        if '"stream":true' in body:
            events = self.server.events[self.path]
            data = "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" if "type" in e else f"data: {json.dumps(e)}\n\n" for e in events)
            if self.path.endswith("completions"):
                data += "data: [DONE]\n\n"
            self.reply("text/event-stream", data)
        elif self.path.startswith("/fail"):
            self.reply("application/json", json.dumps({"error": {"message": "no such thing", "type": "not_found"}}), 404)
        else:
            self.reply("application/json", json.dumps(asked))

    def reply(self, kind, text, status=200):
        data = text.encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    def log_message(self, *_):
        pass


@pytest.fixture
def service():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
    server.events = {
        "/v1/chat/completions": [{"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": t}}]} for t in ("Hel", "lo")],
        "/v1/messages": [
            {"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "content": [], "model": "x", "usage": {"input_tokens": 1, "output_tokens": 1}}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}},
            {"type": "content_block_stop", "index": 0}, {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
            {"type": "message_stop"}],
    }  # fmt: skip
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield "127.0.0.1:%d" % server.server_address[1]
    server.shutdown()


# By package: with {at} for the service's host and port.
ONLINE = {
    "ky": ("""import ky from 'ky'; const api = ky.create({ prefixUrl: 'http://{at}', retry: 0 });
      const got = await api.post('x', { json: { a: 1 }, searchParams: { q: 'ü' } }).json(); let status; try { await api.get('fail'); } catch (e) { status = e.response.status; }
      __return([got.path, got.body, status]);""", ["/x?q=%C3%BC", '{"a":1}', 404]),
    "got": ("""import got from 'got';
      const asked = await got.post('http://{at}/g', { json: { a: 1 }, searchParams: { q: 1 }, headers: { 'x-y': 'z' } }).json(); const e = await got('http://{at}/fail', { retry: { limit: 0 } }).catch((e) => e);
      let n = 0; for await (const chunk of got.stream('http://{at}/s')) n += chunk.length; const refused = await got('http://127.0.0.1:1/', { retry: { limit: 0 } }).catch((e) => e);
      __return([asked.path, asked.body, asked.headers['x-y'], e.response.statusCode, n > 10, refused.code]);""", ["/g?q=1", '{"a":1}', "z", 404, True, "EACCES"]),
    "node-fetch": ("""import fetch, { FormData } from 'node-fetch'; const body = new FormData(); body.set('k', 'v');
      const asked = await (await fetch('http://{at}/n?x#y', { method: 'POST', body })).json(); __return([asked.path, asked.body.includes('name="k"'), (await fetch('http://{at}/fail')).status]);""", ["/n?x", True, 404]),
    "axios with fetch": ("""import axios from 'axios'; const api = axios.create({ baseURL: 'http://{at}', adapter: 'fetch' });
      const { data } = await api.put('/y', { b: 2 }, { params: { z: 1 }, auth: { username: 'u', password: 'p' } });
      const e = await api.get('/fail').catch((e) => e); __return([data.method, data.path, data.body, data.headers.authorization, e.response.status, e.code]);""",
                         ["PUT", "/y?z=1", '{"b":2}', "Basic dTpw", 404, "ERR_BAD_REQUEST"]),
    "axios with node:http": ("""import axios from 'axios';
      const { data } = await axios.post('http://{at}/z', new URLSearchParams({ a: 'b c' }), { adapter: 'http' }); const e = await axios.get('http://127.0.0.1:1/').catch((e) => e);
      __return([data.body, data.headers['content-type'], e.code]);""", ["a=b+c", "application/x-www-form-urlencoded;charset=utf-8", "EACCES"]),
    "openai": ("""import OpenAI from 'openai'; const client = new OpenAI({ apiKey: 'key', baseURL: 'http://{at}/v1', maxRetries: 0 });
      const asked = await client.chat.completions.create({ model: 'm', messages: [{ role: 'user', content: 'hi' }] }); let text = '';
      for await (const chunk of await client.chat.completions.create({ model: 'm', messages: [], stream: true })) text += chunk.choices[0].delta.content;
      const e = await new OpenAI({ apiKey: 'k', baseURL: 'http://{at}/fail', maxRetries: 0 }).models.list().catch((e) => e);
      __return([asked.path, JSON.parse(asked.body).model, asked.headers.authorization, text, e.constructor.name, e.status]);""",
               ["/v1/chat/completions", "m", "Bearer key", "Hello", "NotFoundError", 404]),
    "@anthropic-ai/sdk": ("""import Anthropic from '@anthropic-ai/sdk'; const client = new Anthropic({ apiKey: 'key', baseURL: 'http://{at}', maxRetries: 0 });
      const asked = await client.messages.create({ model: 'm', max_tokens: 5, messages: [{ role: 'user', content: 'hi' }] });
      const final = await client.messages.stream({ model: 'm', max_tokens: 5, messages: [{ role: 'user', content: 'hi' }] }).finalMessage();
      __return([asked.path, asked.headers.authorization, final.content[0].text, final.usage.output_tokens]);""", ["/v1/messages", "Bearer key", "Hello", 2]),
    "stripe": ("""import Stripe from 'stripe'; const [host, port] = '{at}'.split(':'); const out = [];
      for (const httpClient of [Stripe.createNodeHttpClient(), Stripe.createFetchHttpClient()]) {
        const stripe = new Stripe('sk_test_1', { host, port, protocol: 'http', maxNetworkRetries: 0, httpClient });
        const asked = await stripe.customers.create({ email: 'a@b.example', metadata: { k: 'v' } }); out.push(asked.path, asked.body, asked.headers.authorization);
      }
      const header = Stripe.webhooks.generateTestHeaderString({ payload: '{"id":1}', secret: 'w' }); out.push(Stripe.webhooks.constructEvent('{"id":1}', header, 'w').id);
      try { Stripe.webhooks.constructEvent('{"id":2}', header, 'w'); } catch (e) { out.push(e.type); } __return(out);""",
               ["/v1/customers", "email=a%40b.example&metadata[k]=v", "Bearer sk_test_1"] * 2 + [1, "StripeSignatureVerificationError"]),
}


@pytest.mark.parametrize("package", ONLINE)
def test_a_package_that_speaks_to_a_service(run, service, package):
    code, expected = ONLINE[package]
    assert run(code.replace("{at}", service), f"--allow-net={service}") == expected
