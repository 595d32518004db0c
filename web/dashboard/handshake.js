// An opening handshake, header by header.

import { $, element } from "./dom.js";
import { clock, visible } from "./text.js";

/** What every server appends to the key: RFC 6455 section 1.3. */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const REQUEST = {
  host: "Which server is meant: one address may have several names.",
  upgrade: "Asks to go on with another protocol on this TCP connection: WebSocket instead of HTTP.",
  connection: "Says that “Upgrade” is for this very hop. A proxy that drops it breaks WebSockets.",
  "sec-websocket-key": "16 random bytes in Base64, new each time. No secret: the answer's Accept is computed from it.",
  "sec-websocket-version": "The version of the protocol. 13 is that of RFC 6455; others are answered with 426.",
  "sec-websocket-protocol": "Subprotocols that the client can speak inside, the best first. The server picks one, or none.",
  "sec-websocket-extensions": "Extensions that the client could use, such as compression. This hub uses none, so RSV1 to RSV3 stay 0.",
  origin: "The page that opens the connection. Browsers always send it, so that a server can refuse foreign pages; other clients need not.",
  "user-agent": "Which program the client is, by its own account.",
  authorization: "Who the client is. The inspector never shows it.",
  cookie: "What the browser keeps for this server. The inspector never shows it.",
  "accept-encoding": "Which compressed forms the client takes of an HTTP answer. A WebSocket has none.",
  "accept-language": "Which languages the user reads.",
  "cache-control": "No stored answer will do.",
  pragma: "As Cache-Control, for very old proxies.",
};

const ANSWER = {
  upgrade: "From the empty line on this connection speaks WebSocket.",
  connection: "The upgrade is for this very hop.",
  "sec-websocket-accept": "Proves that the server speaks WebSocket and has read this request:",
  "sec-websocket-protocol": "The subprotocol that the server has picked.",
  "sec-websocket-version": "The version that the server would take.",
  "sec-websocket-extensions": "The extensions that are used.",
  "retry-after": "When to come back, in seconds.",
  "content-type": "There is an answer to read.",
};

const STATUS = {
  101: "Switching Protocols: the connection is open",
  400: "Bad Request: something that a WebSocket needs is missing or malformed",
  401: "Unauthorized: it needs a token",
  403: "Forbidden: the origin, or the client, may not connect",
  404: "Not Found: there is no WebSocket at this path",
  405: "Method Not Allowed: a WebSocket begins with GET",
  409: "Conflict: this client id is connected already",
  414: "URI Too Long",
  421: "Misdirected Request: the hub is not known by this name",
  426: "Upgrade Required: not a WebSocket request, or another version than 13",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  503: "Service Unavailable: too many connections, rooms or members",
};

/** Shows a handshake; `null`: it is not remembered any longer. */
export function showHandshake(handshake) {
  const [request, answer, note] = ["handshake-request", "handshake-answer", "handshake-note"].map($);
  request.hidden = answer.hidden = handshake === null;
  note.textContent = handshake === null ? "The hub remembers the last handshakes only, and this one is older." : "";
  if (handshake === null) return;
  const { method, target, version, status } = handshake;
  note.textContent = `At ${clock(new Date(handshake.at_ms))} the client sent these lines over TCP${handshake.tls ? ", inside of TLS" : ""}, and an empty one:`;
  request.replaceChildren(
    line(`${method} ${target} ${version}`, "What is asked for: the path names the room and the client. A WebSocket begins as an HTTP request."),
    ...handshake.headers.map((header) => explained(header, REQUEST)),
  );
  const why = handshake.refused ? `${STATUS[status] ?? "Refused"}. The hub says: ${handshake.refused}` : (STATUS[status] ?? "");
  answer.replaceChildren(line(`${version} ${status}`, why), ...handshake.answer.map((header) => explained(header, ANSWER)));
  const key = handshake.headers.find(({ name }) => name === "sec-websocket-key");
  const accept = answer.querySelector("[data-header=sec-websocket-accept] .why");
  if (key && accept) accept.append(` Base64(SHA-1("${visible(key.value)}" + "${GUID}")).`);
}

function line(text, why) {
  return element("li", {}, element("code", {}, visible(text)), element("span", { className: "why" }, visible(why)));
}

function explained({ name, value }, explanations) {
  const node = line(`${titled(name)}: ${value}`, explanations[name] ?? "Not part of WebSocket.");
  node.dataset.header = name;
  return node;
}

/** As headers are usually written; their case means nothing. */
const titled = (name) =>
  name.startsWith("sec-websocket-")
    ? `Sec-WebSocket-${name[14]?.toUpperCase() ?? ""}${name.slice(15)}`
    : name.replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase());
