// The counter, by WebSocket as every other client has it.

import { $, showState } from "./dom.js";
import { Line, socketUrl } from "./line.js";

export function startCounter() {
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
  $("counter-url").textContent = socketUrl("/counter");
  line.open(socketUrl("/counter"));
}
