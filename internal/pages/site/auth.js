// What all ready pages do: they speak with /api/auth/, and say what came of it, in the words of the page.

/** What the page was told: {return, home, users, domain, shortest, lang, words}. */
export const page = JSON.parse(document.getElementById("page").textContent);

export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

/** h("p", {class: "hint"}, "text", child): an element. Text is set as text, never as markup. */
export function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value != null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter(Boolean));
  return node;
}

/** Words of the page's language, with values in them. */
export const words = (name, values = {}) => page.words[name].replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");

/** Something that is said to who uses the page. */
export class Told extends Error {}

/** An answer that is no success (RFC 9457). status 0: the server was not reached. */
export class Problem extends Told {
  constructor(status, body = {}, wait = "") {
    super(sentence(status, body, wait));
    this.status = status;
    this.mfa = body.mfa;
    this.errors = body.errors ?? [];
  }

  /** Whether a part of the request is what is wrong. */
  blames(name, code) {
    return this.errors.some((error) => error.pointer === `/${name}` && (!code || error.code === code));
  }
}

function sentence(status, body, wait) {
  if (status === 0) return words("unreachable");
  if (status === 429 || status === 503) return words("limited", { seconds: wait || 30 });
  if (status >= 500 && status !== 501) return words("failed", { request: body.request });
  for (const { pointer } of body.errors ?? []) {
    if (pointer === "/token") return words("wrongLink");
    if (pointer === "/ticket") return words("wrongTicket");
    if (pointer === "/credential" || pointer === "/ceremony") return words("wrongPasskey");
  }
  if (body.errors?.some(({ pointer }) => pointer)) return words("fields");
  const said = body.detail || body.title || String(status);
  return page.words[`said.${said}`] ?? said;
}

/** One request. path is under /api/auth/, or whole. Resolves to the answer (null where there is none); rejects with a Problem. */
export async function send(method, path, body) {
  let response;
  try {
    response = await fetch(path.startsWith("/") ? path : `/api/auth/${path}`, {
      method, cache: "no-store", credentials: "same-origin",
      headers: { Accept: "application/json", ...(body && { "Content-Type": "application/json" }) },
      body: body && JSON.stringify(body),
    });
  } catch {
    throw new Problem(0);
  }
  const answer = await response.json().catch(() => null);
  if (response.ok) return answer;
  throw new Problem(response.status, answer ?? {}, response.headers.get("Retry-After"));
}

/** Says something at the top of the page, and has it read aloud. */
export function notice(text, kind = "") {
  const node = $("#notice");
  node.hidden = !text;
  node.className = `notice ${kind}`;
  node.textContent = text;
}

/** Ends a page with a text in place of its form. */
export function done(form, text, kind = "good") {
  form.hidden = true;
  notice(text, kind);
  $("#title").focus();
}

export function status(node, text, kind = "") {
  node.className = `status ${kind}`;
  node.textContent = text;
}

// ── Forms ───────────────────────────────────────────────────────────────────────────────────

const labelOf = (input) => input.labels?.[0]?.textContent ?? input.name;

/** Says at an input what is wrong with it. */
export function wrong(input, text) {
  const id = `${input.id}-error`;
  input.setAttribute("aria-invalid", "true");
  input.setAttribute("aria-describedby", [input.getAttribute("aria-describedby"), id].filter(Boolean).join(" "));
  input.closest(".field").append(h("p", { class: "error", id }, text));
}

export function clear(form) {
  for (const node of $$(".error", form)) node.remove();
  for (const input of $$("[aria-invalid]", form)) {
    input.removeAttribute("aria-invalid");
    const others = (input.getAttribute("aria-describedby") ?? "").split(" ").filter((id) => id !== `${input.id}-error`).join(" ");
    if (others) input.setAttribute("aria-describedby", others);
    else input.removeAttribute("aria-describedby");
  }
  status($(".status", form), "");
}

/** Says what is wrong, at the inputs that it is about, else below the form, and puts the focus on the first. */
export function show(form, problem) {
  let first = null;
  for (const { pointer = "", code, message } of problem.errors ?? []) {
    const name = (pointer.split("/")[1] ?? "").replaceAll("~1", "/").replaceAll("~0", "~");
    const input = name && form.elements.namedItem(name);
    if (!input?.closest?.(".field")) continue;
    const label = labelOf(input);
    const known = code === "required" ? "required" : code === "secret" ? "wrongSecret" : `error.${code}`;
    wrong(input, page.words[known] ? words(known, { label }) : words("field", { label, message }));
    first ??= input;
  }
  status($(".status", form), problem.message);
  (first ?? $("button:not([type=button])", form))?.focus();
}

/** Marks what is required and empty; false where there is any. What is not shown is not asked for. */
function filled(form) {
  const empty = [...form.elements].filter((input) => input.required && !input.value.trim() && !input.closest("[hidden]"));
  for (const input of empty) wrong(input, words("required", { label: labelOf(input) }));
  if (empty.length) status($(".status", form), words("fields"));
  empty[0]?.focus();
  return empty.length === 0;
}

/** Does something when a form is sent; what fails is said in it. */
export function onSubmit(form, act) {
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (form.getAttribute("aria-busy") === "true") return;
    clear(form);
    if (!filled(form)) return;
    form.setAttribute("aria-busy", "true");
    try {
      await act(form);
    } catch (problem) {
      if (!(problem instanceof Told)) throw problem;
      show(form, problem);
    } finally {
      form.removeAttribute("aria-busy");
    }
  });
}

/** Does something when a button is clicked; what fails is said at the next place for it. */
export function onClick(button, act) {
  button?.addEventListener("click", async () => {
    if (button.getAttribute("aria-disabled") === "true") return;
    let place = button.parentElement;
    while (place && !$(":scope > .status", place)) place = place.parentElement;
    const said = $(":scope > .status", place);
    status(said, "");
    button.setAttribute("aria-disabled", "true");
    try {
      await act(button);
    } catch (problem) {
      if (!(problem instanceof Told)) throw problem;
      status(said, problem.message);
    } finally {
      button.removeAttribute("aria-disabled");
    }
  });
}

/** What the app's own fields of a form hold, as the API takes it. An empty one is left out or, with nulls, null. */
export function values(form, nulls = false) {
  const body = {};
  for (const input of $$("[data-type]", form)) {
    if (input.closest("[hidden]")) continue;
    const text = input.value.trim();
    if (input.type === "checkbox") body[input.name] = input.checked;
    else if (text) body[input.name] = valueOf(input, text);
    else if (nulls) body[input.name] = null;
  }
  return body;
}

function valueOf(input, text) {
  switch (input.dataset.type) {
    case "int": case "float": return Number(text);
    case "time": return new Date(text).toISOString();
    case "list": return text.split("\n").map((line) => line.trim()).filter(Boolean);
    case "json": try { return JSON.parse(text); } catch { return text; } // the server says what is wrong with it
    default: return text;
  }
}

/** Fills what chooses among records of the app: those that who asks may read. */
export async function fillRefs(form) {
  await Promise.all($$("select[data-to]", form).map(async (select) => {
    const { to, label = "id" } = select.dataset;
    const { items } = await send("GET", `/api/${to}?limit=500&fields=${label}&sort=${label}`).catch(() => ({ items: [] }));
    select.append(...items.map((item) => h("option", { value: item.id }, String(item[label] ?? item.id))));
  }));
}

for (const button of $$("[data-reveal]")) {
  button.setAttribute("aria-label", `${words("show")}: ${labelOf(document.getElementById(button.dataset.reveal))}`);
  button.addEventListener("click", () => {
    const input = document.getElementById(button.dataset.reveal);
    const shown = input.type === "password";
    input.type = shown ? "text" : "password";
    button.setAttribute("aria-pressed", String(shown));
  });
}

// ── What a link of a mail carries ───────────────────────────────────────────────────────────

/** The token of the address, which is taken out of it. It stays with this entry of the history, for who loads the page again. */
export function token() {
  const given = new URLSearchParams(location.search).get("token");
  if (given) history.replaceState({ token: given }, "", location.pathname);
  return given ?? history.state?.token ?? "";
}

/** Forgets the token: it was used. */
export const spent = () => history.replaceState(null, "", location.pathname);

/** A page whose one button sends the token of its link on. In another browser than the one that asked, the password is needed too. */
export function confirmLink(path, said) {
  const form = $("#form"), other = $("#other"), password = $("#password"), given = token();
  if (!given) return done(form, words("noLink"), "");
  onSubmit(form, async () => {
    try {
      await send("POST", path, { token: given, ...(!other.hidden && { password: password.value }) });
    } catch (problem) {
      if (!other.hidden || !problem.blames?.("password", "required")) throw problem;
      other.hidden = false;
      password.focus();
      return;
    }
    spent();
    done(form, words(said));
  });
}
