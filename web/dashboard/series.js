// Readings as a chart has them. Nothing here touches the page.
//
// A point is a reading, or all readings of a stretch of time: `{ start, end, value, low, high, count }`. Times are in ms since 1970;
// a reading begins and ends at once, and `value` is the mean of a stretch. `every` is how long stretches are; 0 if points are readings.

/** Into how many stretches a chart's time is divided at most. */
const STRETCHES = 300;
/** After so many of the usual intervals without a reading something is missing. */
const PATIENCE = 4;
/** Where the middle half of the intervals differs more than by this factor, readings come when something happens. */
const UNLIKE = 3;

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const STEPS = [
  ...[1, 2, 5, 10, 15, 30].map((step) => step * 1000),
  ...[1, 2, 5, 10, 15, 30].map((step) => step * MINUTE),
  ...[1, 2, 3, 6, 12, 24].map((step) => step * HOUR),
];

/** How long the stretches of so much time are. */
export function stretch(span) {
  const least = span / STRETCHES;
  return STEPS.find((step) => step >= least) ?? Math.ceil(least);
}

/** The points of an answer of the API. What is neither a number nor yes or no cannot be drawn. */
export function pointsOf(entries, every) {
  if (every > 0) {
    // The mean of very large numbers can be too large for a number.
    const whole = entries.filter((entry) => entry.every(Number.isFinite));
    return whole.map(([start, low, value, high, count]) => ({ start, end: start + every, value, low, high, count }));
  }
  return entries.filter(([, value]) => isDrawn(value)).map(([at, value]) => point(at, value));
}

export const isDrawn = (value) => typeof value === "number" || typeof value === "boolean";

/** The points with one more reading, wherever in time it belongs. One that is there already does not come a second time. */
export function withReading(points, at, given, every) {
  const value = Number(given);
  const start = every > 0 ? Math.floor(at / every) * every : at;
  let index = points.length;
  while (index > 0 && points[index - 1].start > start) index -= 1;
  if (every === 0) {
    for (let same = index - 1; same >= 0 && points[same].start === at; same -= 1) if (points[same].value === value) return points;
    return points.toSpliced(index, 0, point(at, value));
  }
  const there = points[index - 1];
  if (there?.start !== start) return points.toSpliced(index, 0, { start, end: start + every, value, low: value, high: value, count: 1 });
  const count = there.count + 1;
  const mean = there.value + (value - there.value) / count;
  return points.with(index - 1, { ...there, value: mean, low: Math.min(there.low, value), high: Math.max(there.high, value), count });
}

/**
 * The points, divided where something is missing: where nothing was measured for several times as long as usual. What comes at
 * any time, such as a door that opens, has no usual interval, and nothing is missing.
 */
export function runs(points, every) {
  const longest = longestSilence(points, every);
  const found = [];
  points.forEach((one, index) => {
    if (index === 0 || one.start - points[index - 1].end > longest) found.push([]);
    found.at(-1).push(one);
  });
  return found;
}

/** For how long nothing may be measured between two points. */
export function longestSilence(points, every) {
  if (points.length < 2) return Infinity;
  const count = quantile(points.map((one) => one.count), 0.5);
  if (every > 0 && count > 1) return (PATIENCE * every) / count;
  const intervals = points.slice(1).map((one, index) => one.start - points[index].start);
  const [short, usual, long] = [0.25, 0.5, 0.75].map((share) => quantile(intervals, share));
  // One is too few to tell what is usual.
  const isRegular = intervals.length > 1 && usual > 0 && long <= UNLIKE * short;
  return isRegular ? PATIENCE * usual - every : Infinity;
}

/** The lowest and the highest value, and the last one. `null` if there are no points. */
export function extremes(points) {
  if (points.length === 0) return null;
  let [low, high] = [Infinity, -Infinity];
  for (const one of points) [low, high] = [Math.min(low, one.low), Math.max(high, one.high)];
  return { low, high, last: points.at(-1) };
}

/** The point that is nearest to a time; `undefined` if there are none. */
export function nearest(points, time) {
  const distance = (one) => Math.max(one.start - time, time - one.end, 0);
  return points.reduce((best, one) => (best === undefined || distance(one) < distance(best) ? one : best), undefined);
}

/** In the middle of its stretch. */
export const middle = (one) => (one.start + one.end) / 2;

function point(at, given) {
  const value = Number(given);
  return { start: at, end: at, value, low: value, high: value, count: 1 };
}

function quantile(numbers, share) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(share * (sorted.length - 1))];
}
