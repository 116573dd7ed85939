// node:os, as far as a guest may know of what it runs on.
import constants from 'node-constants';
import { process } from './process.js';

const unknown = 'guest';
const text = (value) => {
  const f = () => value;
  f[Symbol.toPrimitive] = f;
  return f;
};

export const os = () => ({
  EOL: '\n',
  devNull: '/dev/null',
  constants: constants.os,
  arch: text('x64'),
  platform: text('linux'),
  type: text('Linux'),
  release: text(''),
  version: text(''),
  machine: text('x86_64'),
  endianness: text('LE'),
  hostname: text(unknown),
  homedir: text(process.env.HOME ?? '/'),
  tmpdir: text('/tmp'),
  uptime: () => process.uptime(),
  availableParallelism: () => 1,
  cpus: () => [{ model: unknown, speed: 0, times: { user: 0, nice: 0, sys: 0, idle: 0, irq: 0 } }],
  loadavg: () => [0, 0, 0],
  totalmem: () => native.heapUse()[3],
  freemem: () => native.heapUse()[3] - native.heapUse()[0],
  networkInterfaces: () => ({}),
  getPriority: () => 0,
  setPriority() {},
  userInfo: () => ({ uid: process.getuid(), gid: process.getgid(), username: unknown, homedir: '/', shell: null }),
});
