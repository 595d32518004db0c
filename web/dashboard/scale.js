// Axes: round numbers, times of day, and how both are written. Nothing here touches the page.

import { visibleName } from "./text.js";

const [SECOND, MINUTE, HOUR, DAY] = [1000, 60_000, 3_600_000, 86_400_000];
const TIME_STEPS = [
  ...[1, 2, 5, 10, 15, 30].map((step) => step * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((step) => step * MINUTE),
  ...[1, 2, 3, 6, 12].map((step) => step * HOUR),
  ...[1, 2, 7, 14].map((step) => step * DAY),
];

/** What an axis reaches at most: twice as much is a number still. */
const LARGEST = Number.MAX_VALUE / 4;

// The units of SenML (RFC 8428 section 12.1) that people write otherwise.
const UNITS = { Cel: "°C", "%RH": "% RH", "%EL": "% charge", "m/s2": "m/s²", m2: "m²", m3: "m³", "W/m2": "W/m²", "kg/m3": "kg/m³", Ohm: "Ω", l: "L", deg: "°", "/": "" };

/** A unit as people write it. */
export const unitName = (unit) => (Object.hasOwn(UNITS, unit) ? UNITS[unit] : visibleName(unit));

/** A number, as exactly as anybody can want it, with its unit. */
export function amount(value, unit = "") {
  const name = unitName(unit);
  return `${Number(value.toPrecision(6))}${name && `\u202f${name}`}`;
}

/** An axis that has room for these numbers: where it begins and ends, and at most so many round numbers on it. */
export function axis(low, high, most) {
  // A line through the middle, if it is always the same.
  const room = high > low ? (high - low) * 0.04 : Math.abs(low) * 0.1 || 1;
  const [from, to] = [Math.max(low - room, -LARGEST), Math.min(high + room, LARGEST)];
  const step = roundStep((to - from) / most);
  const decimals = Math.min(20, Math.max(0, -Math.floor(Math.log10(step))));
  const ticks = [];
  for (let number = Math.ceil(from / step); number * step <= to && ticks.length <= most; number += 1) {
    const value = number * step;
    const short = Math.abs(to) < 1e6 && decimals <= 6;
    ticks.push({ value, label: short ? (value + 0).toFixed(decimals) : String(Number(value.toPrecision(6))) });
  }
  return { from, to, ticks };
}

/** The least of 1, 2 and 5 times a power of ten that is no less than this. */
function roundStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return ([1, 2, 5].find((digit) => digit * power >= least) ?? 10) * power;
}

/** At most so many round times between two, in local time, each with how it is written. */
export function timeTicks(from, to, most) {
  const step = TIME_STEPS.find((one) => (to - from) / one <= most) ?? Math.ceil((to - from) / most / DAY) * DAY;
  const ticks = [];
  for (let at = roundTime(from, step); at <= to && ticks.length <= most; at = nextTime(at, step)) {
    if (at >= from) ticks.push({ at, label: timeLabel(at, step) });
  }
  return ticks;
}

/** When it was, as exactly as it matters in so much time: with the day, unless all of it is within one. */
export function moment(at, span) {
  const time = new Date(at).toLocaleTimeString([], { hourCycle: "h23" });
  return span < 12 * HOUR ? time : `${day(at)} ${time}`;
}

/** From when until when. */
export function period(from, to) {
  return new Date(from).toDateString() === new Date(to).toDateString() && to - from < 12 * HOUR
    ? `${day(from)}, ${moment(from, 0)} to ${moment(to, 0)}`
    : `${moment(from, DAY)} to ${moment(to, DAY)}`;
}

const day = (at) => new Date(at).toLocaleDateString([], { day: "numeric", month: "short" });

function midnight(at) {
  const date = new Date(at);
  return new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
}

function roundTime(at, step) {
  const start = midnight(at);
  return step >= DAY ? start : start + Math.floor((at - start) / step) * step;
}

/** The next one. Days are not all of one length. */
function nextTime(at, step) {
  if (step >= DAY) {
    const date = new Date(at);
    return new Date(date.getFullYear(), date.getMonth(), date.getDate() + step / DAY).getTime();
  }
  const next = at + step;
  const start = midnight(next);
  return start > at ? start : next;
}

function timeLabel(at, step) {
  if (step >= DAY || at === midnight(at)) return day(at);
  if (step < MINUTE) return moment(at, 0);
  return new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
}
