// 'failure-codes': what Node calls our failures, as two maps by our codes, from channel/failure_kinds.h.
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const header = fileURLToPath(new URL('../../../channel/failure_kinds.h', import.meta.url));

/** @param {string} text of the header @param {string} member @returns {Record<string, string>} its value by code */
function namesBy(text, member) {
  const kinds = [...text.matchAll(/^inline constexpr FailureKind \w+\{(.*?)\};$/gms)].map((match) => match[1]);
  /** @param {string} kind @param {string} name */
  const valueOf = (kind, name) => kind.match(new RegExp(`\\.${name} = "(\\w+)"`))?.[1];
  const pairs = kinds.map((kind) => [valueOf(kind, 'code'), valueOf(kind, member)]);
  return Object.fromEntries(pairs.filter(([code, name]) => code !== undefined && name !== undefined));
}

export const failureCodes = {
  name: 'failure-codes',
  setup(b) {
    b.onResolve({ filter: /^failure-codes$/ }, () => ({ path: header, namespace: 'failure-codes' }));
    b.onLoad({ filter: /.*/, namespace: 'failure-codes' }, async () => {
      const text = await readFile(header, 'utf8');
      const maps = ['fetch_code', 'node_code'].map((member) => namesBy(text, member));
      if (maps.some((map) => map.ERR_DNS === undefined)) throw new Error(`${header}: its kinds are not found`);
      const [fetchCodes, nodeCodes] = maps.map((map) => `{ __proto__: null, ${JSON.stringify(map).slice(1)}`);
      return {
        contents: `export const fetchCodes = ${fetchCodes};\nexport const nodeCodes = ${nodeCodes};`,
        loader: 'js',
        watchFiles: [header],
      };
    });
  },
};
