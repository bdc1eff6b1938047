// tls_proxy.js CERT KEY HOST:PORT: takes TLS connections (ALPN h2) on a free port of 127.0.0.1,
// forwards them in plain to HOST:PORT, and prints its own address. For suites that insist on TLS.
const fs = require('fs');
const net = require('net');
const tls = require('tls');

const [cert, key, target] = process.argv.slice(2);
const [host, port] = target.split(':');
const options = { cert: fs.readFileSync(cert), key: fs.readFileSync(key), ALPNProtocols: ['h2'] };
const server = tls.createServer(options, client => {
  const upstream = net.connect(Number(port), host);
  client.pipe(upstream).pipe(client);
  // Whichever side breaks takes the other with it: a test may cut a connection at any time.
  for (const [one, other] of [[client, upstream], [upstream, client]]) {
    one.on('error', () => other.destroy());
    one.on('close', () => other.destroy());
  }
});
server.on('tlsClientError', () => {});
server.listen(0, '127.0.0.1', () => console.log(`127.0.0.1:${server.address().port}`));
