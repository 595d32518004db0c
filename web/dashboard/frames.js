// The frames of one connection, while somebody looks: each as it is on the wire, bit by bit.

import { Problem, stream, words } from "./api.js";
import { $, element, showState } from "./dom.js";
import { Log } from "./log.js";
import { beginning, clock, fromHex, parsed, plural, toHex, visible } from "./text.js";

/** How much of a payload stands in a frame's line, in UTF-16 units. */
const PREVIEW = 80;

// RFC 6455 section 7.4.1, and what the hub means by its own: docs/reference/close-codes.md.
const CLOSE_CODES = {
  1000: "normal closure: all is done",
  1001: "going away: a page was left, or the server shuts down",
  1002: "protocol error: the other side broke the rules of framing",
  1003: "unsupported data",
  1007: "invalid payload: text that is not UTF-8",
  1008: "policy violation: the same client will be refused again",
  1009: "message too big",
  1010: "an extension is missing",
  1011: "internal error of the server",
  1012: "service restart",
  1013: "try again later: overloaded, or this client is too slow",
  4001: "replaced: another connection has this client id now",
};

const OPCODES = {
  continuation: "the next part of a message in several frames",
  text: "a text message (UTF-8), or its first part",
  binary: "a message of bytes, or its first part",
  close: "the closing handshake: the other side answers with a close frame too",
  ping: "are you there? The other side answers with a pong of the same payload",
  pong: "the answer to a ping",
  reserved: "a number without a meaning: the connection ends with 1002",
};

export function startFrames() {
  const log = new Log($("frames"), draw);
  log.controls($("frames-pause"), $("frames-clear"));
  const button = $("frames-watch");
  const show = showState($("frames-state"));
  let id;
  let watching = null;

  /** One has been chosen; `null`: one that is not open. */
  function begin(connection) {
    if (connection === id) return;
    stop();
    id = connection;
    log.clear();
    button.disabled = id === null;
    show("off", id === null ? "this connection is not open" : "nobody looks");
  }

  function stop() {
    watching?.abort();
    watching = null;
    button.textContent = "Show frames";
  }

  async function watch() {
    const mine = new AbortController();
    watching = mine;
    button.textContent = "Stop";
    show("connecting", "connecting");
    let end = "the hub cannot be reached";
    try {
      await stream(`/inspector/connections/${encodeURIComponent(id)}/frames`, mine.signal, (kind, data) => {
        if (mine.signal.aborted) return;
        if (kind === "begun") show("open", "every frame from now on");
        if (kind === "frame") log.add({ kind, data }, 2000);
        if (kind === "dropped") log.add({ kind, data });
        if (kind === "ended") end = data.reason;
      });
    } catch (error) {
      if (error instanceof Problem) end = words(error);
    }
    if (watching !== mine) return;
    stop();
    show("stopped", visible(end));
  }

  button.onclick = () => {
    if (watching === null) return watch();
    stop();
    show("off", "nobody looks");
  };
  // Nobody looks at a page that is hidden, and the hub has few places.
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden || watching === null) return;
    stop();
    show("off", "stopped, since the page was hidden");
  });
  return { begin, watch: () => watching ?? watch() };
}

function draw({ kind, data }) {
  if (kind === "dropped") {
    return element("li", { className: "note" }, `${plural(data.count, "frame")} missing: they came faster than the page took them`);
  }
  const [arrow, way] = data.direction === "received" ? ["→", "from the client"] : ["←", "from the hub"];
  const mark = element("span", { className: "arrow", role: "img", "aria-label": way }, arrow);
  const flags = [data.fin ? "FIN" : "no FIN", ...reserved(data), data.masked ? "masked" : "unmasked"].join(" ");
  const line = [
    element("time", {}, clock(new Date(data.at_ms))),
    mark,
    element("b", {}, data.name),
    element("span", { className: "kind" }, `${flags} · ${plural(data.length, "byte")}`),
    element("bdi", { className: "payload" }, visible(beginning(summary(data), PREVIEW))),
  ];
  const details = element("details", {}, element("summary", {}, ...line));
  // Most are never opened.
  details.ontoggle = () => {
    if (details.open && details.childElementCount === 1) details.append(...inside(data));
  };
  return element("li", { className: data.direction === "received" ? "in" : "out" }, details);
}

const reserved = (frame) => ["rsv1", "rsv2", "rsv3"].filter((bit) => frame[bit]).map((bit) => bit.toUpperCase());

function summary(frame) {
  if (frame.violation) return frame.violation;
  if (frame.close) return `${frame.close.code} ${CLOSE_CODES[frame.close.code] ?? ""}${frame.close.reason && ` “${frame.close.reason}”`}`;
  return content(frame);
}

/** The payload as text, if it is that; else in hexadecimal. */
function content(frame) {
  const bytes = fromHex(frame.payload);
  const cut = frame.length > bytes.length ? " …" : "";
  if (frame.name === "binary") return toHex(bytes) + cut;
  const text = new TextDecoder().decode(bytes, { stream: cut !== "" });
  return text.includes("\ufffd") ? toHex(bytes) + cut : text + cut;
}

/** Everything of a frame: its first two bytes as bits, the bytes behind them, and what they mean. */
function inside(frame) {
  const head = fromHex(frame.head);
  const payload = fromHex(frame.payload);
  const mask = frame.mask ? fromHex(frame.mask) : null;
  const extended = head.slice(2, head.length - (mask ? 4 : 0));
  const parts = [["first two bytes", head.slice(0, 2)]];
  if (extended.length > 0) parts.push([`length in ${8 * extended.length} bits`, extended]);
  if (mask) parts.push(["masking key", mask]);
  if (payload.length > 0) {
    const wire = mask ? payload.map((byte, at) => byte ^ mask[at % 4]) : payload;
    parts.push([`payload${mask ? ", masked" : ""}${frame.length > payload.length ? " (its beginning)" : ""}`, wire]);
  }
  const bytes = parts.map(([name, part]) => element("div", {}, element("dt", {}, name), element("dd", { className: "mono" }, toHex(part))));
  return [bits(head), element("dl", { className: "bytes" }, ...bytes), meaning(frame, head), ...shown(frame)];
}

/** The fields of the first two bytes (RFC 6455 section 5.2): a name, and how many bits. */
const FIELDS = [["FIN", 1], ["RSV1", 1], ["RSV2", 1], ["RSV3", 1], ["opcode", 4], ["MASK", 1], ["length", 7]];

function bits(head) {
  const digits = [...head.slice(0, 2)].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const drawing = element("div", { className: "bits", role: "img", "aria-label": `The first two bytes as bits: ${digits.slice(0, 8)} ${digits.slice(8)}` });
  let at = 0;
  for (const [name, width] of FIELDS) {
    const field = element("span", { className: "field" }, element("span", {}, digits.slice(at, at + width)), element("small", {}, name));
    field.style.gridColumn = `span ${width}`;
    drawing.append(field);
    at += width;
  }
  return drawing;
}

function meaning(frame, head) {
  const short = head[1] & 0x7f;
  const length = short < 126 ? `${short}: the length itself` : `${short}: the length stands in the next ${short === 126 ? 2 : 8} bytes, ${frame.length.toLocaleString("en")}`;
  const masked = frame.masked
    ? "1: masked with the key, which every client has to do (it keeps proxies from taking a payload for HTTP; it hides nothing)"
    : "0: not masked, as everything from a server";
  const facts = [
    ["FIN", frame.fin ? "1: the last frame of its message" : "0: the message goes on in further frames"],
    ["RSV", reserved(frame).length === 0 ? "000: no extension is used" : `${reserved(frame).join(", ")} set, which only an extension may do`],
    ["opcode", `${frame.opcode}, ${frame.name}: ${OPCODES[frame.name]}`],
    ["MASK", masked],
    ["length", length],
  ];
  if (frame.close) facts.push(["code", `${frame.close.code}: ${CLOSE_CODES[frame.close.code] ?? "of an application's own"}`], ["reason", visible(frame.close.reason) || "none"]);
  if (frame.violation) facts.push(["wrong", visible(frame.violation)]);
  return element("dl", { className: "meaning" }, ...facts.map(([name, words]) => element("div", {}, element("dt", {}, name), element("dd", {}, words))));
}

/** The payload as people read it. */
function shown(frame) {
  if (frame.length === 0 || frame.close || frame.violation) return [];
  const text = content(frame);
  const json = frame.name === "text" ? parsed(text) : undefined;
  const indented = json && typeof json.value === "object" ? JSON.stringify(json.value, null, 2) : text;
  return [element("pre", { tabIndex: 0, "aria-label": "Payload" }, visible(indented))];
}
