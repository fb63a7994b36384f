// Creating an account.

import { $, done, fillRefs, onSubmit, page, send, values, words } from "./auth.js";

const form = $("#form");

onSubmit(form, async () => {
  const email = $("#email").value.trim(), password = $("#password").value;
  const answer = await send("POST", "register", { ...values(form), email, password });
  if (answer.verify) return done(form, words("register.sent", { email }));
  await send("POST", "login", { email, password, cookie: true });
  location.assign(page.return);
});
fillRefs(form);
