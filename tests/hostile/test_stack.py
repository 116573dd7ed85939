"""A guest that runs out of stack inside the runtime, at every depth, and catches that: what was begun is as if it had not been, and the
run goes on. Another place where it may happen is one more line."""

import pytest

INSIDE = {
    "AsyncLocalStorage.run": "als.run(1, () => 0)",
    "AsyncLocalStorage.exit": "als.exit(() => 0)",
    "AsyncLocalStorage.bind": "AsyncLocalStorage.bind(() => 1)()",
    "AsyncLocalStorage.snapshot": "AsyncLocalStorage.snapshot()(() => 1)",
    "AsyncResource": "new AsyncResource('x').runInAsyncScope(() => 1)",
    "runs within runs": "als.run(1, () => als.run(2, () => als.exit(() => als.getStore())))",
    "nextTick": "given.tick(process.nextTick)",
    "queueMicrotask": "given.tick(queueMicrotask)",
    "setTimeout": "given.tick((f) => setTimeout(f, 0))",
    "setImmediate": "given.tick(setImmediate)",
    "a timer that is cleared": "clearTimeout(setTimeout(() => {}, 0))",
    "an event": "dispatchEvent(new Event('x'))",
    "an abort": "AbortSignal.any([signal]).addEventListener('abort', () => {})",
    "a clone": "structuredClone(new Blob(['x']))",
    "a stack": "new Error('x').stack.length",
    "a stream": "if (given.ran++ < 2000) new ReadableStream({ pull(c) { c.enqueue(1); } }).getReader().read().catch(() => {}); given.some++",
    "an object that is shown": "if (given.ran++ < 100) console.log({ a: [new Map()] }); given.some++",
    "inspect": "if (given.ran++ < 2000) require('node:util').inspect({ a: [new Map()] }); given.some++",
    "a module of many": "if (given.ran++ < 3000) require('node:zlib').createGzip(); given.some++",
    "fetch": "if (given.ran++ < 2000) fetch('data:,x', { method: 'POST', body: new Blob(['x']).stream(), duplex: 'half' }).catch(() => {}); given.some++",
    "an import": "if (given.ran++ < 1000) { import('node:path').catch(() => {}); } given.some++",
    "EventSource": "if (given.ran++ < 1000) { new EventSource('http://refused.test/').close(); } given.some++",
    "WebSocket": "if (given.ran++ < 1000) { new WebSocket('ws://refused.test/').onerror = () => {}; } given.some++",
    "a message": "if (given.ran++ < 1000) { const c = new MessageChannel(); c.port1.postMessage(1); c.port1.close(); } given.some++",
    "a digest": "if (given.ran++ < 1000) { crypto.subtle.digest('SHA-256', new Uint8Array(3)).catch(() => {}); } given.some++",
    "a pipeline": "if (given.ran++ < 1000) { require('node:stream/promises').pipeline(require('node:stream').Readable.from(['a']), new (require('node:stream').PassThrough)()).catch(() => {}); } given.some++",
    "a pipe": "if (given.ran++ < 1000) { new Blob(['x']).stream().pipeThrough(new TextDecoderStream()).getReader().read().catch(() => {}); } given.some++",
    "a module's first use": "require('node:querystring').stringify({ a: 1 })",
}

CODE = """
const { AsyncLocalStorage, AsyncResource } = require('node:async_hooks');
const als = new AsyncLocalStorage(), { signal } = new AbortController();
// What was given to be run later has run, once, and nothing else has.
const given = { some: 0, ran: 0, stray: 0, tick(later) {
  if (this.some > 20000) return;
  const one = { given: false };
  later(() => { this.ran++; if (!one.given) this.stray++; });
  one.given = true;
  this.some++;
} };
const inside = () => { %s; };
// It is tried at each depth on the way up from the end of the stack.
const plain = () => { try { plain(); } catch (error) { inside(); throw error; } };
const wide = (a, b, c, d, e, f) => { try { wide(a, b, c, d, e, f); } finally { try { inside(); } catch {} } };
const nested = () => { try { als.run(als.getStore(), nested); } catch (error) { inside(); throw error; } };
const from = (k, f) => (k === 0 ? f(1, 2, 3, 4, 5, 6) : from(k - 1, f));
const stores = new Set();
module.exports = (async () => {
  als.run('outer', () => {
    for (let i = 0; i < 12; i++) for (const f of [plain, wide, nested]) {
      try { from(i * 3, f); } catch (error) { if (!/stack/i.test(error.message)) throw error; }
      stores.add(als.getStore());
    }
  });
  stores.add(als.getStore());
  const order = [];
  process.nextTick(() => order.push('tick'));
  queueMicrotask(() => order.push('microtask'));
  await new Promise((done) => setTimeout(done, 1));
  await new Promise((done) => setImmediate(done));
  require('node:zlib').gzipSync(require('node:util').inspect({ a: 1 }));
  console.log({ a: 1 });
  __return([[...stores].map(String), given.some - given.ran, given.stray, order.sort(), require('node:querystring').stringify({ a: 1 })]);
})();
"""


@pytest.mark.parametrize("options", [(), ("--jitless",)], ids=["compiled", "interpreted"])
@pytest.mark.parametrize("name", INSIDE)
def test_the_stack_ends_inside(postern, name, options):
    result = postern(CODE % INSIDE[name], "--timeout=50s", "--cpu=50s", "--memory=512MiB", *options, name="job.cjs")
    assert result.json["outcome"] == "succeeded", (result.out[-1500:], result.err[-1500:])
    stores, missing, stray, order, text = result.value
    assert (stores, stray, order, text) == (["outer", "undefined"], 0, ["microtask", "tick"], "a=1")
    assert missing == 0 or "given.ran++" in INSIDE[name]
