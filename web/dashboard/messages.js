// A room's messages: those that it remembers, those that come, and one's own.

import { ask, path, words } from "./api.js";
import { $, element, focusIfLost, named, payload } from "./dom.js";
import { Log } from "./log.js";
import { clock, fromBase64, fromHex, parsed, randomId, toBase64, toHex, visible } from "./text.js";

/** How many of the messages that were there before are shown. */
const BEFORE = 100;
/** How much of a message is shown as hex, in bytes. */
const LONGEST_HEX = 64 * 1024;

export function startMessages() {
  const [form, kind, text, problem] = ["room-form", "room-kind", "room-text", "room-problem"].map($);
  const log = new Log($("room-log"), (message) => draw(message, form.value));
  log.controls($("room-pause"), $("room-clear"));
  form.onchange = () => log.redraw();
  let room = null;
  let epoch = null;
  /** The highest offset that is in the log. */
  let offset = 0;
  /** While the past is to be asked for, what comes waits behind it. */
  let waiting = null;
  let asking = false;
  /** The last message that was not answered: its `key`, and the id that it has for the hub. */
  let unsure = null;

  function add(message) {
    if (message.offset <= offset) return;
    offset = message.offset;
    log.add(message, JSON.stringify(message).length);
  }

  /** Asks for what the log lacks. `view` is the room as the list has it. */
  async function catchUp(view) {
    if (view.epoch !== epoch) {
      // Another history counts anew: a room that was made again, or a hub that was restarted.
      if (epoch !== null) log.add({ note: "The room counts its messages anew." });
      epoch = view.epoch;
      offset = 0;
    }
    asking = true;
    const after = Math.max(offset, view.offset - BEFORE);
    const mine = waiting;
    const past = await ask(`/rooms${path(view.name)}/messages?after=${after}&limit=${BEFORE}`).catch(() => null);
    if (mine !== waiting) return;
    asking = false;
    // Without an answer the next list tries again.
    if (past === null) return;
    waiting = null;
    for (const message of [...past.body.messages, ...mine]) add(message);
  }

  $("room-sending").onsubmit = async (event) => {
    event.preventDefault();
    const content = contentOf(kind.value, text.value);
    problem.textContent = content === null ? WRONG[kind.value] : "";
    if (content === null) return text.focus();
    const sent = text.value;
    // With the id of the attempt before, what did arrive then is not said twice.
    const key = [room, kind.value, sent].join("\n");
    if (unsure?.key !== key) unsure = { key, id: messageId() };
    $("room-send").disabled = true;
    try {
      await ask(`/rooms${path(room)}/messages`, { method: "POST", send: { id: unsure.id, [kind.value]: content } });
      unsure = null;
      if (text.value === sent) text.value = "";
    } catch (error) {
      const why = visible(words(error));
      problem.textContent = error.status < 500 ? `Not sent: ${why}.` : `Perhaps not sent: ${why}. Sent again, it is not doubled.`;
    } finally {
      $("room-send").disabled = false;
      focusIfLost(text);
    }
  };

  return {
    /** Another room's. */
    begin(name) {
      room = name;
      epoch = null;
      offset = 0;
      waiting = [];
      asking = false;
      log.clear();
      problem.textContent = "";
    },
    /** Something may have been missed. */
    refresh() {
      waiting ??= [];
    },
    /** The room as the list has it; `undefined` if there is none of this name. */
    listed(view) {
      if (waiting === null || asking) return;
      if (view) return catchUp(view);
      const mine = waiting;
      waiting = null;
      for (const message of mine) add(message);
    },
    event({ room: where, offset: place, message }) {
      if (where !== room) return;
      const told = message ?? { offset: place, note: "a message that is too long to be told" };
      // A lower one than there was is of another history.
      if (waiting === null && place <= offset) waiting = [];
      if (waiting === null) return add(told);
      waiting.push(told);
      if (waiting.length > BEFORE) waiting.shift();
    },
  };
}

const WRONG = {
  data: 'This is not JSON. A text has quotation marks: "hello".',
  base64: "Hexadecimal: two digits for each byte, as in 48 65 6c.",
};

/** An id that no other message has. */
const messageId = () => `${randomId()}-${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;

/** What is sent for what was typed; `null` if that makes no sense. */
function contentOf(kind, typed) {
  switch (kind) {
    case "data":
      return parsed(typed) ? parsed(typed).value : null;
    case "base64": {
      const bytes = fromHex(typed);
      return bytes && toBase64(bytes);
    }
    default:
      return typed;
  }
}

function draw(message, form) {
  const place = element("span", { className: "place" }, message.offset === undefined ? "" : `#${message.offset}`);
  const time = element("time", {}, message.at === undefined ? "" : clock(new Date(message.at)));
  if (message.note !== undefined) return element("li", { className: "note" }, time, place, payload(message.note));
  const [kind, content] = shown(message, form);
  const from = element("span", { className: "from" }, named(message.from ?? ""));
  return element("li", {}, time, place, from, element("span", { className: "kind" }, kind), payload(content));
}

/** The kind of a message, and its content in one of the forms. */
function shown(message, form) {
  if (message.base64 !== undefined) {
    const bytes = fromBase64(message.base64);
    return bytes === null ? ["?", message.base64] : ["hex", hexOf(bytes)];
  }
  const isText = message.text !== undefined;
  const value = isText ? parsed(message.text) : { value: message.data };
  const text = isText ? message.text : JSON.stringify(message.data);
  if (form === "hex") return ["hex", hexOf(new TextEncoder().encode(text))];
  // A number or a word is JSON too, but nobody means that.
  if (form === "pretty" && value && (!isText || typeof value.value === "object")) return ["json", JSON.stringify(value.value, null, 2)];
  return [isText ? "text" : "json", text];
}

function hexOf(bytes) {
  const rest = bytes.length > LONGEST_HEX ? ` … ${bytes.length - LONGEST_HEX} more` : "";
  return toHex(bytes.subarray(0, LONGEST_HEX)) + rest;
}
