// Accepting an invitation to a team: the token of its mail, with the session of who has the address.

import { $, done, onSubmit, send, spent, Told, token, words } from "./auth.js";

const form = $("#form"), given = token();

if (!given) done(form, words("noLink"));
onSubmit(form, async () => {
  try {
    await send("POST", "teams/join", { token: given });
  } catch (problem) {
    if (problem.status === 401) throw new Told(words("team.signIn"));
    throw problem;
  }
  spent();
  done(form, words("team.done"));
});
