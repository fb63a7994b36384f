// The staff view: three lists with filters, pages by cursor, and changes guarded by If-Match. What others change
// is shown when it happens.

import { Problem, address, list, send, update } from "./api.js";
import { local, moment, today } from "./calendar.js";
import { $, $$, h, stars } from "./dom.js";
import { Stream, showLive } from "./live.js";

const pageSize = 10;
const signedOut = "You are signed out.";
let inside = false; // somebody of staff is signed in

const door = $("#door"), desk = $("#desk");
const rows = $("#rows"), filters = $("#filters"), status = $("#desk-status"), pages = $("#pages"), sign = $("#live");

// ── The three lists ─────────────────────────────────────────────────────────────────────────

const anyStatus = ["", "Any status"];

const views = {
  calls: {
    title: "Calls",
    empty: "No calls here.",
    tells: "name,day,slot",
    news: (call) => `New call: ${call.name}, ${local(call.day, call.slot).short}`,
    filters: [
      { name: "when", label: "When", options: [["upcoming", "Today and later"], ["past", "Past"], ["all", "All"]] },
      { name: "status", label: "Status", options: [["open", "Not cancelled"], ["requested", "Requested"], ["confirmed", "Confirmed"], ["cancelled", "Cancelled"], anyStatus] },
    ],
    query({ when, status }) {
      const rules = [], param = {};
      if (when !== "all") {
        rules.push(when === "past" ? "day < param.today" : "day >= param.today");
        param.today = today();
      }
      if (status === "open") rules.push('status != "cancelled"');
      else if (status) {
        rules.push("status == param.status");
        param.status = status;
      }
      return { filter: rules.join(" && "), param, sort: when === "upcoming" ? "day,slot" : "-day,-slot", expand: "service" };
    },
    row(call) {
      const when = local(call.day, call.slot);
      return row(call, {
        head: [h("p", { class: "time" }, when.short), h("p", { class: "sub" }, `${call.day} ${call.slot} UTC`), badge(call.status, { requested: "now", confirmed: "yes", cancelled: "no" })],
        body: [person(call), h("p", { class: "sub" }, `${call.expand?.service?.name ?? "No topic"} · booked ${moment(call.created)}`), text(call.about)],
        actions: [
          call.status === "requested" && ["Confirm", "", { status: "confirmed" }, `${when.short} is confirmed.`],
          call.status !== "cancelled" && ["Cancel call", "danger", { status: "cancelled" }, `${when.short} is cancelled. The time is free again.`],
        ],
        about: `${call.name}, ${when.short}`,
        off: call.status === "cancelled",
      });
    },
  },

  contacts: {
    title: "Contacts",
    empty: "No messages here.",
    tells: "name",
    news: (contact) => `New message from ${contact.name}`,
    filters: [{ name: "status", label: "Status", options: [["", "Any status"], ["new", "New"], ["answered", "Answered"], ["closed", "Closed"]] }],
    query: ({ status }) => ({ ...(status && { filter: "status == param.status", param: { status } }), sort: "-created", expand: "service" }),
    row(contact) {
      const wish = [contact.starts && `from ${contact.starts}`, contact.ends && `live by ${contact.ends}`].filter(Boolean).join(", ");
      return row(contact, {
        head: [h("p", { class: "time" }, moment(contact.created)), badge(contact.status, { new: "now", answered: "yes" })],
        body: [person(contact), h("p", { class: "sub" }, [contact.expand?.service?.name ?? "No topic", wish].filter(Boolean).join(" · ")), text(contact.message)],
        actions: [
          contact.status === "new" && ["Answered", "", { status: "answered" }, `${contact.name}: marked as answered.`],
          contact.status !== "closed" && ["Close", "plain", { status: "closed" }, `${contact.name}: closed.`],
          contact.status === "closed" && ["Reopen", "plain", { status: "new" }, `${contact.name}: open again.`],
        ],
        about: contact.name,
        off: contact.status === "closed",
      });
    },
  },

  feedback: {
    title: "Feedback",
    empty: "No feedback here.",
    tells: "author",
    news: (item) => `New feedback by ${item.author}`,
    filters: [{ name: "shown", label: "On the site", options: [["", "All"], ["no", "Waiting"], ["yes", "Published"]] }],
    query: ({ shown }) => ({ ...(shown && { filter: shown === "yes" ? "published" : "!published" }), sort: "-created" }),
    row(item) {
      return row(item, {
        head: [h("p", { class: "time" }, moment(item.created)), stars(item.rating), " ", badge(item.published ? "published" : "waiting", { published: "yes", waiting: "now" })],
        body: [h("p", { class: "who" }, h("b", {}, item.author)), text(item.message)],
        actions: [item.published
          ? ["Withdraw", "plain", { published: false }, `Feedback by ${item.author} is no longer shown.`]
          : ["Publish", "", { published: true }, `Feedback by ${item.author} is on the site.`]],
        about: item.author,
      });
    },
  },
};

const badge = (value, kinds) => h("span", { class: `badge ${kinds[value] ?? ""}` }, value);
const text = (value) => value && h("p", { class: "text" }, value);

function person({ name, email, phone }) {
  return h("p", { class: "who" }, h("b", {}, name), h("a", { href: `mailto:${email}` }, email),
    phone && h("a", { href: `tel:${phone.replace(/[^+0-9]/g, "")}` }, phone));
}

function row(record, { head, body, actions, about, off }) {
  return h("li", { class: `row${off ? " off" : ""}${fresh.has(record.id) ? " fresh" : ""}`, "data-id": record.id },
    h("div", {}, head),
    h("div", {}, body),
    h("div", { class: "actions" }, actions.filter(Boolean).map(([label, kind, patch, said]) =>
      h("button", { class: `button small ${kind}`, type: "button", "aria-label": `${label}: ${about}`, onclick: (event) => change(event.target, record, patch, said) }, label))));
}

// ── Showing a page of a list ────────────────────────────────────────────────────────────────

let current = "calls";
let chosen = {};       // filter name → value
let cursors = [];      // the cursors of the pages before this one and of this one; "" is the first
let fresh = new Set(); // the ids of what has come since this list was opened
let latest = 0;        // an answer that comes after a newer question is dropped
let turning = null;    // the promise of the newest

const viewOf = (hash) => (views[hash.slice(1)] ? hash.slice(1) : "calls");
const announce = (said, kind = "") => {
  status.className = `form-status ${kind}`;
  status.textContent = said;
};

function open(name) {
  current = name;
  const view = views[name];
  $("#list-title").textContent = view.title;
  for (const tab of $$(".tabs a")) {
    if (tab.hash === `#${name}`) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }
  fresh = new Set();
  missed(name, 0);
  chosen = Object.fromEntries(view.filters.map((filter) => [filter.name, filter.options[0][0]]));
  filters.replaceChildren(...view.filters.map((filter) => h("label", {}, filter.label,
    h("select", { name: filter.name, onchange: (event) => { chosen[filter.name] = event.target.value; turn([""]); } },
      filter.options.map(([value, label]) => h("option", { value }, label))))));
  rows.replaceChildren();
  announce("");
  return turn([""]);
}

/** Shows the page at the last of these cursors, or what was asked for since. Quietly: nobody here has asked. */
function turn(at, quietly = false) {
  turning = ask(at, quietly && !rows.hasAttribute("aria-busy"));
  return turning;
}

async function ask(at, quietly) {
  const question = ++latest;
  const view = views[current];
  cursors = at;
  if (!quietly) rows.setAttribute("aria-busy", "true");
  try {
    const page = await list(current, { ...view.query(chosen), limit: pageSize, count: "exact", cursor: at.at(-1) });
    if (question !== latest) return turning;
    if (page.items.length === 0 && at.length > 1) return turn(at.slice(0, -1), quietly);
    draw(page.items.length ? page.items.map(view.row) : [h("li", { class: "empty" }, view.empty)]);
    const from = (at.length - 1) * pageSize;
    pages.hidden = page.total <= pageSize;
    $("#range").textContent = `${from + 1} to ${from + page.items.length} of ${page.total}`;
    $("#previous").disabled = at.length === 1;
    $("#next").disabled = !page.next;
    $("#next").onclick = () => turn([...at, page.next]);
    $("#previous").onclick = () => turn(at.slice(0, -1));
  } catch (problem) {
    if (question !== latest) return turning;
    if (!(problem instanceof Problem)) throw problem;
    if (problem.status === 401) return lock(signedOut);
    if (!quietly) announce(problem.sentence, "bad");
  } finally {
    if (question === latest) rows.removeAttribute("aria-busy");
  }
}

/** Puts rows in the place of others. Who uses a keyboard stays at his button, or near it. */
function draw(items) {
  const button = document.activeElement;
  const id = rows.contains(button) && button.closest(".row")?.dataset.id;
  rows.replaceChildren(...items);
  if (!id) return;
  const buttons = $$(`[data-id="${id}"] button`, rows);
  (buttons.find((other) => other.ariaLabel === button.ariaLabel) ?? buttons[0] ?? $("#desk-title")).focus();
}

/** Changes a record, if it is still as shown: If-Match carries the rev this page was drawn from. */
async function change(button, record, patch, said) {
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  try {
    await update(current, record.id, patch, { ifMatch: record.rev });
    await turn(cursors);
    announce(said, "good");
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.status === 401) return lock(signedOut);
    if (problem.status === 412 || problem.status === 404) {
      await turn(cursors);
      announce("Somebody changed this in the meantime. Here is how it stands now.", "bad");
    } else {
      button.removeAttribute("aria-disabled");
      announce(problem.sentence, "bad");
    }
  }
}

// ── What others do meanwhile ────────────────────────────────────────────────────────────────

let stream = null; // one connection for all three lists
let waits = {};    // list → how many have come while another was looked at

/**
 * An event says that a list has changed. Its page is asked for again: it has a filter, an order and a total. Behind
 * `ready`, which begins the stream, and again after a `resync`, all changes are told: so the page is asked for then too.
 */
function follow() {
  const names = Object.keys(views);
  stream = new Stream(address("live", { subscribe: names.map((name) => `${name}?fields=${views[name].tells}`) }));
  const begin = () => {
    showLive(sign, true);
    refresh();
  };
  stream.addEventListener("ready", begin);
  stream.addEventListener("open", () => { if (stream.lastEventId) begin(); }); // it goes on: but a page may have failed to load
  stream.addEventListener("error", ({ problem }) => {
    showLive(sign, false, stream.closed ? "Not live: reload the page to see what is new." : undefined);
    if (problem?.status === 401) lock(signedOut);
  });
  const on = (kind, heed) => stream.addEventListener(kind, ({ data }) => {
    const { subscription, record } = JSON.parse(data);
    const name = names[subscription];
    heed?.(name, record);
    if (name === current) refresh();
  });
  on("update");
  on("delete");
  on("create", (name, record) => {
    showLive(sign, true, `Live · ${views[name].news(record)}`);
    if (name === current) fresh.add(record.id);
    else missed(name, (waits[name] ?? 0) + 1);
  });
}

function missed(name, count) {
  waits[name] = count;
  $(`.tabs a[href="#${name}"] .count`).replaceChildren(...(count ? [`${count}`, h("span", { class: "visually-hidden" }, " new")] : []));
}

let asking = false, again = false;

/** Asks for the page again, once for all events that come meanwhile. */
async function refresh() {
  again = true;
  if (asking) return;
  asking = true;
  while (again && inside) {
    again = false;
    await turn(cursors, true);
  }
  asking = false;
}

// ── The door ────────────────────────────────────────────────────────────────────────────────

function lock(said = "") {
  inside = false;
  stream?.close();
  showLive(sign, false, "");
  rows.replaceChildren();
  desk.hidden = true;
  door.hidden = false;
  $("#sign-out").hidden = true;
  $("#door-status").className = `form-status ${said ? "bad" : ""}`;
  $("#door-status").textContent = said;
  $("#sign-in").focus();
}

function unlock(user) {
  inside = true;
  $("#who").textContent = user.email;
  door.hidden = true;
  desk.hidden = false;
  $("#sign-out").hidden = false;
  for (const name in views) missed(name, 0);
  follow();
  return open(viewOf(location.hash));
}

/** Who is signed in, and whether it is somebody of staff: the API decides, this is to say it in words. */
async function enter() {
  try {
    const { user } = await send("GET", "auth/me");
    if (user.role !== "staff") return lock(`${user.email} is not an account of staff.`);
    await list("contacts", { limit: 1, fields: "id" }); // refused without a second factor
    await unlock(user);
    $("#desk-title").focus();
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.status === 403) return location.assign("/auth/account?return=/staff.html");
    lock(problem.status === 401 ? "" : problem.sentence);
  }
}

$("#sign-out").addEventListener("click", async () => {
  try {
    await send("POST", "auth/logout");
    lock(signedOut);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.status === 401) return lock(signedOut);
    announce(problem.sentence, "bad");
  }
});
window.addEventListener("hashchange", () => { if (inside) open(viewOf(location.hash)); });

enter();
