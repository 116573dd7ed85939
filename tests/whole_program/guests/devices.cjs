// /dev/null and the standard streams, by their names: the same in Node and in a guest.
const fs = require('node:fs');
const told = async (what, f) => {
  let result;
  try { result = await f(); } catch (error) { result = [error.code, error.syscall, error.path]; }
  console.error(what, JSON.stringify(result));
};
const kind = (stats) => ['isFile', 'isDirectory', 'isCharacterDevice', 'isFIFO', 'isSymbolicLink'].filter((name) => stats[name]()).join();
const ended = (stream, text) => new Promise((done, failed) => stream.on('error', failed).end(text, done));
const opened = (flags) => () => {
  const fd = fs.openSync('/dev/null', flags);
  const seen = [kind(fs.fstatSync(fd))];
  if (flags !== 'r') seen.push(fs.writeSync(fd, 'abc'));
  if (flags !== 'w' && flags !== 'a') seen.push(fs.readSync(fd, Buffer.alloc(3)));
  fs.closeSync(fd);
  return seen;
};
const nothing = {
  exists: (path) => fs.existsSync(path),
  stat: (path) => { const s = fs.statSync(path); return [kind(s), s.size, s.mode.toString(8), s.rdev, s.nlink]; },
  lstat: (path) => kind(fs.lstatSync(path)),
  read: (path) => fs.readFileSync(path, 'utf8'),
  write: (path) => fs.writeFileSync(path, 'x'),
  append: (path) => fs.appendFileSync(path, 'x'),
  'read again': (path) => fs.readFileSync(new URL(`file://${path}`)).length,
  'a stream of it': async (path) => { let all = ''; for await (const piece of fs.createReadStream(path)) all += piece; return all; },
  'a stream to it': (path) => ended(fs.createWriteStream(path), 'abc'),
  access: (path) => fs.accessSync(path, fs.constants.R_OK | fs.constants.W_OK),
  execute: (path) => fs.accessSync(path, fs.constants.X_OK),
  'as a directory': (path) => fs.readFileSync(`${path}/`),
  list: (path) => fs.readdirSync(path),
  make: (path) => fs.mkdirSync(path),
  real: (path) => fs.realpathSync(path),
  link: (path) => fs.readlinkSync(path),
  cut: (path) => fs.ftruncateSync(fs.openSync(path, 'w'), 0),
  handle: async (path) => { const h = await fs.promises.open(path, 'w'); await h.writeFile('x'); const k = kind(await h.stat()); await h.close(); return k; },
};
(async () => {
  for (const [what, f] of Object.entries(nothing)) await told(what, () => f('/dev/null'));
  for (const flags of ['r', 'w', 'a', 'r+', 'w+', 'wx']) await told(`open ${flags}`, opened(flags));
  for (const path of ['/dev/stdin', '/dev/stdout', '/dev/stderr', '/dev/fd/0', '/dev/fd/1', '/proc/self/fd/0']) await told(path, () => [fs.existsSync(path), kind(fs.statSync(path))]);
  await told('stdin', () => fs.readFileSync('/dev/fd/0', 'utf8'));
  await told('and then', () => fs.readFileSync(Buffer.from('/dev/stdin'), 'utf8'));
  fs.writeFileSync('/dev/stdout', 'one\n');
  fs.appendFileSync('/dev/fd/1', 'two\n');
  fs.writeFileSync(new URL('file:///dev/stdout'), 'three\n');
  await ended(fs.createWriteStream('/proc/self/fd/1'), 'four\n');
  fs.writeFileSync('/dev/stderr', 'five\n');
})();
