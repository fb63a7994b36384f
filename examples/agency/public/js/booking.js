// Booking a call: the grid of the next ten working days and the form beside it.

import { list } from "./api.js";
import { dayNames, local, minutes, slots, start, workingDays, zone } from "./calendar.js";
import { $, h } from "./dom.js";
import { postForm, say, values } from "./forms.js";

const form = $("#booking-form");
const weeks = $("[data-weeks]", form);
const gridStatus = $("[data-grid-status]", form);
const chosen = $("[data-chosen]", form);
const done = $("#booking-done");

let taken = new Set(); // "2026-11-24 09:00"

/** Asks which slots are taken. Everybody may read that; who took them stays with staff. */
async function load(days) {
  const { items } = await list("calls", {
    fields: "day,slot",
    filter: "day >= param.first && day <= param.last",
    param: { first: days[0], last: days.at(-1) },
    limit: 500,
  });
  taken = new Set(items.map((call) => `${call.day} ${call.slot}`));
}

function slotButton(day, slot) {
  const value = `${day} ${slot}`;
  const gone = taken.has(value) || start(day, slot) <= new Date();
  const here = local(day, slot);
  return h("label", { class: slot === "13:00" ? "slot late" : "slot" },
    h("input", { type: "radio", name: "slot", value, disabled: gone, "aria-label": `${here.long}${gone ? ", taken" : ""}` }),
    h("span", { "aria-hidden": "true" }, here.time, here.other && h("small", {}, here.other)));
}

function draw(days) {
  const selected = form.querySelector('[name="slot"]:checked')?.value;
  const focused = form.contains(document.activeElement) && document.activeElement.name === "slot" ? document.activeElement.value : null;
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
  const again = [...form.querySelectorAll('[name="slot"]:not(:disabled)')];
  const keep = again.find((input) => input.value === selected);
  if (keep) keep.checked = true;
  again.find((input) => input.value === focused)?.focus();
  weeks.removeAttribute("aria-busy");
  choose();
}

function choose() {
  const value = form.querySelector('[name="slot"]:checked')?.value;
  chosen.classList.toggle("set", Boolean(value));
  chosen.textContent = value ? local(...value.split(" ")).long : "No time chosen yet.";
}

async function refresh() {
  const days = workingDays(10);
  try {
    await load(days);
    draw(days);
    return true;
  } catch (problem) {
    weeks.removeAttribute("aria-busy");
    const again = h("button", { class: "button small plain", type: "button", onclick: refresh }, "Try again");
    weeks.replaceChildren(h("div", { class: "failed" }, h("p", {}, `The calendar could not be loaded. ${problem.sentence ?? ""}`), again));
    return false;
  }
}

function record() {
  const body = values(form);
  if (body.slot) [body.day, body.slot] = body.slot.split(" ");
  return body;
}

// 409: somebody else was faster. The grid shows the truth again and says what happened.
async function refused(problem) {
  if (problem.status !== 409) return false;
  const wanted = form.querySelector('[name="slot"]:checked')?.value;
  if (!wanted || !(await refresh()) || !taken.has(wanted)) return false;
  const text = `${local(...wanted.split(" ")).short}: this time was just taken. Please choose another one; what you wrote is still here.`;
  gridStatus.textContent = text;
  say(form, "This time was just taken. Nothing was booked.", "bad");
  form.querySelector('[name="slot"]:not(:disabled)')?.focus();
  return true;
}

function booked(call, body) {
  const when = local(call.day ?? body.day, call.slot ?? body.slot);
  done.replaceChildren(
    h("h3", {}, "Your call is booked"),
    h("p", { class: "when" }, when.long),
    h("p", {}, `${minutes} minutes, in your time zone ${zone()}. We confirm it by e-mail to ${body.email} and send a link for the call.`),
    h("button", { class: "button plain", type: "button", onclick: again }, "Book another time"));
  form.hidden = true;
  done.hidden = false;
  done.focus();
  refresh();
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
    gridStatus.textContent = "";
    say(form, "");
    choose();
  });
  form.addEventListener("reset", () => setTimeout(choose));
  postForm(form, "calls", { record, refused, done: booked });
  // Somebody who comes back to the tab sees what was taken meanwhile.
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible" && !form.hidden) refresh();
  });
  return refresh();
}
