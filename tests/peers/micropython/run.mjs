// Runs the device project's PyPI client, unmodified, in a real MicroPython VM (WebAssembly) with its sockets on Node.
//
//   node run.mjs CLIENT_DIR echo URI             3 texts, a binary, 70000 bytes, close
//   node run.mjs CLIENT_DIR relay BASE_URI       two clients, SOS and answers, a refused duplicate
//   node run.mjs CLIENT_DIR main BASE_URI N      ../standins/main.py for N cycles beside a second client
//   options: --config FILE   a controller's config.json (its "server" is replaced), --files DIR   what else lies on the
//            controller (certificates), --cycle-ms MS, --timeout SECONDS
//
// CLIENT_DIR is the unpacked source of micropython-async-websocket-client. Prints JSON lines; exits with 1 on any failure.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { importPackage } from '../node/packages.mjs';

const { loadMicroPython } = await importPackage('@micropython/micropython-webassembly-pyscript/micropython.mjs');

const here = path.dirname(fileURLToPath(import.meta.url));
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    config: { type: 'string', default: path.join(here, '../seeds/config_ws.json') },
    files: { type: 'string' },
    'cycle-ms': { type: 'string', default: '100' },
    timeout: { type: 'string', default: '60' },
  },
});
const [clientDir, mode, uri, cycles = '20'] = positionals;

const pem = {
  key: (der) => createPrivateKey({ key: der, format: 'der', type: 'sec1' }).export({ format: 'pem', type: 'sec1' }),
  cert: (der) => new X509Certificate(der).toString(),
};
const unhex = (hex) => (hex === null || hex === undefined ? undefined : Buffer.from(hex, 'hex'));

/** A non-blocking socket as the chip's: read gives null when nothing is there, '' at the end; write never waits. */
class Socket {
  received = Buffer.alloc(0);
  ended = false;
  outgoing = [];
  secure = {}; // options of TLS, once asked for

  connect(host, port) {
    this.address = { host, port };
  }

  startTls(key, cert, ca, required) {
    this.secure = {
      tls: true,
      maxVersion: 'TLSv1.2', // what MicroPython's mbedTLS speaks
      rejectUnauthorized: required,
      key: key && pem.key(unhex(key)),
      cert: cert && pem.cert(unhex(cert)),
      ca: ca ? pem.cert(unhex(ca)) : [],
    };
  }

  // connect() cannot wait here, and whether TLS is wanted is known only afterwards: the first use dials.
  dial() {
    if (this.stream) return;
    this.stream = this.secure.tls ? tls.connect({ ...this.address, ...this.secure }) : net.connect(this.address);
    this.stream.setNoDelay(true); // the server shall see each small write by itself
    this.stream.on('data', (data) => (this.received = Buffer.concat([this.received, data])));
    this.stream.on('error', (e) => console.log(JSON.stringify({ log: `socket: ${e.message}` })));
    this.stream.on('end', () => (this.ended = true));
    this.stream.on('close', () => (this.ended = true));
    this.stream.on(this.secure.tls ? 'secureConnect' : 'connect', () => {
      this.ready = true;
      this.pump();
    });
  }

  write(hex) {
    this.dial();
    if (this.ended || this.closing) return false;
    this.outgoing.push(Buffer.from(hex, 'hex'));
    this.pump();
    return true;
  }

  /** One write at a time with a pause behind it, so that the server reads header, mask and payload in pieces. */
  pump() {
    if (!this.ready || this.writing) return;
    const chunk = this.outgoing.shift();
    if (chunk) {
      this.writing = true;
      this.stream.write(chunk);
      setTimeout(() => {
        this.writing = false;
        this.pump();
      }, 1);
    } else if (this.closing) {
      this.stream.destroy();
    }
  }

  read(count) {
    this.dial();
    if (!this.received.length) return this.ended ? '' : null;
    const data = this.received.subarray(0, count < 0 ? undefined : count);
    this.received = this.received.subarray(data.length);
    return data.toString('hex');
  }

  /** What is there up to the end of the line: MicroPython returns a part when the rest has not arrived yet. */
  readline() {
    const end = this.received.indexOf(0x0a);
    return this.read(end < 0 ? -1 : end + 1);
  }

  /** What was written still leaves, then the TCP connection ends without a close frame. */
  close() {
    this.closing = true;
    if (this.stream && !this.ready) this.stream.destroy();
    this.pump();
  }
}
globalThis.newSocket = () => new Socket();

function finish(error) {
  if (error) console.log(JSON.stringify({ error: String(error.message ?? error) }));
  process.exit(error ? 1 : 0);
}
setTimeout(() => finish(`no end after ${options.timeout} s`), options.timeout * 1000);

const printed = (line) => console.log(line.startsWith('{') ? line : JSON.stringify({ log: line }));
const vm = await loadMicroPython({ stdout: printed, linebuffer: true });

const copyIn = (from, to) => {
  for (const file of fs.readdirSync(from)) vm.FS.writeFile(`${to}/${file}`, fs.readFileSync(path.join(from, file)));
};
vm.FS.mkdir('/lib');
vm.FS.mkdir('/lib/async_websocket_client');
copyIn(path.join(here, 'vm'), '/lib');
copyIn(path.join(clientDir, 'async_websocket_client'), '/lib/async_websocket_client');
vm.FS.writeFile('/lib/main.py', fs.readFileSync(path.join(here, '../standins/main.py')));
if (options.files) copyIn(options.files, '/');
// The configuration reaches the VM as text: MicroPython's JSON takes the missing comma of two of the seeds' files.
const config = fs.readFileSync(options.config, 'utf8').replace(/("server": *)"[^"]*"/, (_, key) => key + JSON.stringify(uri));
vm.FS.writeFile('/config.json', config);

vm.globals.set('MODE', mode);
vm.globals.set('ARGUMENTS', mode === 'main' ? [Number(cycles), Number(options['cycle-ms'])] : []);
try {
  await vm.runPythonAsync(`
import sys
sys.path.insert(0, "/lib")
import asyncio, json, modes
with open("/config.json") as f:
    config = json.load(f)
# A task, because wait_for cannot interrupt the coroutine at the top.
await asyncio.create_task(getattr(modes, MODE)(config["server"], config, *ARGUMENTS))
`);
  finish();
} catch (e) {
  finish(e);
}
