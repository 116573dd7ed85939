// What tests/whole_program/test_node_modules.py asks with node:http and node:net: run by Node itself; prints its two ports.
const http = require('http'),
  zlib = require('zlib');
http
  .createServer((q, s) => {
    const u = new URL(q.url, 'http://x');
    const p = u.pathname;
    if (p === '/echo') {
      const c = [];
      q.on('data', (d) => c.push(d));
      q.on('end', () => {
        s.setHeader('x-a', ['1', '2']);
        s.setHeader('set-cookie', ['a=1', 'b=2']);
        s.end(
          JSON.stringify({
            method: q.method,
            url: q.url,
            headers: Object.fromEntries(
              Object.entries(q.headers).filter(
                ([k]) => !['host', 'connection', 'user-agent', 'accept-encoding'].includes(k),
              ),
            ),
            te: q.headers['transfer-encoding'] ?? null,
            body: Buffer.concat(c).toString(),
          }),
        );
      });
    } else if (p === '/status') {
      s.statusCode = +u.searchParams.get('c');
      s.statusMessage = u.searchParams.get('m') ?? '';
      s.end(s.statusCode === 204 || s.statusCode === 304 ? undefined : 'body');
    } else if (p === '/chunks') {
      s.write('one');
      setTimeout(() => {
        s.write('two');
        s.end('three');
      }, 10);
    } else if (p === '/reset') {
      s.write('part');
      setTimeout(() => q.socket.destroy(), 5);
    } else if (p === '/hang') {
      q.socket.destroy();
    } else if (p === '/slow') {
      setTimeout(() => s.end('late'), +u.searchParams.get('ms'));
    } else if (p === '/redirect') {
      s.writeHead(302, { location: '/echo' });
      s.end('r');
    } else if (p === '/gzip') {
      s.setHeader('content-encoding', 'gzip');
      s.end(zlib.gzipSync('zipped'));
    } else if (p === '/early') {
      s.end('early');
    } else if (p === '/trailers') {
      s.setHeader('trailer', 'x-t');
      s.write('a');
      s.addTrailers({ 'x-t': 'v' });
      s.end();
    } else {
      s.statusCode = 404;
      s.end('nf');
    }
  })
  .listen(0, '127.0.0.1', function () {
    const { port } = this.address();
    require('net')
      .createServer((socket) => {
        socket.on('error', () => {});
        socket.on('data', (data) => {
          const said = String(data);
          if (said === 'bye') socket.end('goodbye');
          else if (said === 'kill') socket.destroy();
          else if (said === 'rst') socket.resetAndDestroy();
          else socket.write(data);
        });
      })
      .listen(0, '127.0.0.1', function () {
        console.log(port, this.address().port);
      });
  });
