// Building the page. Whatever comes from elsewhere becomes text here, never markup.

import { beginning, lasting, plural, visible, visibleName } from "./text.js";

/** How much of a long text is shown at first. */
const LONGEST = 600;

export const $ = (id) => document.getElementById(id);

/** An element with properties (or attributes, where there is no such property) and children. */
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** A name of somebody's choosing. It cannot disturb the text around it. */
export function named(name) {
  const shown = visibleName(name);
  const node = element("bdi", { className: "name" }, shown);
  if (shown.length > 24) node.title = shown;
  return node;
}

/** Some names, not more than this many, as parts of a text. */
export function names(list, most) {
  if (list.length === 0) return ["–"];
  const parts = list.slice(0, most).flatMap((name, index) => (index ? [", ", named(name)] : [named(name)]));
  return list.length > most ? [...parts, ` and ${list.length - most} more`] : parts;
}

/** A text of somebody's choosing; of a long one the beginning, and a button that shows all of it. */
export function payload(content) {
  const start = beginning(content, LONGEST);
  const node = element("bdi", { className: "payload" }, visible(start));
  if (start.length === content.length) return node;
  const label = `… show all (${plural(content.length, "character")})`;
  node.append(" ", element("button", { type: "button", className: "link", onclick: () => showWhole(content) }, label));
  return node;
}

/** A time in ms since 1970 as its age, which grows by itself. */
export function ago(ms) {
  const node = element("time", { dateTime: new Date(ms).toISOString(), "data-ago": ms }, lasting(Date.now() - ms));
  node.title = new Date(ms).toLocaleString();
  return node;
}

setInterval(() => {
  for (const node of document.querySelectorAll("[data-ago]")) node.textContent = lasting(Date.now() - Number(node.dataset.ago));
}, 5000);

/** What shows the state of a connection in an element. */
export function showState(node) {
  return (name, text) => {
    node.dataset.state = name;
    node.textContent = text;
  };
}

/** Gives an element the focus, if a button had it and lost it by being disabled. Whoever has gone on stays there. */
export function focusIfLost(node) {
  const here = document.activeElement;
  if (here === null || here === document.body || here.disabled) node.focus();
}

/** Calls `task` soon, but not more often than once in `pause` ms, and never twice at once. */
export function atMostEvery(pause, task) {
  let timer = null;
  let again = false;
  const run = async () => {
    again = false;
    try {
      await task();
    } finally {
      timer = setTimeout(() => {
        timer = null;
        if (again) start();
      }, pause);
    }
  };
  const start = () => {
    again = true;
    timer ??= setTimeout(run, 30);
  };
  return start;
}

/** Tabs as ARIA has them: arrow keys move between them, and only one is on the way of the tab key. */
export function startTabs(list, onChoice = () => {}) {
  const tabs = [...list.querySelectorAll("[role=tab]")];
  const choose = (chosen, focus) => {
    for (const tab of tabs) {
      tab.setAttribute("aria-selected", tab === chosen);
      tab.tabIndex = tab === chosen ? 0 : -1;
      $(tab.getAttribute("aria-controls")).hidden = tab !== chosen;
    }
    if (focus) chosen.focus();
    onChoice(chosen.id);
  };
  const steps = { ArrowRight: 1, ArrowLeft: -1 };
  list.onkeydown = (event) => {
    if (!(event.key in steps)) return;
    event.preventDefault();
    choose(tabs[(tabs.indexOf(event.target) + steps[event.key] + tabs.length) % tabs.length], true);
  };
  for (const tab of tabs) tab.onclick = () => choose(tab, false);
  choose(tabs[0], false);
}

function showWhole(content) {
  $("whole-text").textContent = visible(content);
  $("whole").showModal();
}
