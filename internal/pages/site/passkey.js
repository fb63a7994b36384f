// Passkeys, as the browser has them (WebAuthn level 3).

import { Told, page, send, words } from "./auth.js";

/** Whether passkeys of this app can be used at this address. */
export const atHome = Boolean(page.domain) && (location.hostname === page.domain || location.hostname.endsWith(`.${page.domain}`));

/** Whether this browser can do it, too. */
export const usable = atHome && Boolean(window.PublicKeyCredential?.parseRequestOptionsFromJSON);

/** What the browser refuses, in words for people. */
function told(error) {
  if (error instanceof Told) return error;
  if (error.name === "NotAllowedError" || error.name === "AbortError") return new Told(words("passkey.cancelled"));
  if (error.name === "InvalidStateError") return new Told(words("passkey.there"));
  return new Told(words("passkey.failed", { message: error.message }));
}

/** Signs in by a passkey: alone, or as the second step of a ticket. Resolves to what signing in answers. */
export async function showPasskey(ticket, how = {}) {
  const { ceremony, options } = await send("POST", "passkeys/login", ticket ? { ticket } : {});
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  const credential = await navigator.credentials.get({ publicKey, ...how }).catch((error) => { throw told(error); });
  return send("POST", "passkeys/login/confirm", { ceremony, credential: credential.toJSON(), cookie: true });
}

/** Makes one. asked is the answer of POST passkeys. */
export async function makePasskey({ ceremony, options }, name) {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  const credential = await navigator.credentials.create({ publicKey }).catch((error) => { throw told(error); });
  return send("POST", "passkeys/confirm", { ceremony, credential: credential.toJSON(), ...(name && { name }) });
}
