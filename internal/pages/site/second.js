// The second step of a sign-in: a passkey, a code of an app, or a recovery code.

import { $, $$, Told, clear, onClick, onSubmit, send } from "./auth.js";
import { showPasskey, usable } from "./passkey.js";

const box = $("#second");
let ticket = "", resolve = null, reject = null;

function end(settle, value) {
  box.hidden = true;
  settle?.(value);
  resolve = reject = null;
}

/** Asks for it. Resolves to what signing in answers; rejects when the ticket is good for nothing more. */
export function second(mfa) {
  end(reject, new Told(""));
  ticket = mfa.ticket;
  for (const form of $$("form", box)) {
    form.reset();
    clear(form);
  }
  for (const way of $$("[data-method]", box)) {
    way.hidden = !mfa.methods.includes(way.dataset.method) || way.dataset.method === "passkey" && !usable;
  }
  $("details", box).open = !$$("[data-method]:not(details)", box).some((way) => !way.hidden);
  box.hidden = false;
  $$("button, input", box).find((node) => !node.closest("[hidden]"))?.focus();
  return new Promise((yes, no) => { [resolve, reject] = [yes, no]; });
}

/** Asks no more. */
export const giveUp = () => end(reject, new Told(""));

/** What makes a ticket useless ends the step; a wrong code is said where it was typed. */
async function step(way) {
  try {
    end(resolve, await way());
  } catch (problem) {
    if (!problem.errors?.some(({ pointer }) => pointer === "/ticket")) throw problem;
    end(reject, problem);
  }
}

const code = (method) => (form) => step(() => send("POST", "mfa", { ticket, method, code: form.elements.code.value.trim() }));
onSubmit($("#second-totp"), code("totp"));
onSubmit($("#second-recovery"), code("recovery"));
onClick($("#second-passkey"), () => step(() => showPasskey(ticket)));
