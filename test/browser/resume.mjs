// Clients of live updates that others have written, and the reader of examples/agency, against a server that is
// killed twice: npm's eventsource, Chromium's own EventSource, and public/js/live.js in Chromium. Each must see
// every one of 50 numbered records once, in order. Needs PLINTH, and may have PLINTH_DB (server.mjs) and CHROMIUM:
//
//     PLINTH=./plinth node resume.mjs
//
// Prints a line per check. The first failure ends the run with exit code 1.

import assert from "node:assert/strict";
import { EventSource } from "eventsource";
import { chromium } from "playwright-core";
import { Server } from "./server.mjs";

const { CHROMIUM = "/usr/bin/chromium" } = process.env;
const patience = 20_000; // ms: the longest that any single wait may take
const all = Array.from({ length: 50 }, (_, i) => i + 1);

const server = new Server();
await server.start();
const { key } = server.staffKey();
const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
});
const page = await browser.newPage();
page.setDefaultTimeout(patience);
await page.goto(new URL("/staff.html", server.url).href); // it is locked, so it asks for nothing by itself

async function check(name, body) {
  try {
    await body();
    console.log(`ok - resume: ${name}`);
  } catch (error) {
    console.log(`not ok - resume: ${name}`);
    console.error(error.message);
    process.exit(1);
  }
}

/** Resolves at an event for which the condition holds; the condition is asked once before. */
function until(source, kind, condition) {
  return new Promise((resolve, reject) => {
    if (condition()) return resolve();
    const timer = setTimeout(() => reject(new Error(`no ${kind} event within ${patience} ms fulfilled ${condition}`)), patience);
    source.addEventListener(kind, function heed() {
      if (!condition()) return;
      clearTimeout(timer);
      source.removeEventListener(kind, heed);
      resolve();
    });
  });
}

// The numbers are positions of services: everybody reads those, so that a client without a key may listen.
const address = new URL("/api/services?fields=position&filter=slug.startsWith(%22live-%22)", server.url).href;
const write = (n) => server.send("POST", "services",
  { slug: `live-${n}`, name: `Number ${n}`, summary: `The ${n}th of fifty.`, position: n }, { key, once: `live-${n}` });

const asked = []; // the Last-Event-ID of each connection that npm's eventsource made
const seen = [];
let npm;

await check("three clients listen", async () => {
  npm = new EventSource(address, {
    async fetch(url, options) {
      const response = await fetch(url, options);
      asked.push(options.headers["Last-Event-ID"] ?? "");
      return response;
    },
  });
  npm.addEventListener("create", ({ data }) => seen.push(JSON.parse(data).position));
  let ready = false;
  npm.addEventListener("ready", () => { ready = true; });
  await until(npm, "ready", () => ready);
  await page.evaluate(async ([address, key]) => {
    const { Stream } = await import("/js/live.js");
    const listen = (source) => {
      const client = { source, seen: [], opened: 0 };
      source.addEventListener("open", () => client.opened++);
      source.addEventListener("create", ({ data }) => client.seen.push(JSON.parse(data).position));
      return new Promise((resolve) => source.addEventListener("ready", () => resolve(client), { once: true }));
    };
    window.clients = await Promise.all([listen(new EventSource(address)), listen(new Stream(address, { Authorization: `Bearer ${key}` }))]);
  }, [address, key]);
});

/** All three have seen the records up to a number. */
async function told(n) {
  await Promise.all([
    until(npm, "create", () => seen.length >= n),
    page.waitForFunction((n) => window.clients.every((client) => client.seen.length >= n), n),
  ]);
}

/** Writes records, killing the server in the middle of the first. What is not answered is sent again, with its key. */
async function writeKilled(from, to) {
  const [answered] = await Promise.all([write(from).catch(() => null), server.kill()]);
  await server.start();
  if (!answered) await write(from);
  for (let n = from + 1; n <= to; n++) await write(n);
}

await check("50 records are written while the server is killed twice", async () => {
  for (let n = 1; n <= 17; n++) await write(n);
  await told(17);
  await writeKilled(18, 30);
  await told(30);
  for (let n = 31; n <= 34; n++) await write(n);
  await writeKilled(35, 45); // whatever of 31 to 34 they have seen by now
  await told(45);
  for (let n = 46; n <= 50; n++) await write(n);
  await told(50);
  const { items } = await server.send("GET", "services?fields=position&sort=position&limit=500&filter=slug.startsWith(%22live-%22)");
  assert.deepEqual(items.map((item) => item.position), all, "in the database");
});

await check("npm's eventsource was told of each once, in order, behind its Last-Event-ID", () => {
  assert.deepEqual(seen, all);
  assert.equal(asked[0], "");
  assert.ok(asked.length >= 3 && asked.slice(1).every(Boolean), `Last-Event-ID of its connections: ${asked}`);
});

for (const [i, name] of ["Chromium's EventSource", "the example's reader"].entries()) {
  await check(`${name} was told of each once, in order, over three connections`, async () => {
    const client = await page.evaluate((i) => ({ seen: window.clients[i].seen, opened: window.clients[i].opened }), i);
    assert.deepEqual(client, { seen: all, opened: 3 });
  });
}

// A position of another log, such as that of a database which was replaced, leads to a resync, whose id is empty:
// who comes back names none, and listens from now on.

await check("after a resync npm's eventsource begins anew", async () => {
  const asked = [], kinds = [];
  const source = new EventSource(address, {
    fetch(url, options) {
      asked.push(options.headers["Last-Event-ID"] ?? "");
      return fetch(url, asked.length > 1 ? options : { ...options, headers: { ...options.headers, "Last-Event-ID": "0123456789abcdef.7" } });
    },
  });
  for (const kind of ["resync", "ready"]) source.addEventListener(kind, () => kinds.push(kind));
  await until(source, "ready", () => kinds.includes("ready"));
  source.close();
  assert.deepEqual({ asked, kinds }, { asked: ["", ""], kinds: ["resync", "ready"] });
});

await check("the example's reader ends where it is refused, and closes its connection", async () => {
  const ends = await page.evaluate(async (address) => {
    const { Stream } = await import("/js/live.js");
    const ended = (source) => new Promise((resolve) => source.addEventListener("error", ({ problem }) => resolve([problem?.status, source.closed]), { once: true }));
    for (const client of window.clients) client.source.close();
    return Promise.all([ended(new Stream(address, { Authorization: "Bearer none" })), ended(new Stream("/api/nothing", {}))]);
  }, address);
  assert.deepEqual(ends, [[401, true], [404, true]]);
});

await check("the example's reader reads as the standard says, wherever a text is cut", async () => {
  const { whole, differ } = await page.evaluate(async () => {
    const { Parser } = await import("/js/live.js");
    const text = ": hello\r\n\r\nevent: create\r\nid: 1.2\r\ndata: {\"a\":\"é\"}\r\n\r\ndata:one\rdata:  two\rdata\r\rid\nevent: resync\ndata: {}\n\nid: a\0b\nretry: 1500\nretry: 1x\nother: x\n\ndata: half";
    const read = (...parts) => {
      const parser = new Parser();
      return parts.flatMap((part) => [...parser.read(part)]).filter((event) => Object.keys(event).length > 1);
    };
    const whole = read(text);
    const differ = [];
    for (let i = 0; i <= text.length; i++) {
      if (JSON.stringify(read(text.slice(0, i), text.slice(i))) !== JSON.stringify(whole)) differ.push(i);
    }
    if (JSON.stringify(read(...text)) !== JSON.stringify(whole)) differ.push("each");
    return { whole, differ };
  });
  assert.deepEqual(whole, [
    { kind: "create", id: "1.2", data: '{"a":"é"}' },
    { kind: "message", data: "one\n two\n" },
    { kind: "resync", id: "", data: "{}" },
    { kind: "message", retry: 1500 },
  ]);
  assert.deepEqual(differ, [], "cut at these places it reads otherwise");
});

npm.close();
await browser.close();
await server.kill();
