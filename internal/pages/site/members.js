// The members of a team: who they are, and for its owners roles, removals and invitations.

import { $, Told, h, notice, onSubmit, page, send, status, words } from "./auth.js";
import { ask, moment, row } from "./rows.js";

const team = new URLSearchParams(location.search).get("team") ?? "";
const path = `teams/${encodeURIComponent(team)}`;
let me = null, owner = false;

/** What a problem is for who reads this page: the last owner stays. */
const told = (problem) => problem.status === 409 ? new Told(words("team.last")) : problem;

/** The role of a member, which an owner changes. */
function roleOf(name, user, role) {
  const select = h("select", { "aria-label": `${words("members.role")}: ${name}` }, page.roles.map((r) => h("option", { selected: r === role }, r)));
  select.addEventListener("change", async () => {
    const said = $("#member-list ~ .status");
    status(said, "");
    try {
      await send("PATCH", `${path}/members/${user}`, { role: select.value });
      await showMembers();
      status(said, words("saved"), "good");
    } catch (problem) {
      if (!(problem instanceof Told)) throw problem;
      select.value = role;
      status(said, told(problem).message);
    }
  });
  return select;
}

function memberRow({ user, role, created, expand }) {
  const name = String(expand?.user?.[page.person] ?? expand?.user?.email ?? words("members.unnamed", { id: user.slice(-6) }));
  const since = words("members.since", { created: moment(created) });
  if (!owner) return row(name, `${role} · ${since}`, []);
  const item = row(name, since, user === me.id ? [] : [[words("remove"), "danger", async () => {
    await ask({ title: words("members.remove", { name }), why: words("members.removeWhy"), yes: words("remove"), danger: true });
    await send("DELETE", `${path}/members/${user}`).catch((problem) => { throw told(problem); });
    await showMembers();
  }]]);
  $(".buttons", item).prepend(roleOf(name, user, role));
  return item;
}

/** Shows all members and, to an owner, who is invited. */
async function showMembers() {
  let next = "", all = [];
  do {
    const answer = await send("GET", `${path}/members${next && `?${new URLSearchParams({ cursor: next })}`}`);
    all = all.concat(answer.items);
    next = answer.next;
  } while (next);
  owner = all.some(({ user, role }) => user === me.id && role === page.roles.at(-1));
  $("#member-list").replaceChildren(...all.map(memberRow));
  if ($("#invite")) $("#invite").hidden = !owner;
  if (owner && $("#invite")) await showInvitations();
}

async function showInvitations() {
  const { items } = await send("GET", `${path}/invitations`);
  $("#open").hidden = !items.length;
  $("#invitation-list").replaceChildren(...items.map(({ id, email, role, expires }) =>
    row(email, `${role} · ${words("members.until", { expires: moment(expires) })}`, [[words("members.revoke"), "danger", async () => {
      await send("DELETE", `${path}/invitations/${id}`);
      await showInvitations();
    }]])));
}

onSubmit($("#form"), async (form) => {
  const email = form.elements.email.value.trim();
  await send("POST", `${path}/invitations`, { email, role: form.elements.role.value });
  form.reset();
  status($(".status", form), words("members.invited", { email }), "good");
  await showInvitations();
});

async function begin() {
  try {
    me = (await send("GET", "me")).user;
  } catch (problem) {
    if (problem.status === 401) return location.replace(`/auth/sign-in?${new URLSearchParams({ return: `/auth/members${location.search}` })}`);
    throw problem;
  }
  try {
    await showMembers();
  } catch (problem) {
    throw problem.status === 404 ? new Told(words("members.none")) : problem;
  }
  const record = await send("GET", `/api/${page.teamsAt}/${team}`).catch(() => ({}));
  $("#team").textContent = String(record[page.teams] ?? "");
  $("#members").hidden = false;
  $("#members").removeAttribute("aria-busy");
}

begin().catch((problem) => {
  if (!(problem instanceof Told)) throw problem;
  notice(problem.message, "bad");
});
