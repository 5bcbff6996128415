// The HTTP API: requests, what can go wrong with them, and the key that some services ask for.

const KEY = "segprobe.key";

/** An answer of the service that says what is wrong, RFC 9457. */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {{title?: string, detail?: string, instance?: string, errors?: {pointer?: string, detail: string}[]}} body
   * @param {string|null} retryAfter seconds after which to try again
   */
  constructor(status, body, retryAfter) {
    super(body.detail || body.title || `the service answered ${status}`);
    this.status = status;
    this.errors = body.errors ?? [];
    this.requestId = body.instance ?? null;
    this.retryAfter = retryAfter;
  }
}

/** The service did not answer at all. */
export class Offline extends Error {
  constructor() {
    super("the service does not answer");
  }
}

/** Says `lost` and `found` as the service goes and comes back, and `key-needed` when it wants a key. */
export const connection = new EventTarget();

let online = true;

/** @returns {boolean} whether a key is in use */
export function hasKey() {
  return sessionStorage.getItem(KEY) !== null;
}

/**
 * Uses a key from now on, in this tab only; `null` forgets it.
 * @param {string|null} key
 */
export function setKey(key) {
  if (key === null) sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, key);
}

/**
 * Sends a request.
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<Response>} an answer with a status below 400
 * @throws {Problem|Offline|DOMException} the last one if it was aborted
 */
export async function send(path, options = {}) {
  const headers = new Headers(options.headers);
  if (hasKey()) headers.set("Authorization", `Bearer ${sessionStorage.getItem(KEY)}`);
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    setOnline(false);
    throw new Offline();
  }
  setOnline(true);
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  if (response.status === 401) connection.dispatchEvent(new Event("key-needed"));
  throw new Problem(response.status, body, response.headers.get("Retry-After"));
}

/**
 * Fetches JSON.
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<any>}
 */
export async function json(path, options) {
  return (await send(path, options)).json();
}

/**
 * Fetches a file, with the key if there is one.
 * @param {string} path
 * @param {AbortSignal} [signal]
 * @returns {Promise<Blob>}
 */
export async function blob(path, signal) {
  return (await send(path, { signal })).blob();
}

/**
 * A link that downloads a file. A plain link cannot carry a key, so with one the file is fetched first.
 * @param {HTMLAnchorElement} link its `href` is the file's path, its `download` the name to save it under
 * @param {(error: Error) => void} onError
 * @returns {HTMLAnchorElement} the same link
 */
export function downloadable(link, onError) {
  link.addEventListener("click", async (event) => {
    if (!hasKey() || link.href.startsWith("blob:")) return;
    event.preventDefault();
    try {
      const url = URL.createObjectURL(await blob(link.getAttribute("href")));
      const copy = document.createElement("a");
      copy.href = url;
      copy.download = link.download;
      copy.click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    } catch (error) {
      onError(error);
    }
  });
  return link;
}

/**
 * One sentence about an error, with what helps to find it in the log.
 * @param {Error} error
 * @returns {string}
 */
export function sentence(error) {
  const text = error.message.charAt(0).toUpperCase() + error.message.slice(1);
  if (error.retryAfter) return `${text}. Try again in ${error.retryAfter} s.`;
  if (error.status >= 500 && error.requestId) return `${text} (request ${error.requestId}).`;
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** Asks whether the service is back; says so through `connection`. */
export async function knock() {
  await send("/healthz").catch(() => {});
}

function setOnline(now) {
  if (now === online) return;
  online = now;
  connection.dispatchEvent(new Event(now ? "found" : "lost"));
}
