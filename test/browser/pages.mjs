// Goes through the ready pages at /auth/ in headless Chromium: registers, confirms the address, signs in by password, code and
// passkey, sets up factors, changes and resets the password, joins a team, manages and leaves it, and deletes the account. Every page is looked at by axe, in light
// and dark, and none may break its policy. It starts its servers itself:
//
//     PLINTH=./plinth node pages.mjs
//
// CHROMIUM and SHOTS are as for agency.mjs. Prints a line per check; the first failure ends the run with exit code 1.

import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { totp } from "./person.mjs";
import { Server } from "./server.mjs";

const { CHROMIUM = "/usr/bin/chromium", SHOTS } = process.env;
const axeSource = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const server = new Server({
  app: `name: Desk
auth:
  register: open
  roles: [member, staff]
  mfa: {required: [staff]}
  roleBy: auth.has("staff")
  pages: {accent: "#ffcc00"}
  teams: {collection: clubs}
collections:
  teams: {label: name, fields: {name: {type: text, required: true}}, access: {read: true}}
  users:
    fields:
      name:   {type: text, required: true, max: 80}
      born:   {type: date, required: true, label: Date of birth}
      agreed: {type: bool, required: true, label: I agree to the house rules}
      size:   {type: enum, values: {s: Small, m: Medium}, required: true}
      team:   {type: ref, to: teams, required: true}
      about:  {type: text, max: 1000}
    access: {read: id == auth.id, update: id == auth.id}
`,
  files: {
    "seed/1-teams.yaml": "collection: teams\nby: id\nrecords: [{id: 01990000-0000-7000-8000-000000000001, name: Kitchen}]\n",
    "public/index.html": "<!doctype html><html lang=en><link rel=icon href=data:,><title>Desk</title><h1>The desk</h1>",
    "public/inside.html": "<!doctype html><html lang=en><link rel=icon href=data:,><title>Inside</title><h1>Inside</h1>",
    "public/auth/email/index.html": "<!doctype html><html lang=en><link rel=icon href=data:,><title>Own</title><h1>The app's own page</h1>",
  },
  host: "localhost",
});
await server.start();

const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"] });
const email = "ann@example.com", password = "a horse that is correct";
const at = (path) => new URL(path, server.url).href;
let page, send;

/** A page of a browser of its own, with an authenticator, which remembers what went wrong in it. */
async function visit(options = {}) {
  const context = await browser.newContext({ locale: "en-GB", reducedMotion: "reduce", viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(15_000);
  await context.addInitScript(() => {
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
  });
  const made = await context.newPage();
  made.problems = [];
  made.on("pageerror", (error) => made.problems.push(`uncaught: ${error.message}`));
  made.on("console", (message) => {
    if (message.type() === "error" && !/status of (401|403|404|409|422) /.test(message.text())) made.problems.push(message.text());
  });
  const devtools = await context.newCDPSession(made);
  await devtools.send("WebAuthn.enable", { enableUI: false });
  const { authenticatorId } = await devtools.send("WebAuthn.addVirtualAuthenticator", {
    options: { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
  });
  return [made, (method, params) => devtools.send(`WebAuthn.${method}`, { authenticatorId, ...params })];
}

async function check(name, body) {
  try {
    await body();
    assert.deepEqual(page?.problems ?? [], [], "errors in the console");
    console.log(`ok - pages: ${name}`);
  } catch (error) {
    console.log(`not ok - pages: ${name}`);
    console.error(error);
    for (const text of page?.problems ?? []) console.error(`console: ${text}`);
    if (SHOTS) await page?.screenshot({ path: join(SHOTS, "pages-failure.png"), fullPage: true }).catch(() => {});
    process.exit(1);
  }
}

/** What axe finds on the page as it is (WCAG 2.2 AA and its best practices), in light and dark, and what its policy forbade. */
async function sound(name) {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    if (!await page.evaluate(() => "axe" in window)) await page.evaluate(axeSource);
    const { violations, passes } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join("\n")}`), [], `${name}, ${colorScheme}`);
    assert.ok(passes.length > 10, "axe has looked");
    if (SHOTS) await page.screenshot({ path: join(SHOTS, `pages-${name}-${colorScheme}.png`), fullPage: true });
  }
  await page.emulateMedia({ colorScheme: "light" });
  assert.deepEqual(await page.evaluate(() => window.violations), [], "what the policy forbade");
  const { width, room } = await page.evaluate(() => ({ width: document.documentElement.scrollWidth, room: innerWidth }));
  assert.ok(width <= room, `the page is ${width} wide on a screen of ${room}`);
}

const says = (selector, words) => page.locator(selector).filter({ hasText: words }).waitFor({ state: "visible" });
const arrives = (path) => page.waitForURL((url) => url.href === at(path));

/** A request of the page's, with its cookie. */
async function ask(status, method, path, heed) {
  const answer = await page.evaluate(async ([method, path]) => {
    const response = await fetch(`/api/auth/${path}`, { method });
    return { status: response.status, body: await response.json().catch(() => null) };
  }, [method, path]);
  assert.equal(answer.status, status);
  heed?.(answer.body);
}

async function signIn({ as = email, secret = password, path = "/auth/sign-in" } = {}) {
  await page.goto(at(path));
  await page.fill("#email", as);
  await page.fill("#password", secret);
  await page.click("#password-form button:not([type=button])");
}

if (SHOTS) await mkdir(SHOTS, { recursive: true });

await check("who registers without what is needed is told at each field", async () => {
  [page, send] = await visit();
  await page.goto(at("/auth/sign-in?return=%2Finside.html"));
  await sound("sign-in");
  await page.click('a[href^="/auth/register"]');
  await page.locator("#own-team option", { hasText: "Kitchen" }).waitFor({ state: "attached" });
  await page.click("#form button:not([type=button])");
  for (const [id, words] of [["email", "E-mail address is missing."], ["own-born", "Date of birth is missing."], ["own-team", "Team is missing."]]) await says(`#${id}-error`, words);
  assert.equal(await page.evaluate(() => document.activeElement.id), "email");
  assert.equal(await page.getAttribute("#own-born", "type"), "date");
  await sound("register-mistakes");
  await page.fill("#email", email);
  await page.fill("#password", "short");
  await page.fill("#own-name", "Ann");
  await page.fill("#own-born", "1990-02-03");
  await page.check("#own-agreed");
  await page.selectOption("#own-size", "m");
  await page.selectOption("#own-team", { label: "Kitchen" });
  await page.click("#form button:not([type=button])");
  await says("#password-error", "Password must have at least 15 characters.");
  assert.equal(await page.getAttribute("#password", "aria-describedby"), "password-hint password-error");
});

await check("who registers is sent a mail, whose link does nothing until somebody clicks", async () => {
  await page.click("[data-reveal]");
  assert.equal(await page.getAttribute("#password", "type"), "text");
  await page.fill("#password", password);
  await page.click("#form button:not([type=button])");
  await says("#notice", `We have sent a mail to ${email}`);
  await sound("registered");
  const link = await server.link(email, "/auth/verify");
  assert.equal((await fetch(link)).status, 200); // as a program that looks through mails
  await page.goto(link);
  await page.waitForFunction(() => location.search === "");
  await page.reload();
  await sound("verify");
  const mine = page;
  [page] = await visit(); // another browser than the one that asked
  await page.goto(link);
  await page.click("#form button:not([type=button])");
  await says("#other", "please type your password");
  await sound("verify-elsewhere");
  await page.fill("#password", "not a horse that is correct");
  await page.click("#form button:not([type=button])");
  await page.locator("#password-error").waitFor();
  await page.context().close();
  page = mine;
  await page.click("#form button:not([type=button])");
  await says("#notice", "Your address is confirmed.");
  await page.goto(link);
  await page.click("#form button:not([type=button])");
  await says("#form .status", "This link is no longer good");
  assert.equal(await page.evaluate(() => document.referrer), "");
});

await check("a password signs in, and leads to where it was asked for", async () => {
  await signIn({ secret: "not a horse that is correct" });
  await says("#password-form .status", "The address or the password is wrong.");
  await signIn({ path: "/auth/sign-in?return=%2Finside.html" });
  await arrives("/inside.html");
});

await check("a return that leads elsewhere leads home", async () => {
  for (const to of ["//evil.example/", "https://evil.example/", "javascript:alert(1)", "/\\evil.example/", "/\t/evil.example/"]) {
    await signIn({ path: `/auth/sign-in?return=${encodeURIComponent(to)}` });
    await arrives("/");
  }
});

await check("a passkey is added, and named; there are recovery codes once", async () => {
  await page.goto(at("/auth/account"));
  await page.locator("#account:not([aria-busy])").waitFor();
  await says("#who", email);
  await sound("account");
  await page.click("#passkey-add");
  await page.fill("#ask-name", "This laptop");
  await sound("ask");
  await page.click("#ask-yes");
  await says("#passkey-list", "This laptop");
  await page.locator("#codes-list li").nth(9).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), "codes");
  await sound("codes");
  await page.click("#codes-done");
  await page.locator("#codes").waitFor({ state: "hidden" });
  await page.getByRole("button", { name: "Rename: This laptop" }).click();
  await page.fill("#ask-name", "Old laptop");
  await page.click("#ask-yes");
  await says("#passkey-list", "Old laptop");
});

await check("who signs out, and in again, shows the passkey after the password", async () => {
  await page.click("#sign-out");
  await arrives("/");
  await send("setAutomaticPresenceSimulation", { enabled: false }); // else it would answer by itself, in the address field
  await signIn();
  await page.locator("#second-passkey").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), "second-passkey");
  await sound("second");
  await send("setAutomaticPresenceSimulation", { enabled: true });
  await page.click("#second-passkey");
  await arrives("/");
  await ask(200, "GET", "mfa", (has) => assert.equal(has.session, true));
});

await check("a passkey signs in alone, where the browser offers it in the address field", async () => {
  await ask(204, "POST", "logout");
  await page.goto(at("/auth/sign-in"));
  await arrives("/"); // the authenticator answers what the page offers
});

await check("a passkey signs in alone, by its button", async () => {
  await ask(204, "POST", "logout");
  await send("setAutomaticPresenceSimulation", { enabled: false });
  await page.goto(at("/auth/sign-in?return=%2Finside.html"));
  await page.locator("#passkey").waitFor();
  await send("setAutomaticPresenceSimulation", { enabled: true });
  await page.click("#passkey");
  await arrives("/inside.html");
});

await check("an authenticator app is set up, and its code is the second step", async () => {
  await page.goto(at("/auth/account"));
  await page.click("#totp-add");
  await says("#totp-secret", /[A-Z2-7]/);
  const secret = (await page.locator("#totp-secret").innerText()).replaceAll(" ", "");
  await page.waitForFunction(() => document.querySelector("#totp-qr").naturalWidth > 0);
  await sound("totp");
  await page.fill("#totp-code", "000000");
  await page.click("#totp-form button:not([type=button])");
  await says("#totp-code-error", "is wrong, or too old");
  await page.fill("#totp-code", totp(secret));
  await page.click("#totp-form button:not([type=button])");
  await says("#totp-state", "It is on.");
  await ask(204, "POST", "logout");
  await send("setAutomaticPresenceSimulation", { enabled: false });
  await signIn();
  await page.fill("#totp", totp(secret, 1)); // that of this step is spent
  await page.click("#second-totp button");
  await arrives("/");
  await send("setAutomaticPresenceSimulation", { enabled: true });
});

await check("who is signed in for long is asked for the password; factors are removed", async () => {
  await page.goto(at("/auth/account"));
  await page.route("**/api/auth/mfa/totp", async (route) => { // as after ten minutes
    if (JSON.parse(route.request().postData() ?? "{}").password) return route.continue();
    await route.fulfill({ status: 422, contentType: "application/problem+json", body: JSON.stringify({ status: 422, errors: [{ pointer: "/password", code: "required", message: "is required" }] }) });
  });
  await page.click("#totp-remove");
  await page.click("#ask-yes");
  await page.fill("#sure #password", "not a horse that is correct");
  await sound("sure");
  await page.click("#sure-form button:not([type=button])");
  await says("#password-error", "is wrong");
  await page.fill("#sure #password", password);
  await page.click("#sure-form button:not([type=button])");
  await says("#totp-state", "It is off.");
  await page.unroute("**/api/auth/mfa/totp");
  await page.getByRole("button", { name: "Remove: Old laptop" }).click();
  await page.click("#ask-yes");
  await says("#passkey-list", "You have none yet.");
  await page.locator("#recovery-box").waitFor({ state: "hidden" });
});

await check("the own record is changed where the app lets one", async () => {
  await page.locator("#account:not([aria-busy])").waitFor();
  assert.equal(await page.inputValue("#own-name"), "Ann");
  await page.fill("#own-name", "Ann Other");
  await page.fill("#own-about", "Two\nlines");
  await page.click("#profile-form button");
  await says("#profile-form .status", "Saved.");
  await page.reload();
  await page.locator("#account:not([aria-busy])").waitFor();
  assert.deepEqual([await page.inputValue("#own-name"), await page.inputValue("#own-about"), await page.inputValue("#own-size")], ["Ann Other", "Two\nlines", "m"]);
});

await check("sessions are shown and ended; the password is changed", async () => {
  const mine = page;
  const [other] = await visit();
  page = other;
  await signIn();
  await arrives("/");
  page = mine;
  await page.reload();
  await page.locator("#session-list li").nth(1).waitFor();
  await page.getByRole("button", { name: /^Sign out: Chrome/ }).click();
  await page.waitForFunction(() => document.querySelectorAll("#session-list li").length === 1);
  await page.fill("#old", password);
  await page.fill("#new", `${password}, again`);
  await page.click("#password-form button:not([type=button])");
  await says("#password-form .status", "The password is changed");
  await other.goto(at("/auth/account"));
  await other.waitForURL(/\/auth\/sign-in\?return=%2Fauth%2Faccount$/);
  await other.context().close();
});

await check("a code by mail signs in", async () => {
  await ask(204, "POST", "logout");
  await page.goto(at("/auth/sign-in"));
  await page.click("#code");
  await says("#email-error", "is missing");
  await page.fill("#email", email);
  await page.click("#code");
  await says("#code-sent", email);
  await sound("code");
  await page.fill("#code-input", "00000000");
  await page.click("#code-form button:not([type=button])");
  await says("#code-input-error", "is wrong");
  await page.fill("#code-input", await server.code(email));
  await page.click("#code-form button:not([type=button])");
  await arrives("/");
});

await check("a forgotten password is set anew", async () => {
  await page.goto(at("/auth/reset"));
  await sound("reset");
  await page.fill("#email", email);
  await page.click("#ask button");
  await says("#notice", "a mail is on its way");
  await page.goto(await server.link(email, "/auth/reset"));
  await page.locator("#confirm").waitFor();
  assert.equal(new URL(page.url()).search, "");
  await sound("reset-confirm");
  await page.fill("#confirm #password", password);
  await page.click("#confirm button:not([type=button])");
  await says("#notice", "Your password is changed.");
  await signIn();
  await arrives("/");
});

await check("an address is changed by a link that goes to the new one", async () => {
  await page.goto(at("/auth/account"));
  await page.fill("#email", "ann@example.org");
  await page.click("#email-form button");
  await says("#email-form .status", "We have sent a link to ann@example.org.");
  await page.goto(await server.link("ann@example.org", "/auth/email"));
  await says("h1", "The app's own page"); // it takes the place of ours
});

await check("whose role must have a factor is led to set one up, and on from there", async () => {
  await server.role(email, "staff");
  await signIn({ path: "/auth/sign-in?return=%2Finside.html" });
  await says("#must", "Your role needs a second factor");
  await page.locator("#account:not([aria-busy])").waitFor();
  assert.equal(await page.locator("#notice").isVisible(), false);
  await sound("must");
  assert.equal(await page.locator("#onward").isVisible(), false);
  await page.click("#passkey-add");
  await page.click("#ask-yes");
  await page.locator("#codes").waitFor();
  assert.equal(await page.locator("#must").isVisible(), false);
  await page.click("#onward a");
  await arrives("/inside.html");
});

await check("with a provider one comes back here; what came to nothing is told", async () => {
  await send("setAutomaticPresenceSimulation", { enabled: false });
  await ask(204, "POST", "logout");
  await page.route("**/api/auth/providers", (route) => route.fulfill({ json: { items: [{ name: "company", label: "Example Inc." }] } }));
  await page.goto(at("/auth/sign-in?back=1&error=closed&return=%2Finside.html"));
  await says("#notice", "There is no account for you here");
  assert.equal(new URL(page.url()).search, "?return=%2Finside.html");
  const link = await page.getByRole("link", { name: "Continue with Example Inc." }).getAttribute("href");
  assert.equal(new URL(link, page.url()).pathname, "/api/auth/oauth/company");
  assert.equal(new URL(link, page.url()).searchParams.get("return"), "/auth/sign-in?back=1&return=%2Finside.html");
  await sound("provider");
  await page.goto(at("/auth/sign-in?back=1&error=%3Cimg%3E"));
  await says("#notice", "Signing in there did not work.");
  await page.goto(at("/auth/sign-in?back=1&return=%2Finside.html")); // nobody has come back
  await says("#password-form", "Password");
  assert.equal(await page.locator("#notice").isVisible(), false);
  await page.unroute("**/api/auth/providers");
});

await check("an invitation is accepted with its token, a password and the app's fields", async () => {
  let sent = null;
  await page.route("**/api/auth/invitations/accept", (route) => {
    sent = route.request().postDataJSON();
    return route.fulfill({ json: { token: "", expires: "", user: {} } });
  });
  await page.goto(at("/auth/invite?token=an-invitation"));
  await page.waitForFunction(() => location.search === "");
  await sound("invite");
  await page.fill("#password", password);
  await page.fill("#own-name", "Bob");
  await page.click("#form button:not([type=button])");
  await arrives("/");
  assert.deepEqual(sent, { name: "Bob", agreed: false, token: "an-invitation", password, cookie: true });
  await page.goto(at("/auth/invite"));
  await says("#notice", "This page is opened by the link in a mail.");
  await page.unroute("**/api/auth/invitations/accept");
});

await check("who has an account joins the team that an invitation is to with that one", async () => {
  let sent = null;
  await page.route("**/api/auth/teams/join", (route) => {
    sent = route.request().postDataJSON();
    return route.fulfill({ json: {} });
  });
  await page.goto(at("/auth/invite?token=an-invitation"));
  await page.click("#join");
  await page.waitForURL((url) => url.pathname === "/auth/team" && url.search === "");
  assert.equal(sent, null);
  await sound("team");
  await page.click("#form button:not([type=button])");
  await says("#notice", "You belong to the team now.");
  assert.deepEqual(sent, { token: "an-invitation" });
  await page.unroute("**/api/auth/teams/join");
});

await check("what the server refuses is said in German", async () => {
  const mine = page;
  [page] = await visit({ locale: "de-AT" });
  await page.route("**/api/auth/teams/join", (route) => route.fulfill({ status: 409, json: { status: 409, detail: "the account was changed meanwhile: look again, and try again" } }));
  await page.goto(at("/auth/team?token=an-invitation"));
  await page.click("#form button:not([type=button])");
  await says("#form .status", "Das Konto wurde inzwischen geändert.");
  await page.context().close();
  page = mine;
});

await check("an invitation to a team waits until its owner has signed in, and is nobody else's", async () => {
  const mine = page, ben = "ben@example.com", cat = "cat@example.com";
  for (const who of [ben, cat]) {
    await server.send("POST", "auth/register", { email: who, password, name: who, born: "1990-02-03", agreed: true, size: "m", team: "01990000-0000-7000-8000-000000000001" });
    await server.send("POST", "auth/verify", { token: new URL(await server.link(who, "/auth/verify")).searchParams.get("token") });
  }
  const { token: key } = await server.send("POST", "auth/login", { email: ben, password });
  const club = await server.send("POST", "clubs", { name: "Rowers" }, { key });
  await server.send("POST", `auth/teams/${club.id}/invitations`, { email: cat }, { key });
  const link = await server.link(cat, "/auth/team");

  [page] = await visit();
  await page.goto(link);
  await page.waitForFunction(() => location.search === "");
  await says("#who", "Sign in first");
  await sound("team");
  await page.click("#form button:not([type=button])");
  await page.waitForURL(/\/auth\/sign-in\?return=%2Fauth%2Fteam$/);
  await page.fill("#email", ben);
  await page.fill("#password", password);
  await page.click("#password-form button:not([type=button])");
  await arrives("/auth/team");
  await says("#who", ben);
  await page.click("#form button:not([type=button])");
  await says("#form .status", "sent to another address");
  await sound("team-another");
  await page.click("#sign-in");
  await page.waitForURL(/sign-in/);
  await page.fill("#email", cat);
  await page.fill("#password", password);
  await page.click("#password-form button:not([type=button])");
  await arrives("/auth/team");
  await page.reload(); // the token is not lost
  await says("#who", cat);
  await page.click("#form button:not([type=button])");
  await says("#notice", "You belong to the team now.");
  await sound("team-joined");
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  await page.goto(at("/auth/team"));
  await says("#notice", "This page is opened by the link in a mail.");

  await page.goto(at("/auth/account"));
  await says("#team-list", "Rowers");
  await sound("account-teams");
  await page.getByRole("button", { name: "Leave: Rowers" }).click();
  await page.click("#ask-yes");
  await page.locator("#teams").waitFor({ state: "hidden" });
  await page.context().close();
  [page] = await visit({ locale: "de-AT", viewport: { width: 320, height: 640 }, hasTouch: true });
  await page.goto(at("/auth/sign-in?return=%2Fauth%2Faccount"));
  await page.fill("#email", ben);
  await page.fill("#password", password);
  await page.click("#password-form button:not([type=button])");
  await page.getByRole("button", { name: "Verlassen: Rowers" }).click();
  await page.click("#ask-yes");
  await says("#teams .status", "Niemand sonst verwaltet dieses Team.");
  await sound("phone-teams");
  await page.getByRole("button", { name: "Mitglieder: Rowers" }).click();
  await says("h1", "Mitglieder des Teams");
  await says("#member-list", ben);
  await sound("phone-members");
  await page.context().close();
  page = mine;
});

await check("an owner manages his team: roles, invitations and members; others see who belongs to it", async () => {
  const mine = page, ben = "ben@example.com", dan = "dan@example.com", names = () => page.locator("#member-list li b").allInnerTexts();
  await server.send("POST", "auth/register", { email: dan, password, name: "Dan", born: "1990-02-03", agreed: true, size: "m", team: "01990000-0000-7000-8000-000000000001" });
  await server.send("POST", "auth/verify", { token: new URL(await server.link(dan, "/auth/verify")).searchParams.get("token") });
  [page] = await visit();
  const enter = async (who, to) => {
    await page.goto(at(to));
    await page.waitForURL(/sign-in/);
    await page.fill("#email", who);
    await page.fill("#password", password);
    await page.click("#password-form button:not([type=button])");
    await arrives(to);
  };
  await enter(ben, "/auth/account");
  await page.getByRole("button", { name: "Members: Rowers" }).click();
  await says("#team", "Rowers");
  assert.deepEqual(await names(), [ben]);
  const here = new URL(page.url()).pathname + new URL(page.url()).search;
  await page.fill("#email", "dan");
  await page.click("#form button");
  await says("#email-error", "must be an e-mail address");
  await page.fill("#email", dan);
  await page.selectOption("#role", "member");
  await page.click("#form button");
  await says("#form .status", `${dan} is invited.`);
  await says("#invitation-list", dan);
  await sound("members-invited");
  await page.getByRole("button", { name: `Take back: ${dan}` }).click();
  await page.locator("#open").waitFor({ state: "hidden" });
  await page.fill("#email", dan);
  await page.click("#form button");
  await says("#invitation-list", dan);

  const { token: key } = await server.send("POST", "auth/login", { email: dan, password });
  await server.send("POST", "auth/teams/join", { token: new URL(await server.link(dan, "/auth/team")).searchParams.get("token") }, { key });
  await page.reload();
  await page.locator("#member-list li").nth(1).waitFor();
  await sound("members");
  await page.getByLabel(`Role: ${ben}`).selectOption("member");
  await says("#member-list ~ .status", "Nobody else manages this team.");
  assert.equal(await page.getByLabel(`Role: ${ben}`).inputValue(), "owner");
  await page.getByLabel(/^Role: Somebody/).selectOption("owner");
  await says("#member-list ~ .status", "Saved.");
  await page.getByLabel(/^Role: Somebody/).selectOption("member");
  await page.locator("#member-list li", { hasText: "Somebody" }).getByRole("button").click();
  await page.click("#ask-yes");
  await page.waitForFunction(() => document.querySelectorAll("#member-list li").length === 1);
  await page.context().close();

  [page] = await visit();
  await enter(dan, here); // who does not belong to it
  await says("#notice", "There is no such team, or you do not belong to it.");
  await page.context().close();
  page = mine;
});

await check("in German, on a phone, at twice the size", async () => {
  const mine = page;
  [page] = await visit({ locale: "de-AT", viewport: { width: 320, height: 640 }, hasTouch: true });
  await page.goto(at("/auth/sign-in"));
  assert.equal(await page.getAttribute("html", "lang"), "de");
  await says("h1", "Anmelden");
  await page.evaluate(() => { document.documentElement.style.fontSize = "200%"; });
  await sound("phone-de");
  await page.click("#password-form button:not([type=button])");
  await says("#email-error", "E-Mail-Adresse fehlt.");
  await page.context().close();
  page = mine;
});

await check("without scripts it says that they are needed, and sends nothing", async () => {
  const mine = page;
  const context = await browser.newContext({ javaScriptEnabled: false, locale: "en-GB" });
  page = await context.newPage();
  page.problems = [];
  await page.goto(at("/auth/sign-in"));
  await says("noscript p", "This page needs JavaScript.");
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  await page.fill("#password", "secret");
  const refused = page.waitForEvent("console", { predicate: (message) => message.text().includes("form-action") });
  await page.focus("#password");
  await page.keyboard.press("Enter");
  await refused;
  assert.deepEqual(asked, []);
  assert.equal(page.url(), at("/auth/sign-in"));
  await context.close();
  page = mine;
});

await check("the account is deleted", async () => {
  await send("setAutomaticPresenceSimulation", { enabled: false });
  await signIn({ path: "/auth/sign-in?return=%2Fauth%2Faccount" });
  await page.locator("#second-passkey").waitFor();
  await send("setAutomaticPresenceSimulation", { enabled: true });
  await page.click("#second-passkey");
  await page.click("#delete-account");
  await page.click("#ask-yes");
  await arrives("/");
  await send("clearCredentials");
  await signIn();
  await says("#password-form .status", "The address or the password is wrong.");
});

await browser.close();
await server.kill();
