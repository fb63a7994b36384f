// The own account: what one is called, what one signs in with, and where.

import { $, $$, Told, clear, fillRefs, h, notice, onClick, onSubmit, page, send, status, values, words } from "./auth.js";
import { atHome, makePasskey, usable } from "./passkey.js";
import { ask, moment, row } from "./rows.js";
import { giveUp, second } from "./second.js";

let me = null;

// ── The owner himself ───────────────────────────────────────────────────────────────────────

const sureDialog = $("#sure"), sureForm = $("#sure-form");

/** Does what needs the owner himself: where the server wants to be sure, it is done again with his password, or after a factor. */
async function sure(act) {
  try {
    return await act({});
  } catch (problem) {
    if (problem.mfa) {
      await inDialog(() => second(problem.mfa));
      return act({});
    }
    if (!problem.blames?.("password", "required")) throw problem;
    return inDialog(() => withPassword(act));
  }
}

async function inDialog(ask) {
  sureDialog.showModal();
  try {
    return await ask();
  } finally {
    sureForm.hidden = true;
    sureDialog.close();
  }
}

let submitted = null, cancelled = null;

function withPassword(act) {
  sureForm.reset();
  clear(sureForm);
  sureForm.hidden = false;
  sureForm.elements.username.value = me.email ?? "";
  $("#password").focus();
  return new Promise((resolve, reject) => {
    cancelled = () => reject(new Told(""));
    submitted = async () => {
      try {
        resolve(await act({ password: $("#password").value }));
      } catch (problem) {
        if (problem.blames?.("password")) throw problem; // said in the dialog, which stays
        reject(problem);
      }
    };
  });
}

onSubmit(sureForm, () => submitted());
sureDialog.addEventListener("close", () => {
  cancelled?.();
  giveUp();
});

// ── What one signs in with ──────────────────────────────────────────────────────────────────

/** Shows which there are. Resolves to whether that is enough for this role. */
async function showFactors() {
  const [has, { items }] = await Promise.all([send("GET", "mfa"), send("GET", "passkeys")]);
  $("#must").hidden = !has.required || has.session;
  $("#onward").hidden = page.return === location.pathname || page.return === page.home || has.required && !has.session;
  $("#passkeys").hidden = !page.domain && !items.length;
  $("#passkey-add").hidden = !usable;
  $("#passkey-host").hidden = !page.domain || atHome;
  $("#passkey-host").textContent = words("passkey.host", { domain: page.domain });
  $("#passkey-list").replaceChildren(...items.map(passkeyRow), ...(items.length ? [] : [h("li", {}, words("passkeys.none"))]));
  $("#totp-state").textContent = words(has.totp ? "totp.on" : "totp.off");
  $("#totp-add").hidden = has.totp;
  $("#totp-remove").hidden = !has.totp;
  $("#recovery-box").hidden = !has.totp && !has.passkeys;
  $("#recovery-left").textContent = words("recovery.left", { count: has.recovery });
  return !has.required || has.session;
}

function passkeyRow({ id, name, created, used }) {
  const about = words(used ? "passkey.used" : "passkey.unused", { created: moment(created), used: used && moment(used) });
  return row(name, about, [
    [words("rename"), "plain", async () => {
      const called = await ask({ title: words("passkey.name"), why: words("passkey.nameWhy"), yes: words("rename"), name });
      await send("PATCH", `passkeys/${id}`, { name: called });
      await showFactors();
    }],
    [words("remove"), "danger", async () => {
      await ask({ title: words("passkey.remove", { name }), why: words("passkey.removeWhy"), yes: words("remove"), danger: true });
      await sure((proof) => send("DELETE", `passkeys/${id}`, proof));
      await refresh();
    }],
  ]);
}

onClick($("#passkey-add"), async () => {
  const asked = await sure((proof) => send("POST", "passkeys", proof));
  const name = await ask({ title: words("passkey.name"), why: words("passkey.nameWhy"), yes: words("passkey.add"), name: place(navigator.userAgent) });
  const made = await makePasskey(asked, name);
  await refresh();
  showCodes(made.recovery);
});

const totpForm = $("#totp-form");

onClick($("#totp-add"), async () => {
  const { secret, qr } = await sure((proof) => send("POST", "mfa/totp", proof));
  $("#totp-qr").src = qr;
  $("#totp-secret").textContent = secret.replace(/(.{4})(?=.)/g, "$1 ");
  totpForm.reset();
  clear(totpForm);
  totpForm.hidden = false;
  $("#totp-add").hidden = true;
  $("#totp-code").focus();
});

function closeTotp() {
  totpForm.hidden = true;
  $("#totp-qr").removeAttribute("src");
  $("#totp-secret").textContent = "";
}

onSubmit(totpForm, async () => {
  const on = await send("POST", "mfa/totp/confirm", { code: $("#totp-code").value.replace(/\s/g, "") });
  closeTotp();
  await refresh();
  showCodes(on.recovery);
});
$("#totp-cancel").addEventListener("click", () => {
  closeTotp();
  $("#totp-add").hidden = false;
  $("#totp-add").focus();
});
onClick($("#totp-remove"), async () => {
  await ask({ title: words("totp.remove"), why: words("totp.removeWhy"), yes: words("remove"), danger: true });
  await sure((proof) => send("DELETE", "mfa/totp", proof));
  await refresh();
});

onClick($("#recovery-renew"), async () => {
  const { recovery } = await sure((proof) => send("POST", "mfa/recovery", proof));
  await showFactors();
  showCodes(recovery);
});

/** Recovery codes are told once. */
function showCodes(codes = []) {
  $("#codes").hidden = codes.length === 0;
  $("#codes-list").replaceChildren(...codes.map((code) => h("li", {}, code)));
  if (codes.length) $("#codes").focus();
}
$("#codes-done").addEventListener("click", () => {
  showCodes();
  $("#factors-title").focus();
});

// ── Password, address, identities ───────────────────────────────────────────────────────────

onSubmit($("#password-form"), async (form) => {
  const { old, new: fresh } = form.elements;
  const body = () => send("POST", "password", { ...(old.value && { old: old.value }), new: fresh.value });
  try {
    await body();
  } catch (problem) {
    if (!problem.mfa) throw problem;
    await inDialog(() => second(problem.mfa));
    await body();
  }
  form.reset();
  status($(".status", form), words("password.saved"), "good");
  await showSessions();
});

onSubmit($("#email-form"), async (form) => {
  const email = form.elements.email.value.trim();
  await sure((proof) => send("POST", "email", { email, ...proof }));
  form.reset();
  status($(".status", form), words("address.sent", { email }), "good");
});

async function showIdentities() {
  const [{ items }, { items: providers }] = await Promise.all([send("GET", "identities"), send("GET", "providers")]);
  $("#identities").hidden = !items.length && !providers.length;
  $("#identity-list").replaceChildren(...items.map(({ id, label, email, name, created }) =>
    row(label, [email ?? name, words("identity.since", { created: moment(created) })].filter(Boolean).join(" · "), [
      [words("remove"), "danger", async () => {
        await ask({ title: words("identity.unlink", { label }), why: words("identity.unlinkWhy"), yes: words("remove"), danger: true });
        await sure((proof) => send("DELETE", `identities/${id}`, proof));
        await Promise.all([showIdentities(), showSessions()]); // the others have ended
      }],
    ])));
  $("#identity-add").replaceChildren(...providers.map(({ name, label }) => {
    const button = h("button", { type: "button", class: "plain" }, words("provider.link", { label }));
    onClick(button, async () => {
      const { location: there } = await sure((proof) => send("POST", "identities", { provider: name, return: "/auth/account", ...proof }));
      location.assign(there);
    });
    return button;
  }));
}

// ── Teams ───────────────────────────────────────────────────────────────────────────────────

/** The teams that one belongs to, each with one's role there. Whose role needs a factor that he has not shown sees none yet. */
async function showTeams() {
  if (!page.teams) return;
  const { items } = await send("GET", "teams");
  $("#teams").hidden = !items.length;
  $("#team-list").replaceChildren(...items.map(({ team, role, expand }) => {
    const name = String(expand?.team?.[page.teams] ?? team);
    const members = [words("team.members"), "plain", () => location.assign(`/auth/members?${new URLSearchParams({ team })}`)];
    return row(name, role, [members, [words("team.leave"), "danger", async () => {
      await ask({ title: words("team.leaveTitle", { name }), why: words("team.leaveWhy"), yes: words("team.leave"), danger: true });
      try {
        await send("DELETE", `teams/${team}/members/${me.id}`);
      } catch (problem) {
        throw problem.status === 409 ? new Told(words("team.last")) : problem;
      }
      await showTeams();
    }]]);
  }));
}

// ── Sessions ────────────────────────────────────────────────────────────────────────────────

/** What a browser and its system are called. */
function place(agent) {
  const find = (all) => all.find(([sign]) => sign.test(agent))?.[1];
  const browser = find([[/Edg\//, "Edge"], [/OPR\//, "Opera"], [/Firefox\//, "Firefox"], [/Chrome\//, "Chrome"], [/Safari\//, "Safari"]]);
  const system = find([[/Android/, "Android"], [/iPhone|iPad/, "iOS"], [/Windows/, "Windows"], [/Mac OS/, "macOS"], [/Linux/, "Linux"]]);
  return [browser, system].filter(Boolean).join(", ") || agent.slice(0, 60) || words("session.unknown");
}

async function showSessions() {
  const { items } = await send("GET", "sessions");
  $("#sessions-end").hidden = items.length < 2;
  $("#session-list").replaceChildren(...items.map(({ id, agent, address, seen, current }) =>
    row(place(agent), [words("session.seen", { address, seen: moment(seen) }), current && words("session.current")].filter(Boolean).join(" · "),
      current ? [] : [[words("end"), "plain", async () => {
        await send("DELETE", `sessions/${id}`);
        await showSessions();
      }]])));
}

onClick($("#sessions-end"), async () => {
  await send("DELETE", "sessions");
  await showSessions();
});

async function leave() {
  await send("POST", "logout").catch((problem) => { if (problem.status !== 401) throw problem; });
  location.assign(page.home === "/auth/account" ? "/auth/sign-in" : page.home);
}
$("#sign-out").addEventListener("click", () => leave().catch((problem) => notice(problem.message, "bad")));

// ── What the app lets one do with the own record ────────────────────────────────────────────

const record = () => `/api/${page.users}/${me.id}`;

let described = false;

/** The description of the API says what who asks may change. */
async function showRecord() {
  if (described) return;
  described = true;
  const { paths, components } = await send("GET", "/api/openapi.json");
  const may = paths[`/api/${page.users}/{id}`] ?? paths[`/${page.users}/{id}`] ?? {};
  const writable = components?.schemas?.[`${page.users}.patch`]?.properties ?? {};
  for (const field of $$("[data-own]")) field.hidden = !may.patch || !(field.dataset.own in writable);
  $("#profile").hidden = $$("[data-own]").every((field) => field.hidden);
  if ($("#profile").hidden) return;
  await fillRefs($("#profile-form"));
  fill();
}

/** Puts what is stored into the form. */
function fill() {
  for (const input of $$("[data-type]", $("#profile-form"))) {
    const value = me[input.name];
    if (input.type === "checkbox") input.checked = value === true;
    else if (value == null) input.value = "";
    else if (input.dataset.type === "time") input.value = new Date(new Date(value) - new Date(value).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
    else if (input.dataset.type === "list") input.value = value.join("\n");
    else if (input.dataset.type === "json") input.value = JSON.stringify(value);
    else input.value = value;
  }
}

onSubmit($("#profile-form"), async (form) => {
  const now = values(form, true);
  const changed = Object.fromEntries(Object.entries(now).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(me[name] ?? null)));
  if (Object.keys(changed).length) await send("PATCH", record(), changed);
  me = (await send("GET", "me")).user;
  fill();
  status($(".status", form), words("saved"), "good");
});

onClick($("#delete-account"), async () => {
  await ask({ title: words("delete.title"), why: words("delete.why"), yes: words("remove"), danger: true });
  await sure((proof) => send("DELETE", "me", proof));
  await leave();
});

// ── The page ────────────────────────────────────────────────────────────────────────────────

/** What changes with the factors: which there are, which sessions have ended, and whether there is more that one may do. */
async function refresh() {
  const enough = await showFactors();
  await Promise.all([showSessions(), enough && showRecord(), enough && showTeams()]);
}

async function begin() {
  try {
    me = (await send("GET", "me")).user;
  } catch (problem) {
    if (problem.status === 401) return location.replace(`/auth/sign-in?${new URLSearchParams({ return: `/auth/account${location.search}` })}`);
    throw problem;
  }
  const error = new URLSearchParams(location.search).get("error"); // of a provider that was to be linked
  if (error) notice(words(page.words[`provider.error.${error}`] ? `provider.error.${error}` : "provider.error.other"), "bad");
  $("#who").textContent = me.verified === false ? words("me.unconfirmed", { email: me.email ?? me.id }) : me.email ?? me.id;
  $("#password-form").elements.username.value = me.email ?? "";
  $("#account").hidden = false;
  await Promise.all([refresh(), showIdentities()]);
  $("#account").removeAttribute("aria-busy");
  if (!$("#must").hidden) $("#factors-title").scrollIntoView();
}

begin().catch((problem) => {
  if (!(problem instanceof Told)) throw problem;
  notice(problem.message, "bad");
});
