// The hub's page: the counter and the relay, live. No dependencies, nothing from elsewhere.

const $ = (id) => document.getElementById(id);

// What the hub says with its close codes, and whether coming back is of use: docs/reference/close-codes.md.
const CLOSED = {
  1000: { text: "closed", stop: true },
  1001: { text: "the server shuts down" },
  1005: { text: "closed" },
  1006: { text: "connection lost" },
  1008: { text: "the server refuses this client", stop: true },
  1009: { text: "the message was too big", stop: true },
  1011: { text: "error in the server" },
  1012: { text: "the server restarts" },
  1013: { text: "the server is overloaded, or we were too slow" },
  4001: { text: "another connection with this id took over", stop: true },
};

const socketUrl = (path) => `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`;

/** A connection that is opened again whenever it ends, unless its close code says that this is of no use. */
class Line {
  static FIRST_WAIT = 1000;
  static LONGEST_WAIT = 60_000;
  // A connection that held so long was a good one: the waiting begins anew.
  static STABLE = 30_000;

  #socket = null;
  #timer = null;
  #attempt = 0;
  #url;
  #on;

  /** `on`: { state(name, text), message(data), closed(code, text, opened) } */
  constructor(on) {
    this.#on = on;
    // What the browser knows about the network beats waiting.
    addEventListener("online", () => this.#hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.#hurry());
  }

  open(url) {
    this.close();
    this.#url = url;
    this.#attempt = 0;
    this.#connect();
  }

  close() {
    clearTimeout(this.#timer);
    this.#timer = null;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
    if (socket) this.#on.closed(1000, CLOSED[1000].text, true);
    this.#on.state("off", "not connected");
  }

  /** Whether it was sent; what is not open is not queued. */
  send(data) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(data);
    return true;
  }

  #connect() {
    this.#timer = null;
    const socket = new WebSocket(this.#url);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#on.state("connecting", "connecting");
    let openedAt = null;
    socket.onopen = () => {
      openedAt = Date.now();
      if (socket === this.#socket) this.#on.state("open", "connected");
    };
    socket.onmessage = ({ data }) => socket === this.#socket && this.#on.message(data);
    socket.onclose = ({ code, reason }) => {
      if (socket !== this.#socket) return;
      this.#socket = null;
      this.#ended(code, reason, openedAt);
    };
  }

  #ended(code, reason, openedAt) {
    const opened = openedAt !== null;
    const { text, stop } = CLOSED[code] ?? { text: "closed" };
    const why = `${opened ? text : "no connection"}${opened ? ` (${code}${reason && `, ${reason}`})` : ""}`;
    this.#on.closed(code, why, opened);
    if (stop) return this.#on.state("stopped", why);
    if (opened && Date.now() - openedAt >= Line.STABLE) this.#attempt = 0;
    // Drawn from the whole range, so that many pages that lost one server do not come back at one moment.
    const most = Math.min(Line.LONGEST_WAIT, Line.FIRST_WAIT * 2 ** this.#attempt++);
    const wait = Math.random() * most;
    this.#on.state("waiting", `${why}; next try in ${Math.ceil(wait / 1000)} s`);
    this.#timer = setTimeout(() => this.#connect(), wait);
  }

  #hurry() {
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#connect();
  }
}

function showState(element) {
  return (name, text) => {
    element.dataset.state = name;
    element.textContent = text;
  };
}

// --- Counter ---

function startCounter() {
  const buttons = { plus: $("counter-plus"), minus: $("counter-minus") };
  const show = showState($("counter-state"));
  const line = new Line({
    state(name, text) {
      show(name, text);
      for (const button of Object.values(buttons)) button.disabled = name !== "open";
    },
    message(data) {
      const event = JSON.parse(data);
      switch (event.type) {
        case "state":
          $("counter-value").textContent = event.value;
          break;
        case "users":
          $("counter-users").textContent = event.count;
          $("counter-users-word").textContent = event.count === 1 ? "user" : "users";
          break;
        default:
          console.error("counter:", event);
      }
    },
    closed() {
      $("counter-users").textContent = "?";
    },
  });
  for (const [action, button] of Object.entries(buttons)) {
    button.onclick = () => line.send(JSON.stringify({ action }));
  }
  line.open(socketUrl("/counter"));
}

// --- Relay ---

const LONGEST_LOG = 500;
const LONGEST_SHOWN = 4096;
// In bytes of UTF-8.
const LONGEST_ID = 128;
// What is at these paths is not the relay.
const NO_IDS = ["counter", "clock", "hello", "echo", "healthz", "hub.css", "hub.js"];

function startRelay() {
  const [id, text, kind, log, problem] = ["relay-id", "relay-text", "relay-kind", "relay-log", "relay-problem"].map($);
  const show = showState($("relay-state"));
  let wanted = false;

  const line = new Line({
    state(name, text) {
      show(name, text);
      wanted = name !== "off" && name !== "stopped";
      id.disabled = wanted;
      $("relay-connect").textContent = wanted ? "Disconnect" : "Connect";
      $("relay-send").disabled = name !== "open";
      if (name === "open") note(`connected as ${id.value}`);
    },
    message: (data) => message("in", data),
    closed(code, why, opened) {
      // A page is not told the status of a refused handshake.
      note(opened ? why : `${why}: is the server there, and no other client using this id?`);
    },
  });

  function entry(className, ...parts) {
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    const item = document.createElement("li");
    item.className = className;
    const time = document.createElement("time");
    time.textContent = new Date().toLocaleTimeString([], { hour12: false });
    item.append(time, ...parts);
    log.append(item);
    while (log.childElementCount > LONGEST_LOG) log.firstElementChild.remove();
    if (atEnd) log.scrollTop = log.scrollHeight;
  }

  function part(className, content, label) {
    const span = document.createElement("span");
    span.className = className;
    span.textContent = content;
    if (label) {
      span.setAttribute("role", "img");
      span.setAttribute("aria-label", label);
    }
    return span;
  }

  function note(content) {
    entry("note", part("payload", content));
  }

  function message(direction, data) {
    const binary = typeof data !== "string";
    const size = binary ? data.byteLength : data.length;
    const shown = binary ? toHex(data.slice(0, LONGEST_SHOWN)) : data.slice(0, LONGEST_SHOWN);
    const rest = size > LONGEST_SHOWN ? ` … ${size - LONGEST_SHOWN} more` : "";
    const arrow = direction === "in" ? part("arrow", "↓", "received") : part("arrow", "↑", "sent");
    entry(direction, arrow, part("kind", binary ? "hex" : "text"), part("payload", shown + rest));
  }

  $("relay-opening").onsubmit = (event) => {
    event.preventDefault();
    if (wanted) return line.close();
    id.value = id.value.trim() || randomId();
    problem.textContent = idProblem(id.value);
    if (problem.textContent) return id.focus();
    line.open(socketUrl(`/${encodeURIComponent(id.value)}`));
  };

  $("relay-sending").onsubmit = (event) => {
    event.preventDefault();
    const data = kind.value === "binary" ? fromHex(text.value) : text.value;
    problem.textContent = data === null ? "Hexadecimal: two digits for each byte, as in 48 65 6c." : "";
    if (data === null) return text.focus();
    if (!line.send(data)) {
      problem.textContent = "Not connected.";
      return;
    }
    message("out", data);
    text.value = "";
    text.focus();
  };

  id.value = randomId();
}

/** What is wrong with a client id; empty if nothing is. */
function idProblem(id) {
  if (id === "." || id === "..") return "This id cannot stand in a URL.";
  if (NO_IDS.includes(id)) return `/${id} is something else on this server: choose another id.`;
  if (new TextEncoder().encode(id).length > LONGEST_ID) return `An id has at most ${LONGEST_ID} bytes.`;
  return "";
}

function randomId() {
  return `page-${Math.floor(Math.random() * 0x10000).toString(16).padStart(4, "0")}`;
}

function toHex(buffer) {
  const bytes = buffer instanceof ArrayBuffer ? new Uint8Array(buffer) : buffer;
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

/** The bytes that are written in hexadecimal, with or without spaces; `null` if that is not what it is. */
function fromHex(text) {
  const digits = text.replace(/\s+/g, "");
  if (digits.length % 2 !== 0 || /[^0-9a-f]/i.test(digits)) return null;
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

// --- What else there is ---

for (const code of document.querySelectorAll("code[data-path]")) code.textContent = socketUrl(code.dataset.path);
$("counter-url").textContent = socketUrl("/counter");
$("relay-url").textContent = socketUrl("/id");
startCounter();
startRelay();
