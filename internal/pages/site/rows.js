// Rows of lists, and the dialog that asks before something is done.

import { $, $$, Told, h, onClick, page } from "./auth.js";

export const moment = (text) => new Intl.DateTimeFormat(page.lang, { dateStyle: "medium", timeStyle: "short" }).format(new Date(text));

/** A row of a list: what it is, and what can be done with it. */
export function row(title, about, buttons) {
  const item = h("li", {}, h("div", {}, h("b", {}, title), h("small", {}, about)),
    h("div", { class: "buttons" }, buttons.map(([label, kind]) => h("button", { type: "button", class: kind, "aria-label": `${label}: ${title}` }, label))));
  buttons.forEach(([, , act], i) => onClick($$("button", item)[i], act));
  return item;
}

const askDialog = $("#ask"), askForm = $("#ask-form");

/** Asks whether something is to be done; with a name, how it is to be called. Resolves to the name or true; rejects when it is not. */
export function ask({ title, why, yes, name, danger }) {
  $("#ask-title").textContent = title;
  $("#ask-why").textContent = why;
  $("#ask-field").hidden = name === undefined;
  $("#ask-name").value = name ?? "";
  $("#ask-yes").textContent = yes;
  $("#ask-yes").className = danger ? "danger" : "";
  askDialog.returnValue = "";
  $("#ask-yes").value = "yes";
  askDialog.showModal();
  return new Promise((resolve, reject) => {
    askDialog.addEventListener("close", () => {
      if (askDialog.returnValue !== "yes") reject(new Told(""));
      else resolve(name === undefined || $("#ask-name").value.trim());
    }, { once: true });
  });
}

for (const button of $$("[data-close]")) button.addEventListener("click", () => button.closest("dialog").close());
