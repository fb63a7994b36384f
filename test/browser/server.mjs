// A server of a test's own, on a copy of examples/agency or an app of the test's, which the test kills and starts again on
// the same address and database.
//
//     PLINTH       the program
//     PLINTH_DB    its database, as for plinth serve; a file that goes with the copy when absent
//
// Whatever is left ends with the test.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { linkOf, mailed } from "./person.mjs";

const { PLINTH } = process.env;
if (!PLINTH) {
  console.error("PLINTH is missing: it names the program, as go build -o plinth ./cmd/plinth makes it");
  process.exit(2);
}
const agency = join(dirname(fileURLToPath(import.meta.url)), "../../examples/agency");

export class Server {
  url = "";
  #app = mkdtempSync(join(tmpdir(), "plinth-live-"));
  #process = null;
  #host = "";

  /** app is the text of an app file, files are others of its folder, by name; host is what the browser calls this machine. */
  constructor({ app, files = {}, host = "127.0.0.1" } = {}) {
    this.#host = host;
    if (!app) cpSync(agency, this.#app, { recursive: true, filter: (path) => path !== join(agency, "data") });
    for (const [name, text] of Object.entries(app ? { "plinth.yaml": app, ...files } : files)) {
      mkdirSync(dirname(join(this.#app, name)), { recursive: true });
      writeFileSync(join(this.#app, name), text);
    }
    process.on("exit", () => {
      this.#process?.kill("SIGKILL");
      rmSync(this.#app, { recursive: true, force: true });
    });
  }

  /** Starts it, at its address from the second time on, and waits until it listens. */
  async start() {
    const listen = this.url ? `127.0.0.1:${new URL(this.url).port}` : "127.0.0.1:0";
    const child = spawn(PLINTH, ["serve", this.#app, "--dev", "--listen", listen], { stdio: ["ignore", "pipe", "pipe"] });
    this.#process = child;
    let complaints = "";
    child.stderr.on("data", (text) => { complaints += text; });
    for await (const line of createInterface(child.stdout)) {
      const says = /^plinth: listening on (\S+)$/.exec(line);
      if (!says) continue;
      this.url = says[1].replace("127.0.0.1", this.#host);
      child.stdout.resume();
      return;
    }
    throw new Error(`the server did not start: ${complaints}`);
  }

  /** Ends it without a warning. */
  async kill() {
    const gone = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await gone;
  }

  /** A new key that acts with the role staff: {id, key}. */
  staffKey() {
    return JSON.parse(this.#run("key", "add", this.#app, "--role", "staff", "--json"));
  }

  /** Gives somebody another role, as an operator. */
  async role(email, role) {
    const { key } = JSON.parse(this.#run("key", "add", this.#app, "--operator", "--json"));
    const { items } = await this.send("GET", `users?filter=${encodeURIComponent(`email == "${email}"`)}`, undefined, { key });
    await this.send("PATCH", `users/${items[0].id}`, { role }, { key });
  }

  link(to, path) {
    return linkOf(this.url, to, path);
  }

  /** The code of a mail. */
  code(to) {
    return mailed(this.url, to, /^(\d{8})$/m);
  }

  #run(...args) {
    return execFileSync(PLINTH, args, { encoding: "utf8" });
  }

  /** A request as a program makes it; what is no success is an error. */
  async send(method, path, body, { key, once: idempotencyKey } = {}) {
    const response = await fetch(new URL(`/api/${path}`, this.url), {
      method,
      headers: {
        "Content-Type": "application/json",
        ...(key && { Authorization: `Bearer ${key}` }),
        ...(idempotencyKey && { "Idempotency-Key": `"${idempotencyKey}"` }),
      },
      body: body && JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text ? JSON.parse(text) : null;
  }
}
