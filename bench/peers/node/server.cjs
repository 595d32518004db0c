// ws, with bufferutil for masking. server.cjs PORT
'use strict';
const { WebSocketServer } = require('ws');

const port = Number(process.argv[2]);
const server = new WebSocketServer({ host: '127.0.0.1', port, backlog: 4096, perMessageDeflate: false });
const subscribers = new Set();

server.on('connection', (ws, request) => {
  // A client that just goes away is no news.
  ws.on('error', () => {});
  switch (request.url) {
    case '/sub':
      subscribers.add(ws);
      ws.on('close', () => subscribers.delete(ws));
      break;
    case '/pub':
      ws.on('message', (data, binary) => {
        for (const subscriber of subscribers) subscriber.send(data, { binary });
      });
      break;
    default:
      ws.on('message', (data, binary) => ws.send(data, { binary }));
  }
});
