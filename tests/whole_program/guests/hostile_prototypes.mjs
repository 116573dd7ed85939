// Every method and accessor of the language's prototypes, and its static functions, throws from here on.
const origin = process.argv[2];
const boom = []; const symbols = [Symbol.iterator, Symbol.asyncIterator, Symbol.toStringTag, Symbol.replace, Symbol.match, Symbol.matchAll, Symbol.split, Symbol.search, Symbol.unscopables, Symbol.dispose, Symbol.asyncDispose]; const symbolTexts = ['@@iterator','@@asyncIterator','@@toStringTag','@@replace','@@match','@@matchAll','@@split','@@search','@@unscopables','@@dispose','@@asyncDispose']; const symbolName = (s) => { for (let i = 0; i < symbols.length; i++) if (symbols[i] === s) return symbolTexts[i]; return '@@other'; };
const define = Object.defineProperty, names = Reflect.ownKeys, get = Reflect.getOwnPropertyDescriptor, protoOf = Reflect.getPrototypeOf;
const holders = [];
for (const name of Object.getOwnPropertyNames(globalThis)) {
  const value = globalThis[name];
  if (typeof value === 'function' && /^[A-Z]/.test(name) && /\[native code\]/.test(Function.prototype.toString.call(value))) holders.push(value, value.prototype);
  if (name === 'Math' || name === 'JSON' || name === 'Reflect') holders.push(value);
}
holders.push(protoOf(Uint8Array), protoOf(Uint8Array.prototype), protoOf([].values()), protoOf(new Map().keys()), protoOf(new Set().keys()),
  protoOf(''[Symbol.iterator]()), protoOf((function* () {})()), protoOf(protoOf((function* () {})())), protoOf(''.matchAll(/x/g)), Iterator.prototype);
let count = 0;
for (let h = 0; h < holders.length; h++) {
  const holder = holders[h];
  if (holder === undefined || holder === null) continue;
  const keys = names(holder);
  for (let k = 0; k < keys.length; k++) {
    const key = keys[k];
    const d = get(holder, key);
    if (key === 'constructor' || key === 'prototype' || !d.configurable) continue;
    if (key === Symbol.hasInstance || key === Symbol.toPrimitive || key === Symbol.species || key === 'length' || key === 'name') continue;
    if (holder === Object.prototype && key === '__proto__') continue;
    const thrower = () => { boom[boom.length] = typeof key === 'symbol' ? symbolName(key) : key; throw 'replaced'; };
    if (typeof d.value === 'function') { define(holder, key, { __proto__: null, value: thrower, writable: true, configurable: true }); count++; }
    else if (d.get) { define(holder, key, { __proto__: null, get: thrower, configurable: true }); count++; }
  }
}
let failed = '', passed = 0;
addEventListener('unhandledrejection', (e) => { e.preventDefault(); failed += `rejection ${typeof e.reason === 'object' ? e.reason.message : e.reason} (${boom[boom.length - 1]}); `; });
const same = (what, a, b) => { if (a === b) passed++; else failed += `${what}: ${a} is not ${b}; `; };
const step = async (what, f) => { const before = boom.length; try { await f(); } catch (e) { failed += `${what}: ${typeof e === 'object' ? e.message : e} (${boom[before]}); `; } };
await step('headers', () => { const h = new Headers({ a: 'b', C: 'd' }); h.append('a', 'c'); h.set('x', 'y'); h.delete('c'); same('headers', h.get('a'), 'b, c'); same('has', h.has('x'), true); let n = 0; h.forEach(() => n++); same('forEach', n, 2); });
await step('url', () => { const u = new URL('/p?q=1&r=2#h', 'http://h.example/'); same('href', u.href, 'http://h.example/p?q=1&r=2#h'); same('q', u.searchParams.get('q'), '1'); u.searchParams.append('s', 'a b'); u.searchParams.sort(); same('search', u.search, '?q=1&r=2&s=a+b'); u.searchParams.delete('q'); same('string', `${u.searchParams}`, 'r=2&s=a+b'); });
await step('params', () => { same('params', new URLSearchParams('a=1&b=%20').get('b'), ' '); same('object', `${new URLSearchParams({ a: 'x', b: 'y' })}`, 'a=x&b=y'); });
await step('encode', () => { same('bytes', new TextEncoder().encode('äb')[0], 195); same('decode', new TextDecoder().decode(new Uint8Array(2)), '\0\0'); same('latin1', new TextDecoder('latin1').encoding, 'windows-1252'); });
await step('base64', () => { same('btoa', btoa('abc'), 'YWJj'); same('atob', atob('YWJj'), 'abc'); });
await step('blob', async () => { const b = new Blob(['hello ', 'world'], { type: 'text/plain' }); same('blob', await b.slice(6).text(), 'world'); same('size', b.size, 11); same('file', new File(['x'], 'n.txt').name, 'n.txt'); });
await step('formdata', async () => { const f = new FormData(); f.append('a', 'x\ny'); f.append('f', new Blob(['z']), 'q"r.txt'); const back = await new Response(f).formData(); same('a', back.get('a'), 'x\r\ny'); same('name', back.get('f').name, 'q"r.txt'); same('url', (await new Response('a=1&b=2', { headers: { 'content-type': 'application/x-www-form-urlencoded' } }).formData()).get('b'), '2'); });
await step('response', async () => { const r = new Response('{"a":[1]}', { status: 201, headers: { x: 'y' } }); same('status', r.status, 201); const c = r.clone(); same('json', (await r.json()).a[0], 1); same('clone', await c.text(), '{"a":[1]}'); same('static', (await Response.json({ a: 1 }).text()), '{"a":1}'); });
await step('request', async () => { const r = new Request('http://h.example/', { method: 'post', body: 'x', headers: { a: 'b' } }); same('method', r.method, 'POST'); same('body', await r.text(), 'x'); });
await step('streams', async () => { const s = new ReadableStream({ start(c) { c.enqueue('a'); c.enqueue('b'); c.close(); } }); const r = s.getReader(); same('a', (await r.read()).value, 'a'); same('b', (await r.read()).value, 'b'); same('end', (await r.read()).done, true); });
await step('pipe', async () => { const t = new TransformStream({ transform(x, c) { c.enqueue(x + '!'); } }); const w = t.writable.getWriter(); w.write('a'); w.close(); const r = t.readable.getReader(); same('pipe', (await r.read()).value, 'a!'); });
await step('pipeThrough', async () => { same('through', await new Response(new Blob(['hello']).stream().pipeThrough(new TextDecoderStream()).pipeThrough(new TextEncoderStream())).text(), 'hello'); });
await step('tee', async () => { const pair = new Response('abc').body.tee(); same('tee', await new Response(pair[0]).text() + await new Response(pair[1]).text(), 'abcabc'); });
await step('bytes', async () => { const s = new ReadableStream({ type: 'bytes', pull(c) { c.enqueue(new Uint8Array(3)); c.close(); } }); const r = s.getReader({ mode: 'byob' }); same('byob', (await r.read(new Uint8Array(8))).value[2], 0); });
await step('events', () => { const t = new EventTarget(); let n = 0; t.addEventListener('x', () => n++); t.addEventListener('x', { handleEvent() { n++; } }, { once: true }); t.dispatchEvent(new Event('x')); t.dispatchEvent(new CustomEvent('x', { detail: 1 })); same('events', n, 3); });
await step('abort', () => { const c = new AbortController(); let n = 0; c.signal.addEventListener('abort', () => n++); const any = AbortSignal.any([c.signal]); c.abort('why'); same('abort', n, 1); same('reason', any.reason, 'why'); });
await step('timers', async () => { let n = 0; await new Promise((f) => { setTimeout(() => { n++; f(); }, 1); }); const i = setInterval(() => { n++; if (n === 3) clearInterval(i); }, 1); await new Promise((f) => setTimeout(f, 20)); same('timers', n, 3); });
await step('microtask', async () => { let n = 0; queueMicrotask(() => n++); await null; await null; same('microtask', n, 1); });
await step('crypto', () => { const u = crypto.randomUUID(); same('uuid', u.length, 36); same('random', crypto.getRandomValues(new Uint8Array(4)) !== undefined, true); });
await step('clone', () => { same('clone', structuredClone({ a: [1, { b: 2 }] }).a[1].b, 2); });
await step('dom exception', () => { same('code', new DOMException('m', 'AbortError').code, 20); });
await step('console', () => { console.log('shown'); console.error('shown'); console.count(); console.group('g'); console.log('in'); console.groupEnd(); });
await step('fetch', async () => { const r = await fetch(`http://${origin}/echo`, { method: 'POST', body: 'sent', headers: { 'x-a': 'b' } }); same('fetch', r.status, 200); const text = await r.text(); same('text', text.length > 0, true); });
await step('fetch stream', async () => { const r = await fetch(`http://${origin}/ok`); const reader = r.body.getReader(); let n = 0; for (;;) { const x = await reader.read(); if (x.done) break; n++; } same('chunks', n > 0, true); });
await step('fetch form', async () => { const f = new FormData(); f.append('a', 'b'); const r = await fetch(`http://${origin}/echo`, { method: 'POST', body: f }); same('form', r.ok, true); });
await step('fetch refused', async () => { let code; try { await fetch('http://refused.example/'); } catch (e) { code = e.cause.code; } same('refused', code, 'ERR_NETWORK_DENIED'); });
await step('fetch aborted', async () => { let name; try { await fetch(`http://${origin}/silence`, { signal: AbortSignal.timeout(30) }); } catch (e) { name = e.name; } same('aborted', name, 'TimeoutError'); });
await step('subtle', async () => { const d = new Uint8Array(await crypto.subtle.digest('SHA-256', new Uint8Array(0))); same('digest', d[0], 0xe3); const k = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']); const p = { name: 'ECDSA', hash: 'SHA-256' }; const m = new Uint8Array(3); const s = await crypto.subtle.sign(p, k.privateKey, m); const again = await crypto.subtle.importKey('jwk', await crypto.subtle.exportKey('jwk', k.publicKey), { name: 'ECDSA', namedCurve: 'P-256' }, true, ['verify']); same('verify', await crypto.subtle.verify(p, again, s, m), true); const a = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, true, ['encrypt', 'decrypt', 'wrapKey']); const g = { name: 'AES-GCM', iv: new Uint8Array(12) }; same('gcm', new Uint8Array(await crypto.subtle.decrypt(g, a, await crypto.subtle.encrypt(g, a, m))).length, 3); same('wrap', new Uint8Array(await crypto.subtle.wrapKey('jwk', a, a, g)).length > 40, true); const raw = await crypto.subtle.importKey('raw', m, 'PBKDF2', false, ['deriveBits']); same('pbkdf2', new Uint8Array(await crypto.subtle.deriveBits({ name: 'PBKDF2', hash: 'SHA-512', salt: m, iterations: 2 }, raw, 128)).length, 16); });
await step('compression', async () => { const c = new Response('abcabc').body; same('gzip', await new Response(c.pipeThrough(new CompressionStream('gzip')).pipeThrough(new DecompressionStream('gzip'))).text(), 'abcabc'); });
await step('messages', async () => { const c = new MessageChannel(); const got = new Promise((f) => { c.port2.onmessage = (e) => f(e.data.a); }); c.port1.postMessage({ a: 7 }); same('message', await got, 7); same('clone blob', await structuredClone({ b: new Blob(['x']) }).b.text(), 'x'); });
await step('file reader', async () => { const r = new FileReader(); const done = new Promise((f) => { r.onload = () => f(r.result); }); r.readAsDataURL(new Blob(['a'], { type: 'text/plain' })); same('data url', await done, 'data:text/plain;base64,YQ=='); });
await step('performance', () => { performance.mark('a', { startTime: 1 }); performance.measure('m', 'a'); same('entries', performance.getEntriesByType('measure').length, 1); });
await step('blob url', async () => { const u = URL.createObjectURL(new Blob(['hi'])); same('blob url', await (await fetch(u)).text(), 'hi'); URL.revokeObjectURL(u); });
await step('caches', async () => { const c = await caches.open('c'); await c.put('http://a.example/', new Response('kept')); same('kept', await (await c.match('http://a.example/')).text(), 'kept'); });
await step('integrity', async () => { let code; try { await fetch(`http://${origin}/ok`, { integrity: 'sha256-AAAA', referrer: 'http://r.example/x?y#z' }); } catch (e) { code = e.cause.code; } same('integrity', code, 'ERR_INTEGRITY'); });
await step('event source', async () => { const s = new EventSource(`http://${origin}/events`); const got = await new Promise((f) => { s.onmessage = (e) => f(e.data); s.onerror = (e) => f(e.message); }); s.close(); same('event', got.length > 0, true); });
await step('data url', async () => { same('data', await (await fetch('data:text/plain;base64,YWJj')).text(), 'abc'); same('data2', await (await fetch('data:,a%20b')).text(), 'a b'); });
await step('process', () => { same('cwd', typeof process.cwd(), 'string'); process.nextTick(() => {}); same('hr', typeof process.hrtime.bigint(), 'bigint'); same('argv', process.argv.length, 3); });
await step('import', async () => { same('sockets', typeof (await import('postern:sockets')).connect, 'function'); });
__return({ replaced: count, passed, failed });
