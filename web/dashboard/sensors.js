// A device's sensors: what they say now, and one of them over time.

import { ask, devicePath, words } from "./api.js";
import { Chart, valueWords } from "./chart.js";
import { $, ago, atMostEvery, element, named, payload } from "./dom.js";
import { showSummary, showTable } from "./readings.js";
import { moment, period } from "./scale.js";
import { isDrawn, pointsOf, stretch, withReading } from "./series.js";
import { beginning, lasting, visible, visibleName } from "./text.js";

/** How many readings are asked for; if there are more, what they come to in stretches of time. */
const MOST = 1000;
/** How many texts are shown. */
const TEXTS = 200;
/** What time can be shown, in ms: from two seconds to ten years. */
const [SHORTEST, LONGEST] = [2000, 315_360_000_000];
const HOUR = 3_600_000;
/** How many times as long as its answer took the hub is not asked again, if only to be exact. */
const REST = 20;

/** `isOpen` tells whether the dialog can be seen. */
export function startSensors(isOpen) {
  const chart = new Chart($("sensor-chart"), $("sensor-read"), { pan, zoom, live: () => look(span, null), choose: (from, to) => look(to - from, to) });
  const spans = [...$("sensor-spans").children];
  const rows = new Map();
  let device = null;
  let chosen = null;
  /** What time is shown: so many ms until then, or until now. */
  let [span, until] = [HOUR, null];
  /** Of that time: points, or texts as `{ at, text }`. */
  let [points, texts, every] = [[], [], 0];
  /** What came while the hub was asked: its answer may be without it. */
  let meanwhile = null;
  /** Whether what is there is of that time. */
  let known = false;
  let drawn = 0;
  let again;

  const loadChart = atMostEvery(300, async () => {
    const { name: sensor, kind } = chosen ?? {};
    if (sensor === undefined || !isOpen()) return;
    const asked = [device, sensor, span, until].join("\n");
    const isWanted = () => asked === [device, chosen?.name, span, until].join("\n");
    const begun = performance.now();
    clearTimeout(again);
    meanwhile = [];
    try {
      const answer = await fetched(sensor, kind);
      if (!isWanted()) return;
      ({ points, texts, every } = answer);
      known = true;
      $("sensor-note").textContent = answer.note;
      if (every === 0) for (const data of meanwhile) add(data);
      // Whether a mean has a reading already cannot be told.
      else if (meanwhile.length > 0) again = setTimeout(loadChart, Math.max(2000, REST * (performance.now() - begun)));
    } catch (error) {
      if (isWanted()) $("sensor-note").textContent = `Not known: ${visible(words(error))}.`;
    } finally {
      meanwhile = null;
    }
    draw(true);
  });
  const drawSoon = atMostEvery(250, async () => draw(true));

  /** The readings of the time that is shown; of many what they come to in stretches of time. */
  async function fetched(sensor, kind) {
    const { from, to } = bounds();
    const all = `${devicePath(device)}/readings?sensor=${encodeURIComponent(sensor)}`;
    const end = until === null ? "" : `&to=${Math.ceil(to)}`;
    const { entries, more } = await series(`${all}&from=${Math.floor(from)}${end}&limit=${MOST}`);
    if (kind === "text" || kind === "bytes") {
      const note = more ? `The first ${MOST.toLocaleString("en")} of this time: less time has the others.` : "";
      return { points: [], texts: entries.map(([at, text]) => ({ at, text: String(text) })), every: 0, note };
    }
    if (!more) return { points: pointsOf(entries, 0), texts: [], every: 0, note: "" };
    const width = stretch(to - from);
    const start = Math.floor(from / width) * width;
    const stretches = await series(`${all}&from=${start}${end}&every=${width}&limit=${MOST}`);
    const note = kind === "boolean" ? `Line: for how much of each ${lasting(width)} it was true.` : `Line: the mean of each ${lasting(width)}. Band: from the lowest to the highest.`;
    return { points: pointsOf(stretches.entries, width), texts: [], every: width, note };
  }

  function bounds() {
    if (until !== null) return { from: Math.max(0, until - span), to: until };
    // The device's clock may be a little ahead of this one.
    const last = points.at(-1)?.start ?? 0;
    const now = Date.now();
    const to = last > now && last - now < span ? last : now;
    return { from: to - span, to };
  }

  /** Another time. */
  function look(wanted, end) {
    span = Math.min(LONGEST, Math.max(SHORTEST, Math.round(wanted)));
    until = end === null || end >= Date.now() ? null : Math.round(end);
    known = false;
    draw(true);
    loadChart();
  }

  function pan(share) {
    const { to } = bounds();
    look(span, Math.max(span, to + share * span));
  }

  function zoom(factor) {
    const { from, to } = bounds();
    // What is live stays so.
    look(span * factor, until === null ? null : (from + to + span * factor) / 2);
  }

  function choose(sensor) {
    chosen = sensor;
    [points, texts, every] = [[], [], 0];
    $("sensor").hidden = false;
    $("sensor-title").replaceChildren(named(sensor.name));
    $("sensor-note").textContent = "Loading …";
    $("sensor-summary").textContent = "";
    $("sensor-texts").replaceChildren();
    const isText = sensor.kind === "text" || sensor.kind === "bytes";
    for (const id of ["sensor-chart", "sensor-read", "sensor-keys", "sensor-table"]) $(id).hidden = isText;
    $("sensor-texts").hidden = !isText;
    for (const [name, { button }] of rows) button.setAttribute("aria-current", name === sensor.name);
    look(span, until);
  }

  /** One more reading of the sensor. */
  function add({ at_ms: at, value }) {
    const { from, to } = bounds();
    if (at < from || (until !== null && at >= to)) return;
    if (!$("sensor-texts").hidden) {
      const text = String(value);
      if (texts.some((one) => one.at === at && one.text === text)) return;
      texts = texts.concat({ at, text }).sort((a, b) => a.at - b.at).slice(-MOST);
    } else if (isDrawn(value)) {
      points = withReading(points, at, value, every);
      // So many readings are not shown one by one.
      if (every === 0 && points.length > 1.5 * MOST) loadChart();
    }
  }

  function draw(isNew) {
    if (chosen === null || !isOpen()) return;
    const { from, to } = bounds();
    drawn = Date.now();
    if (until === null) {
      points = points.filter((one) => one.end >= from && one.start <= to);
      texts = texts.filter(({ at }) => at >= from && at <= to);
    }
    const { name, unit, kind } = chosen;
    const view = { from, to, points, every, unit, steps: kind === "boolean" };
    chart.show(view);
    for (const button of spans) button.setAttribute("aria-pressed", until === null && Number(button.dataset.span) === span);
    $("sensor-later").disabled = until === null;
    const range = until === null ? `the last ${lasting(span)}, live` : period(from, to);
    if ($("sensor-range").textContent !== range) $("sensor-range").textContent = range;
    if (!isNew || !known) return;
    if ($("sensor-texts").hidden) {
      const summary = showSummary($("sensor-summary"), view);
      $("sensor-chart").setAttribute("aria-label", `${visibleName(name)} of ${visibleName(device)}, ${range}: ${summary}`);
      showTable(view);
    } else {
      $("sensor-summary").textContent = "";
      $("sensor-texts").replaceChildren(...texts.slice(-TEXTS).reverse().map(({ at, text }) => element("li", {}, element("time", {}, moment(at, span)), payload(text))));
    }
  }

  function row(sensor) {
    const value = element("span", { className: "hint" });
    const button = element("button", { type: "button", onclick: () => choose(rows.get(sensor.name).sensor) }, named(sensor.name), value);
    button.setAttribute("aria-current", false);
    return { node: element("li", {}, button), button, value, sensor };
  }

  function list(sensors) {
    const names = new Set(sensors.map(({ name }) => name));
    for (const [name, { node }] of rows) {
      if (names.has(name)) continue;
      node.remove();
      rows.delete(name);
    }
    sensors.forEach((sensor, index) => {
      if (!rows.has(sensor.name)) rows.set(sensor.name, row(sensor));
      const one = rows.get(sensor.name);
      one.sensor = sensor;
      if (chosen?.name === sensor.name) chosen = sensor;
      showLatest(one);
      const here = $("sensors-list").children[index];
      if (here !== one.node) $("sensors-list").insertBefore(one.node, here ?? null);
    });
    $("sensors").hidden = sensors.length === 0;
  }

  const loadList = atMostEvery(1000, load);

  async function load() {
    const of = device;
    try {
      const { body } = await ask(`${devicePath(of)}/sensors`);
      if (device === of) list(body.sensors);
    } catch {
      // The list stays as it was until the hub is back.
    }
    if (device === of && chosen !== null) loadChart();
  }

  for (const button of spans) button.onclick = () => look(Number(button.dataset.span), null);
  $("sensor-earlier").onclick = () => pan(-0.5);
  $("sensor-later").onclick = () => pan(0.5);
  $("sensor-wider").onclick = () => zoom(2);
  $("sensor-closer").onclick = () => zoom(0.5);
  $("sensor-table").ontoggle = () => draw(true);
  setInterval(() => {
    // Where a pixel is minutes, nothing moves in a second.
    if (until === null && !document.hidden && Date.now() - drawn >= Math.max(1000, span / 600)) draw(false);
  }, 1000);

  return {
    /** Another device's. */
    begin(wanted) {
      device = wanted;
      chosen = null;
      [span, until] = [HOUR, null];
      $("sensor").hidden = true;
      list([]);
    },
    load,
    /** A reading of this device. */
    reading(data) {
      const one = rows.get(data.sensor);
      if (one === undefined) return loadList();
      if (one.sensor.latest === undefined || one.sensor.latest[0] <= data.at_ms) {
        one.sensor.latest = [data.at_ms, data.value];
        showLatest(one);
      }
      if (chosen?.name !== data.sensor) return;
      meanwhile?.push(data);
      add(data);
      drawSoon();
    },
  };
}

async function series(path) {
  const [one] = (await ask(path)).body.series;
  return { entries: one?.points ?? [], more: one?.next !== undefined };
}

function showLatest({ value, sensor: { latest, unit, kind } }) {
  if (latest === undefined) return value.replaceChildren("nothing since the hub was started");
  const [at, said] = latest;
  const text = isDrawn(said) ? valueWords(Number(said), unit, kind === "boolean") : beginning(visibleName(said), 40);
  value.replaceChildren(element("bdi", { className: "latest" }, text), " · ", ago(at), " ago");
}
