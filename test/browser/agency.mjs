// Goes through examples/agency in headless Chromium, as a visitor, as a second visitor who is
// too late, and as staff, whose first sign-in it is. Needs a running server, seeded, with a new database:
//
//     plinth serve --dev examples/agency
//     PLINTH_URL=http://127.0.0.1:8080 node agency.mjs
//
//     PLINTH_URL         where the app is served
//     CHROMIUM           the browser, /usr/bin/chromium when absent
//     SHOTS              a folder for screenshots; none are taken when absent
//
// Prints a line per check. The first failure ends the run with exit code 1.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { linkOf } from "./person.mjs";

const { PLINTH_URL, CHROMIUM = "/usr/bin/chromium", SHOTS } = process.env;
if (!PLINTH_URL) {
  console.error("agency.mjs needs PLINTH_URL");
  process.exit(2);
}

const patience = 10_000; // ms: the longest that any single wait may take
const run = Date.now().toString(36); // marks what this run makes
const visitor = { name: `Visitor ${run}`, email: `visitor-${run}@example.com`, message: `Run ${run}: our rota program fails every other Monday.` };
const faster = { name: `Faster ${run}`, email: `faster-${run}@example.com` };
const late = { name: `Late ${run}`, email: `late-${run}@example.com` };

const desktop = { viewport: { width: 1280, height: 800 }, colorScheme: "light" };
const phone = { viewport: { width: 390, height: 844 }, colorScheme: "light", hasTouch: true };
const at = (path) => new URL(path, PLINTH_URL).href;
const home = PLINTH_URL.replace("127.0.0.1", "localhost"); // where staff goes: passkeys belong to a name

const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
});

let lastPage;

/** A page in a browser context of its own, which remembers what went wrong in its console. */
async function visit(path, options = desktop) { // a path of the site, or an address
  const context = await browser.newContext({ timezoneId: "Europe/Berlin", reducedMotion: "reduce", ...options });
  context.setDefaultTimeout(patience);
  const page = await context.newPage();
  page.problems = [];
  page.on("pageerror", (error) => page.problems.push(`uncaught: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error") page.problems.push(`${message.text()} (${message.location().url})`);
  });
  await page.goto(at(path));
  lastPage = page;
  return page;
}

/** The console held nothing but failed requests with these statuses, which the page handles. */
function quiet(page, ...statuses) {
  const unexpected = page.problems.filter((text) => !statuses.some((status) => text.includes(`status of ${status} `)));
  assert.deepEqual(unexpected, [], "errors in the console");
}

/** The lists and the calendar have their answers. */
async function loaded(page) {
  await page.waitForFunction(() => !document.querySelector("[aria-busy]"));
}

async function check(name, body) {
  try {
    await body();
    console.log(`ok - ${name}`);
  } catch (error) {
    console.log(`not ok - ${name}`);
    console.error(error.message);
    for (const text of lastPage?.problems ?? []) console.error(`console: ${text}`);
    if (SHOTS) await lastPage?.screenshot({ path: join(SHOTS, "failure.png") }).catch(() => {});
    await browser.close();
    process.exit(1);
  }
}

async function shot(page, name, fullPage = false) {
  if (SHOTS) await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage });
}

const text = (page, selector) => page.locator(selector).innerText();
const visible = (page, selector) => page.locator(selector).waitFor({ state: "visible" });
const says = (page, selector, words) => page.locator(selector).filter({ hasText: words }).waitFor({ state: "visible" });
const fieldError = (name) => `#contact-form .field-error[data-for="${name}"]`;

async function fillBooking(page, slot, person) {
  await page.locator(`#booking-form input[name="slot"][value="${slot}"]`).check({ force: true });
  await page.fill("#b-name", person.name);
  await page.fill("#b-email", person.email);
}

/** The row of the staff list that holds these words, on this page or a later one. */
async function findRow(page, words) {
  for (let turned = 0; turned < 20; turned++) {
    await page.waitForFunction(() => !document.querySelector("#rows[aria-busy]") && document.querySelector("#rows > *"));
    const row = page.locator("#rows .row", { hasText: words });
    if (await row.count()) return row.first();
    if ((await page.locator("#pages").isHidden()) || (await page.locator("#next").isDisabled())) break;
    const before = await text(page, "#range");
    await page.click("#next");
    await page.waitForFunction((range) => document.querySelector("#range").textContent !== range, before);
  }
  assert.fail(`no row holds ${words}`);
}

if (SHOTS) await mkdir(SHOTS, { recursive: true });

// ── A visitor ───────────────────────────────────────────────────────────────────────────────

let first, second, slot;

await check("the site loads, with its lists, without errors in the console", async () => {
  first = await visit("/");
  await loaded(first);
  assert.match(await first.title(), /Bluell/);
  for (const [list, least] of [["services", 4], ["cases", 3], ["team", 3], ["feedback", 3]]) {
    const count = await first.locator(`[data-list="${list}"] > :not(.failed)`).count();
    assert.ok(count >= least, `${list}: ${count} shown, at least ${least} are seeded`);
  }
  assert.match(await text(first, "[data-average]"), /of 5, from \d+ client/);
  quiet(first);
  await shot(first, "site-desktop-light", true);
});

await check("every control has a name and the page its landmarks", async () => {
  const found = await first.evaluate(() => ({
    unnamed: [...document.querySelectorAll("input, select, textarea")].filter((node) => !node.labels?.length && !node.ariaLabel).map((node) => node.outerHTML),
    landmarks: ["header", "nav", "main", "footer"].filter((name) => !document.querySelector(name)),
    ids: [...document.querySelectorAll("[id]")].map((node) => node.id).filter((id, index, all) => all.indexOf(id) !== index),
    headings: document.querySelectorAll("h1").length,
    lang: document.documentElement.lang,
  }));
  assert.deepEqual(found, { unnamed: [], landmarks: [], ids: [], headings: 1, lang: "en" });
  await first.keyboard.press("Tab");
  assert.equal(await first.evaluate(() => document.activeElement.className), "skip");
});

await check("the calendar offers ten working days and says whose clock it shows", async () => {
  assert.equal(await first.locator("#booking-form .day").count(), 10);
  assert.match(await text(first, "[data-zone]"), /Europe\/Berlin/);
});

await check("mistakes in the contact form are shown at their fields", async () => {
  await first.fill("#c-email", "not an address");
  await first.fill("#c-message", "short");
  await first.click("#contact-form button[type=submit]");
  await says(first, fieldError("name"), "Your name is required.");
  await says(first, fieldError("email"), "name@example.com");
  await says(first, fieldError("message"), "at least ten characters");
  await says(first, "#contact-form .form-status", "3 fields need your attention");
  assert.equal(await first.evaluate(() => document.activeElement.id), "c-name", "the first mistake has the focus");
  assert.equal(await first.getAttribute("#c-email", "aria-invalid"), "true");
  assert.equal(await first.getAttribute("#c-email", "aria-describedby"), "contact-form-email-error");
  await shot(first, "contact-mistakes");
});

await check("a rule across fields is shown at its field", async () => {
  await first.fill("#c-name", visitor.name);
  await first.fill("#c-email", visitor.email);
  await first.fill("#c-message", visitor.message);
  await first.fill("#c-starts", "2030-03-01");
  await first.fill("#c-ends", "2030-02-01");
  await first.click("#contact-form button[type=submit]");
  await says(first, fieldError("ends"), "must be after the start");
  assert.equal(await first.locator("#contact-form .field-error").count(), 1);
});

await check("the contact form is sent once its mistakes are gone", async () => {
  await first.fill("#c-ends", "2030-06-01");
  await first.selectOption("#c-service", { index: 1 });
  await first.click("#contact-form button[type=submit]");
  await says(first, "#contact-done", "Thank you");
  assert.equal(await first.locator("#contact-form").isVisible(), false);
});

await check("a booking without a time and a name says what is missing", async () => {
  await first.click("#booking-form button[type=submit]");
  await says(first, '#booking-form .field-error[data-for="slot"], #booking-form .field-error[data-for="day"]', "Please choose a time.");
  await says(first, '#booking-form .field-error[data-for="name"]', "Your name is required.");
});

await check("a call is booked", async () => {
  slot = await first.locator('#booking-form input[name="slot"]:enabled').first().getAttribute("value");
  // The second visitor looks at the calendar before the first one books.
  second = await visit("/");
  await loaded(second);
  assert.equal(await second.locator(`input[value="${slot}"]`).isEnabled(), true);

  await fillBooking(first, slot, visitor);
  await shot(first, "booking-chosen");
  await first.click("#booking-form button[type=submit]");
  await says(first, "#booking-done", "Your call is booked");
  await shot(first, "booking-done");
});

await check("a second visitor sees the time taken, and is refused in words where somebody is faster still", async () => {
  await second.locator(`input[value="${slot}"]:disabled`).waitFor({ state: "attached" });
  const next = await second.locator('#booking-form input[name="slot"]:enabled').first().getAttribute("value");
  const [day, time] = next.split(" ");
  await second.route("**/api/calls", async (route) => { // his booking is on its way when another one is made
    const headers = { "Content-Type": "application/json" };
    const made = await fetch(at("/api/calls"), { method: "POST", headers, body: JSON.stringify({ day, slot: time, ...faster }) });
    assert.equal(made.status, 201);
    await route.continue();
  }, { times: 1 });
  await fillBooking(second, next, late);
  await second.click("#booking-form button[type=submit]");
  await says(second, "[data-grid-status]", "this time was just taken");
  await says(second, "#booking-form .form-status", "Nothing was booked.");
  assert.equal(await second.locator(`input[value="${next}"]`).isDisabled(), true);
  assert.equal(await second.inputValue("#b-name"), late.name, "what was written is kept");
  assert.equal(await second.locator("#booking-done").isVisible(), false);
  await second.locator("[data-grid-status]").scrollIntoViewIfNeeded();
  await shot(second, "booking-refused");
});

await check("visitors learn which times are taken, and nothing about whom", async () => {
  const answers = await second.evaluate(async (day) => {
    const ask = async (address) => {
      const response = await fetch(address);
      return { status: response.status, text: await response.text() };
    };
    return {
      calls: await ask(`/api/calls?limit=500&filter=${encodeURIComponent(`day == "${day}"`)}`),
      contacts: await ask("/api/contacts"),
    };
  }, slot.split(" ")[0]);
  assert.equal(answers.calls.status, 200);
  const call = JSON.parse(answers.calls.text).items.find((item) => `${item.day} ${item.slot}` === slot);
  assert.deepEqual(Object.keys(call).sort(), ["created", "day", "id", "rev", "slot", "updated"]);
  assert.ok(!answers.contacts.text.includes(run), "a contact is readable by everybody");
  if (answers.contacts.status === 200) assert.deepEqual(JSON.parse(answers.contacts.text).items, []);
});

await check("feedback is taken, and waits for staff", async () => {
  await second.click(".give summary");
  await second.locator('#feedback-form input[value="5"]').check({ force: true });
  await second.fill("#f-message", `Run ${run}: they answered, and then did it.`);
  await second.fill("#f-author", "A visitor of the test");
  await second.click("#feedback-form button[type=submit]");
  await says(second, "#feedback-form .form-status", "Thank you");
  await second.reload();
  await loaded(second);
  assert.equal(await second.locator(".quote", { hasText: run }).count(), 0);
});

// ── Staff ───────────────────────────────────────────────────────────────────────────────────

let staff;

const member = { email: "ines@bluell.example", password: "a horse that is correct" };

/** Signs in by the password, from the door of the staff view. */
async function signIn() {
  await staff.goto(new URL("/staff.html", home).href);
  await staff.click("#sign-in");
  await staff.fill("#email", member.email);
  await staff.fill("#password", member.password);
  await staff.click("#password-form button:not([type=button])");
}

await check("the staff view stays shut for whoever is not signed in", async () => {
  staff = await visit(new URL("/staff.html", home).href);
  await visible(staff, "#sign-in");
  assert.equal(await staff.locator("#desk").isVisible(), false);
  await shot(staff, "staff-door");
});

await check("a member of staff sets the first password by a mail", async () => {
  await staff.goto(new URL("/auth/reset", home).href);
  await staff.fill("#email", member.email);
  await staff.click("#ask button");
  await says(staff, "#notice", "a mail is on its way");
  await staff.goto(await linkOf(home, member.email, "/auth/reset"));
  await staff.fill("#confirm #password", member.password);
  await staff.click("#confirm button:not([type=button])");
  await says(staff, "#notice", "Your password is changed.");
});

let authenticator;

await check("the password alone does not open the staff view: a passkey is added", async () => {
  const devtools = await staff.context().newCDPSession(staff);
  await devtools.send("WebAuthn.enable");
  const { authenticatorId } = await devtools.send("WebAuthn.addVirtualAuthenticator", {
    options: { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
  });
  authenticator = (enabled) => devtools.send("WebAuthn.setAutomaticPresenceSimulation", { authenticatorId, enabled });
  await signIn();
  await says(staff, "#must", "Your role needs a second factor");
  await shot(staff, "staff-account", true);
  await staff.click("#passkey-add");
  await staff.click("#ask-yes");
  await visible(staff, "#codes");
  await staff.click("#onward a");
  await visible(staff, "#desk");
  assert.equal(await text(staff, "#who"), member.email);
});

await check("who signs out signs in by the password, then the passkey", async () => {
  await staff.click("#sign-out");
  await says(staff, "#door-status", "You are signed out.");
  await authenticator(false); // nobody touches it, until it is asked for
  await signIn();
  await visible(staff, "#second-passkey");
  await authenticator(true);
  await staff.click("#second-passkey");
  await visible(staff, "#desk");
});

await check("staff sees the booking, and who made it", async () => {
  const row = await findRow(staff, visitor.name);
  const shown = await row.innerText();
  assert.ok(shown.includes(visitor.email) && shown.includes(slot) && shown.includes("requested"), shown);
  await shot(staff, "staff-calls");
});

await check("staff sees the contact, and marks it as answered", async () => {
  await staff.click('.tabs a[href="#contacts"]');
  await says(staff, "#list-title", "Contacts");
  const row = await findRow(staff, visitor.name);
  const shown = await row.innerText();
  assert.ok(shown.includes(visitor.email) && shown.includes(visitor.message), shown);
  await shot(staff, "staff-contacts");
  await row.getByRole("button", { name: "Answered" }).click();
  await says(staff, "#desk-status", "marked as answered");
});

await check("staff publishes the feedback, and the site shows it", async () => {
  await staff.click('.tabs a[href="#feedback"]');
  await says(staff, "#list-title", "Feedback");
  await staff.selectOption('#filters [name="shown"]', "no");
  await (await findRow(staff, run)).getByRole("button", { name: "Publish" }).click();
  await says(staff, "#desk-status", "is on the site");
  await second.reload();
  await says(second, ".quote", run);
});

await check("a confirmed call can be cancelled; who looks at an old page is told", async () => {
  const other = await staff.context().newPage();
  await other.route("**/api/live?*", (route) => route.abort()); // it is cut off, or it would not be old
  await other.goto(new URL("/staff.html", home).href);
  const stale = await findRow(other, visitor.name);

  await staff.click('.tabs a[href="#calls"]');
  await says(staff, "#list-title", "Calls");
  await (await findRow(staff, visitor.name)).getByRole("button", { name: "Confirm" }).click();
  await says(staff, "#desk-status", "is confirmed");

  await stale.getByRole("button", { name: "Cancel call" }).click();
  await says(other, "#desk-status", "Somebody changed this in the meantime");
  await other.close();

  await (await findRow(staff, visitor.name)).getByRole("button", { name: "Cancel call" }).click();
  await says(staff, "#desk-status", "is cancelled");
  assert.equal(await staff.locator("#rows .row", { hasText: visitor.name }).count(), 0, "cancelled calls are filtered");
  await staff.selectOption('#filters [name="status"]', "cancelled");
  assert.match(await (await findRow(staff, visitor.name)).innerText(), /cancelled/);
});

// ── The time is free again ──────────────────────────────────────────────────────────────────

await check("the cancelled time is free again, and can be booked", async () => {
  await second.locator(`input[value="${slot}"]:enabled`).waitFor({ state: "attached" });
  await fillBooking(second, slot, late);
  await second.click("#booking-form button[type=submit]");
  await says(second, "#booking-done", "Your call is booked");
});

await check("signing out shuts the staff view, for whoever loads it again too", async () => {
  await staff.click("#sign-out");
  await visible(staff, "#door");
  assert.equal(await staff.locator("#rows .row").count(), 0);
  await staff.reload();
  await visible(staff, "#sign-in");
  assert.equal(await staff.locator("#desk").isVisible(), false);
});

// ── Small screens, dark colours ─────────────────────────────────────────────────────────────

for (const [name, options] of [
  ["desktop-dark", { ...desktop, colorScheme: "dark" }],
  ["mobile-light", phone],
  ["mobile-dark", { ...phone, colorScheme: "dark" }],
  ["narrow", { ...phone, viewport: { width: 360, height: 740 } }],
]) {
  await check(`the site fits: ${name}`, async () => {
    const page = await visit("/", options);
    await loaded(page);
    const { width, room } = await page.evaluate(() => ({ width: document.documentElement.scrollWidth, room: innerWidth }));
    assert.ok(width <= room, `the page is ${width} wide on a screen of ${room}`);
    quiet(page);
    await shot(page, `site-${name}`, true);
    await page.context().close();
  });
}

await check("the consoles held nothing but the refusals that were asked for", async () => {
  quiet(first, 422);
  quiet(second, 409, 401, 403);
  quiet(staff, 401);
});

await browser.close();
