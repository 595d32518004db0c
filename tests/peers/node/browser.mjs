// Drives Chromium (its path in TAUTLINE_CHROMIUM), one JSON object per line (see ../README.md).
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { serveCommands } from './jsonlines.mjs';
import { require } from './packages.mjs';

const { chromium } = require('playwright-core');

const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'tautline-chromium-'));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.TAUTLINE_CHROMIUM,
  viewport: { width: 800, height: 600 },
  ignoreHTTPSErrors: true,
  args: [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--no-proxy-server',
    // The route below does not see WebSockets, and Playwright's own hook for them would replace the page's WebSocket.
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1, EXCLUDE [::1]',
  ],
});

const LOOPBACK = /^https?:\/\/(localhost|127\.0\.0\.1|\[::1\])(:|\/)|^(file|data|blob|about):/;
await context.route('**/*', (route) => (LOOPBACK.test(route.request().url()) ? route.continue() : route.abort()));

/** How long anything may take, in milliseconds; less than the test waits for an answer, so that the answer says what was seen. */
const PATIENCE = 25_000;

const tabs = new Map(); // name -> { page, errors, frames }

const tab = (name) => tabs.get(name) ?? fail(`no tab ${name}`);
const fail = (message, details) => {
  throw Object.assign(new Error(message), { details });
};

async function open(url, { as }) {
  const page = await context.newPage();
  const errors = [];
  const frames = [];
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('websocket', (socket) => {
    for (const [event, direction] of [['framesent', 'sent'], ['framereceived', 'received']]) {
      socket.on(event, ({ payload }) =>
        frames.push(typeof payload === 'string' ? { [direction]: payload } : { [direction]: { binary: payload.toString('hex') } }),
      );
    }
  });
  tabs.set(as, { page, errors, frames });
  await page.goto(url);
  return { ok: 'open', url: page.url(), title: await page.title() };
}

/** The element's text; with `until`, waits until it equals the string or matches { regex }. */
async function text(selector, { in: name, until, timeout = PATIENCE }) {
  const { page } = tab(name);
  const fits = (t) => until === undefined || (until.regex ? new RegExp(until.regex).test(t) : t === until);
  const deadline = Date.now() + timeout;
  let seen;
  do {
    seen = await shown(page, selector);
    if (seen !== null && fits(seen)) return { text: seen };
    await new Promise((resolve) => setTimeout(resolve, 20));
  } while (Date.now() < deadline);
  fail(`${selector} did not show it in ${timeout} ms`, { text: seen });
}

/** The text of an element; null if it is not there, or the page is being left for another. */
async function shown(page, selector) {
  try {
    const element = await page.$(selector);
    return element && (await element.innerText()).trim();
  } catch (error) {
    if (/because of a navigation|not attached to the DOM/.test(error.message)) return null;
    throw error;
  }
}

/** Waits until a script in the page answers this JSON. */
async function becomes(js, { in: name, until, timeout = PATIENCE }) {
  const { page } = tab(name);
  const deadline = Date.now() + timeout;
  let value;
  do {
    value = await page.evaluate(js);
    if (JSON.stringify(value) === JSON.stringify(until)) return { value };
    await new Promise((resolve) => setTimeout(resolve, 20));
  } while (Date.now() < deadline);
  fail(`${js} did not become it in ${timeout} ms`, { value });
}

async function answer(pattern, { status, body }) {
  const contentType = status < 400 ? 'application/json' : 'application/problem+json';
  await context.route(pattern, (route) => route.fulfill({ status, contentType, body: JSON.stringify(body) }));
}

async function resize(_, { in: name, width, height }) {
  await tab(name).page.setViewportSize({ width, height });
}

async function screenshot(file, { in: name, width = 800, height = 600 }) {
  const { page } = tab(name);
  await page.setViewportSize({ width, height });
  await page.screenshot({ path: file });
}

/** Presses the mouse at one place of an element and releases it at another; both are shares of its width. */
async function drag(selector, { in: name, from, to }) {
  const { page } = tab(name);
  await page.locator(selector).scrollIntoViewIfNeeded();
  const { x, y, width, height } = await page.locator(selector).boundingBox();
  await page.mouse.move(x + from * width, y + height / 2);
  await page.mouse.down();
  await page.mouse.move(x + to * width, y + height / 2, { steps: 4 });
  await page.mouse.up();
}

/** The tab, once what the page has already done has been told: events travel behind a turn of the page's own loop. */
async function settled(name) {
  await tab(name).page.evaluate(() => new Promise((resolve) => setTimeout(resolve)));
  return tab(name);
}

await serveCommands({
  open,
  text,
  becomes,
  answer,
  resize,
  drag,
  screenshot,
  click: (selector, { in: name, timeout = PATIENCE }) => tab(name).page.click(selector, { timeout }),
  fill: (selector, { in: name, value, timeout = PATIENCE }) => tab(name).page.fill(selector, value, { timeout }),
  select: async (selector, { in: name, value, timeout = PATIENCE }) => {
    await tab(name).page.selectOption(selector, value, { timeout });
  },
  press: (key, { in: name }) => tab(name).page.keyboard.press(key),
  type: (text, { in: name }) => tab(name).page.keyboard.type(text),
  prefer: (scheme, { in: name }) => tab(name).page.emulateMedia({ colorScheme: scheme }),
  eval: async (js, { in: name }) => ({ value: await tab(name).page.evaluate(js) }),
  errors: async (name) => ({ errors: (await settled(name)).errors }),
  frames: async (name) => ({ frames: (await settled(name)).frames }),
  close: async (name) => {
    await tab(name).page.close();
    tabs.delete(name);
  },
});
await context.close();
fs.rmSync(profile, { recursive: true, force: true });
