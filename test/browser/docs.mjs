// Tries the API on /api/docs of examples/agency in headless Chromium: as nobody, with a key that is
// not valid, and as staff. Needs a running server, and a key with the role staff:
//
//     plinth serve --dev examples/agency
//     PLINTH_URL=http://127.0.0.1:8080 PLINTH_STAFF_KEY=… node docs.mjs
//
// CHROMIUM and SHOTS are as there. Prints a line per check; the first failure ends the run with exit code 1.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { chromium } from "playwright-core";

const { PLINTH_URL, PLINTH_STAFF_KEY, CHROMIUM = "/usr/bin/chromium", SHOTS } = process.env;
if (!PLINTH_URL || !PLINTH_STAFF_KEY) {
  console.error("docs.mjs needs PLINTH_URL and PLINTH_STAFF_KEY");
  process.exit(2);
}

const run = Date.now().toString(36); // marks what this run makes
const desktop = { viewport: { width: 1280, height: 800 }, colorScheme: "light" };
const phone = { viewport: { width: 390, height: 844 }, colorScheme: "dark", hasTouch: true };

const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
});

let page;

/** The page in a browser context of its own, which remembers what went wrong in its console. */
async function visit(path, options) {
  const context = await browser.newContext({ reducedMotion: "reduce", ...options });
  context.setDefaultTimeout(10_000);
  page = await context.newPage();
  page.problems = [];
  page.on("pageerror", (error) => page.problems.push(`uncaught: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error") page.problems.push(message.text());
  });
  await page.goto(new URL(path, PLINTH_URL).href);
  await page.locator("nav a").first().waitFor();
}

async function check(name, body) {
  try {
    await body();
    console.log(`ok - docs: ${name}`);
  } catch (error) {
    console.log(`not ok - docs: ${name}`);
    console.error(error.message);
    for (const text of page?.problems ?? []) console.error(`console: ${text}`);
    if (SHOTS) await page?.screenshot({ path: join(SHOTS, "docs-failure.png") }).catch(() => {});
    await browser.close();
    process.exit(1);
  }
}

async function shot(name) {
  if (SHOTS) await page.screenshot({ path: join(SHOTS, `docs-${name}.png`), fullPage: true });
}

/** The console held nothing but failed requests with these statuses. */
function quiet(...statuses) {
  assert.deepEqual(page.problems.filter((text) => !statuses.some((status) => text.includes(`status of ${status} `))), []);
}

const listed = async () => (await page.locator("nav a").allInnerTexts()).map((text) => text.replace(/\s+/g, " ").trim());
const parameter = (name) => page.locator(`[data-name="${name}"]`);

/** Opens an operation by its id. */
async function choose(operation, summary) {
  await page.click(`nav a[href="#${operation}"]`);
  await page.locator("#operation h2", { hasText: summary }).waitFor();
}

/** Sends what the form holds, and gives the answer. */
async function send() {
  await page.evaluate(() => document.querySelector("#operation section").replaceChildren());
  await page.click("#operation form button");
  await page.locator("#operation .status").waitFor();
  const status = parseInt(await page.locator("#operation .status").innerText());
  const body = page.locator("#operation pre.body");
  const text = (await body.count()) ? await body.innerText() : "";
  return { status, text, asked: await page.locator("#operation section pre").first().innerText(), json: () => JSON.parse(text) };
}

async function use(key) {
  await page.fill("#key", key);
  await page.click("#key-form button");
}

if (SHOTS) await mkdir(SHOTS, { recursive: true });

await check("what nobody may do is listed, and no more", async () => {
  await visit("/api/docs", desktop);
  assert.equal(await page.title(), "agency");
  const list = await listed();
  for (const one of ["GET /services", "POST /services/query", "GET /services/{id}", "GET /services/by/slug/{value}", "POST /contacts", "POST /batch"]) assert.ok(list.includes(one), `${one} is not among ${list}`);
  for (const one of ["GET /contacts", "POST /services", "DELETE /calls/{id}", "GET /services/by/id/{value}"]) assert.ok(!list.includes(one), `${one} is listed`);
  assert.ok(list.indexOf("GET /services") < list.indexOf("POST /services/query"), "the list comes first");
  quiet();
});

await check("every control has a name, and code is set as code", async () => {
  await choose("services.list", "List services");
  assert.deepEqual(await page.evaluate(() => [...document.querySelectorAll("input, textarea")].filter((n) => !n.labels?.length && !n.ariaLabel).map((n) => n.outerHTML)), []);
  assert.ok(!(await page.locator("#operation").innerText()).includes("`"), "a backtick is shown");
  assert.ok((await page.locator("#operation small code").count()) > 3);
});

await check("a list is asked with a filter and its parameters", async () => {
  await parameter("filter").fill("weeks > param.n && slug != param.s");
  await parameter("param").fill("param.n=2&param.s=none");
  await parameter("fields").fill("slug,weeks");
  await parameter("limit").fill("2");
  const answer = await send();
  assert.equal(answer.status, 200);
  assert.ok(answer.asked.includes("param.n=2") && answer.asked.includes("limit=2"), answer.asked);
  const { items } = answer.json();
  assert.ok(items.length > 0 && items.every((item) => item.weeks > 2 && Object.keys(item).length === 3), answer.text);
  await shot("list");
});

await check("a mistake in the filter is shown with its place", async () => {
  await parameter("filter").fill("weks > 2");
  await parameter("param").fill("");
  const answer = await send();
  assert.equal(answer.status, 400);
  assert.match(answer.json().errors[0].message, /weks/);
});

await check("a record is created, once its mistakes are gone", async () => {
  await choose("contacts.create", "Create one of contacts");
  const body = JSON.parse(await page.inputValue("#body"));
  assert.deepEqual(Object.keys(body), ["name", "email", "message"], "the body starts with what is required");
  let answer = await send();
  assert.equal(answer.status, 422);
  await page.fill("#body", JSON.stringify({ ...body, name: `Docs ${run}`, email: `docs-${run}@example.com`, message: "Sent from the page of the API." }));
  answer = await send();
  assert.equal(answer.status, 201);
  assert.ok(!answer.text.includes(run), "nobody reads a contact, not even his own");
  await shot("create");
  quiet(400, 422);
});

await check("a key that is not valid is told", async () => {
  await use("not-a-key");
  await page.locator("#notice.bad", { hasText: "refused" }).waitFor();
  quiet(400, 401, 422);
});

await check("staff sees and does more", async () => {
  await use(PLINTH_STAFF_KEY);
  await page.locator('nav a[href="#contacts.list"]').waitFor();
  assert.equal(await page.locator("#notice.bad").count(), 0);
  await choose("contacts.list", "List contacts");
  await parameter("sort").fill("-created");
  await parameter("limit").fill("1");
  const [contact] = (await send()).json().items;
  assert.equal(contact.name, `Docs ${run}`);
  await choose("contacts.update", "Change one of contacts");
  await parameter("id").fill(contact.id);
  await parameter("If-Match").fill('"7"');
  await page.fill("#body", '{"status":"answered"}');
  assert.equal((await send()).status, 412);
  await parameter("If-Match").fill('"1"');
  assert.equal((await send()).json().status, "answered");
  await choose("contacts.delete", "Delete one of contacts");
  await parameter("id").fill(contact.id);
  const gone = await send();
  assert.equal(gone.status, 204);
  assert.equal(gone.text, "");
  await shot("staff");
  quiet(400, 401, 412, 422);
});

await check("the key is kept nowhere", async () => {
  assert.equal(await page.evaluate(() => localStorage.length + sessionStorage.length), 0);
  await page.reload();
  await page.locator("nav a").first().waitFor();
  assert.ok(!(await listed()).includes("GET /contacts"));
});

await check("it fits a phone, and shows what was chosen", async () => {
  await visit("/api/docs", phone);
  await choose("services.list", "List services");
  const { width, room, top } = await page.evaluate(() => ({ width: document.documentElement.scrollWidth, room: innerWidth, top: document.querySelector("#operation").getBoundingClientRect().top }));
  assert.ok(width <= room, `the page is ${width} wide on a screen of ${room}`);
  assert.ok(top >= -1 && top < 400, `the operation begins at ${top}`);
  quiet();
  await shot("phone");
});

await browser.close();
