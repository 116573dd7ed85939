// Bundles the runtime.
//   node build.mjs OUT_DIR
// runtime.js: what every guest has, one script, a function of the natives that returns the hooks, for the start-up snapshot;
//   harden.mjs makes it independent of what a guest replaces.
// parts.bin: what a guest loads when it first needs it (parts/*.js, and the packages that they use), as lazy_part.js reads it: each
//   a line with its name and length in bytes, and its text, which is ASCII.
// LICENSE.packages: the licences of the npm packages of which there is something in these, or in the programs.
import { build, transform } from 'esbuild';
import crypto from 'node:crypto';
import fs from 'node:fs';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import http from 'node:http';
import http2 from 'node:http2';
import { builtinModules } from 'node:module';
import os from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { getSystemErrorMap } from 'node:util';
import zlib from 'node:zlib';
import { failureCodes } from './failure_codes.mjs';
import { harden } from './harden.mjs';

const here = dirname(dirname(fileURLToPath(import.meta.url))); // worker/runtime
const outDir = process.argv[2];

// node-inspect-extracted has no way into promises, iterators and proxies, and guesses what kind a value is by the names of its
// classes: our natives know.
const kinds =
  `AnyArrayBuffer ArgumentsObject ArrayBuffer AsyncFunction BigIntObject BooleanObject BoxedPrimitive DataView Date External
  GeneratorFunction Map MapIterator ModuleNamespaceObject NativeError NumberObject Promise RegExp Set SetIterator StringObject SymbolObject
  WeakMap WeakSet`.split(/\s+/);
const inspectParts = [
  [
    'getPromiseDetails:()=>[g,void 0]',
    'getPromiseDetails:t=>{const e=native.promiseState(t);return[[g,"fulfilled",h][e[0]],e[1]]}',
  ],
  ['previewEntries:t=>[[],!1]', 'previewEntries:(t,e)=>{const n=native.previewEntries(t)??[[],!1];return e?n:n[0]}'],
  [
    'getProxyDetails:y.getProxyDetails',
    'getProxyDetails:(t,e=!0)=>{const n=native.proxyDetails(t);return n&&!e?n[0]:n}',
  ],
  ['isSymbolObject:R}', `isSymbolObject:R,${kinds.map((kind) => `is${kind}:native.is${kind}`)}}`],
];

const inspectWithNatives = {
  name: 'inspect-with-natives',
  setup(b) {
    b.onLoad({ filter: /node-inspect-extracted.dist.inspect\.js$/ }, async ({ path }) => {
      let contents = await readFile(path, 'utf8');
      for (const [stub, real] of inspectParts) {
        if (contents.split(stub).length !== 2) throw new Error(`${path}: "${stub}" is not there once`);
        contents = contents.replace(stub, () => real);
      }
      return { contents, loader: 'js' };
    });
  },
};

// The streams use what a guest may replace of the runtime's own globals: here they import it. They export what the
// standard calls ReadableStreamDefaultReaderRead, which is how the runtime reads without a promise that a guest could meet.
const streamsWithImports = {
  name: 'streams-with-imports',
  setup(b) {
    b.onLoad({ filter: /web-streams-polyfill.dist.ponyfill\.mjs$/ }, async ({ path }) => {
      const file = (name) => JSON.stringify(join(here, name));
      const imports = `import { AbortController } from ${file('core/abort.js')};
        import { DOMException } from ${file('core/dom_exception.js')};
        import { queueMicrotask } from ${file('core/microtask.js')};`;
      const source = await readFile(path, 'utf8');
      const reads = [...source.matchAll(/([\w$]+)\([\w$]+,\{_chunkSteps:/g)].map((match) => match[1]);
      if (reads.length === 0 || source.split(`function ${reads[0]}(`).length !== 2)
        throw new Error(`${path}: ReadableStreamDefaultReaderRead is not found`);
      const contents = `${imports}${source}\nexport { ${reads[0]} as readerRead };`;
      return { contents, loader: 'js', resolveDir: dirname(path) };
    });
  },
};

// A name that one statement exports stays exported where a getter of it, too, may be unsafe to call: so says Node's lexer.
const lexerKeepsNames = {
  name: 'lexer-keeps-names',
  setup(b) {
    b.onLoad({ filter: /cjs-module-lexer.lexer\.js$/ }, async ({ path }) => {
      const parts = (await readFile(path, 'utf8')).split(' && !unsafeGetters.has(expt)');
      if (parts.length !== 2) throw new Error(`${path}: what leaves names out is not there once`);
      return { contents: parts.join(''), loader: 'js' };
    });
  },
};

// TypeScript's compiler without its program for the command line, which would run at once, and without a file system.
const compilerAlone = {
  name: 'compiler-alone',
  setup(b) {
    b.onResolve({ filter: /^typescript$/ }, () => ({
      path: join(process.cwd(), 'node_modules', 'typescript', 'lib', '_tsc.js'),
    }));
    b.onLoad({ filter: /typescript.lib._tsc\.js$/ }, async ({ path }) => {
      const parts = (await readFile(path, 'utf8')).split('// src/tsc/tsc.ts');
      if (parts.length !== 2) throw new Error(`${path}: where its program begins is not there once`);
      const names = `SyntaxKind, createProgram, createSourceFile, flattenDiagnosticMessageText, forEachChild,
        getLineAndCharacterOfPosition, isFunctionLike`;
      return { contents: `const require = undefined; ${parts[0]}\nexport { ${names} };`, loader: 'js' };
    });
  },
};

/** Node's own lib/, as text by id, from the executable that runs this: it is the one that the worker runs in. */
const nodeLib = process.binding('natives');

/** Ids of what of it parts/node.js may load: those below, and what they require that is not ours (node/*.js). */
function nodeIds() {
  const roots = [
    '_http_server', 'assert', 'buffer', 'diagnostics_channel', 'events', 'internal/console/constructor', 'internal/fs/glob', 'internal/per_context/primordials', 'internal/util/parse_args/parse_args',
    'internal/mime', 'internal/util/diff', 'path', 'punycode', 'querystring', 'readline', 'readline/promises', 'stream', 'stream/promises', 'string_decoder', 'url', 'util', 'util/types', 'zlib',
  ]; // prettier-ignore
  const ours = new Set(
    `async_hooks timers fs fs/promises vm net os tty module inspector child_process worker_threads internal/options
    internal/util/debuglog internal/v8/startup_snapshot internal/process/warning internal/url internal/abort_controller
    internal/event_target internal/async_hooks internal/process/task_queues internal/blob internal/crypto/keys
    internal/source_map/source_map_cache internal/source_map/source_map_cache_map internal/bootstrap/realm internal/modules/helpers
    internal/net internal/perf/observe internal/encoding internal/errors/error_source internal/webstreams/adapters internal/perf/utils internal/zip internal/fs/utils
    internal/process/execution internal/process/permission internal/timers internal/util/trace_sigint internal/deps/acorn/acorn/dist/acorn
    internal/source_map/prepare_stack_trace internal/source_map/source_map`.split(/\s+/),
  );
  const ids = new Set();
  const work = [...roots];
  while (work.length > 0) {
    const id = work.pop();
    if (ids.has(id) || ours.has(id)) continue;
    if (nodeLib[id] === undefined) throw new Error(`Node's lib/ has no ${id}`);
    ids.add(id);
    for (const [, next] of nodeLib[id].matchAll(/require\('([^']+)'\)/g)) work.push(next);
  }
  return [...ids].sort();
}

/** [name, source of a function body] */
async function buildNodeModule(id) {
  const { code } = await transform(`(function () {${nodeLib[id]}\n})`, {
    minifyWhitespace: true,
    charset: 'ascii',
    target: 'esnext',
  });
  const body = /^\(?function\s*\(\)\s*\{([\s\S]*)\}\)?;?\s*$/.exec(code);
  if (body === null) throw new Error(`Node's ${id} did not come out as a function`);
  return [`node/${id}`, body[1]];
}

/** What Node's modules export, by name. */
async function nodeExports() {
  const names = builtinModules.filter((name) => !name.startsWith('_') && !name.startsWith('node:'));
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, Object.keys(await import(`node:${name}`))])),
  );
}

/** Absolute paths of the modules that every guest has, once buildRuntime has found them. @type {Set<string>} */
const everyGuestHas = new Set();

// A part shares the runtime's own modules instead of having its own: main.js gives it those that `shared` names.
const sharedModules = {
  name: 'shared-modules',
  setup(b) {
    b.onResolve({ filter: /^\.\.?\/.+\.js$/ }, ({ path, resolveDir }) =>
      everyGuestHas.has(join(resolveDir, path)) ? { path: basename(path, '.js'), namespace: 'shared' } : null,
    );
    b.onResolve({ filter: /^node-constants$/ }, () => ({ path: 'constants', namespace: 'node' }));
    b.onLoad({ filter: /.*/, namespace: 'node' }, async () => {
      const constants = {
        exports: await nodeExports(),
        os: os.constants,
        errors: [...getSystemErrorMap()],
        fs: fs.constants,
        zlib: zlib.constants,
        crypto: crypto.constants,
        http: { METHODS: http.METHODS, STATUS_CODES: http.STATUS_CODES },
        http2: http2.constants,
      };
      // JSON has no Infinity, which is one of zlib's.
      const text = JSON.stringify(constants, (_, value) => (value === Infinity ? 'Infinity' : value));
      return { contents: `module.exports = ${text.replaceAll('"Infinity"', 'Infinity')}`, loader: 'js' };
    });
    b.onLoad({ filter: /.*/, namespace: 'shared' }, ({ path }) => ({
      contents: `if (!runtime.${path}) throw new Error('main.js shares no ${path}'); module.exports = runtime.${path};`,
    }));
  },
};

// By name: what the build took from npm. ada is compiled into the programs.
const packages = new Set(['react-native-fast-url']);
function notePackages({ metafile }) {
  for (const path of Object.keys(metafile.inputs)) {
    const found = /(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path);
    if (found) packages.add(found[1]);
  }
}

async function writeLicences() {
  const texts = [...packages].sort().map(async (name) => {
    const { version, license } = JSON.parse(await readFile(join('node_modules', name, 'package.json'), 'utf8'));
    const directory = join('node_modules', name);
    const file = (await readdir(directory)).find((entry) => /^LICENSE(?:\.txt)?$/.test(entry));
    const text = await readFile(join(directory, file ?? 'LICENSE'), 'utf8');
    return `${name} ${version} (${license})\n\n${text.trim()}\n`;
  });
  await writeFile(join(outDir, 'LICENSE.packages'), (await Promise.all(texts)).join(`\n${'-'.repeat(80)}\n\n`));
}

/**
 * esbuild keeps a CommonJS module from its first line on: one that broke off, as where the stack ended, would be empty for ever.
 * @param {any} bundle
 */
function wholeOrNone({ outputFiles, metafile }) {
  const [{ text }] = outputFiles;
  const kept =
    /\(\) \{\s*return (mod) \|\| (.{1,80}\(\(mod = \{ exports: \{\} \}\)\.exports, mod\)), mod\.exports;\s*\}|\(\)=>\((\w+)\|\|(\w+\(\(\3=\{exports:\{\}\}\)\.exports,\3\)),\3\.exports\)/g;
  const changed = text.replace(kept, (_, name, load, short, shortLoad) => {
    const [module, evaluate] = name === undefined ? [short, shortLoad] : [name, load];
    const body = `try{return ${module}||${evaluate},${module}.exports}catch(error){throw ${module}=0,error}`;
    return name === undefined ? `()=>{${body}}` : `() {${body}}`;
  });
  const hasCommonJs = Object.values(metafile.inputs).some(({ format }) => format === 'cjs');
  if (changed === text && hasCommonJs) throw new Error('how esbuild keeps a module is not found');
  return changed;
}

const common = { write: false, metafile: true, bundle: true, format: 'iife', target: 'esnext', logLevel: 'warning' };

async function buildRuntime() {
  const bundle = await build({
    ...common,
    entryPoints: [join(here, 'main.js')],
    globalName: 'runtime',
    keepNames: true,
    plugins: [inspectWithNatives, streamsWithImports, failureCodes],
  });
  notePackages(bundle);
  for (const path of Object.keys(bundle.metafile.inputs)) everyGuestHas.add(join(process.cwd(), path));
  const { globals, captured, code } = harden(wholeOrNone(bundle));
  const library = await readFile(join(here, 'core', 'captured.js'), 'utf8');
  // As a module's export while it is minified, since an expression that nothing uses would go.
  const kExport = 'export default ';
  const whole = `${kExport}function (native) { "use strict";\n${globals}\n${library}\n${captured}
  return ((Promise) => {\n${code}\nreturn runtime.default; })($SafePromise); }`;
  if (process.env.POSTERN_UNMINIFIED) await writeFile(process.env.POSTERN_UNMINIFIED, whole);
  const minified = await transform(whole, { minify: true, keepNames: false, target: 'esnext' });
  if (!minified.code.startsWith(kExport)) throw new Error('the bundle is no export');
  await writeFile(join(outDir, 'runtime.js'), `(${minified.code.slice(kExport.length).replace(/;?\s*$/, '')})`);
}

/** [name, source of a function body of `native` and `runtime` that returns the part's exports] */
async function buildPart(name) {
  const bundle = await build({
    ...common,
    entryPoints: [join(here, 'parts', `${name}.js`)],
    globalName: 'part',
    minify: true,
    // Nobody sees those of the compiler, which has many.
    keepNames: name !== 'transpile',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    // Its package would take our own class, which is made of it.
    define: name === 'encodings' ? { TextDecoder: 'undefined', 'globalThis.TextDecoder': 'undefined' } : {},
    plugins: [sharedModules, lexerKeepsNames, compilerAlone, failureCodes],
    charset: 'ascii',
  });
  notePackages(bundle);
  return [name, `"use strict";${wholeOrNone(bundle)}return part;`];
}

async function buildParts() {
  const names = (await readdir(join(here, 'parts'))).filter((name) => name.endsWith('.js')).sort();
  const parts = await Promise.all([
    ...names.map((name) => buildPart(basename(name, '.js'))),
    ...nodeIds().map((id) => buildNodeModule(id)),
  ]);
  const pieces = parts.map(([name, text]) => {
    if (!/^[\0-\x7f]*$/.test(text)) throw new Error(`the part ${name} is not ASCII`);
    return `${name} ${text.length}\n${text}`;
  });
  await writeFile(join(outDir, 'parts.bin'), pieces.join(''));
}

await mkdir(outDir, { recursive: true });
await buildRuntime();
await buildParts();
await writeLicences();
