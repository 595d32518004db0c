// The hub's API: questions, and the stream of what happens.

import { waiting } from "./line.js";
import { withToken } from "./token.js";

const ANSWER_TIMEOUT = 15_000;
/** The hub says something every 15 s; after this time without a word the stream is dead, in ms. */
const SILENCE = 40_000;
/** No event is nearly as long, in UTF-16 units. */
const LONGEST_EVENT = 1 << 20;

/** An answer that is an error. `body` is what it says besides: RFC 9457. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail ?? body.message ?? body.title ?? `the hub answers ${status}`);
    this.status = status;
    this.body = body;
  }

  /** Whether this page may not use the API at all. */
  get isRefusal() {
    return this.status === 401 || this.status === 403 || this.status === 421;
  }

  static async of(response) {
    const body = await response.json().catch(() => null);
    return new Problem(response.status, body !== null && typeof body === "object" ? body : {});
  }
}

/** Asks the API. `send` is the JSON that goes with it. Answers `{ status, body }`; throws a [Problem], or what `fetch` does. */
export async function ask(path, { method = "GET", send, headers = {}, timeout = ANSWER_TIMEOUT } = {}) {
  const request = { method, headers: withToken(headers), cache: "no-store", signal: AbortSignal.timeout(timeout) };
  if (send !== undefined) {
    request.headers = { "Content-Type": "application/json", ...request.headers };
    request.body = JSON.stringify(send);
  }
  const response = await fetch(`/api${path}`, request);
  if (!response.ok) throw await Problem.of(response);
  return { status: response.status, body: await response.json() };
}

/** A path of names, each of them a segment. */
export const path = (...names) => names.map((name) => `/${encodeURIComponent(name)}`).join("");

/** Where a device is in the API. */
export const devicePath = (id) => `/devices${path(id)}`;

/** What to tell people about something that was thrown. */
export function words(error) {
  if (error.name === "TimeoutError") return "the hub did not answer in time";
  return error instanceof Problem ? error.message : "the hub cannot be reached";
}

/**
 * What happens, while it happens. An `EventSource` would not tell why it is refused, and would keep one of a browser's six
 * connections to a server for each hidden tab.
 */
export class Events {
  #on;
  #last = null;
  #attempt = 0;

  /** `on`: { state(name, text), open(), event(kind, data), refused(problem) }. `open` means: what was asked before may be old. */
  constructor(on) {
    this.#on = on;
  }

  async start() {
    for (;;) {
      await shown();
      try {
        this.#on.state("connecting", "connecting");
        await this.#listen();
      } catch (error) {
        if (error instanceof Problem && (error.isRefusal || error.status === 404)) return this.#on.refused(error);
      }
      const wait = waiting(this.#attempt++);
      this.#on.state("waiting", `connection lost; next try in ${Math.ceil(wait / 1000)} s`);
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }

  async #listen() {
    const ending = new AbortController();
    let timer;
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => ending.abort(), SILENCE);
    };
    const hide = () => document.hidden && ending.abort();
    document.addEventListener("visibilitychange", hide);
    try {
      alive();
      const headers = this.#last === null ? {} : { "Last-Event-ID": this.#last };
      const response = await fetch("/api/events", { headers: withToken(headers), cache: "no-store", signal: ending.signal });
      if (!response.ok) throw await Problem.of(response);
      this.#attempt = 0;
      this.#on.state("open", "live");
      this.#on.open();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        alive();
        text = this.#take(text + value);
        if (text.length > LONGEST_EVENT) throw new Error("an event without an end");
      }
    } finally {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", hide);
      ending.abort();
    }
  }

  /** Tells the events that are complete. Answers the rest. */
  #take(text) {
    return takeEvents(text, (kind, data) => this.#on.event(kind, data), (id) => (this.#last = id));
  }
}

/**
 * Tells the events of a stream until it ends, or `signal` ends it. Throws a [Problem] if there is no such stream, or what `fetch`
 * does.
 */
export async function stream(path, signal, event) {
  const silent = new AbortController();
  let timer;
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silent.abort(), SILENCE);
  };
  try {
    alive();
    const ends = AbortSignal.any([signal, silent.signal]);
    const response = await fetch(`/api${path}`, { headers: withToken({}), cache: "no-store", signal: ends });
    if (!response.ok) throw await Problem.of(response);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      alive();
      text = takeEvents(text + value, event);
      if (text.length > LONGEST_EVENT) throw new Error("an event without an end");
    }
  } finally {
    clearTimeout(timer);
    silent.abort();
  }
}

/** Tells the events in a text that are complete, and where they are. Answers the rest. */
function takeEvents(text, event, at = () => {}) {
  const blocks = text.split("\n\n");
  const rest = blocks.pop();
  for (const block of blocks) {
    let [kind, data] = ["message", null];
    for (const line of block.split("\n")) {
      const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line);
      if (field === "id") at(value);
      else if (field === "event") kind = value;
      else if (field === "data") data = data === null ? value : `${data}\n${value}`;
    }
    if (data !== null) event(kind, JSON.parse(data));
  }
  return rest;
}

/** Waits until the page can be seen. */
function shown() {
  if (!document.hidden) return undefined;
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
  });
}
