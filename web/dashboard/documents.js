// The documents of a room: JSON that its members share.

import { Problem, ask, path, words } from "./api.js";
import { $, atMostEvery, element, named } from "./dom.js";
import { Conflict, Editor } from "./editor.js";
import { visible } from "./text.js";

const NOTHING = { version: 0, data: undefined };

export function startDocuments() {
  const editor = new Editor($("document-editor"), { label: "Value, as JSON", save, remove });
  const [list, note, panel] = ["documents-list", "documents-note", "document"].map($);
  let room = null;
  let name = null;

  const isSeen = () => room !== null && !document.hidden && !$("room-documents").hidden;

  const load = atMostEvery(1000, async () => {
    if (!isSeen()) return;
    const asked = room;
    try {
      const { body } = await ask(`/rooms${path(asked)}/documents?limit=1000`);
      if (asked === room) show(body.documents, body.next !== undefined);
    } catch (error) {
      if (asked === room) note.textContent = `Not known: ${visible(words(error))}.`;
    }
  });

  /** Asks for the one that is open: the list has no values. */
  async function look() {
    if (!isSeen() || name === null) return;
    const asked = where();
    const answer = await ask(asked).catch((error) => error);
    if (name === null || asked !== where()) return;
    if (answer.status === 404) editor.show(NOTHING);
    else if (!(answer instanceof Error)) editor.show(answer.body);
  }

  function show(documents, more) {
    list.replaceChildren(...documents.map(entry));
    note.textContent = documents.length === 0 ? "This room has no documents yet." : more ? "And more: open them by name." : "";
    look();
  }

  function entry({ name: title, version }) {
    const count = element("span", { className: "tag" }, ` version ${version}`);
    const button = element("button", { type: "button", className: "link", onclick: () => open(title) }, named(title));
    return element("li", { "aria-current": title === name }, button, count);
  }

  function open(title) {
    name = title;
    $("document-title").replaceChildren(named(title));
    panel.hidden = false;
    editor.begin(NOTHING);
    load();
  }

  const where = () => `/rooms${path(room, "documents", name)}`;

  /** Has the hub change what `base` is. Answers what there is then. */
  async function change(method, base, send) {
    const headers = { "If-Match": `"${base.version}"` };
    try {
      return (await ask(where(), { method, send, headers })).body;
    } catch (error) {
      if (error instanceof Problem && error.body.current) throw new Conflict(error.body.current);
      throw new Error(words(error), { cause: error });
    } finally {
      load();
    }
  }

  function save(data, base) {
    return change("PUT", base, data);
  }

  async function remove(base) {
    await change("DELETE", base);
    return NOTHING;
  }

  $("document-opening").onsubmit = (event) => {
    event.preventDefault();
    const input = $("document-name");
    if (input.value === "") return input.focus();
    open(input.value);
    input.value = "";
  };
  return {
    /** Another room's. */
    begin(other) {
      room = other;
      name = null;
      list.replaceChildren();
      note.textContent = "";
      panel.hidden = true;
      load();
    },
    load,
    /** A document of a room has changed. */
    event(data) {
      if (data.room === room) load();
    },
  };
}
