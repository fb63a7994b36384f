// The page to try the API: it reads /api/openapi.json, lists the operations, makes a form for
// each, sends it and shows the answer. The key stays in this tab's memory.
let api = null;
let key = "";

const at = (id) => document.getElementById(id);

// el makes an element: attributes first, then children; text is always text, never markup.
function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [k, v] of Object.entries(attributes)) {
    if (k.startsWith("on")) node.addEventListener(k.slice(2), v);
    else if (v !== undefined && v !== false) node.setAttribute(k, v === true ? "" : v);
  }
  node.append(...children.filter((c) => c !== null && c !== undefined && c !== ""));
  return node;
}

// resolve follows a $ref inside the description.
function resolve(node) {
  for (let i = 0; node && node.$ref && i < 20; i++) {
    node = node.$ref.slice(2).split("/").reduce((n, step) => n?.[step.replaceAll("~1", "/").replaceAll("~0", "~")], api);
  }
  return node ?? {};
}

// prose is text in which `such` is code.
function prose(text = "") {
  return text.split("`").map((part, i) => (i % 2 ? el("code", {}, part) : part));
}

// free says whether a parameter stands for several whose names the client chooses.
const free = (parameter) => resolve(parameter.schema).type === "object";

function operations() {
  const list = [];
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of ["get", "post", "patch", "put", "delete"]) {
      const op = item[method];
      if (!op) continue;
      const parameters = [...(item.parameters ?? []), ...(op.parameters ?? [])].map(resolve);
      list.push({ ...op, path, method: method.toUpperCase(), parameters, tag: op.tags?.[0] ?? "" });
    }
  }
  return list;
}

function showList(list) {
  const nav = at("operations");
  nav.replaceChildren();
  for (const tag of new Set(list.map((op) => op.tag))) {
    const items = list.filter((op) => op.tag === tag).map((op) =>
      el("li", {}, el("a", { href: "#" + op.operationId }, el("span", { class: "method" }, op.method), op.path.replace(/^\/api/, ""))));
    nav.append(el("h3", {}, tag), el("ul", {}, ...items));
  }
  if (list.length === 0) nav.append(el("p", {}, "Nothing here is open to this caller."));
}

// example makes a value that fits a schema, for the body to start from.
function example(schema, depth = 0) {
  schema = resolve(schema);
  if (schema.default !== undefined) return schema.default;
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[0];
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  switch (type) {
    case "object": {
      const value = {};
      if (depth < 3) {
        const names = schema.required ?? Object.keys(schema.properties ?? {}).slice(0, 3);
        for (const name of names) value[name] = example(schema.properties?.[name] ?? {}, depth + 1);
      }
      return value;
    }
    case "array": return [];
    case "integer": case "number": return Math.max(0, schema.minimum ?? 0);
    case "boolean": return false;
    case "string":
      switch (schema.format) {
        case "date-time": return new Date().toISOString();
        case "date": return new Date().toISOString().slice(0, 10);
        case "email": return "name@example.com";
        case "uri": return "https://example.com/";
      }
      if (schema.pattern?.startsWith("^-?[0-9]")) return "0";
      return schema.minLength > 1 ? "some text.".repeat(Math.ceil(schema.minLength / 10)).slice(0, schema.maxLength) : "";
  }
  return null;
}

function showOperation(op) {
  const fields = op.parameters.map((p) => {
    const id = "parameter-" + p.in + "-" + p.name;
    const input = el("input", { id, required: p.required, "data-name": p.name, "data-in": free(p) ? "free" : p.in,
      placeholder: free(p) ? `${p.name}.name=value&${p.name}.other=value` : undefined, "aria-describedby": id + "-about", autocomplete: "off", spellcheck: "false" });
    return el("div", { class: "field" }, el("label", { for: id }, p.name + (p.required ? " *" : "")), input, el("small", { id: id + "-about" }, ...prose(p.description)));
  });
  const content = op.requestBody?.content ?? {};
  const type = Object.keys(content).find((t) => t.includes("json"));
  const body = type ? el("textarea", { id: "body", "aria-label": "Body", spellcheck: "false" }) : null;
  if (body) body.value = JSON.stringify(example(content[type].schema), null, 2);
  const answer = el("section", { "aria-live": "polite" });
  const form = el("form", { onsubmit: (e) => { e.preventDefault(); send(op, form, type, answer); } },
    ...fields, body ? el("h3", {}, "Body (" + type + ")") : null, body, el("p", {}, el("button", {}, "Send")));
  at("operation").replaceChildren(el("h2", {}, op.summary ?? op.operationId),
    el("p", {}, el("span", { class: "method" }, op.method + " "), el("code", {}, op.path)), el("p", {}, ...prose(op.description)), form, answer);
}

async function send(op, form, type, answer) {
  let path = op.path;
  const query = new URLSearchParams();
  const headers = { Accept: "application/json" };
  for (const input of form.querySelectorAll("input[data-in]")) {
    const { name, in: where } = input.dataset;
    if (input.value === "") continue;
    if (where === "path") path = path.replace("{" + name + "}", () => encodeURIComponent(input.value));
    else if (where === "query") query.set(name, input.value);
    else if (where === "free") for (const [k, v] of new URLSearchParams(input.value)) query.set(k, v);
    else headers[name] = input.value;
  }
  const search = query.toString();
  if (op.operationId.includes(".file.")) headers.Accept = "*/*";
  if (type) headers["Content-Type"] = type;
  if (key) headers.Authorization = "Bearer " + key;
  const address = path + (search ? "?" + search : "");
  answer.replaceChildren(el("p", {}, "…"));
  const start = performance.now();
  try {
    const response = await fetch(address, { method: op.method, headers, body: type ? form.querySelector("#body").value : undefined, cache: "no-store" });
    const text = await shownBody(response);
    const took = Math.round(performance.now() - start);
    const shown = [...response.headers].map(([k, v]) => k + ": " + v).join("\n");
    answer.replaceChildren(...[el("h3", {}, "Answer"),
      el("p", {}, el("span", { class: "status" }, response.status + " " + response.statusText), " in " + took + " ms"),
      el("pre", {}, op.method + " " + address), el("pre", {}, shown), text === "" ? null : el("pre", { class: "body", tabindex: "0", "aria-label": "Body of the answer" }, text)].filter(Boolean));
    answer.scrollIntoView({ block: "nearest" });
  } catch (e) {
    answer.replaceChildren(el("h3", {}, "Answer"), el("p", { role: "alert" }, String(e)));
  }
}

// shownBody is the body of an answer as people read it; of what is no text, how much there is.
async function shownBody(response) {
  const type = response.headers.get("Content-Type") ?? "";
  const body = await response.blob();
  if (body.size > 0 && !/^text\/|json|xml/.test(type)) return `${body.size} bytes of ${type}`;
  const text = await body.text();
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
}

function route() {
  const name = decodeURIComponent(location.hash.slice(1));
  const op = operations().find((o) => o.operationId === name);
  for (const a of document.querySelectorAll("nav a")) {
    if (a.hash === location.hash) a.setAttribute("aria-current", "page"); else a.removeAttribute("aria-current");
  }
  if (!op) return;
  showOperation(op);
  if (at("operation").getBoundingClientRect().top > innerHeight / 2) at("operation").scrollIntoView(); // one column: it is below the list
}

async function load() {
  at("notice").textContent = "";
  at("notice").classList.remove("bad");
  const response = await fetch("/api/openapi.json", { headers: key ? { Authorization: "Bearer " + key } : {}, cache: "no-store" });
  const answer = await response.json();
  if (!response.ok) {
    at("notice").textContent = "This key was refused: " + (answer.detail ?? response.statusText);
    at("notice").classList.add("bad");
    key = "";
    return;
  }
  at("notice").textContent = key ? "With this key, these are the operations." : "";
  api = answer;
  document.title = at("title").textContent = api.info.title;
  showList(operations());
  route();
}

at("key-form").addEventListener("submit", (e) => {
  e.preventDefault();
  key = at("key").value.trim();
  load();
});
addEventListener("hashchange", route);
load();
