// Accepting an invitation: the token of its mail, a password, and the fields that the app wants.

import { $, $$, done, fillRefs, onSubmit, page, send, spent, token, values, words } from "./auth.js";

const form = $("#form"), given = token();

if (!given) {
  $("#why").hidden = true;
  $("#known")?.setAttribute("hidden", "");
  done(form, words("noLink"), "");
}
for (const input of $$("[data-own] [required]")) input.required = false; // who invites may have said it
onSubmit(form, async () => {
  await send("POST", "invitations/accept", { ...values(form), token: given, password: $("#password").value, cookie: true });
  spent();
  location.assign(page.return);
});
// Who has an account, perhaps since the mail was sent, joins the team with that one: its page takes the token along.
$("#join")?.addEventListener("click", (event) => {
  event.preventDefault();
  location.assign(`/auth/team?${new URLSearchParams({ token: given, ...(page.return !== page.home && { return: page.return }) })}`);
});
fillRefs(form);
