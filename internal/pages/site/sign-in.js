// Signing in: by password, passkey, code or a provider; then, where the account has one, by a second factor.

import { $, Problem, Told, clear, h, notice, onClick, onSubmit, page, send, show, words, wrong } from "./auth.js";
import { second } from "./second.js";
import { showPasskey, usable } from "./passkey.js";

const first = $("#first"), passwordForm = $("#password-form"), codeForm = $("#code-form"), email = $("#email");
const onward = page.return === page.home ? "" : `?${new URLSearchParams({ return: page.return })}`;

/** Goes on, when somebody is signed in: to set up a factor, if his role must have one. */
async function arrived() {
  const { required, session } = await send("GET", "mfa");
  location.assign(required && !session ? `/auth/account?${new URLSearchParams({ return: page.return })}` : page.return);
}

/** Ends a way of signing in: with a session, or with the second step. */
async function enter(answered) {
  try {
    await answered;
  } catch (problem) {
    if (!problem.mfa) throw problem;
    offer.abort();
    first.hidden = true;
    if (codeForm) codeForm.hidden = true;
    notice("");
    try {
      await second(problem.mfa);
    } catch (ended) {
      if (!(ended instanceof Told)) throw ended;
      first.hidden = false;
      notice(ended.message, "bad");
      email.focus();
      return;
    }
  }
  await arrived();
}

onSubmit(passwordForm, async () => {
  try {
    await enter(send("POST", "login", { email: email.value.trim(), password: $("#password").value, cookie: true }));
  } catch (problem) {
    if (problem.status === 401) problem.message = words("wrongLogin");
    if (problem.status === 403) problem.message = words("unconfirmed");
    throw problem;
  }
});

// ── A code by mail ──────────────────────────────────────────────────────────────────────────

onClick($("#code"), async () => {
  clear(passwordForm);
  if (!email.value.trim()) {
    wrong(email, words("required", { label: email.labels[0].textContent }));
    return email.focus();
  }
  try {
    await send("POST", "code", { email: email.value.trim() });
  } catch (problem) {
    if (!(problem instanceof Problem) || !problem.errors.length) throw problem;
    return show(passwordForm, problem);
  }
  offer.abort();
  first.hidden = true;
  codeForm.hidden = false;
  $("#code-sent").textContent = words("code.sent", { email: email.value.trim() });
  $("#code-input").focus();
});
onSubmit(codeForm, () => enter(send("POST", "code/confirm", { email: email.value.trim(), code: $("#code-input").value.replace(/\s/g, ""), cookie: true })));
$("#code-back")?.addEventListener("click", () => {
  codeForm.hidden = true;
  first.hidden = false;
  email.focus();
});

// ── Passkeys ────────────────────────────────────────────────────────────────────────────────

const patience = 4 * 60_000; // ms: what the server asks a passkey for is good for five minutes
let offer = new AbortController();

/** Offers passkeys where the browser fills in the address, as long as the page is there. */
async function offerPasskeys() {
  if (!await PublicKeyCredential.isConditionalMediationAvailable?.()) return;
  for (;;) {
    offer = new AbortController();
    const { signal } = offer;
    let late = false;
    const again = setTimeout(() => { late = true; offer.abort(); }, patience);
    try {
      return await enter(showPasskey("", { mediation: "conditional", signal }));
    } catch (problem) {
      if (signal.aborted && !late) return; // another way was taken
      if (!late) return problem instanceof Problem && problem.status !== 429 && notice(problem.message, "bad");
    } finally {
      clearTimeout(again);
    }
  }
}

if (usable) {
  $("#passkey").hidden = $(".or").hidden = false;
  onClick($("#passkey"), () => {
    offer.abort();
    return enter(showPasskey());
  });
}
if ($("#code")) $(".or").hidden = false;

// ── Providers ───────────────────────────────────────────────────────────────────────────────

async function showProviders() {
  const { items } = await send("GET", "providers").catch(() => ({ items: [] }));
  if (items.length) $(".or").hidden = false;
  const back = `/auth/sign-in?${new URLSearchParams({ back: "1", return: page.return })}`;
  $("#providers").append(...items.map(({ name, label }) =>
    h("a", { class: "button wide plain", href: `/api/auth/oauth/${name}?${new URLSearchParams({ return: back })}` }, words("provider.with", { label }))));
}

/** What a provider's answer has left in the address: who came back is signed in, has a step to do, or is told why not. */
async function cameBack() {
  const query = new URLSearchParams(location.search);
  const error = query.get("error");
  if (!query.has("back")) return;
  history.replaceState(null, "", location.pathname + onward);
  try {
    if (error) throw new Told(words(page.words[`provider.error.${error}`] ? `provider.error.${error}` : "provider.error.other"));
    await (query.get("mfa") === "required" ? enter(send("POST", "oauth/token", {})) : arrived());
  } catch (problem) {
    if (!(problem instanceof Told)) throw problem;
    if (problem.status !== 401) notice(problem.message, "bad"); // else he has not come back at all
  }
}

await cameBack();
showProviders();
if (usable) offerPasskeys();
