// Text, bytes and times, as people read them. Nothing here touches the page.

// Characters that cannot be seen, or that change how others are seen: a name could pose as another one with them.
// A joiner between emoji is what it should be.
const UNSEEN = /(?!\n|\t)(?:[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]|(?!\u200d)\p{Cf}|(?<!\p{Extended_Pictographic}\ufe0f?)\u200d)/gu;

/** A text in which every character can be seen. */
export function visible(text) {
  return String(text).replace(UNSEEN, (char) => `⟨U+${char.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

/** A name in one line in which every character can be seen. */
export function visibleName(name) {
  return visible(name).replace(/[\n\t]/g, (char) => (char === "\n" ? "⟨U+000A⟩" : "⟨U+0009⟩"));
}

/** Its beginning, if a text is longer than this many UTF-16 units; no character is cut in two. */
export function beginning(text, longest) {
  if (text.length <= longest) return text;
  const code = text.charCodeAt(longest - 1);
  return text.slice(0, code >= 0xd800 && code < 0xdc00 ? longest - 1 : longest);
}

export function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

/** The bytes that are written in hexadecimal, with or without spaces; `null` if that is not what it is. */
export function fromHex(text) {
  const digits = text.replace(/\s+/g, "");
  if (digits.length % 2 !== 0 || /[^0-9a-f]/i.test(digits)) return null;
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

export function toBase64(bytes) {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

/** The bytes that Base64 stands for; `null` if it is none. */
export function fromBase64(text) {
  try {
    return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  } catch {
    return null;
  }
}

/** What a JSON text stands for, as `{ value }`; `undefined` if it is none. */
export function parsed(text) {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

export const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/** `time` of a day: 14:03:27. */
export function clock(time) {
  return time.toLocaleTimeString([], { hour12: false });
}

const UNITS = [
  [60, 1, "s"],
  [3600, 60, "min"],
  [86_400, 3600, "h"],
  [Infinity, 86_400, "d"],
];

/** A duration in ms, in words: "12 s", "3 min". */
export function lasting(ms) {
  const seconds = Math.max(0, ms / 1000);
  const [, unit, name] = UNITS.find(([below]) => seconds < below);
  return `${Math.floor(seconds / unit)} ${name}`;
}

export function plural(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

/** A short name that is most probably nobody else's. */
export function randomId() {
  return `page-${Math.floor(Math.random() * 0x10000).toString(16).padStart(4, "0")}`;
}
