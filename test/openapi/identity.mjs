// What a user does under /api/auth, for sweep.mjs: he registers where he may, signs in, sets up a second factor and takes it
// away, and goes. Then every operation is asked badly. Answers are held against the description by send.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";

const nothing = "01900000-0000-7000-8000-000000000000";

/** The code of an authenticator app (RFC 6238) for a secret in base32. */
function totp(secret) {
  let bits = "";
  for (const c of secret) bits += "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const sum = createHmac("sha1", key).update(step).digest();
  const at = sum[19] & 15;
  return String((sum.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

export async function identity(document, send, samples) {
  const has = (path, method = "post") => Boolean(document.paths[`/api/auth/${path}`]?.[method]);
  let from = `192.0.2.${1 + Math.floor(Math.random() * 250)}`; // the app believes it
  const ask = async (method, path, body, want, { token, ...headers } = {}) => {
    const shown = token ? { authorization: `Bearer ${token}` } : {};
    const answer = await send(method, `/api/auth/${path}`, { body, headers: { "x-forwarded-for": from, ...shown, ...headers }, want });
    return answer;
  };
  const json = async (...args) => (await ask(...args)).json();

  if (has("register")) await account();
  for (const [path, item] of Object.entries(document.paths)) {
    const rest = path.match(/^\/api\/auth\/(.*)$/)?.[1];
    if (!rest) continue;
    from = `198.51.100.${1 + Math.floor(Math.random() * 250)}`;
    for (const [method, operation] of Object.entries(item)) await badly(method.toUpperCase(), rest, operation);
  }

  async function badly(method, path, operation) {
    const named = path.replace("{id}", nothing).replace("{provider}", operation.parameters?.[0]?.schema.enum?.[0]);
    const refused = [400, 401, 403, 404, 405, 409, 415, 422, 429];
    const body = operation.requestBody ? {} : undefined;
    const alone = named.includes("oauth/") || /\/(logout|providers)$/.test(`/${named}`) || named === "passkeys/login";
    await ask(method, named, body, alone ? [...refused, 200, 303] : method === "GET" ? [200, ...refused] : refused, { token: "false" });
    if (!operation.parameters?.some((parameter) => parameter.in === "query")) await ask(method, `${named}?no_such=1`, body, 400);
    if (operation.requestBody) await ask(method, named, { no_such: 1 }, refused);
    if (operation.requestBody?.content["application/json"]) await ask(method, named, undefined, alone ? [...refused, 200] : refused, { "content-type": "text/plain" });
  }

  async function account() {
    const mark = crypto.randomUUID().slice(0, 8);
    const email = `ann-${mark}@example.com`;
    const password = "a horse that is correct";
    const schema = document.paths["/api/auth/register"].post.requestBody.content["application/json"].schema;
    const made = await ask("POST", "register", { ...samples(schema, mark), email, password }, [201, 202]);
    assert.equal(made.headers.get("ratelimit-policy"), '"address";q=100;w=60');
    if (made.status === 202) return; // somebody has to read the mail
    await ask("POST", "register", { ...samples(schema, mark), email, password }, 409);
    await ask("POST", "register", { ...samples(schema, mark), email, password: "short", no_such: 1 }, 422);
    await ask("POST", "login", { email, password: "another horse" }, 401);
    const login = () => json("POST", "login", { email, password }, 200);
    let { token } = await login();
    const other = await ask("POST", "login", { email, password, cookie: true }, 200);
    const cookie = other.headers.get("set-cookie").split(";")[0];
    await ask("GET", "me", undefined, 200, { token });
    const { items } = await json("GET", "sessions", undefined, 200, { token });
    await ask("DELETE", `sessions/${items.find((session) => !session.current).id}`, undefined, 204, { token });
    assert.ok(cookie.includes("plinth="), cookie);
    await ask("DELETE", "sessions", undefined, 204, { token });

    for (const path of ["reset", "code"]) await ask("POST", path, { email }, 202);
    await ask("POST", "code/confirm", { email, code: "00000000" }, 422);
    for (const path of ["verify", "email/confirm"]) await ask("POST", path, { token: "pt_wrong" }, 422);
    await ask("POST", "reset/confirm", { token: "pt_wrong", password }, 422);
    await ask("POST", "email", { email: `other-${mark}@example.com` }, 202, { token });
    await ask("POST", "password", { old: password, new: `${password} twice` }, 204, { token });
    await ask("POST", "password", { old: `${password} twice`, new: password }, 204, { token });

    if (has("oauth/{provider}", "get")) {
      const providers = await json("GET", "providers", undefined, 200);
      const { name } = providers.items[0];
      await ask("GET", `oauth/${name}?return=/account`, undefined, [303, 503]);
      await ask("GET", `oauth/${name}?return=//evil.example`, undefined, 400);
      await ask("GET", `oauth/${name}/callback?state=a&code=b&other=c`, undefined, 400);
      await ask("GET", "identities", undefined, 200, { token });
      await ask("POST", "identities", { provider: name, return: "/account", password }, [200, 403, 503], { token });
      await ask("DELETE", `identities/${nothing}`, undefined, 404, { token });
    }

    await ask("POST", "mfa/step-up", undefined, 409, { token });
    await ask("POST", "mfa/recovery", undefined, 409, { token });
    const { secret } = await json("POST", "mfa/totp", { password }, 200, { token });
    await ask("POST", "mfa/totp/confirm", { code: "000000x" }, 422, { token });
    const on = await json("POST", "mfa/totp/confirm", { code: totp(secret) }, 200, { token });
    await ask("GET", "me", undefined, 401, { token }); // the new one has taken its place
    ({ token } = on);
    assert.equal(on.recovery.length, 10);
    const { mfa } = await json("POST", "login", { email, password }, 401);
    await ask("POST", "mfa", { ticket: mfa.ticket, method: "totp", code: "000000x" }, 422);
    await ask("POST", "passkeys/login", { ticket: mfa.ticket }, 409);
    const second = await json("POST", "mfa", { ticket: mfa.ticket, method: "recovery", code: on.recovery[0] }, 200);
    await ask("POST", "mfa/step-up", undefined, 200, { token: second.token });
    await ask("GET", "mfa", undefined, 200, { token });
    await ask("POST", "mfa/recovery", {}, 200, { token });
    await ask("POST", "passkeys", undefined, [200, 501], { token });
    await ask("POST", "passkeys/confirm", { ceremony: "pb_wrong", credential: {}, name: "x".repeat(61) }, 422, { token });
    await ask("GET", "passkeys", undefined, 200, { token });
    await ask("PATCH", `passkeys/${nothing}`, { name: "Key" }, 404, { token });
    await ask("DELETE", `passkeys/${nothing}`, undefined, 404, { token });
    await ask("POST", "passkeys/login", undefined, [200, 501]);
    await ask("POST", "passkeys/login/confirm", { ceremony: "pb_wrong", credential: {} }, 422);
    await ask("DELETE", "mfa/totp", undefined, 204, { token });
    await ask("DELETE", "mfa/totp", undefined, 404, { token });
    await ask("POST", "logout", undefined, 204, { token });
    await ask("GET", "me", undefined, 401, { token });
  }
}
