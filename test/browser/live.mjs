// examples/agency live, in headless Chromium: a visitor and staff have their pages open while others book and
// write over HTTP, and while the server is killed and started again. Needs PLINTH, and may have PLINTH_DB
// (server.mjs), CHROMIUM and SHOTS (agency.mjs):
//
//     PLINTH=./plinth node live.mjs
//
// Prints a line per check. The first failure ends the run with exit code 1.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { signedIn } from "./person.mjs";
import { Server } from "./server.mjs";

const { CHROMIUM = "/usr/bin/chromium", SHOTS } = process.env;
const patience = 20_000; // ms: the longest that any single wait may take

const server = new Server();
await server.start();
const { key } = server.staffKey();
const session = await signedIn(server.url, "ines@bluell.example", "a horse that is correct");
const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
});

const pages = {};

async function visit(name, path, options) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, timezoneId: "Europe/Berlin", reducedMotion: "reduce", ...options });
  context.setDefaultTimeout(patience);
  if (path === "/staff.html") await context.addCookies([{ name: "plinth", value: session, url: server.url, httpOnly: true, sameSite: "Lax" }]);
  const page = pages[name] = await context.newPage();
  page.problems = [];
  page.on("pageerror", (error) => page.problems.push(`uncaught: ${error.message}`));
  await page.goto(new URL(path, server.url).href);
  return page;
}

async function check(name, body) {
  try {
    await body();
    for (const page of Object.values(pages)) assert.deepEqual(page.problems, []);
    console.log(`ok - live: ${name}`);
  } catch (error) {
    console.log(`not ok - live: ${name}`);
    console.error(error.message);
    for (const [who, page] of Object.entries(pages)) {
      for (const text of page.problems) console.error(`${who}: ${text}`);
      await shot(page, `failure-${who}`);
    }
    process.exit(1);
  }
}

async function shot(page, name) {
  if (SHOTS) await page.screenshot({ path: join(SHOTS, `live-${name}.png`) }).catch(() => {});
}

const says = (page, selector, words) => page.locator(selector).filter({ hasText: words }).waitFor({ state: "visible" });
const input = (time) => `#booking-form input[name="slot"][value="${time}"]`;
const taken = (page, time) => page.locator(`${input(time)}:disabled`).waitFor({ state: "attached" });
const free = (page, time) => page.locator(`${input(time)}:enabled`).waitFor({ state: "attached" });
const takenTimes = (page) => page.locator('#booking-form input[name="slot"]:disabled').evaluateAll((all) => all.map((one) => one.value));
const row = (name) => `#rows .row:has-text("${name}")`;

function book(time, name) {
  const [day, slot] = time.split(" ");
  return server.send("POST", "calls", { day, slot, name, email: "somebody@example.com" });
}

const write = (name) => server.send("POST", "contacts", { name, email: "somebody@example.com", message: "When could you begin with us?" });

if (SHOTS) await mkdir(SHOTS, { recursive: true });

let visitor, staff, times, first;

await check("a visitor and staff open their pages, which say that they are live", async () => {
  visitor = await visit("visitor", "/");
  await says(visitor, "[data-live]", /^Live$/);
  await visitor.waitForFunction(() => !document.querySelector("[aria-busy]"));
  times = await visitor.locator('#booking-form input[name="slot"]').evaluateAll((all) => all.map((one) => one.value));
  assert.equal(times.length, 100);
  assert.deepEqual(await takenTimes(visitor), []);

  staff = await visit("staff", "/staff.html");
  await says(staff, "#live", /^Live$/);
  await says(staff, "#rows", "No calls here.");
  for (const [page, sign] of [[visitor, "[data-live]"], [staff, "#live"]]) {
    assert.equal(await page.getAttribute(sign, "role"), "status", "what changes is said aloud, politely");
  }
});

await check("somebody books: the visitor sees the time taken, staff the call, and nobody reloads", async () => {
  first = await book(times[0], "Ada First");
  await taken(visitor, times[0]);
  await staff.locator(row("Ada First")).waitFor();
  await says(staff, "#live", /^Live · New call: Ada First, /);
  assert.match(await visitor.getAttribute(input(times[0]), "aria-label"), /, taken$/);
});

await check("somebody writes: staff sees it at the tab, and there", async () => {
  await write("Ben First");
  await says(staff, '.tabs a[href="#contacts"]', "1 new");
  await staff.click('.tabs a[href="#contacts"]');
  await staff.locator(row("Ben First")).waitFor();
  assert.equal(await staff.innerText('.tabs a[href="#contacts"]'), "Contacts", "what was looked at is not new");
  await staff.click('.tabs a[href="#calls"]');
  await staff.locator(row("Ada First")).waitFor();
});

await check("a time that the visitor has chosen is taken: he is told, and keeps what he wrote", async () => {
  await visitor.locator(input(times[1])).check({ force: true });
  await visitor.fill("#b-name", "Cleo Visitor");
  await book(times[1], "Dan Faster");
  await says(visitor, "[data-grid-status]", "this time was just taken");
  await says(visitor, "[data-chosen]", "No time chosen yet.");
  assert.equal(await visitor.locator(input(times[1])).isDisabled(), true);
  assert.equal(await visitor.inputValue("#b-name"), "Cleo Visitor");
  await staff.locator(row("Dan Faster")).waitFor();
  await visitor.locator("[data-live]").scrollIntoViewIfNeeded();
  await shot(visitor, "visitor");
  await shot(staff, "staff");
});

await check("whoever works with the keyboard stays at his button when a row comes before his", async () => {
  const button = staff.getByRole("button", { name: "Cancel call: Dan Faster" });
  await button.focus();
  await server.send("PATCH", `calls/${first.id}`, { status: "confirmed" }, { key });
  await staff.locator(row("Ada First")).filter({ hasText: "confirmed" }).waitFor();
  assert.match(await staff.evaluate(() => document.activeElement.ariaLabel ?? document.activeElement.outerHTML), /^Cancel call: Dan Faster/);
});

await check("the server is killed: both pages say so", async () => {
  await server.kill();
  await says(visitor, "[data-live]", "Reconnecting");
  await says(staff, "#live", "Reconnecting");
  await shot(visitor, "visitor-away");
});

await check("it is back, and is written to before the pages are: both catch up, and show nothing twice", async () => {
  await Promise.all([visitor, staff].map((page) => page.context().setOffline(true))); // until they shall come back
  await server.start();
  await book(times[2], "Eve Between");
  await write("Finn Between");
  await server.send("PATCH", `calls/${first.id}`, { status: "cancelled" }, { key });
  assert.deepEqual(await takenTimes(visitor), times.slice(0, 2));
  assert.equal(await staff.locator(row("Eve Between")).count(), 0);
  await Promise.all([visitor, staff].map((page) => page.context().setOffline(false)));

  await taken(visitor, times[2]);
  await free(visitor, times[0]);
  await staff.locator(row("Eve Between")).waitFor();
  await staff.locator(row("Ada First")).waitFor({ state: "detached" });
  await says(staff, '.tabs a[href="#contacts"]', /^Contacts 1 new$/);
  await says(visitor, "[data-live]", "Live");
  await says(staff, "#live", "Live");
  assert.deepEqual(await takenTimes(visitor), times.slice(1, 3));
  assert.deepEqual(await staff.locator("#rows .who b").allInnerTexts(), ["Dan Faster", "Eve Between"]);
  await staff.click('.tabs a[href="#contacts"]');
  await staff.locator(row("Finn Between")).waitFor();
  assert.deepEqual(await staff.locator("#rows .who b").allInnerTexts(), ["Finn Between", "Ben First"]);
});

await check("they are live again", async () => {
  await book(times[0], "Gil Again");
  await taken(visitor, times[0]);
  await says(staff, '.tabs a[href="#calls"]', /^Calls 1 new$/);
  await staff.click('.tabs a[href="#calls"]');
  await staff.locator(row("Gil Again")).waitFor();
});

await check("a position that the server does not know any more: both load anew", async () => {
  // Each page's next connection is answered as if it came back behind a position of another log, as after a
  // database was replaced. What the visitor's EventSource is told, Chromium's protocol tells. When staff's reader
  // comes after that, somebody has booked meanwhile, of which it is not told.
  const resync = async (route) => {
    const headers = { ...await route.request().allHeaders(), "last-event-id": "0123456789abcdef.7" };
    await route.fulfill({ response: await route.fetch({ headers }) });
  };
  const named = []; // whether staff's connections named a position
  await visitor.route("**/api/calls?*", resync, { times: 1 });
  await staff.route("**/api/live?*", async (route) => {
    named.push("last-event-id" in await route.request().allHeaders());
    if (named.length === 1) return resync(route);
    await book(times[4], "Ida Meanwhile");
    await route.continue();
  }, { times: 2 });
  const told = [];
  const protocol = await visitor.context().newCDPSession(visitor);
  await protocol.send("Network.enable");
  protocol.on("Network.eventSourceMessageReceived", ({ eventName }) => told.push(eventName));

  await server.kill();
  await says(visitor, "[data-live]", "Reconnecting");
  await says(staff, "#live", "Reconnecting");
  await server.start();
  await book(times[3], "Hal Before");
  await taken(visitor, times[3]);
  await taken(visitor, times[4]);
  assert.equal(told[0], "resync");
  assert.deepEqual(await takenTimes(visitor), times.slice(0, 5));
  await staff.locator(row("Ida Meanwhile")).waitFor();
  assert.deepEqual(named, [true, false]);
  assert.equal(await staff.innerText("#live"), "Live", "it was not told of it");
  assert.deepEqual(await staff.locator("#rows .who b").allInnerTexts(), ["Gil Again", "Dan Faster", "Eve Between", "Hal Before", "Ida Meanwhile"]);
});

await check("both fit a phone", async () => {
  for (const path of ["/", "/staff.html"]) {
    const page = await visit("phone", path, { viewport: { width: 360, height: 740 }, hasTouch: true, colorScheme: "dark" });
    await says(page, path === "/" ? "[data-live]" : "#live", "Live");
    if (path === "/staff.html") await write("Ivo Small");
    if (path === "/staff.html") await says(page, '.tabs a[href="#contacts"]', "1 new");
    const { width, room } = await page.evaluate(() => ({ width: document.documentElement.scrollWidth, room: innerWidth }));
    assert.ok(width <= room, `the page is ${width} wide on a screen of ${room}`);
    await shot(page, `phone${path === "/" ? "" : "-staff"}`);
    await page.context().close();
  }
});

await check("a session that has ended elsewhere closes the staff view", async () => {
  await server.send("POST", "auth/logout", undefined, { key: session });
  await says(staff, "#door-status", "You are signed out.");
  assert.equal(await staff.locator("#desk").isVisible(), false);
  assert.equal(await staff.locator("#rows .row").count(), 0);
});

await browser.close();
await server.kill();
