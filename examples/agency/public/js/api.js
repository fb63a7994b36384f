// A tiny client for Plinth's REST API: JSON in and out, errors as problem details (RFC 9457).

/** What went wrong, in the server's words. status 0: the server was not reached. */
export class Problem extends Error {
  constructor(status, body = {}, retryAfter = null) {
    super(body.detail || body.title || `The server answered ${status}`);
    this.name = "Problem";
    this.status = status;
    this.title = body.title ?? "";
    this.request = body.request ?? "";
    this.errors = Array.isArray(body.errors) ? body.errors : [];
    this.retryAfter = retryAfter;
  }

  /** A sentence for people. */
  get sentence() {
    if (this.status === 0) return "We could not reach the server. Check your connection and try again.";
    if (this.status === 429 || this.status === 503) {
      return `The server is busy. Please try again in ${this.retryAfter || "a few"} seconds.`;
    }
    if (this.status >= 500) {
      return `Something failed on our side${this.request ? ` (reference ${this.request})` : ""}. Please try again.`;
    }
    return this.message;
  }
}

/** The name of the field that a JSON pointer such as "/email" stands for. */
export function fieldOf(pointer = "") {
  return (pointer.split("/")[1] ?? "").replaceAll("~1", "/").replaceAll("~0", "~");
}

/** The address of a request; a list of values gives a name several times. */
export function address(path, query = {}) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (name === "param") {
      for (const [param, bound] of Object.entries(value)) search.set(`param.${param}`, bound);
    } else if (value != null && value !== "") {
      for (const one of [value].flat()) search.append(name, one);
    }
  }
  const text = search.toString();
  return `/api/${path}${text ? `?${text}` : ""}`;
}

/** One request, with the session's cookie if there is one. Resolves to the parsed answer (null for 204), rejects with a Problem. */
export async function send(method, path, { query, body, ifMatch, idempotencyKey } = {}) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (ifMatch != null) headers["If-Match"] = `"${ifMatch}"`;
  if (idempotencyKey) headers["Idempotency-Key"] = `"${idempotencyKey}"`;

  let response;
  try {
    response = await fetch(address(path, query), {
      method, headers, body: body === undefined ? undefined : JSON.stringify(body), cache: "no-store",
    });
  } catch {
    throw new Problem(0);
  }
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => null);
  if (response.ok && answer !== null) return answer;
  throw new Problem(response.status, answer ?? {}, response.headers.get("Retry-After"));
}

export const list = (collection, query, options) => send("GET", collection, { query, ...options });
export const create = (collection, body, options) => send("POST", collection, { body, ...options });
export const update = (collection, id, body, options) => send("PATCH", `${collection}/${id}`, { body, ...options });

/**
 * Keys for POSTs that must happen once: sending the same content again (a lost answer, a second
 * click) uses the same key, so the server answers as it did the first time and does nothing more.
 */
export class Once {
  #content = null;
  #key = null;

  key(body) {
    const content = JSON.stringify(body);
    if (content !== this.#content) {
      this.#content = content;
      this.#key = randomKey();
    }
    return this.#key;
  }

  done() {
    this.#content = null;
  }
}

// crypto.randomUUID exists only on https and localhost; this works on a plain http address too.
function randomKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
