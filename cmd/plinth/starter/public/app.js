const entries = document.querySelector("#entries");
const answer = document.querySelector("#answer");

async function show() {
  const list = await (await fetch("/api/entries?sort=-created&limit=50")).json();
  entries.replaceChildren(...list.items.map((entry) => {
    const li = document.createElement("li");
    const name = document.createElement("strong");
    name.textContent = entry.name;
    li.append(name, " ", entry.message);
    return li;
  }));
}

document.querySelector("#form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const reply = await fetch("/api/entries", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(Object.fromEntries(new FormData(form))),
  });
  const body = await reply.json();
  answer.textContent = reply.ok ? "Thank you." : (body.errors ?? []).map((e) => e.pointer.slice(1) + " " + e.message).join(", ") || body.detail;
  if (reply.ok) form.reset();
  await show();
});

show();
