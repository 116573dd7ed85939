// Bundles the runtime into one script, a function of the natives that returns the hooks; harden.mjs makes it independent
// of what a guest replaces.
//   node build.mjs OUT.js
import { build, transform } from 'esbuild';
import { readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { harden } from './harden.mjs';

// node-inspect-extracted has no way into promises, iterators and proxies: our natives are one.
const inspectParts = [
  ['getPromiseDetails:()=>[g,void 0]', 'getPromiseDetails:native.promiseState'],
  ['previewEntries:t=>[[],!1]', 'previewEntries:(t,e)=>{const n=native.previewEntries(t)??[[],!1];return e?n:n[0]}'],
  [
    'getProxyDetails:y.getProxyDetails',
    'getProxyDetails:(t,e=!0)=>{const n=native.proxyDetails(t);return n&&!e?n[0]:n}',
  ],
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

// The streams use what a guest may replace of the runtime's own globals: here they import it.
const streamsWithImports = {
  name: 'streams-with-imports',
  setup(b) {
    b.onLoad({ filter: /web-streams-polyfill.dist.ponyfill\.mjs$/ }, async ({ path }) => {
      const file = (name) => JSON.stringify(new URL(name, import.meta.url).pathname);
      const imports = `import { AbortController } from ${file('abort.js')};
        import { DOMException } from ${file('dom_exception.js')};
        import { queueMicrotask } from ${file('microtask.js')};`;
      return { contents: imports + (await readFile(path, 'utf8')), loader: 'js', resolveDir: dirname(path) };
    });
  },
};

const bundle = await build({
  entryPoints: [new URL('main.js', import.meta.url).pathname],
  write: false,
  bundle: true,
  format: 'iife',
  globalName: 'runtime',
  target: 'esnext',
  keepNames: true,
  logLevel: 'warning',
  plugins: [inspectWithNatives, streamsWithImports],
});
const { globals, captured, code } = harden(bundle.outputFiles[0].text);
const library = await readFile(new URL('captured.js', import.meta.url), 'utf8');
// As a module's export while it is minified, since an expression that nothing uses would go.
const kExport = 'export default ';
const whole = `${kExport}function (native) { "use strict";\n${globals}\n${library}\n${captured}
  return ((Promise) => {\n${code}\nreturn runtime.default; })($SafePromise); }`;
if (process.env.POSTERN_UNMINIFIED) await writeFile(process.env.POSTERN_UNMINIFIED, whole);
const minified = await transform(whole, { minify: true, keepNames: false, target: 'esnext' });
if (!minified.code.startsWith(kExport)) throw new Error('the bundle is no export');
await writeFile(process.argv[2], `(${minified.code.slice(kExport.length).replace(/;?\s*$/, '')})`);
