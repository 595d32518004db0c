// What happens in the hub, in words.

import { $, element, named } from "./dom.js";
import { Log } from "./log.js";
import { clock, visible } from "./text.js";

export function startEventLog() {
  const log = new Log($("events-log"), draw);
  log.controls($("events-pause"), $("events-clear"));
  return {
    event(kind, data) {
      if (kind in SENTENCES) log.add({ time: new Date(), kind, data });
    },
  };
}

/** The parts of the sentences. Messages are in their rooms' logs, and who comes and goes is told once. */
const SENTENCES = {
  connected: ({ client, room, address }) => [named(client), " came to ", named(room), from(address)],
  disconnected: ({ client, room, reason }) => [named(client), " left ", named(room), `: ${visible(reason)}`],
  document: ({ room, name, version, removed }) => [named(name), " in ", named(room), removed ? " was removed" : ` is version ${version}`],
  counter: ({ name, value }) => [named(name), ` is ${value}`],
  gap: ({ message }) => [visible(message)],
  slow: () => ["This page was too slow for what happens, and has missed some of it."],
  closed: ({ message }) => [visible(message)],
};

const ICONS = { connected: ["+", "came"], disconnected: ["−", "left"], counter: ["#", "number"], document: ["{", "document"] };

function draw({ time, kind, data }) {
  const [icon, label] = ICONS[kind] ?? ["!", "note"];
  const mark = element("span", { className: "arrow", role: "img", "aria-label": label }, icon);
  const words = element("span", { className: "payload" }, ...SENTENCES[kind](data));
  return element("li", { className: kind }, element("time", {}, clock(time)), mark, words);
}

const from = (address) => (address ? ` from ${visible(address)}` : "");
