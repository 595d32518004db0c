// An editor for JSON that has a version, and that others may change meanwhile.

import { element } from "./dom.js";
import { beginning, parsed, visible } from "./text.js";

/** How much of what somebody else has made of it is shown, in UTF-16 units. */
const LONGEST = 20_000;

let editors = 0;

/** Somebody else changed it first. `current`: what there is now, `{ version, data }`; no `data` if it was removed. */
export class Conflict extends Error {
  constructor(current) {
    super(`somebody else has changed it: version ${current.version} is there now`);
    this.current = current;
  }
}

export class Editor {
  #area;
  #version;
  #problem;
  #note;
  #theirs;
  #save;
  #take;
  #over;
  #remove;
  #options;
  /** What the changes are made to: `{ version, data }`. */
  #base = { version: 0, data: undefined };
  /** The text of `#base`. */
  #text = "";
  /** What has been there since, if it is another. */
  #newer = null;
  #busy = false;
  /** Counts the things that are edited: an answer may come when it is another one. */
  #turn = 0;

  /**
   * `options`: `label`; `save(data, base)` stores and answers what there is then, or throws, perhaps a [Conflict]; perhaps
   * `remove(base)`, which does so too; perhaps `check(data)`, which answers what is wrong with a value.
   */
  constructor(parent, options) {
    this.#options = options;
    const id = `editor-${++editors}`;
    this.#area = element("textarea", { id, rows: 7, spellcheck: false, autocomplete: "off", oninput: () => this.#look() });
    this.#area.setAttribute("aria-describedby", `${id}-problem`);
    this.#version = element("span", { className: "count" });
    this.#problem = element("p", { className: "problem", id: `${id}-problem`, role: "alert" });
    this.#note = element("span", {});
    this.#theirs = element("pre", { tabIndex: 0, "aria-label": "What is there now" });
    this.#save = element("button", { type: "button", onclick: () => this.#store() }, "Save");
    this.#take = element("button", { type: "button", className: "quiet", onclick: () => this.#taken() }, "Drop my changes");
    this.#over = element("button", { type: "button", className: "quiet", onclick: () => this.#store(true) }, "Save mine over it");
    this.#remove = element("button", { type: "button", className: "quiet", onclick: () => this.#change(options.remove, this.#base) }, "Remove");
    parent.replaceChildren(
      element("label", { htmlFor: id }, options.label, " · ", this.#version),
      this.#area,
      this.#problem,
      element("p", { className: "conflict", role: "status" }, this.#note),
      this.#theirs,
      element("div", { className: "tools" }, this.#save, this.#over, this.#take, this.#remove),
    );
    this.#look();
  }

  /** What there is now. Changes that somebody is making here stay. */
  show(current) {
    // What was asked for before something was saved may be told behind it; 0 is what is not there any longer.
    const isOther = current.version > this.#base.version || (current.version === 0 && this.#base.version !== 0);
    if (isOther && this.#isChanged) this.#newer = current;
    else if (isOther) this.#start(current);
    this.#look(false);
  }

  /** What there is now, of something else than before. */
  begin(current) {
    this.#turn += 1;
    this.#busy = false;
    this.#start(current);
    this.#look();
  }

  get #isChanged() {
    return this.#area.value !== this.#text;
  }

  #start(current) {
    this.#base = current;
    this.#newer = null;
    this.#text = current.data === undefined ? "" : JSON.stringify(current.data, null, 2);
    this.#area.value = this.#text;
    this.#problem.textContent = "";
  }

  #taken() {
    this.#start(this.#newer ?? this.#base);
    this.#look();
    this.#area.focus();
  }

  /** `over` what there is by now. */
  #store(over = false) {
    const data = parsed(this.#area.value).value;
    return this.#change((base) => this.#options.save(data, base), over ? this.#newer : this.#base);
  }

  async #change(how, base) {
    const turn = this.#turn;
    this.#busy = true;
    this.#look();
    const outcome = await how(base).catch((error) => error);
    if (turn !== this.#turn) return;
    this.#busy = false;
    if (outcome instanceof Conflict) this.#newer = outcome.current;
    if (outcome instanceof Error) this.#problem.textContent = `Not saved: ${visible(outcome.message)}.`;
    else this.#start(outcome);
    this.#look(false);
  }

  #look(anew = true) {
    const value = parsed(this.#area.value);
    const wrong = value ? this.#options.check?.(value.value) : "This is not JSON yet.";
    const bad = Boolean(wrong) && this.#isChanged;
    if (anew || bad) this.#problem.textContent = bad ? wrong : "";
    this.#area.setAttribute("aria-invalid", bad);
    this.#version.textContent = this.#base.version === 0 ? "not there yet" : `version ${this.#base.version}`;
    this.#note.textContent = this.#newer
      ? `Version ${this.#newer.version} is there now${this.#newer.data === undefined ? " (it was removed)" : ""}; your changes are to version ${this.#base.version}.`
      : "";
    this.#theirs.hidden = this.#newer?.data === undefined;
    this.#theirs.textContent = this.#theirs.hidden ? "" : visible(beginning(JSON.stringify(this.#newer.data, null, 2), LONGEST));
    this.#save.hidden = this.#newer !== null;
    this.#over.hidden = this.#newer === null;
    this.#take.hidden = !this.#isChanged;
    this.#remove.hidden = !this.#options.remove || this.#base.data === undefined || this.#isChanged;
    this.#remove.disabled = this.#busy;
    this.#save.disabled = this.#over.disabled = this.#busy || bad || !this.#isChanged;
  }
}
