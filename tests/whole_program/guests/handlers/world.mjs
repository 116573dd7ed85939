// The handler that tests/whole_program/test_handler.py asks: a path says what is to happen.
let count = 0;
let aborted = 'nothing was aborted';
const kept = [];
const routes = {
  '/hello': () => new Response('hello'),
  '/echo': async (request) =>
    Response.json({
      method: request.method,
      url: request.url,
      headers: [...request.headers],
      body: await request.text(),
    }),
  '/count': () => new Response(`${++count}`),
  '/duplex': (request) => new Response(request.body, { headers: { 'content-type': 'application/x-copy' } }),
  '/upload': async (request) => {
    let size = 0;
    for await (const piece of request.body) size += piece.length;
    return new Response(`${size}`);
  },
  '/upload-slowly': async (request) => {
    await new Promise((resolve) => setTimeout(resolve, 700));
    let size = 0;
    for await (const piece of request.body) size += piece.length;
    return new Response(`${size}`);
  },
  '/download': (request, url) => {
    let left = Number(url.searchParams.get('pieces'));
    return new Response(
      new ReadableStream({
        pull(controller) {
          if (left-- <= 0) return controller.close();
          controller.enqueue(new Uint8Array(65536).fill(left));
        },
      }),
    );
  },
  '/slowly': (request, url) =>
    new Response(
      new ReadableStream({
        async start(controller) {
          for (const word of ['one', 'two', 'three']) {
            controller.enqueue(new TextEncoder().encode(`${word}\n`));
            if (word !== 'three') await new Promise((resolve) => setTimeout(resolve, 50));
          }
          controller.close();
        },
      }),
    ),
  '/fields': () => {
    const headers = new Headers({ 'x-one': '1', connection: 'close', 'transfer-encoding': 'chunked', date: 'never' });
    headers.append('set-cookie', 'a=1');
    headers.append('set-cookie', 'b=2');
    return new Response('fields', { status: 418, headers });
  },
  '/status': (request, url) => new Response(null, { status: Number(url.searchParams.get('code')) }),
  '/length': (request, url) =>
    new Response(null, {
      status: Number(url.searchParams.get('code')),
      headers: { 'content-length': url.searchParams.get('length') },
    }),
  '/upload-and-tell': async (request) => {
    try {
      return new Response(await request.text());
    } catch (error) {
      console.log('the upload broke off');
      throw error;
    }
  },
  '/upload-later': (request, url, context) => {
    context.waitUntil(request.text());
    return new Promise(() => {});
  },
  '/throw': () => {
    throw new Error('thrown on purpose');
  },
  '/reject': async () => {
    await null;
    throw new TypeError('rejected on purpose');
  },
  '/nothing': () => {},
  '/string': () => 'a string',
  '/used': async () => {
    const response = new Response('x');
    await response.text();
    return response;
  },
  '/error': () => Response.error(),
  '/exit': () => process.exit(3),
  '/uncaught': () => {
    setTimeout(() => {
      throw new Error('uncaught on purpose: token=hunter2');
    });
    return new Promise(() => {});
  },
  '/forever': () => new Promise(() => {}),
  '/loop': () => {
    for (;;);
  },
  '/memory': () => {
    const list = [];
    for (;;) list.push(new Array(100_000).fill(Math.random()));
  },
  '/keep': (request, url) => {
    // Some of the memory, for good.
    for (let i = 0; i < Number(url.searchParams.get('mib')); i++) kept.push(new Array(131_072).fill(Math.random()));
    return new Response(`${kept.length} ${count++}`);
  },
  '/break': () =>
    new Response(
      new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode('the beginning'));
          setTimeout(() => controller.error(new Error('broken on purpose')), 20);
        },
      }),
    ),
  '/short': () =>
    new Response(
      new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode('less'));
          controller.close();
        },
      }),
      { headers: { 'content-length': '100' } },
    ),
  '/wait-for-abort': (request) =>
    new Promise((resolve) => {
      console.log('waiting for the abort');
      request.signal.addEventListener('abort', () => {
        aborted = `aborted: ${request.signal.reason.message}`;
        resolve(new Response('too late'));
      });
    }),
  '/aborted': () => new Response(aborted),
  '/promise': (request, url, context) => {
    context.waitUntil(
      (async () => {
        await new Promise((resolve) => setTimeout(resolve, 300));
        console.log('the promise was kept');
      })(),
    );
    return new Response('promised');
  },
  '/fetch': async (request, url) => fetch(url.searchParams.get('url')),
  '/fetch-copy': async (request, url) => {
    const response = await fetch(url.searchParams.get('url'));
    return new Response(response.body, response);
  },
  '/fetch-error': async (request, url) => {
    try {
      return await fetch(url.searchParams.get('url'));
    } catch (error) {
      return new Response(error.cause.code, { status: 502 });
    }
  },
  '/print': () => {
    console.log('a line\u001b[31m <3>forged\r and more');
    console.error('an error');
    return new Response('printed');
  },
  '/remote': (request, url, context) => new Response(context.remoteAddress),
  '/env': (request, url, context, env) => new Response(env.GREETING),
  '/early': () => new Response('without the body'),
};

export default {
  async fetch(request, env, context) {
    const url = new URL(request.url);
    const route = routes[url.pathname];
    if (route === undefined) return new Response(`nothing at ${url.pathname}\n`, { status: 404 });
    return route(request, url, context, env);
  },
};
