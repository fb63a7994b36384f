// Forms that post to the API and show its field errors where they belong.

import { Once, Problem, create, fieldOf } from "./api.js";
import { h } from "./dom.js";

/** The values of a form as the API wants them: what is empty is absent. */
export function values(form) {
  const record = {};
  for (const [name, raw] of new FormData(form)) {
    const value = raw.trim();
    if (value === "") continue;
    record[name] = form.querySelector(`[name="${name}"]`).hasAttribute("data-int") ? Number(value) : value;
  }
  return record;
}

// The element that stands for a field: an input, or the fieldset around radio buttons.
function control(form, name) {
  return form.querySelector(`fieldset[data-field~="${name}"]`) ?? form.querySelector(`[name="${name}"]`);
}

function clearError(node) {
  (node.closest(".field") ?? node).querySelector(".field-error")?.remove();
  node.removeAttribute("aria-invalid");
  const rest = (node.getAttribute("aria-describedby") ?? "").split(" ").filter((id) => id && !id.endsWith("-error"));
  if (rest.length) node.setAttribute("aria-describedby", rest.join(" "));
  else node.removeAttribute("aria-describedby");
}

export function clearErrors(form) {
  form.querySelectorAll("[aria-invalid]").forEach(clearError);
}

/** Shows one message at a field; false when the form has no such field. */
export function showError(form, name, message) {
  const node = control(form, name);
  if (!node) return false;
  if (node.getAttribute("aria-invalid") === "true") return true;
  const id = `${form.id}-${name}-error`;
  node.setAttribute("aria-invalid", "true");
  node.setAttribute("aria-describedby", `${node.getAttribute("aria-describedby") ?? ""} ${id}`.trim());
  const error = h("p", { class: "field-error", id, "data-for": name }, message);
  const place = node.closest(".field") ?? node;
  place.append(error);
  return true;
}

// "Your name is required." The subject and a better text for a code may stand at the field.
function sentence(form, name, error) {
  const node = control(form, name);
  const better = node?.getAttribute(`data-${error.code}`);
  if (better) return better;
  const subject = node?.dataset.subject ?? form.querySelector(`label[for="${node?.id}"]`)?.firstChild?.textContent.trim() ?? name;
  return `${subject} ${error.message}.`;
}

/** Puts a problem's errors at their fields; answers what found no field. */
export function showProblem(form, problem) {
  const rest = [];
  for (const error of problem.errors) {
    const name = fieldOf(error.pointer);
    if (!showError(form, name, sentence(form, name, error))) rest.push(error.message);
  }
  return rest;
}

export function say(form, text, kind = "") {
  const status = form.querySelector(".form-status");
  status.className = `form-status ${kind}`;
  status.textContent = text;
}

/**
 * Posts a form to a collection. `record` may change the values, `refused` may handle a problem
 * and what was sent itself (it answers true then), `done` gets the record made.
 */
export function postForm(form, collection, { record = values, refused, done }) {
  const once = new Once();
  const button = form.querySelector('button[type="submit"]');
  let busy = false;

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy) return;
    clearErrors(form);
    say(form, "Sending …");
    busy = true;
    button.setAttribute("aria-disabled", "true");
    const body = record(form);
    try {
      const made = await create(collection, body, { idempotencyKey: once.key(body) });
      once.done();
      say(form, "");
      form.reset();
      done(made, body);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (await refused?.(problem, body)) return;
      const rest = showProblem(form, problem);
      const first = form.querySelector("[aria-invalid]");
      if (first) {
        const count = form.querySelectorAll("[aria-invalid]").length;
        say(form, `Not sent yet: ${count === 1 ? "one field needs" : `${count} fields need`} your attention. ${rest.join(" ")}`.trim(), "bad");
        (first.matches("fieldset") ? first.querySelector("input:not(:disabled)") : first)?.focus();
      } else {
        say(form, problem.sentence, "bad");
      }
    } finally {
      busy = false;
      button.removeAttribute("aria-disabled");
    }
  });

  // A message has done its work as soon as its field changes.
  form.addEventListener("input", (event) => {
    const field = event.target.closest("[aria-invalid]");
    if (field) clearError(field);
  });
}
