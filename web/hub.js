// The hub's page. Everything on it is live: the counter and the client have a WebSocket each, all else comes from the API.
// No dependencies, nothing from elsewhere.

import { startCounter } from "./dashboard/counter.js";
import { startDevices } from "./dashboard/devices.js";
import { startEventLog } from "./dashboard/eventlog.js";
import { startInspector } from "./dashboard/inspector.js";
import { Events } from "./dashboard/api.js";
import { startRelay } from "./dashboard/relay.js";
import { startRooms } from "./dashboard/rooms.js";
import { socketUrl } from "./dashboard/line.js";
import { $, showState } from "./dashboard/dom.js";
import { visible } from "./dashboard/text.js";
import { keepToken } from "./dashboard/token.js";

for (const code of document.querySelectorAll("code[data-path]")) code.textContent = socketUrl(code.dataset.path);
startCounter();
startRelay();

const inspector = startInspector();
const panels = [startDevices(inspector.inspect), startRooms(), startEventLog(), inspector];
const show = showState($("hub-state"));
let live = false;
const events = new Events({
  state(name, text) {
    live = name === "open";
    show(name, text);
  },
  open() {
    for (const panel of panels) panel.refresh?.();
  },
  event(kind, data) {
    for (const panel of panels) panel.event?.(kind, data);
  },
  refused(problem) {
    for (const part of document.querySelectorAll(".needs-api")) part.hidden = true;
    $("refused-address").textContent = `${location.protocol}//localhost${location.port && `:${location.port}`}/`;
    $("refused-detail").textContent = visible(problem.message);
    $("refused-token-form").hidden = problem.status === 421;
    $("refused").hidden = false;
    live = false;
    show("stopped", "limited");
  },
});
events.start();
$("refused-token-form").onsubmit = (event) => {
  event.preventDefault();
  // All connections begin anew with it.
  if (keepToken($("refused-token").value.trim())) location.reload();
  else $("refused-detail").textContent = "this browser does not let the page keep the token";
};
setInterval(() => {
  if (!live || document.hidden) return;
  for (const panel of panels) panel.poll?.();
}, 15_000);
