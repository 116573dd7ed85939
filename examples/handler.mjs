// postern serve --handler=examples/handler.mjs --listen=8080
export default {
  async fetch(request) {
    const url = new URL(request.url);
    if (url.pathname !== '/') return new Response('nothing here\n', { status: 404 });
    return Response.json({ hello: url.searchParams.get('name') ?? 'world', method: request.method });
  },
};
