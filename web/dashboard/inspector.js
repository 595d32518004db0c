// What connections look like on the wire: what one would ask Wireshark.

import { ask, words } from "./api.js";
import { $, atMostEvery, element, named } from "./dom.js";
import { startFrames } from "./frames.js";
import { showHandshake } from "./handshake.js";
import { visible, visibleName } from "./text.js";

export function startInspector() {
  const frames = startFrames();
  const [body, opener, list] = ["inspector-body", "inspector-open", "inspector-list"].map($);
  const buttons = new Map();
  /** Connections that are open, and handshakes of which none is (any more), newest first. */
  let entries = [];
  let chosen = null;
  /** A connection that is to be chosen once it is in the list. */
  let wanted = null;

  const load = atMostEvery(1000, async () => {
    if (body.hidden || document.hidden) return;
    try {
      const [open, heads] = await Promise.all([ask("/inspector/connections?limit=100"), ask("/inspector/handshakes")]);
      entries = joined(open.body.connections, heads.body.handshakes);
      tell("");
    } catch (error) {
      // The list stays as it was until the hub is back.
      if (error.isRefusal || entries.length === 0) tell(visible(words(error)));
    }
    const found = wanted !== null && entries.find(({ connection }) => connection?.id === wanted);
    if (found) {
      wanted = null;
      choose(found);
      frames.watch();
    }
    render();
  });

  function tell(note) {
    $("inspector-note").textContent = note || (entries.length === 0 ? "No connection yet. This page's own client, for instance, makes one." : "");
  }

  function choose(entry) {
    chosen = entry.key;
    $("inspected").hidden = false;
    $("inspected-title").replaceChildren(...title(entry));
    show(entry);
    render();
  }

  function show({ connection, handshake }) {
    $("inspected-transport").replaceChildren(...transport(connection, handshake));
    showHandshake(handshake ?? null);
    frames.begin(connection?.id ?? null);
  }

  function render() {
    const here = new Set(entries.map(({ key }) => key));
    for (const [key, button] of buttons) {
      if (here.has(key)) continue;
      button.parentNode.remove();
      buttons.delete(key);
    }
    entries.forEach((entry, index) => {
      let button = buttons.get(entry.key);
      if (!button) {
        button = element("button", { type: "button" });
        element("li", {}, button);
        buttons.set(entry.key, button);
      }
      button.onclick = () => choose(entry);
      button.setAttribute("aria-current", entry.key === chosen);
      const state = facts(entry);
      if (button.dataset.state !== state) {
        button.dataset.state = state;
        button.replaceChildren(element("span", {}, ...title(entry)), element("span", { className: "hint" }, state));
      }
      const item = button.parentNode;
      if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
    });
    const current = entries.find(({ key }) => key === chosen);
    if (current) show(current);
  }

  function open(on) {
    body.hidden = !on;
    opener.setAttribute("aria-expanded", on);
    opener.textContent = on ? "Close" : "Open";
    if (on) load();
    else frames.begin(null);
  }

  opener.onclick = () => open(body.hidden);
  for (const link of document.querySelectorAll('a[href="#inspector"]')) link.addEventListener("click", () => open(true));
  return {
    refresh: load,
    poll: load,
    event(kind) {
      if (kind === "connected" || kind === "disconnected") load();
    },
    /** Shows the frames of a connection. */
    inspect(id) {
      wanted = id;
      open(true);
      $("inspector").scrollIntoView();
      $("inspector").focus({ preventScroll: true });
    },
  };
}

/** Connections with their handshakes, and the handshakes that are left. A client's address belongs to one connection at a time. */
function joined(connections, handshakes) {
  const newest = new Map();
  for (const handshake of handshakes.toReversed()) newest.set(handshake.peer, handshake);
  const open = connections.map((connection) => ({ key: connection.id, connection, handshake: newest.get(connection.peer) }));
  const used = new Set(open.map(({ handshake }) => handshake));
  const rest = handshakes.filter((handshake) => !used.has(handshake));
  const over = rest.map((handshake) => ({ key: `${handshake.at_ms} ${handshake.peer} ${handshake.target}`, handshake }));
  const time = ({ connection, handshake }) => connection?.connected_ms ?? handshake?.at_ms ?? 0;
  return [...open, ...over].sort((a, b) => time(b) - time(a));
}

function title({ connection, handshake }) {
  if (!connection) return [named(handshake.target)];
  const { app, room, client } = connection;
  if (app === "rooms") return [named(client ?? "?"), " in ", named(room ?? "?")];
  return [named(app === "counter" && room && room !== app ? `counter ${room}` : app)];
}

function facts({ connection, handshake }) {
  if (!connection) return `${handshake.status === 101 ? "ended" : `refused: ${handshake.status}`} · ${visibleName(handshake.peer)}`;
  const latency = connection.latency_ms === undefined ? "" : ` · ${connection.latency_ms.toFixed(1)} ms`;
  return `${connection.transport} · ${visibleName(connection.peer ?? "–")}${latency}`;
}

/** How it is carried, and what of it others can see on the way. */
function transport(connection, handshake) {
  const peer = connection?.peer ?? handshake.peer;
  const port = /:(\d+)$/.exec(peer)?.[1] ?? "";
  const tls = connection?.tls ?? (handshake?.tls && `${handshake.tls.version}, ${handshake.tls.cipher}`);
  const how = tls
    ? `wss: WebSocket over TLS (${visible(tls)}) over TCP, from ${visible(peer)}. Encrypted: Wireshark sees addresses, ports, sizes and times, and of the TLS handshake ` +
      "the server's name; all below is “Application Data” to it."
    : `ws: WebSocket over TCP, from ${visible(peer)}. Not encrypted: Wireshark, and whoever is on the way, sees all that is below.`;
  const filter = tls ? `tls && tcp.port == ${port}` : `(http || websocket) && tcp.port == ${port}`;
  const client = handshake?.tls?.client ?? connection?.identity;
  const identity = client ? [" The client has shown a certificate: ", named(client), "."] : [];
  return [how, ...identity, " Wireshark's filter: ", element("code", {}, filter)];
}
