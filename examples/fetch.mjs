// Fetches a page and a 10 MB body from the origin that is named on the command line.
const origin = process.argv[2];
const begun = performance.now();
const page = await fetch(origin);
console.log(page.status, page.headers.get('content-type'), (await page.text()).length, 'characters');
const body = await (await fetch(new URL('10m.bin', origin))).arrayBuffer();
console.log(body.byteLength, 'bytes, both in', Math.round(performance.now() - begun), 'ms');
