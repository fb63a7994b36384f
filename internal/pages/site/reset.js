// A new password: the link is asked for, or it was opened.

import { $, done, onSubmit, send, spent, token, words } from "./auth.js";

const given = token(), ask = $("#ask"), confirm = $("#confirm");
(given ? confirm : ask).hidden = false;

onSubmit(ask, async () => {
  const email = $("#email").value.trim();
  await send("POST", "reset", { email });
  done(ask, words("reset.sent", { email }));
});
onSubmit(confirm, async () => {
  await send("POST", "reset/confirm", { token: given, password: $("#password").value });
  spent();
  done(confirm, words("reset.done"));
});
