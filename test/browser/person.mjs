// What people have beside a browser: an authenticator app, and the mails that a server keeps with --dev.

import { createHmac } from "node:crypto";

/** The code of an authenticator app (RFC 6238) for a secret in base32, some steps of 30 seconds from now. */
export function totp(secret, steps = 0) {
  const bits = [...secret.replace(/=+$/, "")].map((letter) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + steps));
  const hash = createHmac("sha1", key).update(counter).digest();
  return String((hash.readUInt32BE(hash[19] & 15) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

/** A request to an app as a program makes it: {status, body}. */
async function ask(url, method, path, body, token) {
  const response = await fetch(new URL(`/api/auth/${path}`, url), {
    method, headers: { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) }, body: body && JSON.stringify(body),
  });
  return { status: response.status, body: await response.json().catch(() => null) };
}

/** What a mail has: the newest to an address in which the pattern is found, which may be on its way yet. */
export async function mailed(url, to, pattern) {
  for (const until = Date.now() + 15_000; Date.now() < until; await new Promise((again) => setTimeout(again, 50))) {
    const { mails } = await (await fetch(new URL("/_dev/mail.json", url))).json();
    const found = mails.find((mail) => mail.to.includes(to) && pattern.test(mail.text));
    if (found) return pattern.exec(found.text)[1];
  }
  throw new Error(`there is no mail to ${to} with ${pattern}`);
}

/** The link of a mail, at the address by which the browser knows the app. */
export async function linkOf(url, to, path) {
  const { search } = new URL(await mailed(url, to, new RegExp(`(http\\S+${path}\\?token=\\S+)`)));
  return new URL(path + search, url).href;
}

/** Sets the password of an account by the mail for it, and an authenticator app up: the token of a session with a second factor. */
export async function signedIn(url, email, password) {
  await ask(url, "POST", "reset", { email });
  const token = new URL(await linkOf(url, email, "/auth/reset")).searchParams.get("token");
  await ask(url, "POST", "reset/confirm", { token, password });
  const first = await ask(url, "POST", "login", { email, password });
  const begun = await ask(url, "POST", "mfa/totp", undefined, first.body.token);
  const on = await ask(url, "POST", "mfa/totp/confirm", { code: totp(begun.body.secret) }, first.body.token);
  if (on.status !== 200) throw new Error(`nobody is signed in: ${JSON.stringify(on.body)}`);
  return on.body.token;
}
