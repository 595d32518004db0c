// A device's twin: what it should be like, what it says that it is like, and the difference.

import { Problem, ask, devicePath, words } from "./api.js";
import { $ } from "./dom.js";
import { Conflict, Editor } from "./editor.js";
import { beginning, isObject, visible } from "./text.js";

/** How much of a twin's other parts is shown, in UTF-16 units. */
const LONGEST = 100_000;

/** `changed` is called when there is something new to load. */
export function startTwin(changed) {
  const editor = new Editor($("twin-desired"), { label: "Desired, as JSON", save, check });
  let id = null;
  let reported;

  async function fetched() {
    return (await ask(`${devicePath(id)}/twin`)).body;
  }

  async function save(data, base) {
    const headers = { "If-Match": `"${base.version}"` };
    try {
      return (await ask(`${devicePath(id)}/twin/desired`, { method: "PUT", send: data, headers })).body;
    } catch (error) {
      if (error instanceof Problem && error.body.current) throw new Conflict(error.body.current);
      throw new Error(words(error), { cause: error });
    } finally {
      changed();
    }
  }

  function showOthers(twin) {
    reported = twin.reported.data;
    $("twin-reported-version").textContent = twin.reported.version === 0 ? "nothing yet" : `version ${twin.reported.version}`;
    $("twin-reported").textContent = indented(twin.reported.data);
    $("twin-delta").textContent = twin.delta === undefined ? "Nothing: it is as desired." : indented(twin.delta);
  }

  function tell(note) {
    $("twin-note").textContent = note;
    $("twin").hidden = note !== "";
  }

  return {
    /** Another device's. */
    begin(device) {
      id = device;
      reported = undefined;
      editor.begin({ version: 0, data: {} });
      tell("Loading …");
    },
    async load() {
      const device = id;
      try {
        const twin = await fetched();
        if (device !== id) return;
        editor.show(twin.desired);
        showOthers(twin);
        tell("");
      } catch (error) {
        if (device !== id || !$("twin").hidden) return;
        tell(error.status === 404 ? "This hub has no twin of this device." : `Not known: ${visible(words(error))}.`);
      }
    },
    /** What the device has said; `undefined` if it is not known. */
    reported: () => reported,
  };
}

function check(data) {
  return isObject(data) ? "" : "What is desired is a JSON object: { … }";
}

function indented(data) {
  const text = JSON.stringify(data ?? {}, null, 2);
  const start = beginning(text, LONGEST);
  return visible(start) + (start.length < text.length ? " …" : "");
}
