// The access token that this page shows, if it was given one. It is kept as long as the tab is open.

const KEY = "tautline-token";

/** The token; null if there is none. */
export function token() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    // The browser keeps nothing for this page.
    return null;
  }
}

/** Keeps a token, or forgets it if there is none. Answers whether that was possible. */
export function keepToken(text) {
  try {
    if (text) sessionStorage.setItem(KEY, text);
    else sessionStorage.removeItem(KEY);
    return true;
  } catch {
    return false;
  }
}

/** These headers, with the token. */
export function withToken(headers) {
  const shown = token();
  return shown ? { ...headers, Authorization: `Bearer ${shown}` } : headers;
}

/** The subprotocols of a WebSocket that shows the token. The first one is as none: a browser wants one to be selected. */
export function tokenProtocols() {
  const shown = token();
  return shown ? ["tautline.raw", `tautline.token.${shown}`] : [];
}
