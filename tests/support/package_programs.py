"""What packages from npm do in a guest: test_packages.py runs it, compatibility.py writes docs/compatibility.md of it. The packages are those
of tests/packages."""

# By package: what of it is run, and a module whose output is the same as in the Node.js whose V8 the guest has.
LIKE_NODE = {
    "whatwg-url": ("URL, its parser and serializer", """import { URL, basicURLParse, serializeURL } from 'whatwg-url';
      console.log(new URL('../x?é', 'https://ü.example/a/b').href, serializeURL(basicURLParse('http://a:80/')));"""),
    "fastify": ("routes, schemas, `inject`, the logger", """import Fastify from 'fastify';
      const lines = [], app = Fastify({ logger: { level: 'info', stream: { write: (l) => lines.push(JSON.parse(l).msg) } } });
      const id = { type: 'object', properties: { id: { type: 'string' } } }, n = { type: 'object', properties: { n: { type: 'integer' } } };
      app.get('/u/:id', { schema: { querystring: n, response: { 200: id } } }, async (q) => ({ id: q.params.id, left: q.query.n })); app.post('/p', async (q) => q.body);
      for (const asked of ['/u/7?n=3', { method: 'POST', url: '/p', payload: { a: 1 } }, '/u/7?n=x']) { const r = await app.inject(asked); console.log(r.statusCode, r.body, r.headers['content-type']); }
      console.log(lines);"""),
    "undici": ("`MockAgent`, `request`, `fetch`", """import { request, MockAgent, setGlobalDispatcher, fetch } from 'undici';
      const agent = new MockAgent(); agent.disableNetConnect(); setGlobalDispatcher(agent); agent.get('http://a.example').intercept({ path: '/x' }).reply(200, { ok: 1 }).times(2);
      const r = await request('http://a.example/x'); console.log(r.statusCode, await r.body.json(), await (await fetch('http://a.example/x')).json());"""),
    "yargs": ("commands, options, help", """import yargs from 'yargs';
      const a = await yargs(['--n', '3', 'go', '--flag']).command('go', 'goes', (y) => y.option('n', { type: 'number' })).parse(); console.log(a.n, a._, a.flag);
      console.log(await yargs([]).scriptName('x').option('q', { describe: 'quiet' }).getHelp());"""),
    "signal-exit": ("`onExit`", "import { onExit } from 'signal-exit'; onExit((code, signal) => { console.log('exit', code, signal); }); process.exitCode = 3;"),
    "commander": ("options, arguments, help, errors", """import { Command } from 'commander';
      const p = new Command('x').exitOverride().configureOutput({ writeErr: (t) => console.log(t) }).option('-n, --num <n>', 'a number', Number, 1).argument('<a>');
      p.parse(['--num', '3', 'q'], { from: 'user' }); console.log(p.opts(), p.args, p.helpInformation()); try { p.parse(['--no'], { from: 'user' }); } catch (e) { console.log(e.code); }"""),
    "dayjs": ("time zones, locales, relative times", """import dayjs from 'dayjs'; import utc from 'dayjs/plugin/utc.js'; import tz from 'dayjs/plugin/timezone.js'; import rel from 'dayjs/plugin/relativeTime.js'; import 'dayjs/locale/de.js';
      dayjs.extend(utc); dayjs.extend(tz); dayjs.extend(rel); console.log(dayjs.tz('2024-06-01 12:00', 'America/New_York').toISOString(), dayjs('2020-01-01').locale('de').format('dddd'), dayjs(0).from(dayjs(60000)));"""),
    "pino": ("loggers with redaction, to stdout", """import pino from 'pino'; const l = pino({ base: null, timestamp: false, redact: ['p.q'] }, pino.destination({ dest: 1, sync: true }));
      l.info({ a: 1, p: { q: 'secret' } }, 'hi %d', 3); l.child({ c: 1 }).error('bad'); pino({ base: null, timestamp: false }).warn('default');"""),
    "winston": ("console and file transports", """import winston from 'winston'; import fs from 'node:fs';
      winston.createLogger({ format: winston.format.combine(winston.format.splat(), winston.format.json()), transports: [new winston.transports.Console()] }).info('a %s', 'b');
      const file = new winston.transports.File({ filename: `/tmp/w${process.pid}.log` }), f = winston.createLogger({ transports: [file] }); f.info('x'); await new Promise((done) => { file.on('finish', done); f.end(); });
      console.log(fs.readFileSync(`/tmp/w${process.pid}.log`, 'utf8').trim()); fs.rmSync(`/tmp/w${process.pid}.log`);"""),
    "log4js": ("its appender for stdout, `shutdown`", """import l from 'log4js';
      l.configure({ appenders: { out: { type: 'stdout', layout: { type: 'messagePassThrough' } } }, categories: { default: { appenders: ['out'], level: 'info' } } });
      l.getLogger().info('hi', 3); await new Promise((done) => l.shutdown(done));"""),
    "handlebars": ("helpers, blocks, escapes", """import H from 'handlebars'; H.registerHelper('up', (x) => x.toUpperCase());
      console.log(H.compile('{{#each xs}}{{up this}}-{{@index}} {{/each}}{{{raw}}}{{raw}}')({ xs: ['a', 'b'], raw: '<' }));"""),
    "ejs": ("templates, asynchronous too", "import ejs from 'ejs'; console.log(ejs.render('<% for (const x of xs) { %><li><%= x %></li><% } %>', { xs: [1, '<'] }), await ejs.render('<%= await f() %>', { f: async () => 3 }, { async: true }));"),
    "csv-parse": ("whole texts and streams", """import { parse } from 'csv-parse/sync'; import { parse as streamed } from 'csv-parse'; console.log(parse('a,b\\n1,"x ""y"" z"\\n', { columns: true }));
      const s = streamed({ delimiter: ';' }); s.write('1;2\\n3'); s.end(';4\\n'); for await (const row of s) console.log(row); try { parse('a,b\\n1'); } catch (e) { console.log(e.code); }"""),
    "fast-xml-parser": ("parser, builder, validator", """import { XMLParser, XMLBuilder, XMLValidator } from 'fast-xml-parser';
      console.log(JSON.stringify(new XMLParser({ ignoreAttributes: false }).parse('<a b="1"><c>2</c><c>x</c></a>')), new XMLBuilder({ format: true }).build({ a: { c: [1, 2] } }), XMLValidator.validate('<a>').err?.code);"""),
    "yaml": ("documents with comments and anchors, errors", """import Y from 'yaml'; const d = Y.parseDocument('# c\\na: &x [1, 2]\\nb: *x\\n'); d.set('z', 1); console.log(String(d), Y.parse('a: !!set {x, y}'));
      try { Y.parse('a: [1'); } catch (e) { console.log(e.message); }"""),
    "semver": ("ranges, order, increments", "import s from 'semver'; console.log(s.satisfies('1.2.3', '^1.1 || >3'), s.inc('1.2.3-b.1', 'prerelease'), s.sort(['2.0.0', '1.10.0', '1.9.0']), s.coerce('v3.4').version);"),
    "p-queue": ("concurrency and priorities", "import Q from 'p-queue'; const q = new Q({ concurrency: 1, interval: 10, intervalCap: 2 }), out = []; for (const n of [0, 1, 9]) q.add(() => out.push(n), { priority: n }); await q.onIdle(); console.log(out);"),
    "joi": ("schemas and their messages", """import J from 'joi'; const s = J.object({ a: J.number().min(3).required(), e: J.string().email() });
      console.log(s.validate({ a: 1, e: 'x' }, { abortEarly: false }).error.details.map((d) => d.message), s.validate({ a: '4' }).value);"""),
    "jszip": ("archives, made and read, and as streams", """import J from 'jszip'; const z = new J(); z.file('a/b.txt', 'hello');
      console.log(await (await J.loadAsync(await z.generateAsync({ type: 'nodebuffer', compression: 'DEFLATE' }))).file('a/b.txt').async('string'));
      let n = 0; const s = z.generateNodeStream(); s.on('data', (c) => { n += c.length; }); await new Promise((done) => s.on('end', done)); console.log(n);"""),
    "graphql": ("a schema, queries, errors", """import { buildSchema, graphql } from 'graphql'; const schema = buildSchema('type Query { a(x: Int): String }');
      for (const source of ['{ a(x: 3) }', '{ b }']) console.log(JSON.stringify(await graphql({ schema, source, rootValue: { a: ({ x }) => 'v' + x } })));"""),
    "chai": ("expect, should, and what fails", """import { expect, should } from 'chai'; should(); expect([1, 2]).to.include(2); ({ a: 1 }).should.deep.equal({ a: 1 });
      try { expect({ a: 1 }).to.deep.equal({ a: 2 }); } catch (e) { console.log(e.name, e.message, e.showDiff); }"""),
    "jsdom": ("a document, selectors, events, a script's global", """import { JSDOM } from 'jsdom';
      const { window } = new JSDOM('<p id=a>Hi<b>!</b></p><ul><li>1<li>2</ul>', { url: 'https://a.example/x' }), { document } = window;
      document.querySelector('#a').addEventListener('click', (e) => { e.target.textContent += ' clicked'; }); document.querySelector('#a').click();
      console.log(document.querySelector('#a').outerHTML, [...document.querySelectorAll('li')].map((li) => li.textContent), window.location.host, new window.FormData().toString());"""),
    "pyodide": ("Python, and a package from a local wheel", """import { loadPyodide } from 'pyodide';
      const py = await loadPyodide();
      const wheel = py.runPython(`import io, zipfile
made = io.BytesIO()
with zipfile.ZipFile(made, 'w') as z:
  z.writestr('greet/__init__.py', 'def hello(n): return "hello " + n')
  z.writestr('greet-1.0.dist-info/METADATA', 'Metadata-Version: 2.1')
made.getvalue()`);
      py.unpackArchive(wheel.toJs(), 'wheel');
      console.log(py.runPython('import greet, json; json.dumps({"a": greet.hello("you"), "b": sum(range(10))})'), py.runPython('[x * x for x in range(4)]').toJs());"""),
    "pdfjs-dist": ("the text of a PDF", """import { getDocument } from 'pdfjs-dist/legacy/build/pdf.mjs';
      const text = 'BT /F1 24 Tf 50 100 Td (Hello from a PDF) Tj ET';
      const objects = ['<< /Type /Catalog /Pages 2 0 R >>', '<< /Type /Pages /Kids [3 0 R] /Count 1 >>', '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 144] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>',
        `<< /Length ${text.length} >>\\nstream\\n${text}\\nendstream`, '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>'];
      let file = '%PDF-1.4\\n'; const at = [];
      objects.forEach((object, i) => { at.push(file.length); file += `${i + 1} 0 obj\\n${object}\\nendobj\\n`; });
      const end = file.length;
      file += `xref\\n0 6\\n0000000000 65535 f \\n${at.map((a) => String(a).padStart(10, '0') + ' 00000 n \\n').join('')}trailer << /Size 6 /Root 1 0 R >>\\nstartxref\\n${end}\\n%%EOF`;
      console.warn = console.log = ((log) => (...args) => /^Warning/.test(args[0]) || log(...args))(console.log);
      const page = await (await getDocument({ data: new TextEncoder().encode(file), verbosity: 0 }).promise).getPage(1);
      console.log((await page.getTextContent()).items.map((item) => item.str), page.view);"""),
    "detect-libc": ("the C library's name and version", "import l from 'detect-libc'; console.log(await l.family(), l.familySync(), await l.version(), l.versionSync());"),
}

# By package: what of it is run, a module that prints the error's code and message, and both; why it is so is what they say.
REFUSED = {
    "express": ("routes; `listen`", "import express from 'express'; const app = express(); app.get('/', (q, r) => r.send('x')); try { app.listen(0); } catch (e) { console.log(e.code, e.message); }",
                "ERR_NOT_AVAILABLE http.Server.listen is not available: a guest cannot listen at a port"),
    "koa": ("`callback`; `listen`", "import Koa from 'koa'; const app = new Koa(); app.use((c) => { c.body = 1; }); app.callback(); try { app.listen(0); } catch (e) { console.log(e.code, e.message); }",
            "ERR_NOT_AVAILABLE http.Server.listen is not available: a guest cannot listen at a port"),
    "execa": ("a command", "import { execa } from 'execa'; try { await execa('echo', ['x']); } catch (e) { console.log(e.code, e.message); }",
              "ERR_NOT_AVAILABLE child_process.ChildProcess is not available: a guest cannot start processes"),
    "chokidar": ("`watch`", "import c from 'chokidar'; const w = c.watch('/tmp'); w.on('error', (e) => { console.log(e.code, e.message); w.close(); });",
                 "ERR_NOT_AVAILABLE fs.watch is not available: a guest is told of no changes"),
}

# By package: its program in node_modules/.bin with arguments, run as `postern run node_modules/.bin/NAME` beside FILES; its output is that of Node.js.
TOOLS = {
    "cowsay": ["cowsay", "hello"],
    "json5": ["json5", "values.json5"],
    "mustache": ["mustache", "values.json", "template.mustache"],
    "terser": ["terser", "long.js", "-m", "-c"],
    "uglify-js": ["uglifyjs", "long.js", "-m", "-c"],
    "he": ["he", "--encode", "<ü>"],
    "mkdirp": ["mkdirp", "-p", "/tmp"],
    "handlebars": ["handlebars", "template.mustache"],
    "nanoid": ["nanoid", "--size", "5", "--alphabet", "aa"],
    "uuid": ["uuid", "v5", "a", "URL"],
    "semver": ["semver", "1.2.3", "-i", "minor"],
    "marked": ["marked", "-s", "# hi"],
    "js-yaml": ["js-yaml", "values.json"],
}
FILES = {
    "long.js": "function longName(first) { var second = first + 1; return second == 2 ? { a: second } : null }\nconsole.log(longName(1))\n",
    "template.mustache": "hi {{name}}\n",
    "values.json": '{"name": "w"}',
    "values.json5": "{a: 'x', b: [1,],}",
}

# By package: what of it the other tests of test_packages.py run, whose values stand there.
BY_VALUE = {
    "@anthropic-ai/sdk": "messages and streams of events, of a service",
    "@duckdb/duckdb-wasm": "SQL, with `--memory=512MiB`; with the default of 128 MiB it is out of memory, and says so",
    "ajv": "compiled schemas",
    "axios": "its adapters for fetch and for node:http",
    "cheerio": "selectors, attributes, HTML",
    "date-fns": "dates and locales",
    "fs-extra": "files in /tmp",
    "globby": "patterns, .gitignore",
    "got": "requests, streams, errors",
    "graceful-fs": "many reads at once, streams",
    "hono": "routes, middleware, JWT",
    "immer": "drafts of objects and Maps",
    "jose": "JWS, JWE and keys of every kind",
    "js-yaml": "load, dump, errors",
    "jsonwebtoken": "HS256, RS256, PS512, ES256",
    "ky": "requests and errors",
    "lodash": "collections, templates, debounce",
    "marked": "Markdown to HTML",
    "nanoid": "identifiers",
    "node-fetch": "requests, form data",
    "openai": "completions and streams of events, of a service",
    "openpgp": "keys, messages, signatures, passwords",
    "react": "a component with a hook, of JSX",
    "react-dom": "`renderToString`",
    "reflect-metadata": "types of parameters, for tsyringe",
    "rxjs": "operators and timers",
    "socket.io": "the other end of socket.io-client, in Node.js",
    "socket.io-client": "events over WebSocket",
    "stripe": "both of its clients, webhooks",
    "tar": "archives with gzip, made, listed, unpacked",
    "tsyringe": "injection by legacy decorators",
    "uuid": "every version",
    "web-push": "VAPID, encrypted messages",
    "ws": "a client of WebSocket",
    "zod": "schemas and issues",
}
