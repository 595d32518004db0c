// Logs that do not grow without bound.

/** How many entries a log shows. */
const LONGEST = 500;
/** How much their contents weigh together, in UTF-16 units or bytes. */
const HEAVIEST = 4 << 20;
/** Whoever is so near the end follows it, in pixels. */
const NEAR = 40;

export class Log {
  #list;
  #draw;
  #entries = [];
  #weight = 0;
  /** How many of the last entries are not on the page yet. */
  #undrawn = 0;
  #scheduled = false;
  #paused = false;
  #onPaused = () => {};

  /** `draw(entry)` answers the element of an entry. */
  constructor(list, draw) {
    this.#list = list;
    this.#draw = draw;
  }

  /** Buttons that pause and empty it. */
  controls(pause, clear) {
    this.#onPaused = () => {
      const waits = this.#undrawn > 0 ? ` (${this.#undrawn} new)` : "";
      pause.textContent = this.#paused ? `Go on${waits}` : "Pause";
      pause.setAttribute("aria-pressed", this.#paused);
    };
    pause.onclick = () => {
      this.#paused = !this.#paused;
      this.#schedule();
      this.#onPaused();
    };
    clear.onclick = () => this.clear();
  }

  /** `weight` is about how much of the memory it takes. */
  add(entry, weight = 100) {
    this.#entries.push({ entry, weight });
    this.#weight += weight;
    while (this.#entries.length > LONGEST || (this.#weight > HEAVIEST && this.#entries.length > 1)) {
      this.#weight -= this.#entries.shift().weight;
    }
    this.#undrawn = Math.min(this.#undrawn + 1, this.#entries.length);
    this.#schedule();
    if (this.#paused) this.#onPaused();
  }

  clear() {
    this.#entries = [];
    this.#weight = 0;
    this.redraw();
  }

  /** Draws everything anew. */
  redraw() {
    this.#list.replaceChildren();
    this.#undrawn = this.#entries.length;
    this.#flush();
    this.#onPaused();
  }

  /** What comes in one go is drawn in one go, and nothing while nobody looks. */
  #schedule() {
    if (this.#scheduled || this.#paused) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      if (!this.#paused) this.#flush();
    });
  }

  #flush() {
    const list = this.#list;
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < NEAR;
    if (this.#undrawn > 0) list.append(...this.#entries.slice(-this.#undrawn).map(({ entry }) => this.#draw(entry)));
    this.#undrawn = 0;
    while (list.childElementCount > this.#entries.length) list.firstElementChild.remove();
    if (atEnd) list.scrollTop = list.scrollHeight;
  }
}
