// Server-sent events over fetch: unlike EventSource it can carry a key. A broken connection is taken up
// again where it broke, by Last-Event-ID.

import { Problem, send } from "./api.js";

const FINAL = ["succeeded", "failed", "cancelled"];
const SHORTEST_WAIT_MS = 300;
const LONGEST_WAIT_MS = 8000;

/**
 * Whether nothing will change any more.
 * @param {string} state
 * @returns {boolean}
 */
export function isFinal(state) {
  return FINAL.includes(state);
}

/**
 * Follows a job until its final state.
 * @param {string} path of the event stream
 * @param {(kind: string, data: any) => void} tell is told every event once, in order
 * @param {(connected: boolean) => void} onConnection
 * @param {AbortSignal} signal ends it early
 * @returns {Promise<void>}
 * @throws {Problem} if the service refuses the stream, for example because the job is gone
 */
export async function follow(path, tell, onConnection, signal) {
  let last = null;
  let wait = SHORTEST_WAIT_MS;
  while (!signal.aborted) {
    try {
      const headers = { Accept: "text/event-stream", ...(last && { "Last-Event-ID": last }) };
      const response = await send(path, { headers, signal, cache: "no-store" });
      onConnection(true);
      for await (const event of parse(response.body)) {
        last = event.id ?? last;
        wait = SHORTEST_WAIT_MS;
        tell(event.kind, event.data);
        if (event.kind === "state" && isFinal(event.data.state)) return;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Problem && error.status < 500 && error.status !== 429) throw error;
    }
    if (signal.aborted) return;
    onConnection(false);
    await new Promise((resolve) => setTimeout(resolve, wait));
    wait = Math.min(2 * wait, LONGEST_WAIT_MS);
  }
}

/** Splits a byte stream into events; comments are skipped, data is JSON. */
async function* parse(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const event = read(block);
        if (event) yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function read(block) {
  const fields = { id: null, event: "message", data: "" };
  for (const line of block.split("\n")) {
    const [, name, value] = /^([a-z]+): ?(.*)$/.exec(line) ?? [];
    if (name === "data") fields.data += value;
    else if (name in fields) fields[name] = value;
  }
  return fields.data ? { id: fields.id, kind: fields.event, data: JSON.parse(fields.data) } : null;
}
