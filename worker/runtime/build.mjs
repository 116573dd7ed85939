// Bundles the runtime into one script, a function of the natives that returns the hooks.
//   node build.mjs OUT.js
import { build } from 'esbuild';
import { readFile } from 'node:fs/promises';

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

await build({
  entryPoints: [new URL('main.js', import.meta.url).pathname],
  outfile: process.argv[2],
  bundle: true,
  format: 'iife',
  globalName: 'runtime',
  target: 'esnext',
  minify: true,
  keepNames: true,
  logLevel: 'warning',
  banner: { js: '(function (native) { "use strict";' },
  footer: { js: 'return runtime.default; })' },
  plugins: [inspectWithNatives],
});
