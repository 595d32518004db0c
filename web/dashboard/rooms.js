// The list of rooms, and the one that is looked at.

import { ask, path, words } from "./api.js";
import { startDocuments } from "./documents.js";
import { $, atMostEvery, element, named, startTabs } from "./dom.js";
import { startMessages } from "./messages.js";
import { nameProblem } from "./relay.js";
import { plural, visible, visibleName } from "./text.js";

/** How many rooms are asked for, and shown at once. */
const [MOST, SHOWN] = [1000, 100];
/** How many members of a room are shown. */
const MEMBERS = 200;

export function startRooms() {
  const messages = startMessages();
  const documents = startDocuments();
  const find = $("rooms-name");
  const buttons = new Map();
  let rooms = [];
  let more = false;
  let chosen = null;

  const load = atMostEvery(1000, async () => {
    try {
      const { body } = await ask(`/rooms?limit=${MOST}`);
      rooms = body.rooms;
      more = body.next != null;
      if (chosen === null) choose(rooms.some((room) => room.name === "main") || rooms.length === 0 ? "main" : rooms[0].name);
      found();
      render();
    } catch {
      // The list stays as it was until the hub is back: the stream of events says that it is away.
    }
  });

  const look = atMostEvery(1000, async () => {
    const room = chosen;
    try {
      const { body } = await ask(`/rooms${path(room)}?limit=${MEMBERS}`);
      if (room === chosen) show(body);
    } catch (error) {
      if (room === chosen) $("room-facts").textContent = visible(words(error));
    }
  });

  /** The list is new, or another room is looked at. */
  function found() {
    const view = rooms.find((room) => room.name === chosen);
    messages.listed(view);
    if (view) return look();
    $("room-facts").textContent = "There is no such room yet: its first client or message makes it.";
    $("members-list").replaceChildren();
    $("members-note").textContent = "Nobody is here now.";
  }

  function choose(room) {
    chosen = room;
    $("room-title").replaceChildren(named(room));
    $("room-facts").textContent = "";
    $("members-list").replaceChildren();
    messages.begin(room);
    documents.begin(room);
    found();
    render();
  }

  function show(room) {
    const facts = [plural(room.members, "member"), `offset ${room.offset}`, `${room.remembered} remembered`];
    if (room.durable) facts.push("durable");
    const { dropped, disconnected } = room.deliveries;
    if (dropped > 0) facts.push(`${dropped} dropped`);
    if (disconnected > 0) facts.push(`${disconnected} too slow`);
    $("room-facts").textContent = facts.join(" · ");
    const member = ({ client, form }) => element("li", {}, named(client), " ", element("span", { className: "tag" }, form));
    $("members-list").replaceChildren(...room.clients.map(member));
    const hidden = room.members - room.clients.length;
    $("members-note").textContent = room.members === 0 ? "Nobody is here now." : hidden > 0 ? `And ${hidden.toLocaleString("en")} more.` : "";
  }

  function render() {
    const wanted = visibleName(find.value.trim()).toLowerCase();
    // The one that is looked at is always there.
    const fitting = rooms.filter(({ name }) => name === chosen || visibleName(name).toLowerCase().includes(wanted));
    const shown = fitting.slice(0, SHOWN);
    $("rooms-count").textContent = `${rooms.length.toLocaleString("en")}${more ? "+" : ""}`;
    const here = new Set(shown.map(({ name }) => name));
    for (const [name, { node }] of buttons) {
      if (here.has(name)) continue;
      node.remove();
      buttons.delete(name);
    }
    const list = $("rooms-list");
    shown.forEach((room, index) => {
      const { node, button, facts } = entry(room.name);
      button.setAttribute("aria-current", room.name === chosen);
      facts.textContent = `${plural(room.members, "member")} · ${room.offset}`;
      if (list.children[index] !== node) list.insertBefore(node, list.children[index] ?? null);
    });
    const hidden = fitting.length - shown.length;
    list.dataset.more = hidden > 0 ? `and ${hidden.toLocaleString("en")} more: find them by name` : "";
  }

  function entry(name) {
    const known = buttons.get(name);
    if (known) return known;
    const facts = element("span", { className: "hint" });
    const button = element("button", { type: "button", onclick: () => choose(name) }, named(name), facts);
    const made = { node: element("li", {}, button), button, facts };
    buttons.set(name, made);
    return made;
  }

  find.oninput = () => {
    find.setCustomValidity(nameProblem(find.value.trim()));
    render();
  };
  $("rooms-opening").onsubmit = (event) => {
    event.preventDefault();
    const name = find.value.trim();
    if (name === "") return find.focus();
    find.value = "";
    choose(name);
  };
  startTabs($("room-tabs"), documents.load);

  return {
    refresh() {
      messages.refresh();
      documents.load();
      load();
    },
    // What no event tells, such as messages that were forgotten.
    poll: load,
    event(kind, data) {
      if (kind === "message") messages.event(data);
      if (kind === "document") documents.event(data);
      if (data.room !== undefined) load();
    },
  };
}
