// A client on Node's ws that does what it is told, one JSON object per line (see ../README.md).
import fs from 'node:fs';
import { serveCommands } from './jsonlines.mjs';
import { require } from './packages.mjs';

const WebSocket = require('ws');

/** Seconds that anything may take on a busy machine. Whoever tells this client what to do waits a little longer. */
const PATIENCE = 25;

let ws;
let inbox; // what has arrived and was not asked for yet
let arrived; // wakes who waits for the inbox or for the end
let end; // [code, reason] once closed

const fail = (message, details) => Object.assign(new Error(message), { details });
const read = (file) => file && fs.readFileSync(file);

function connect(options) {
  if (typeof options === 'string') options = { uri: options };
  inbox = [];
  end = undefined;
  ws = new WebSocket(options.uri, options.subprotocols ?? [], {
    origin: options.origin,
    headers: options.headers,
    perMessageDeflate: options.compression ?? true,
    maxPayload: options.max_size ?? 2 ** 26,
    handshakeTimeout: (options.timeout ?? PATIENCE) * 1000,
    rejectUnauthorized: !options.insecure,
    ca: read(options.ca),
    cert: read(options.cert),
    key: read(options.key),
  });
  ws.on('message', (data, isBinary) => {
    inbox.push(isBinary ? { binary: data.toString('hex') } : { text: data.toString() });
    arrived?.();
  });
  ws.on('close', (code, reason) => {
    end = [code, reason.toString()];
    arrived?.();
  });
  return new Promise((resolve, reject) => {
    let response;
    ws.on('upgrade', (r) => (response = r));
    ws.on('open', () =>
      resolve({
        status: response.statusCode,
        subprotocol: ws.protocol || null,
        extensions: response.headers['sec-websocket-extensions'] ?? '',
        headers: pairs(response.rawHeaders),
      }),
    );
    ws.on('error', reject); // after `open` this changes nothing: the end is told by `close`
    ws.on('unexpected-response', async (_, r) => {
      const body = Buffer.concat(await r.toArray()).toString();
      reject(fail(`HTTP ${r.statusCode}`, { status: r.statusCode, headers: pairs(r.rawHeaders), body }));
    });
  });
}

const pairs = (flat) => flat.flatMap((key, i) => (i % 2 ? [] : [[key, flat[i + 1]]]));

const send = (data, options) =>
  end
    ? { closed: end }
    : new Promise((resolve, reject) => ws.send(data, options, (e) => (e ? reject(e) : resolve())));

async function sendFragments(parts, { binary = false }) {
  for (const [i, part] of parts.entries()) {
    const closed = await send(Buffer.from(part, binary ? 'hex' : 'utf8'), { binary, fin: i === parts.length - 1 });
    if (closed) return closed;
  }
}

/** Waits until `done()` gives something, at most `seconds`. */
async function until(seconds, done) {
  let expired = false;
  const timer = setTimeout(() => {
    expired = true;
    arrived?.();
  }, seconds * 1000);
  let result;
  while ((result = done()) === undefined && !expired) await new Promise((resolve) => (arrived = resolve));
  clearTimeout(timer);
  return result ?? { timeout: true };
}

const closed = () => end && { closed: end };

const recv = (seconds) => until(seconds, () => inbox.shift() ?? closed());

async function expect(text, { timeout = PATIENCE }) {
  const got = await recv(timeout);
  if (got.text !== text) throw fail(`expected ${JSON.stringify(text)}`, { got });
}

function ping(payload) {
  const started = performance.now();
  const pong = new Promise((resolve) => ws.once('pong', () => resolve({ pong: (performance.now() - started) / 1000 })));
  ws.ping(typeof payload === 'string' ? Buffer.from(payload, 'hex') : undefined);
  return pong;
}

await serveCommands({
  connect,
  send_text: (text) => send(text),
  send_binary: (hex) => send(Buffer.from(hex, 'hex')),
  send_fragments: sendFragments,
  recv,
  expect,
  ping,
  close: ([code, reason]) => {
    ws.close(code, reason);
    return until(PATIENCE, closed);
  },
  wait_closed: (seconds) => until(seconds, closed),
  abort: () => {
    ws.terminate();
    return until(PATIENCE, closed).then(() => undefined);
  },
});
ws?.close();
