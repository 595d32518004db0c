// What a chart shows, in words and as a table.

import { valueWords } from "./chart.js";
import { $, element } from "./dom.js";
import { moment } from "./scale.js";
import { extremes, runs } from "./series.js";
import { plural } from "./text.js";

/** How many rows the table has. */
const ROWS = 200;

/** Answers it, too. */
export function showSummary(node, { from, to, points, every, unit, steps }) {
  const found = extremes(points);
  if (found === null) return (node.textContent = "Nothing was measured in this time.");
  const value = (number) => valueWords(number, unit, steps);
  const { last } = found;
  const parts = [`latest ${every > 0 && !steps ? "mean " : ""}${value(last.value)} ${every > 0 ? "since" : "at"} ${moment(last.start, to - from)}`];
  if (!steps) parts.push(`lowest ${value(found.low)}`, `highest ${value(found.high)}`);
  parts.push(plural(points.reduce((sum, one) => sum + one.count, 0), "reading"));
  const gaps = runs(points, every).length - 1;
  if (gaps > 0) parts.push(plural(gaps, "gap"));
  return (node.textContent = parts.join(" · "));
}

/** The latest first. While it is closed there is none. */
export function showTable({ from, to, points, every, unit, steps }) {
  const isOpen = $("sensor-table").open;
  const when = (at) => moment(at, to - from);
  const value = (number) => valueWords(number, unit, steps);
  const columns =
    every === 0
      ? [["Time", (one) => when(one.start)], ["Value", (one) => value(one.value)]]
      : [
          ["From", (one) => when(one.start)],
          ["Mean", (one) => value(one.value)],
          ["Lowest", (one) => value(one.low)],
          ["Highest", (one) => value(one.high)],
          ["Readings", (one) => one.count],
        ];
  const shown = isOpen ? points.slice(-ROWS).reverse() : [];
  const row = (one) => element("tr", {}, ...columns.map(([name, cell]) => element("td", { "data-label": name }, String(cell(one)))));
  $("sensor-columns").replaceChildren(...columns.map(([name]) => element("th", { scope: "col" }, name)));
  $("sensor-rows").replaceChildren(...shown.map(row));
}
