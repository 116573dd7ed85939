"""Servers that a program makes and that never listen: as Node's, but for listen."""

import pytest
from test_node_modules import same_as_node

MADE = {
    "http": """
      const http = require('http'), net = require('net'), EventEmitter = require('events');
      const told = [], server = http.createServer({ keepAlive: true, highWaterMark: 100 }, () => {});
      told.push(server.listening, server.address(), server instanceof net.Server, server instanceof EventEmitter, server instanceof http.Server, http.Server() instanceof http.Server);
      told.push(server.timeout, server.headersTimeout, server.requestTimeout, server.keepAliveTimeout, server.maxHeadersCount, server.maxRequestsPerSocket, server.listenerCount('request'), server.eventNames());
      told.push(server.setTimeout(5) === server, server.timeout, server.ref() === server, server.unref() === server);
      server.closeAllConnections(); server.closeIdleConnections();
      told.push(await new Promise((done) => server.getConnections((...args) => done(args))), await new Promise((done) => server.close((e) => done([e.code, e.name]))));
      for (const bad of [() => http.createServer(5), () => http.createServer({ keepAlive: 'yes' }), () => http.createServer({ connectionsCheckingInterval: -1 }), () => server.setTimeout('x')])
        try { bad(); told.push('none'); } catch (e) { told.push(e.code); }
      return told;""",
    "net and tls": """
      const net = require('net'), tls = require('tls'), https = require('https');
      const told = [];
      for (const make of [net.createServer, net.Server, tls.createServer, https.createServer]) {
        const server = make({ allowHalfOpen: true }, () => {});
        told.push(server.listening, server.address(), server instanceof net.Server, server.allowHalfOpen, await new Promise((done) => server.close((e) => done(e.code))));
      }
      told.push(net.createServer(() => {}).listenerCount('connection'), tls.createServer(() => {}).listenerCount('secureConnection'), https.createServer(() => {}).listenerCount('request'));
      class Mine extends net.Server {}
      function Old() { net.Server.call(this); } require('util').inherits(Old, net.Server);
      told.push(new Mine() instanceof Mine, new Old() instanceof net.Server, new Old().listening);
      try { net.createServer('x'); } catch (e) { told.push(e.code); }
      return told;""",
    "responses": """
      const http = require('http'), { Writable } = require('stream');
      const bytes = (play, request = {}) => {
        let text = '';
        const response = new http.ServerResponse({ method: 'GET', httpVersionMajor: 1, httpVersionMinor: 1, headers: {}, ...request });
        response.sendDate = false;
        response.assignSocket(new Writable({ write(chunk, encoding, done) { text += chunk.toString('latin1'); done(); } }));
        let failed = null;
        try { play(response); } catch (e) { failed = e.code; }
        return [text, failed, response.headersSent, response.statusCode, response.getHeaderNames()];
      };
      return [
        bytes((r) => r.end('hello')), bytes((r) => { r.writeHead(201, 'Made', { 'X-A': '1', 'set-cookie': ['a', 'b'] }); r.write('one'); r.end('two'); }), bytes((r) => { r.setHeader('Content-Length', 2); r.end('hi'); }),
        bytes((r) => { r.statusCode = 204; r.end(); }), bytes((r) => r.end('body'), { method: 'HEAD' }), bytes((r) => r.end('old'), { httpVersionMinor: 0 }), bytes((r) => { r.setHeader('bad name', 1); }),
        bytes((r) => { r.setHeader('x', 'a\\r\\nb'); }), bytes((r) => { r.writeHead(99); }), bytes((r) => { r.write('x'); r.setHeader('y', 1); }), bytes((r) => { r.writeContinue(); r.writeEarlyHints({ link: '</a>; rel=preload' }); r.end(); }),
        bytes((r) => { r.setHeader('Trailer', 'T'); r.write('x'); r.addTrailers({ T: '1' }); r.end(); }), bytes((r) => { r.appendHeader('V', '1'); r.appendHeader('v', '2'); r.removeHeader('nothing'); r.flushHeaders(); }),
      ];""",
}


@pytest.mark.parametrize("what", MADE)
def test_a_server_that_is_made(postern, tmp_path, what):
    same_as_node(postern, tmp_path, MADE[what])


@pytest.mark.parametrize("module", ["http", "https", "net", "tls"])
@pytest.mark.parametrize("how", ["createServer().listen(3000)", "createServer().listen({ port: 0 }, () => {})", "Server().listen('/tmp/x.sock')"])
def test_listening_says_what_to_write_instead(postern, module, how):
    code = f"import {{ createRequire }} from 'node:module'; const require = createRequire(import.meta.url); try {{ require('{module}').{how}; }} catch (e) {{ __return([e.code, e.message]); }}"
    told, message = postern(code).value
    assert told == "ERR_NOT_AVAILABLE" and message.startswith(f"{module}.Server.listen is not available: a guest cannot listen at a port; write export default")


def test_the_server_of_http2_is_not_there(postern):
    told = postern("import http2 from 'node:http2'; const told = []; for (const name of ['createServer', 'createSecureServer', 'connect']) try { http2[name](); } catch (e) { told.push(e.code); } __return(told);")
    assert told.value == ["ERR_NOT_AVAILABLE"] * 3


RESOLVERS = """
  import dns from 'node:dns';
  const told = [], resolver = new dns.Resolver({ timeout: 100, tries: 1 }), promised = new dns.promises.Resolver();
  told.push(await new Promise((done) => resolver.resolve4('127.0.0.1', (...args) => done(args))), await promised.resolve4('localhost'), await promised.resolve('::1', 'AAAA'), resolver.getServers(), dns.getServers());
  resolver.cancel(); resolver.setLocalAddress('0.0.0.0');
  told.push(await promised.resolveTxt('a.test').catch((e) => e.code), await dns.promises.resolveMx('a.test').catch((e) => e.code), await new Promise((done) => resolver.resolveSrv('a.test', (e) => done(e.code))));
  try { resolver.setServers(['127.0.0.1']); } catch (e) { told.push(e.code, e.message); }
  told.push(await promised.resolve4('denied.test').catch((e) => [e.code, e.syscall, e.hostname]));
  __return(told);
"""


def test_resolvers(postern):
    told = postern(RESOLVERS).value
    assert told[:8] == [[None, ["127.0.0.1"]], ["127.0.0.1"], ["::1"], [], [], "ERR_NOT_AVAILABLE", "ERR_NOT_AVAILABLE", "ERR_NOT_AVAILABLE"]
    assert told[8] == "ERR_NOT_AVAILABLE" and "network.dns" in told[9] and told[10][1:] == ["queryA", "denied.test"], told


@pytest.mark.parametrize("module", ["http", "https"])
def test_a_connection_that_is_put_into_a_server(postern, module):
    code = f"import {{ createRequire }} from 'node:module'; const require = createRequire(import.meta.url); try {{ require('{module}').createServer().emit('connection', new (require('stream').PassThrough)()); }} catch (e) {{ __return([e.code, e.message]); }}"
    told, message = postern(code).value
    assert told == "ERR_NOT_AVAILABLE" and '"request" event' in message
