// One device: what is known of it, and what it can be told.

import { ask, words } from "./api.js";
import { startCommands } from "./commands.js";
import { $, ago, atMostEvery, element, named, names } from "./dom.js";
import { startSensors } from "./sensors.js";
import { lasting, visible, visibleName } from "./text.js";
import { startTwin } from "./twin.js";

/** How many of its connections are shown. */
const HISTORY = 50;

export function startDevice(inspect) {
  const dialog = $("device");
  const twin = startTwin(() => load());
  const commands = startCommands();
  const sensors = startSensors(() => dialog.open);
  const button = $("device-inspect");
  let id = null;
  let devices = [];

  const load = atMostEvery(1000, async () => {
    if (!dialog.open) return;
    await Promise.all([sensors.load(), twin.load(), history(id, () => id)]);
    commands.reported(twin.reported());
  });

  function look() {
    const one = devices.find((device) => device.id === id);
    if (one && dialog.open) facts(one);
    button.hidden = one?.connection === undefined;
  }

  button.onclick = () => {
    const one = devices.find((device) => device.id === id);
    dialog.close();
    if (one?.connection !== undefined) inspect(one.connection);
  };

  return {
    open(wanted) {
      id = wanted;
      $("device-name").replaceChildren(named(id));
      $("device-facts").replaceChildren();
      twin.begin(id);
      commands.begin(id);
      sensors.begin(id);
      $("history").replaceChildren();
      dialog.showModal();
      look();
      load();
    },
    /** The list is new. */
    listed(all) {
      devices = all;
      look();
    },
    refresh: load,
    /** This client has come or gone, or its twin has changed. */
    event(client) {
      if (client === id) load();
    },
    /** A reading of some device. */
    reading(data) {
      if (data.device === id && dialog.open) sensors.reading(data);
    },
  };
}

/** Since when it is there; or when it was seen last, and why it left. */
export function since(one) {
  if (one.online) return one.connected_ms == null ? ["online"] : ["online for ", ago(one.connected_ms)];
  if (one.transport === "telemetry") return one.last_reading_ms === undefined ? ["sends readings"] : ["last reading ", ago(one.last_reading_ms), " ago"];
  const seen = one.last_seen_ms == null ? ["away"] : ["last seen ", ago(one.last_seen_ms), " ago"];
  return one.last_reason == null ? seen : [...seen, element("span", { className: "reason" }, visible(one.last_reason))];
}

function facts(one) {
  const entries = [
    ["State", since(one)],
    ["Rooms", names(one.rooms, 50)],
    ["Transport", [one.transport === "wss" ? "wss (encrypted)" : visibleName(one.transport ?? "–")]],
    ["Latency", [one.latency_ms === undefined ? "–" : `${one.latency_ms.toFixed(1)} ms, as of the last ping`]],
    ["Certificate", one.identity == null ? ["none"] : [named(one.identity)]],
    ["Address", [visibleName(one.peer ?? "–")]],
  ];
  $("device-facts").replaceChildren(
    ...entries.map(([name, content]) => element("div", {}, element("dt", {}, name), element("dd", {}, ...content))),
  );
}

/** The connections that it has had. */
async function history(id, wanted) {
  let note = "";
  let connections = [];
  try {
    const { body } = await ask(`/connections?device=${encodeURIComponent(id)}&limit=${HISTORY}`);
    connections = body.connections;
    if (connections.length === 0) note = "No connection of it has ended yet, or none is remembered.";
  } catch (error) {
    note = error.status === 404 ? "This hub does not remember connections." : `Not known: ${visible(words(error))}.`;
  }
  // Another device may have been opened meanwhile.
  if (wanted() !== id) return;
  $("history-note").textContent = note;
  $("history").replaceChildren(...connections.slice(0, HISTORY).map(connection));
}

function connection({ room, opened_ms, closed_ms, peer, transport, reason }) {
  const where = element("p", { className: "hint" }, named(room ?? "–"), ` · ${visibleName(transport)} · ${visibleName(peer)}`);
  const opened = element("time", { dateTime: new Date(opened_ms).toISOString() }, new Date(opened_ms).toLocaleString());
  const how = ` for ${lasting(closed_ms - opened_ms)}: ${visible(reason)}`;
  return element("li", {}, element("p", {}, opened, how), where);
}
