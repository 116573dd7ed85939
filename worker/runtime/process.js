// The small part of Node's `process` that a job uses: env, argv, cwd, exit, hrtime, nextTick.
import { format } from './inspect.js';
import { queueMicrotask } from './microtask.js';
import { now } from './performance.js';

let directory = '/';
export const process = {
  /** @type {Record<string, string>} */ env: {},
  /** @type {string[]} */ argv: [],
  platform: 'linux',
  arch: 'x64',
  version: '',
  versions: { postern: '0.1.0' },
  pid: 1,
  exitCode: undefined,
  cwd: () => directory,
  /** @param {any} [code] */
  exit(code = process.exitCode ?? 0) {
    const n = Number(code);
    if (!Number.isInteger(n)) throw new TypeError(format('process.exit needs a whole number, not %o', code));
    native.exit(n);
  },
  /** @param {Function} callback @param {any[]} args */
  nextTick(callback, ...args) {
    queueMicrotask(() => callback(...args));
  },
  hrtime: Object.assign(
    (/** @type {[number, number] | undefined} */ since) => {
      const ms = native.clock();
      const s = Math.floor(ms / 1000),
        ns = Math.floor((ms % 1000) * 1e6);
      if (since === undefined) return [s, ns];
      const d = s * 1e9 + ns - since[0] * 1e9 - since[1];
      return [Math.floor(d / 1e9), d % 1e9];
    },
    { bigint: () => BigInt(Math.round(native.clock() * 1e6)) },
  ),
  uptime: () => now() / 1000,
};
Object.defineProperty(process, Symbol.toStringTag, { value: 'process', configurable: true });

/** @param {{argv: string[], env: Record<string, string>, cwd: string}} settings */
export function startProcess(settings) {
  process.argv = settings.argv;
  process.env = { ...settings.env };
  directory = settings.cwd;
}
