// Makes and shows passkeys in headless Chromium, with its own authenticator (WebAuthn.addVirtualAuthenticator of the
// DevTools protocol), on a page of an app at localhost.
//
//     PLINTH_URL    where the app is served: http://localhost:PORT, which its server.url says too
//     CHROMIUM      the browser, /usr/bin/chromium when absent
//
// Prints a line per check. The first failure ends the run with exit code 1.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import jsQR from "jsqr";
import { chromium } from "playwright-core";

const { PLINTH_URL, CHROMIUM = "/usr/bin/chromium" } = process.env;
if (!PLINTH_URL) {
  console.error("passkeys.mjs needs PLINTH_URL");
  process.exit(2);
}
const email = `ann-${Date.now().toString(36)}@example.com`;
const password = "a horse that is correct";

const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
});
const context = await browser.newContext();
context.setDefaultTimeout(10_000);

/** A page, and the authenticator that is built into its device. */
async function visit(url) {
  const page = await context.newPage();
  await page.goto(url);
  const devtools = await context.newCDPSession(page);
  await devtools.send("WebAuthn.enable");
  const { authenticatorId } = await devtools.send("WebAuthn.addVirtualAuthenticator", {
    options: { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
  });
  return { page, authenticatorId, send: (method, params) => devtools.send(`WebAuthn.${method}`, { authenticatorId, ...params }) };
}

const { page, send } = await visit(PLINTH_URL);

/** A request of the page's, with its cookie: {status, body}. */
const ask = (method, path, body) => page.evaluate(async ([method, path, body]) => {
  const response = await fetch(`/api/auth/${path}`, { method, headers: body ? { "Content-Type": "application/json" } : {}, body: body && JSON.stringify(body) });
  const text = await response.text();
  return { status: response.status, body: text ? JSON.parse(text) : null };
}, [method, path, body]);

async function wants(status, method, path, body) {
  const answer = await ask(method, path, body);
  assert.equal(answer.status, status, `${method} ${path}: ${JSON.stringify(answer.body)}`);
  return answer.body;
}

/** What the browser answers to options: a credential as JSON, or the name of what it refuses. */
const credential = (on, kind, options, abort = false) => on.evaluate(async ([kind, options, abort]) => {
  try {
    const stop = new AbortController();
    const publicKey = kind === "create" ? PublicKeyCredential.parseCreationOptionsFromJSON(options) : PublicKeyCredential.parseRequestOptionsFromJSON(options);
    const asked = navigator.credentials[kind]({ publicKey, signal: stop.signal });
    if (abort) stop.abort();
    return { json: (await asked).toJSON() };
  } catch (error) {
    return { refused: error.name };
  }
}, [kind, options, abort]);

async function passkey(kind, options) {
  const { json, refused } = await credential(page, kind, options);
  assert.ok(json, `the browser says ${refused}`);
  return json;
}

async function check(name, body) {
  try {
    await body();
    console.log(`ok - passkeys: ${name}`);
  } catch (error) {
    console.log(`not ok - passkeys: ${name}`);
    console.error(error);
    await browser.close();
    process.exit(1);
  }
}

let made;

await check("somebody who is signed in makes one, and gets recovery codes", async () => {
  await wants(201, "POST", "register", { email, password });
  await wants(200, "POST", "login", { email, password, cookie: true });
  const { ceremony, options } = await wants(200, "POST", "passkeys");
  assert.equal(options.rp.id, "localhost");
  const done = await wants(200, "POST", "passkeys/confirm", { ceremony, name: "this laptop", credential: await passkey("create", options) });
  made = done.passkey;
  assert.equal(made.name, "this laptop");
  assert.equal(done.recovery.length, 10);
  const { credentials } = await send("getCredentials");
  assert.equal(credentials.length, 1);
  assert.equal(credentials[0].isResidentCredential, true);
  assert.deepEqual(await wants(200, "GET", "mfa"), { session: true, required: false, totp: false, passkeys: 1, recovery: 10 }); // by the cookie
});

await check("the browser makes no second one in the same place", async () => {
  const { options } = await wants(200, "POST", "passkeys");
  assert.equal((await credential(page, "create", options)).refused, "InvalidStateError");
});

await check("it signs in alone, with a cookie", async () => {
  await wants(204, "POST", "logout");
  await wants(401, "GET", "me");
  const { ceremony, options } = await wants(200, "POST", "passkeys/login");
  assert.equal(options.allowCredentials, undefined);
  const { user } = await wants(200, "POST", "passkeys/login/confirm", { ceremony, credential: await passkey("get", options), cookie: true });
  assert.equal(user.email, email);
  assert.equal((await wants(200, "GET", "mfa")).session, true);
  const { items } = await wants(200, "GET", "passkeys");
  assert.equal(items[0].id, made.id);
  assert.ok(items[0].used);
});

await check("it is the second factor after a password", async () => {
  await wants(204, "POST", "logout");
  const { mfa } = await wants(401, "POST", "login", { email, password, cookie: true });
  assert.deepEqual(mfa.methods, ["passkey", "recovery"]);
  await wants(401, "GET", "me"); // nothing has begun
  const { ceremony, options } = await wants(200, "POST", "passkeys/login", { ticket: mfa.ticket });
  assert.equal(options.allowCredentials.length, 1);
  await wants(200, "POST", "passkeys/login/confirm", { ceremony, credential: await passkey("get", options) });
  assert.equal((await wants(200, "GET", "me")).user.email, email); // the cookie that the first step has asked for
});

await check("who cancels has lost nothing", async () => {
  const { ceremony, options } = await wants(200, "POST", "passkeys/login");
  await send("setAutomaticPresenceSimulation", { enabled: false }); // nobody touches it
  assert.equal((await credential(page, "get", options, true)).refused, "AbortError");
  await send("setAutomaticPresenceSimulation", { enabled: true });
  await send("setUserVerified", { isUserVerified: false }); // the wrong finger
  assert.equal((await credential(page, "get", options)).refused, "NotAllowedError");
  await send("setUserVerified", { isUserVerified: true });
  await wants(200, "POST", "passkeys/login/confirm", { ceremony, credential: await passkey("get", options), cookie: true });
});

await check("an answer is good once", async () => {
  const { ceremony, options } = await wants(200, "POST", "passkeys/login");
  const answer = { ceremony, credential: await passkey("get", options) };
  await wants(200, "POST", "passkeys/login/confirm", answer);
  await wants(422, "POST", "passkeys/login/confirm", answer);
});

await check("a page of another origin gets nothing that is good", async () => {
  const other = createServer((_, response) => response.setHeader("Content-Type", "text/html").end("<!doctype html><title>other</title>"));
  other.listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address();
  const { credentials } = await send("getCredentials");
  const { ceremony, options } = await wants(200, "POST", "passkeys/login");

  // By its address it is of another site: the browser refuses.
  const foreign = await visit(`http://127.0.0.1:${port}/`);
  assert.equal((await credential(foreign.page, "get", options)).refused, "SecurityError");
  await foreign.page.close();

  // At another port of the same host the browser does not: Plinth does.
  const near = await visit(`http://localhost:${port}/`);
  await near.send("addCredential", { credential: { ...credentials[0], signCount: credentials[0].signCount + 100 } });
  const { json, refused } = await credential(near.page, "get", options);
  assert.ok(json, `the browser says ${refused}`);
  const { errors } = await wants(422, "POST", "passkeys/login/confirm", { ceremony, credential: json });
  assert.equal(errors[0].pointer, "/credential");
  await near.page.close();
  other.close();
});

await check("one that was copied, and counts less, is refused", async () => {
  const { credentials } = await send("getCredentials");
  await send("removeCredential", { credentialId: credentials[0].credentialId });
  await send("addCredential", { credential: { ...credentials[0], signCount: 1 } });
  const { ceremony, options } = await wants(200, "POST", "passkeys/login");
  await wants(422, "POST", "passkeys/login/confirm", { ceremony, credential: await passkey("get", options) });
  await send("removeCredential", { credentialId: credentials[0].credentialId });
  await send("addCredential", { credential: { ...credentials[0], signCount: 1000 } });
  const again = await wants(200, "POST", "passkeys/login");
  await wants(200, "POST", "passkeys/login/confirm", { ceremony: again.ceremony, credential: await passkey("get", again.options), cookie: true });
});

await check("it is renamed and removed, and opens nothing then", async () => {
  assert.equal((await wants(200, "PATCH", `passkeys/${made.id}`, { name: "old laptop" })).name, "old laptop");
  await wants(204, "DELETE", `passkeys/${made.id}`);
  assert.deepEqual(await wants(200, "GET", "mfa"), { session: false, required: false, totp: false, passkeys: 0, recovery: 0 });
  const { ceremony, options } = await wants(200, "POST", "passkeys/login");
  await wants(422, "POST", "passkeys/login/confirm", { ceremony, credential: await passkey("get", options) });
  await wants(200, "POST", "login", { email, password });
});

await check("the QR code of an authenticator app is read as its address", async () => {
  await wants(200, "POST", "login", { email, password, cookie: true });
  const { qr, uri, secret } = await wants(200, "POST", "mfa/totp");
  assert.ok(uri.includes(secret));
  const seen = await page.evaluate(async (src) => {
    const image = new Image();
    image.src = src;
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"), { width: 400, height: 400 });
    const pen = canvas.getContext("2d");
    pen.fillStyle = "#777"; // what surrounds it need not be white
    pen.fillRect(0, 0, 400, 400);
    pen.drawImage(image, 20, 20, 360, 360);
    return [...pen.getImageData(0, 0, 400, 400).data];
  }, qr);
  assert.equal(jsQR(Uint8ClampedArray.from(seen), 400, 400)?.data, uri);
});

await browser.close();
