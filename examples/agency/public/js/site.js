// The public site: lists from the API, and the forms.

import { list } from "./api.js";
import { startBooking } from "./booking.js";
import { $, $$, h, icon, stars } from "./dom.js";
import { postForm, say } from "./forms.js";

const euro = new Intl.NumberFormat("en-GB", { style: "currency", currency: "EUR", maximumFractionDigits: 0 });

function serviceCard(service) {
  return h("article", { class: "service" },
    icon(service.icon ?? "web"),
    h("h3", {}, service.name),
    h("p", {}, service.summary),
    h("p", { class: "terms" },
      service.price != null && h("span", {}, "from ", h("b", {}, euro.format(Number(service.price)))),
      service.weeks != null && h("span", {}, "about ", h("b", {}, `${service.weeks} weeks`))));
}

function caseCard(item) {
  return h("article", { class: "case" },
    h("p", { class: "meta" }, h("span", {}, item.client), h("span", {}, [item.expand?.service?.name, item.year].filter(Boolean).join(", "))),
    h("h3", {}, item.title),
    h("p", { class: "summary" }, item.summary),
    item.figure && h("p", { class: "figure" }, h("b", {}, item.figure), ` ${item.caption ?? ""}`));
}

function personCard(person) {
  return h("li", { class: "person" },
    h("span", { class: "monogram", "aria-hidden": "true" }, person.name.slice(0, 1)),
    h("h3", {}, person.name),
    h("p", { class: "role" }, person.role),
    person.about && h("p", { class: "about" }, person.about));
}

function quoteCard(feedback) {
  return h("figure", { class: "quote" },
    stars(feedback.rating),
    h("blockquote", {}, feedback.message),
    h("figcaption", {}, feedback.author));
}

/** Fills one place of the page with a list; a failure is said there, with a way to try again. */
async function fill(name, query, card) {
  const place = $(`[data-list="${name}"]`);
  try {
    const { items } = await list(name, query);
    place.replaceChildren(...items.map(card));
    return items;
  } catch (problem) {
    const retry = h("button", { class: "button small plain", type: "button", onclick: () => fill(name, query, card) }, "Try again");
    place.replaceChildren(h(place.matches("ul") ? "li" : "div", { class: "failed" }, h("p", {}, problem.sentence ?? "This could not be loaded."), retry));
    return [];
  } finally {
    place.removeAttribute("aria-busy");
  }
}

async function showServices() {
  const services = await fill("services", { sort: "position,name" }, serviceCard);
  for (const select of $$("[data-services]")) {
    select.append(...services.map((service) => h("option", { value: service.id }, service.name)));
  }
}

// The average comes from the database, over all published feedback, not only what is shown.
async function showAverage() {
  const { groups } = await list("feedback", { group: "rating", aggregate: "count" }).catch(() => ({ groups: [] }));
  const count = groups.reduce((sum, group) => sum + group.count, 0);
  if (!count) return;
  const average = groups.reduce((sum, group) => sum + group.rating * group.count, 0) / count;
  $("[data-average]").replaceChildren(stars(Math.round(average)), ` ${average.toFixed(1)} of 5, from ${count} ${count === 1 ? "client" : "clients"}`);
}

function finish(formId, doneId, title, text) {
  const form = $(formId), done = $(doneId);
  const again = () => { done.hidden = true; form.hidden = false; form.querySelector("input").focus(); };
  return () => {
    done.replaceChildren(h("h3", {}, title), h("p", {}, text),
      h("button", { class: "button plain", type: "button", onclick: again }, "Write another message"));
    form.hidden = true;
    done.hidden = false;
    done.focus();
  };
}

showServices();
fill("cases", { sort: "-year,title", expand: "service", limit: 4 }, caseCard);
fill("team", { sort: "position,name" }, personCard);
fill("feedback", { sort: "-created", limit: 4 }, quoteCard);
showAverage();
startBooking();

postForm($("#contact-form"), "contacts", {
  done: finish("#contact-form", "#contact-done", "Thank you, your message is here",
    "We read it today and answer within two working days, from a person, to the address you gave."),
});

postForm($("#feedback-form"), "feedback", {
  done: () => say($("#feedback-form"), "Thank you. Your words appear here once one of us has read them.", "good"),
});
