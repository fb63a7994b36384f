// Booking a call: the grid of the next ten working days and the form beside it.

import { address, list } from "./api.js";
import { dayNames, local, minutes, slots, start, workingDays, zone } from "./calendar.js";
import { $, $$, h } from "./dom.js";
import { postForm, say, values } from "./forms.js";
import { showLive } from "./live.js";

const form = $("#booking-form");
const weeks = $("[data-weeks]", form);
const gridStatus = $("[data-grid-status]", form);
const chosen = $("[data-chosen]", form);
const sign = $("[data-live]", form);
const done = $("#booking-done");

let days = [];         // those that are drawn
let taken = new Map(); // a call's id → "2026-11-24 09:00"
let sent = "";         // the time that is being booked, or may have been: whether it was is not known yet
let source = null;
let later = 0;         // a timer

const time = (call) => `${call.day} ${call.slot}`;

// ── Which times are taken ───────────────────────────────────────────────────────────────────

/**
 * Follows it, with the browser's own EventSource: everybody may read that; who took them stays with staff. What is
 * taken comes first, then each change. EventSource connects again by itself and goes on behind the last event; after
 * a `resync`, whose id is empty, it gets everything anew.
 */
function follow() {
  stop();
  if (days[0] !== workingDays(1)[0]) drawDays();
  const query = {
    fields: "day,slot",
    filter: "day >= param.first && day <= param.last",
    param: { first: days[0], last: days.at(-1) },
  };
  const live = source = new EventSource(address("calls", { ...query, start: "snapshot" }));
  const on = (kind, heed) => live.addEventListener(kind, ({ data }) => heed(JSON.parse(data)));
  let found;
  live.onopen = () => {
    found = new Map();
    showLive(sign, true);
  };
  on("snapshot", (call) => found.set(call.id, time(call)));
  on("ready", () => show(found));
  for (const kind of ["create", "update", "enter"]) on(kind, (call) => show(taken.set(call.id, time(call))));
  for (const kind of ["delete", "leave"]) on(kind, ({ id }) => taken.delete(id) && show(taken));
  live.onerror = () => {
    showLive(sign, false);
    if (live.readyState === EventSource.CLOSED) ask();
  };

  // An answer that is no stream ends an EventSource. The list says what is taken, or why nothing can be said.
  async function ask() {
    later = setTimeout(follow, 10_000 + Math.random() * 5_000);
    try {
      const { items } = await list("calls", { ...query, limit: 500 });
      if (source === live) show(new Map(items.map((call) => [call.id, time(call)])));
    } catch (problem) {
      if (source === live && weeks.hasAttribute("aria-busy")) {
        weeks.prepend(h("div", { class: "failed" }, `The calendar could not be loaded. ${problem.sentence ?? ""}`));
      }
    }
  }
}

function stop() {
  source?.close();
  clearTimeout(later);
}

function drawDays() {
  days = workingDays(10);
  const groups = [];
  for (let from = 0; from < days.length; from += 5) groups.push(days.slice(from, from + 5));
  weeks.replaceChildren(...groups.map((group) => h("div", { class: "week" },
    h("p", { class: "week-title" }, `${dayNames(group[0]).date} to ${dayNames(group.at(-1)).date}`),
    group.map((day) => {
      const names = dayNames(day);
      return h("fieldset", { class: "day" },
        h("legend", { "aria-label": names.full }, names.weekday, h("b", {}, names.date)),
        slots.map((slot) => slotButton(day, slot)));
    }))));
  weeks.setAttribute("aria-busy", "true");
  choose();
}

function slotButton(day, slot) {
  const here = local(day, slot);
  return h("label", { class: slot === "13:00" ? "slot late" : "slot" },
    h("input", { type: "radio", name: "slot", value: `${day} ${slot}`, disabled: true, "aria-label": here.long }),
    h("span", { "aria-hidden": "true" }, here.time, here.other && h("small", {}, here.other)));
}

/** Shows what is taken. Whoever had chosen one of these times is told, unless it may be he himself who took it. */
function show(calls) {
  taken = calls;
  $(".failed", weeks)?.remove();
  weeks.removeAttribute("aria-busy");
  const gone = new Set(taken.values());
  const wanted = selected();
  for (const input of $$('[name="slot"]', weeks)) {
    const [day, slot] = input.value.split(" ");
    input.disabled = input.value !== sent && (gone.has(input.value) || start(day, slot) <= new Date());
    input.setAttribute("aria-label", `${local(day, slot).long}${input.disabled ? ", taken" : ""}`);
  }
  if (gone.has(wanted) && wanted !== sent) lose(wanted);
}

// ── Choosing one ────────────────────────────────────────────────────────────────────────────

const selected = () => form.querySelector('[name="slot"]:checked')?.value;

function choose() {
  const value = selected();
  chosen.classList.toggle("set", Boolean(value));
  chosen.textContent = value ? local(...value.split(" ")).long : "No time chosen yet.";
}

/** Somebody else was faster. */
function lose(wanted) {
  const input = form.querySelector(`[name="slot"][value="${wanted}"]`);
  const focused = document.activeElement === input;
  if (input) {
    input.checked = false;
    input.disabled = true;
  }
  choose();
  gridStatus.textContent = `${local(...wanted.split(" ")).short}: this time was just taken. Please choose another one; what you wrote is still here.`;
  if (focused) form.querySelector('[name="slot"]:not(:disabled)')?.focus();
}

function record() {
  const body = values(form);
  sent = body.slot ?? "";
  if (body.slot) [body.day, body.slot] = body.slot.split(" ");
  return body;
}

function settle() {
  if (!sent) return;
  sent = "";
  show(taken);
}

// 409: the database itself refuses a second call at the same time, however close they came.
function refused(problem, body) {
  if (problem.status < 400 || problem.status >= 500) return false; // nobody knows: sent again, it is the same booking
  settle();
  if (problem.status !== 409 || !problem.errors.some(({ code }) => code === "unique")) return false;
  lose(time(body));
  say(form, "This time was just taken. Nothing was booked.", "bad");
  form.querySelector('[name="slot"]:not(:disabled)')?.focus();
  return true;
}

function booked(call, body) {
  settle();
  const when = local(call.day ?? body.day, call.slot ?? body.slot);
  done.replaceChildren(
    h("h3", {}, "Your call is booked"),
    h("p", { class: "when" }, when.long),
    h("p", {}, `${minutes} minutes, in your time zone ${zone()}. We confirm it by e-mail to ${body.email} and send a link for the call.`),
    h("button", { class: "button plain", type: "button", onclick: again }, "Book another time"));
  form.hidden = true;
  done.hidden = false;
  done.focus();
}

function again() {
  done.hidden = true;
  form.hidden = false;
  weeks.querySelector("input:not(:disabled)")?.focus();
}

export function startBooking() {
  const first = local(workingDays(1)[0], slots[0]);
  $("[data-zone]", form).textContent = `Times are shown in your time zone, ${zone()}. Our day begins at 08:00 UTC, which is ${first.time} for you.`;
  form.addEventListener("change", (event) => {
    if (event.target.name !== "slot") return;
    settle();
    gridStatus.textContent = "";
    say(form, "");
    choose();
  });
  form.addEventListener("reset", () => setTimeout(choose));
  postForm(form, "calls", { record, refused, done: booked });
  // A tab that nobody sees keeps no connection: a browser has few. It catches up when it is seen again.
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") follow();
    else stop();
  });
  follow();
}
