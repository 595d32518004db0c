// Commands to a device.

import { ask, devicePath, words } from "./api.js";
import { $, element, focusIfLost, named, payload } from "./dom.js";
import { Log } from "./log.js";
import { clock, isObject, parsed } from "./text.js";

/** How long the switch waits for the device, in s. */
const SWITCH_TIMEOUT = 5;

export function startCommands() {
  const log = new Log($("command-log"), draw);
  const led = $("led");
  let id = null;
  /** Whether the switch shows what is known. */
  let known = false;

  /** Answers what became of it: `{ done, words }`. */
  async function send(command) {
    const device = id;
    const seconds = command.timeout_seconds;
    let outcome;
    try {
      const { status, body } = await ask(`${devicePath(device)}/commands`, { method: "POST", send: command, timeout: (seconds + 10) * 1000 });
      outcome =
        status === 202
          ? { done: false, words: "is kept until the device connects" }
          : { done: true, words: body.result == null ? "done" : `done: ${JSON.stringify(body.result)}` };
    } catch (error) {
      outcome = { done: false, words: refusal(error, seconds) };
    }
    const content = command.payload === undefined ? "" : ` ${JSON.stringify(command.payload)}`;
    const text = `${content} → ${outcome.words}`;
    if (device === id) log.add({ time: new Date(), name: command.name, text }, text.length);
    return device === id ? outcome : null;
  }

  led.onclick = async () => {
    const on = led.getAttribute("aria-checked") !== "true";
    led.disabled = true;
    $("led-note").textContent = "…";
    const outcome = await send({ name: "led", payload: { on }, timeout_seconds: SWITCH_TIMEOUT });
    led.disabled = false;
    if (outcome === null) return;
    focusIfLost(led);
    if (outcome.done) {
      known = true;
      led.setAttribute("aria-checked", on);
    }
    $("led-note").textContent = outcome.done ? (on ? "on" : "off") : `not switched: ${outcome.words}`;
  };

  $("command").onsubmit = async (event) => {
    event.preventDefault();
    const content = $("command-payload").value.trim();
    const value = parsed(content);
    const bad = content !== "" && value === undefined;
    $("command-problem").textContent = bad ? 'The payload is not JSON. A text has quotation marks: "blue".' : "";
    if (bad) return $("command-payload").focus();
    const command = { name: $("command-name").value, timeout_seconds: Number($("command-timeout").value) };
    if (value !== undefined) command.payload = value.value;
    const ttl = Number($("command-ttl").value);
    if (ttl > 0) command.ttl_seconds = ttl;
    await send(command);
  };

  return {
    /** For another device. */
    begin(device) {
      id = device;
      known = false;
      log.clear();
      led.disabled = false;
      led.setAttribute("aria-checked", false);
      $("led-note").textContent = "";
      $("command-problem").textContent = "";
    },
    /** What the device says of itself. What it has answered to the switch is newer. */
    reported(data) {
      const on = lit(data);
      if (known || typeof on !== "boolean") return;
      led.setAttribute("aria-checked", on);
      $("led-note").textContent = on ? "on" : "off";
    },
  };
}

/** Whether the LED is on, if the device has said so. */
function lit(reported) {
  if (!isObject(reported)) return undefined;
  return isObject(reported.led) ? reported.led.on : reported.led;
}

function refusal(error, seconds) {
  switch (error.status) {
    case 409:
      return "the device is not connected";
    case 422:
      return `the device refuses: ${error.message}`;
    case 504:
      return `no answer within ${seconds} s`;
    default:
      return words(error);
  }
}

function draw({ time, name, text }) {
  return element("li", {}, element("time", {}, clock(time)), element("span", { className: "payload" }, named(name), payload(text)));
}
