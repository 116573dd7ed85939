// Calls each native with hostile values: argv is a seed and the calls of each. Run in a tree whose snapshot has the natives as a
// global (test_natives.py); a guest has no such thing.
import { addHandle, few, forgetCanaries, random, spoiled, values, words } from './values.mjs';

const natives = globalThis.__natives;
const seed = Number(process.argv[2] ?? 1);
const times = Number(process.argv[3] ?? 200);

// They end the run, which is what they are for.
const ends = ['exit', 'die'];
// What takes long with large numbers: there is nobody to stop it but the clock.
const slow = ['primeGenerate', 'primeCheck', 'keyGenerate', 'pbkdf2', 'scrypt', 'groupCheck', 'powerModulo'];

const key = new Uint8Array(32).fill(1);
const iv = new Uint8Array(16).fill(2);
addHandle(
  natives.codecOpen(1, 15, 6, 8, 0), natives.codecOpen(3, 15, 6, 8, 0), natives.codecOpen(4, 15), natives.codecOpen(9, new Uint32Array(0)), natives.codecOpen(8, new Uint32Array(0)),
  natives.codecOpen(10, new Uint32Array(0)), natives.codecOpen(11, new Uint32Array(0)), natives.hashOpen('sha256'), natives.hashOpen('shake128', 100), natives.hmacOpen('sha256', key),
  natives.cipherOpen('aes-256-cbc', true, key, iv), natives.cipherOpen('aes-256-gcm', true, key, iv), natives.cipherOpen('chacha20-poly1305', false, key, iv.subarray(0, 12)),
  natives.keyGenerate('ED25519'), natives.keyGenerate('EC', 'P-256'), natives.keyGenerate('RSA', 1024, 65537), natives.keyGenerate('X25519'),
); // prettier-ignore

const counts = { calls: 0, threw: 0, natives: 0 };
for (const [at, name] of Object.keys(natives).entries()) {
  if (ends.includes(name)) continue;
  counts.natives++;
  const r = random(seed * 1000 + at);
  // The one that is being called, where the process does not survive it.
  process.stderr.write(`${name}\n`);
  for (let i = 0; i < times; i++) {
    const args = values(r, r.below(10), { only: slow.includes(name) ? few : undefined });
    // Half of the calls get as far as a native goes: what it takes first is right.
    if (r.below(2) === 0 && args.length > 0) {
      if (/^(codec|cipher|hash|key|certificate|sign|verify|rsa|agree)/.test(name)) args[0] = values(r, 1)[0] ?? args[0];
      else if (r.below(2) === 0) args[0] = new Uint8Array(r.of([1, 100, 5000]));
      else args[0] = r.of(words);
    }
    counts.calls++;
    try {
      natives[name](...args);
    } catch (error) {
      counts.threw++;
      if (error === undefined) throw error;
    }
    natives.setContinuationData(undefined);
    if (spoiled()) throw new Error(`${name} wrote to memory that was not its own`);
  }
  forgetCanaries();
}
// Timers that natives were told to set are no reason to stay.
__return(counts);
process.exit(0);
