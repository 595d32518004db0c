// A chart of one sensor. What it shows is told to it; what people do with it, it tells.

import { amount, axis, moment, timeTicks, unitName } from "./scale.js";
import { extremes, middle, nearest, runs } from "./series.js";

const HEIGHT = 230;
/** Room above, on the right and below, in pixels; on the left it depends on the numbers. */
const [TOP, RIGHT, BOTTOM] = [22, 20, 24];
/** How wide a character is, and how wide a time. */
const [CHARACTER, TIME] = [7.2, 84];
/** A pointer that moves less has not dragged, in pixels. */
const STILL = 8;
/** Up to so many points have a mark each. */
const MARKED = 60;

const NOTHING = "no readings";

const KEYS = { ArrowLeft: ["pan", -0.25], ArrowRight: ["pan", 0.25], "+": ["zoom", 0.5], "=": ["zoom", 0.5], "-": ["zoom", 2], End: ["live"] };

export class Chart {
  #box;
  #read;
  #on;
  #view = null;
  #scale = null;
  #drag = null;
  /** Where somebody points, in pixels. */
  #pointed = null;

  /**
   * `box` is where it is, `read` where the values under the pointer are told. `on`: { pan(share), zoom(factor), live(), choose(from, to) },
   * where shares are of the time that is shown.
   */
  constructor(box, read, on) {
    this.#box = box;
    this.#read = read;
    this.#on = on;
    box.onkeydown = (event) => this.#key(event);
    box.onpointerdown = (event) => this.#press(event);
    box.onpointermove = (event) => this.#move(event);
    box.onpointerup = (event) => this.#release(event);
    box.onpointercancel = () => this.#drop();
    // A finger leaves when it is lifted, and what it has found stays.
    box.onpointerleave = (event) => event.pointerType === "mouse" && this.#drag === null && this.#tell(null);
    new ResizeObserver(() => this.#draw()).observe(box);
  }

  /** `view`: { from, to, points, every, unit, steps }; `steps` if it is a matter of yes and no. */
  show(view) {
    this.#view = view;
    this.#draw();
  }

  #draw() {
    const width = this.#box.clientWidth;
    // Nothing is shown, or nobody can see it.
    if (this.#view === null || width === 0) return;
    const { from, to, points, every, unit, steps } = this.#view;
    const found = extremes(points);
    const across = found === null ? null : steps ? YES_NO : axis(found.low, found.high, 5);
    const left = 12 + CHARACTER * Math.max(2, ...(across?.ticks.map(({ label }) => label.length) ?? []));
    const inner = { left, right: width - RIGHT, top: TOP, bottom: HEIGHT - BOTTOM };
    const x = (time) => inner.left + ((time - from) / (to - from)) * (inner.right - inner.left);
    // The largest numbers there are lie beyond every axis.
    const bounded = (value) => Math.min(across.to, Math.max(across.from, value));
    const y = (value) => inner.bottom - ((bounded(value) - across.from) / (across.to - across.from)) * (inner.bottom - inner.top);
    this.#scale = { x, inner, time: (at) => from + ((at - inner.left) / (inner.right - inner.left)) * (to - from) };
    const parts = [...timeAxis(this.#view, x, inner)];
    if (across !== null) {
      const divided = runs(points, every);
      const clip = svg("clipPath", { id: "chart-inside" }, rectangle(inner.left, inner.right, { top: 0, bottom: HEIGHT }));
      const drawn = divided.flatMap((run) => (steps ? stairs(run, x, y) : line(run, x, y, every)));
      const marks = points.length <= MARKED ? points : divided.filter((run) => run.length === 1).flat();
      const dots = marks.map((one) => svg("circle", { class: "mark-point", cx: x(middle(one)), cy: y(one.value), r: 2.6 }));
      parts.push(...valueAxis(across, y, inner, steps ? "" : unitName(unit)), clip);
      parts.push(svg("g", { "clip-path": "url(#chart-inside)" }, ...missing(divided, x, inner), ...drawn, ...dots));
    }
    parts.push(svg("g", { id: "chart-pointer" }));
    const attributes = { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, "aria-hidden": true };
    this.#box.replaceChildren(svg("svg", attributes, ...parts));
    this.#point();
  }

  #key(event) {
    const known = KEYS[event.key];
    if (known === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const [action, share] = known;
    this.#on[action](share);
  }

  #at(event) {
    return event.clientX - this.#box.getBoundingClientRect().left;
  }

  #press(event) {
    if (event.button !== 0 || this.#scale === null) return;
    this.#box.setPointerCapture(event.pointerId);
    this.#drag = { begun: this.#at(event), now: this.#at(event) };
  }

  #move(event) {
    if (this.#scale === null) return;
    const at = this.#at(event);
    if (this.#drag !== null) this.#drag.now = at;
    this.#tell(at);
  }

  #release(event) {
    const drag = this.#drag;
    this.#drop();
    if (drag === null || Math.abs(drag.now - drag.begun) < STILL) return this.#tell(this.#at(event));
    const times = [drag.begun, drag.now].map(this.#scale.time).sort((a, b) => a - b);
    this.#on.choose(...times);
  }

  #drop() {
    this.#drag = null;
    this.#tell(null);
  }

  /** Tells the value at a place; none if nobody points. */
  #tell(at) {
    this.#pointed = at;
    this.#point();
  }

  #point() {
    const layer = this.#box.querySelector("#chart-pointer");
    if (layer === null) return;
    layer.replaceChildren();
    const { x, inner, time } = this.#scale;
    const { points, from, to, unit, steps } = this.#view;
    const one = this.#pointed === null ? undefined : nearest(points, time(this.#pointed));
    this.#read.textContent = one === undefined ? "" : reading(one, to - from, unit, steps);
    if (one !== undefined) layer.append(upright(x(middle(one)), inner, "pointed"));
    if (this.#drag !== null) layer.append(rectangle(...[this.#drag.begun, this.#drag.now].sort((a, b) => a - b), inner, "chosen"));
  }
}

/** A value in words. */
export function valueWords(value, unit, steps) {
  if (!steps || value < 0 || value > 1) return amount(value, unit);
  return value === 0 ? "false" : value === 1 ? "true" : `true for ${Math.round(value * 100)} %`;
}

/** One point in words. */
function reading(one, span, unit, steps) {
  const value = (number) => valueWords(number, unit, steps);
  if (one.start === one.end) return `${moment(one.start, span)}: ${value(one.value)}`;
  const times = `${moment(one.start, span)} to ${moment(one.end, span)}`;
  if (steps) return `${times}: ${value(one.value)} of ${one.count}`;
  return `${times}: mean ${value(one.value)}, ${value(one.low)} to ${value(one.high)}, of ${one.count}`;
}

const YES_NO = { from: -0.15, to: 1.15, ticks: [{ value: 0, label: "false" }, { value: 1, label: "true" }] };

function timeAxis({ from, to }, x, inner) {
  const ticks = timeTicks(from, to, Math.max(2, Math.floor((inner.right - inner.left) / TIME)));
  const base = svg("line", { class: "base", x1: inner.left, x2: inner.right, y1: inner.bottom, y2: inner.bottom });
  return [base, ...ticks.flatMap(({ at, label }) => {
    const text = svg("text", { x: x(at), y: inner.bottom + 17, "text-anchor": "middle" }, label);
    return [upright(x(at), { top: inner.bottom, bottom: inner.bottom + 4 }, "base"), text];
  })];
}

function valueAxis({ ticks }, y, inner, unit) {
  const lines = ticks.flatMap(({ value, label }) => [
    svg("line", { class: "grid", x1: inner.left, x2: inner.right, y1: y(value), y2: y(value) }),
    svg("text", { x: inner.left - 6, y: y(value) + 4, "text-anchor": "end" }, label),
  ]);
  return unit === "" ? lines : [...lines, svg("text", { class: "unit", x: 4, y: 12 }, unit)];
}

/** The means, and between which numbers they lie. */
function line(run, x, y, every) {
  const places = (value) => run.map((one) => [x(middle(one)), y(value(one))]);
  const path = (name, course) => svg("path", { class: name, d: course });
  const mean = path("mean", course(places((one) => one.value)));
  if (every === 0) return [mean];
  const [high, low] = [places((one) => one.high), places((one) => one.low)];
  const band = path("band", `${course([...high, ...low.toReversed()])}Z`);
  return [band, path("edge", course(high)), path("edge", course(low)), mean];
}

/** What is so stays so until it is told otherwise. */
function stairs(run, x, y) {
  const places = run.flatMap((one, index) => {
    const place = [x(one.start), y(one.value)];
    return index === 0 ? [place] : [[place[0], y(run[index - 1].value)], place];
  });
  const last = run.at(-1);
  return [svg("path", { class: "mean", d: course([...places, [x(last.end), y(last.value)]]) })];
}

/** Where nothing was measured. It says so, if there is room. */
function missing(divided, x, inner) {
  return divided.slice(1).flatMap((run, index) => {
    const [from, to] = [x(divided[index].at(-1).end), x(run[0].start)];
    const place = rectangle(from, to, inner, "missing");
    if (to - from < NOTHING.length * CHARACTER) return [place];
    return [place, svg("text", { x: (from + to) / 2, y: inner.top + 16, "text-anchor": "middle" }, NOTHING)];
  });
}

const course = (places) => places.map(([x, y], index) => `${index ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

const upright = (x, { top, bottom }, name) => svg("line", { class: name, x1: x, x2: x, y1: top, y2: bottom });

function rectangle(from, to, { top, bottom }, name = "") {
  return svg("rect", { class: name, x: from, y: top, width: Math.max(0, to - from), height: bottom - top });
}

function svg(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}
