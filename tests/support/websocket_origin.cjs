// What tests/whole_program/test_node_http.py asks by WebSocket: run by Node itself, with the packages ws and socket.io; argv: CERT and KEY. Prints its
// ports: http, https, socket.io.
const fs = require('fs'),
  http = require('http'),
  https = require('https'),
  { WebSocketServer } = require('ws'),
  { Server } = require('socket.io');
const sockets = new WebSocketServer({
  noServer: true,
  perMessageDeflate: { threshold: 0 },
  handleProtocols: (offered) => [...offered][1] ?? false,
});
const onUpgrade = (request, socket, head) => {
  if (request.url.startsWith('/denied'))
    return socket.end('HTTP/1.1 403 No\r\nX-Why: because\r\nContent-Length: 4\r\n\r\nnope');
  sockets.handleUpgrade(request, socket, head, (ws) => {
    ws.on('message', (data, binary) => {
      if (String(data) === 'head') ws.send(JSON.stringify(request.headers));
      else if (String(data) === 'close') ws.close(4002, 'asked');
      else if (String(data) === 'vanish') socket.destroy();
      else ws.send(data, { binary });
    });
  });
};
const listen = (server) => new Promise((done) => server.listen(0, '127.0.0.1', () => done(server.address().port)));
(async () => {
  const [cert, key] = process.argv.slice(2).map((path) => fs.readFileSync(path));
  const plain = http.createServer((_, response) => response.end('plain'));
  const secure = https.createServer({ cert, key });
  for (const server of [plain, secure]) server.on('upgrade', onUpgrade);
  const rooms = http.createServer();
  new Server(rooms).on('connection', (c) => c.on('hello', (value, bytes, answer) => answer([value, [...bytes]])));
  console.log(await listen(plain), await listen(secure), await listen(rooms));
})();
