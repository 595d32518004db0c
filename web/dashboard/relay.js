// A client of a room, as plain as they come: what a ten-line program would be.

import { $, element, payload, showState } from "./dom.js";
import { Line, socketUrl } from "./line.js";
import { Log } from "./log.js";
import { clock, fromHex, randomId, toHex } from "./text.js";

/** How much of a message is kept, in UTF-16 units or bytes. */
const LONGEST_KEPT = 64 * 1024;
// In bytes of UTF-8.
const LONGEST_NAME = 128;

export function startRelay() {
  const [id, room, text, kind, problem] = ["relay-id", "relay-room", "relay-text", "relay-kind", "relay-problem"].map($);
  const log = new Log($("relay-log"), draw);
  const show = showState($("relay-state"));
  let wanted = false;

  const line = new Line({
    state(name, words) {
      show(name, words);
      wanted = name !== "off" && name !== "stopped";
      id.disabled = wanted;
      room.disabled = wanted;
      $("relay-connect").textContent = wanted ? "Disconnect" : "Connect";
      $("relay-send").disabled = name !== "open";
      if (name === "open") note(`connected as ${id.value}`);
    },
    message: (data) => message("in", data),
    closed(code, why, opened) {
      // A page is not told the status of a refused handshake.
      note(opened ? why : `${why}: is the server there, and no other client using this id?`);
    },
  });

  function note(content) {
    log.add({ time: new Date(), note: content });
  }

  function message(direction, data) {
    const binary = typeof data !== "string";
    const size = binary ? data.byteLength : data.length;
    const kept = binary ? toHex(new Uint8Array(data.slice(0, LONGEST_KEPT))) : data.slice(0, LONGEST_KEPT);
    const rest = size > LONGEST_KEPT ? ` … ${size - LONGEST_KEPT} more` : "";
    log.add({ time: new Date(), direction, kind: binary ? "hex" : "text", content: kept + rest }, kept.length);
  }

  const address = () => `/rooms/${encodeURIComponent(room.value)}/${encodeURIComponent(id.value)}`;
  const showAddress = () => {
    $("relay-url").textContent = socketUrl(address());
  };
  id.oninput = showAddress;
  room.oninput = showAddress;

  $("relay-opening").onsubmit = (event) => {
    event.preventDefault();
    if (wanted) return line.close();
    id.value = id.value.trim() || randomId();
    room.value = room.value.trim() || "main";
    showAddress();
    const bad = [id, room].find((input) => nameProblem(input.value));
    problem.textContent = bad ? nameProblem(bad.value) : "";
    if (bad) return bad.focus();
    line.open(socketUrl(address()));
  };

  $("relay-sending").onsubmit = (event) => {
    event.preventDefault();
    const data = kind.value === "binary" ? fromHex(text.value) : text.value;
    problem.textContent = data === null ? "Hexadecimal: two digits for each byte, as in 48 65 6c." : "";
    if (data === null) return text.focus();
    if (!line.send(data)) {
      problem.textContent = "Not connected.";
      return;
    }
    message("out", data);
    text.value = "";
    text.focus();
  };

  id.value = randomId();
  showAddress();
}

function draw({ time, note, direction, kind, content }) {
  const when = element("time", {}, clock(time));
  if (note !== undefined) return element("li", { className: "note" }, when, payload(note));
  const label = direction === "in" ? "received" : "sent";
  const arrow = element("span", { className: "arrow", role: "img", "aria-label": label }, direction === "in" ? "↓" : "↑");
  return element("li", { className: direction }, when, arrow, element("span", { className: "kind" }, kind), payload(content));
}

/** What is wrong with the name of a client or a room; empty if nothing is. */
export function nameProblem(name) {
  if (name === "." || name === "..") return "This name cannot stand in a URL.";
  if (/\p{Cc}/u.test(name)) return "A name has no control characters.";
  if (new TextEncoder().encode(name).length > LONGEST_NAME) return `A name has at most ${LONGEST_NAME} bytes.`;
  return "";
}
