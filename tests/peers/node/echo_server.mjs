// Echo server on Node's ws. Prints `listening PORT` once it is ready.
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { parseArgs } from 'node:util';
import { require } from './packages.mjs';

const { WebSocketServer } = require('ws');

const { values: args } = parseArgs({
  options: {
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '0' },
    subprotocol: { type: 'string', multiple: true, default: [] },
    'no-compression': { type: 'boolean', default: false },
    'ssl-cert': { type: 'string' },
    'ssl-key': { type: 'string' },
  },
});

const server = args['ssl-cert']
  ? https.createServer({ cert: fs.readFileSync(args['ssl-cert']), key: fs.readFileSync(args['ssl-key']) })
  : http.createServer();

const sockets = new WebSocketServer({
  server,
  perMessageDeflate: !args['no-compression'],
  handleProtocols: (offered) => [...offered].find((name) => args.subprotocol.includes(name)) ?? false,
});

sockets.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  socket.on('error', (e) => console.error(e.message)); // ws closes by itself; unheard, the event would end the process
});

server.listen(Number(args.port), args.host, () => console.log('listening', server.address().port));
