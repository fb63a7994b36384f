// Live updates, as text/event-stream. The browser's own EventSource does all of it but say why it was refused, and
// send a header; staff is to know that the session has ended. Stream is for them, and otherwise like it.

import { Problem } from "./api.js";

const silence = 45_000; // ms: the server says something every 15 s, so this connection is dead
const longest = 30_000; // ms between two attempts

/**
 * Dispatches what comes as MessageEvents by their kinds, "open" for each connection, and "error" when one
 * is lost, with the `problem` if the server said one. It connects again, and goes on behind the last event:
 * after a `resync`, whose id is empty, from now on. What will not be better the next time (4xx, 501) ends it.
 */
export class Stream extends EventTarget {
  lastEventId = "";
  #retry = 2_000; // ms, until the server says another
  #closed = new AbortController();

  constructor(address, headers = {}) {
    super();
    this.#run(address, headers);
  }

  close() {
    this.#closed.abort();
  }

  get closed() {
    return this.#closed.signal.aborted;
  }

  async #run(address, headers) {
    for (let failed = 0; !this.closed;) {
      let problem = null;
      try {
        await this.#connect(address, headers, () => { failed = 0; });
      } catch (cause) {
        problem = cause instanceof Problem ? cause : new Problem(0);
        failed++;
      }
      if (this.closed) return;
      if (problem && (problem.status >= 400 && problem.status < 500 && problem.status !== 429 || problem.status === 501)) this.close();
      this.dispatchEvent(Object.assign(new Event("error"), { problem }));
      const pause = Math.max(Math.min(this.#retry * 2 ** Math.max(failed - 1, 0), longest), (problem?.retryAfter ?? 0) * 1_000);
      await new Promise((again) => setTimeout(again, pause * (1 + Math.random() / 4)));
    }
  }

  /** One connection, until it ends. */
  async #connect(address, headers, opened) {
    const over = new AbortController();
    const end = () => over.abort();
    let silent = setTimeout(end, silence);
    this.#closed.signal.addEventListener("abort", end);
    try {
      const response = await fetch(address, {
        headers: { ...headers, Accept: "text/event-stream", ...(this.lastEventId && { "Last-Event-ID": this.lastEventId }) },
        cache: "no-store", signal: over.signal,
      });
      if (!response.ok) throw new Problem(response.status, await response.json().catch(() => ({})), response.headers.get("Retry-After"));
      opened();
      this.dispatchEvent(new Event("open"));
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      const parser = new Parser();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return; // half an event is no event
        clearTimeout(silent);
        silent = setTimeout(end, silence);
        for (const { kind, data, id, retry } of parser.read(value)) {
          if (this.closed) return;
          if (retry !== undefined) this.#retry = retry;
          if (id !== undefined) this.lastEventId = id;
          if (data !== undefined) this.dispatchEvent(new MessageEvent(kind, { data, lastEventId: this.lastEventId }));
        }
      }
    } finally {
      clearTimeout(silent);
      this.#closed.signal.removeEventListener("abort", end);
      end();
    }
  }
}

/** The format of WHATWG's HTML standard, section "Server-sent events". */
export class Parser {
  #rest = "";
  #event = { kind: "message" };

  /** The events that this text completes: {kind, data, id, retry}, of which only what was said is there. */
  * read(text) {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/); // a CR at the end may be half a line end
    this.#rest = lines.pop();
    for (const line of lines) {
      if (line === "") {
        const event = this.#event;
        this.#event = { kind: "message" };
        yield event;
        continue;
      }
      const [, name, value] = /^([^:]*)(?:: ?)?(.*)$/s.exec(line);
      if (name === "event") this.#event.kind = value || "message";
      if (name === "data") this.#event.data = this.#event.data === undefined ? value : `${this.#event.data}\n${value}`;
      if (name === "id" && !value.includes("\0")) this.#event.id = value;
      if (name === "retry" && /^\d+$/.test(value)) this.#event.retry = Number(value);
    }
  }
}

/** Says on the page whether it is live. It is a status: only what changes is said aloud. */
export function showLive(node, live, words = live ? "Live" : "Reconnecting …") {
  node.classList.toggle("on", live);
  if (node.textContent !== words) node.textContent = words;
}
