// The list of devices.

import { ask, words } from "./api.js";
import { since, startDevice } from "./device.js";
import { $, atMostEvery, element, named, names } from "./dom.js";
import { plural, visible, visibleName } from "./text.js";

/** How many are asked for, and shown at once. */
const [MOST, SHOWN] = [1000, 100];

/** `inspect(id)` shows what passes on a connection. */
export function startDevices(inspect) {
  const device = startDevice(inspect);
  const filter = $("devices-filter");
  const rows = new Map();
  let devices = [];
  let ids = new Set();
  let more = false;
  /** Whether the hub has no such list. */
  let none = false;

  const load = atMostEvery(1000, async () => {
    if (none) return;
    try {
      const { body } = await ask(`/devices?limit=${MOST}`);
      devices = body.devices;
      ids = new Set(devices.map((one) => one.id));
      more = body.next != null;
      render();
      device.listed(devices);
    } catch (error) {
      // The list stays as it was until the hub is back.
      if (error.status === 404) {
        none = true;
        tell("This hub keeps no list of devices. Who is there now is shown with each room.");
      } else if (devices.length === 0) tell(`No list of devices: ${visible(words(error))}.`);
    }
  });

  function tell(note) {
    $("devices-table").hidden = true;
    $("devices-tools").hidden = true;
    $("devices-note").textContent = note;
  }

  function render() {
    const wanted = filter.value.trim().toLowerCase();
    const fitting = wanted === "" ? devices : devices.filter((one) => searchable(one).includes(wanted));
    const shown = fitting.slice(0, SHOWN);
    const online = devices.filter((one) => one.online).length;
    $("devices-count").textContent = `${online.toLocaleString("en")} of ${devices.length.toLocaleString("en")}${more ? "+" : ""} online`;
    $("devices-table").hidden = shown.length === 0;
    $("devices-tools").hidden = devices.length === 0;
    $("devices-note").textContent = note(fitting.length, shown.length);
    place(shown);
  }

  function note(fitting, shown) {
    if (devices.length === 0) return "No devices yet: whatever connects to a room under an id of its own, or sends readings, shows here.";
    if (fitting === 0) return "No device fits the filter.";
    if (shown < fitting) return `${plural(shown, "device")} of ${fitting.toLocaleString("en")}: the filter finds the others.`;
    return more && filter.value ? `Only the first ${MOST.toLocaleString("en")} devices are searched.` : "";
  }

  /** Rows that stay are kept, so that whoever is on one with the keyboard stays there. */
  function place(shown) {
    const list = $("devices-list");
    const here = new Set(shown.map((one) => one.id));
    for (const [id, row] of rows) {
      if (here.has(id)) continue;
      row.node.remove();
      rows.delete(id);
    }
    shown.forEach((one, index) => {
      let row = rows.get(one.id);
      if (!row) {
        const button = element("button", { type: "button", className: "link", onclick: () => device.open(one.id) }, named(one.id));
        row = { head: element("th", { scope: "row" }, button), node: element("tr") };
        rows.set(one.id, row);
      }
      const state = JSON.stringify(one);
      if (row.state !== state) {
        row.state = state;
        row.node.className = one.online ? "online" : "away";
        row.node.replaceChildren(row.head, ...cells(one));
      }
      if (list.children[index] !== row.node) list.insertBefore(row.node, list.children[index] ?? null);
    });
  }

  filter.oninput = render;
  return {
    refresh() {
      load();
      device.refresh();
    },
    // What no event tells, such as a device that was forgotten.
    poll: load,
    event(kind, data) {
      if (kind === "twin") device.event(data.device);
      if (kind === "reading") {
        device.reading(data);
        // One that only sends readings comes without another word.
        if (!more && !ids.has(data.device)) load();
      }
      if (kind !== "connected" && kind !== "disconnected") return;
      load();
      device.event(data.client);
    },
  };
}

const searchable = (one) =>
  [one.id, ...one.rooms, one.transport, one.identity, one.peer, one.online ? "online" : "away"].join("\n").toLowerCase();

const latency = (one) => (one.latency_ms === undefined ? "–" : `${one.latency_ms.toFixed(1)} ms`);

function cells(one) {
  const cell = (label, ...content) => element("td", { "data-label": label, className: ["none", "–"].includes(content[0]) ? "none" : "" }, ...content);
  return [
    cell("Rooms", ...names(one.rooms, 5)),
    cell("Transport", visibleName(one.transport ?? "–")),
    cell("Latency", latency(one)),
    cell("Certificate", one.identity == null ? "none" : named(one.identity)),
    cell("Address", visibleName(one.peer ?? "–")),
    cell("Since", ...since(one)),
  ];
}
