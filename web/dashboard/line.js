// A WebSocket that comes back.

import { tokenProtocols } from "./token.js";

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

export const socketUrl = (path) => `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`;

/** A connection that is opened again whenever it ends, unless its close code says that this is of no use. */
export class Line {
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
    const socket = new WebSocket(this.#url, tokenProtocols());
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
    const wait = waiting(this.#attempt++);
    this.#on.state("waiting", `${why}; next try in ${Math.ceil(wait / 1000)} s`);
    this.#timer = setTimeout(() => this.#connect(), wait);
  }

  #hurry() {
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#connect();
  }
}

/** How long to wait after so many attempts, in ms. */
export function waiting(attempt) {
  // Drawn from the whole range, so that many pages that lost one server do not come back at one moment.
  return Math.random() * Math.min(Line.LONGEST_WAIT, Line.FIRST_WAIT * 2 ** attempt);
}
