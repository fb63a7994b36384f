// Accepting an invitation to a team: the token of its mail, with the session of who has the address. Who has none yet is led to
// sign in, and back to here.

import { $, done, onSubmit, send, spent, Told, token, words } from "./auth.js";

const waiting = "plinth-team"; // where the token is in the meantime: in this tab alone

const before = sessionStorage.getItem(waiting);
if (before) {
  sessionStorage.removeItem(waiting);
  history.replaceState({ token: before }, "", location.href);
}
const form = $("#form"), who = $("#who"), given = token();

function signIn() {
  sessionStorage.setItem(waiting, given);
  location.assign(`/auth/sign-in?${new URLSearchParams({ return: location.pathname })}`);
}

async function begin() {
  if (!given) return done(form, words("noLink"), "");
  try {
    const { user } = await send("GET", "me");
    who.textContent = words("team.as", { email: user.email ?? user.id });
    $("#sign-in").textContent = words("team.another");
  } catch (problem) {
    if (problem.status !== 401) throw problem;
    who.textContent = words("team.signIn");
  }
  who.hidden = false;
}

$("#sign-in").addEventListener("click", signIn);
onSubmit(form, async () => {
  try {
    await send("POST", "teams/join", { token: given });
  } catch (problem) {
    if (problem.status === 401) return signIn();
    if (problem.status === 403) throw new Told(words("team.other"));
    throw problem;
  }
  spent();
  done(form, words("team.done"));
  $("#onward").hidden = false;
});

begin().catch((problem) => {
  if (!(problem instanceof Told)) throw problem; // else it is said when the form is sent
});
