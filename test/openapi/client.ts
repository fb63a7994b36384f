// A typed client of app/plinth.yaml, as openapi-typescript and openapi-fetch make it of what the
// running server says of itself: to nobody, and to an operator. What does not fit the types is
// marked as an error that the compiler must see; what the server answers is held against the
// description (checked.mjs). .ci/openapi runs it.

import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import { checked, operationsOf } from "./checked.mjs";
import type { components, paths as Nobody } from "./generated/nobody.d.ts";
import type { paths as Operator } from "./generated/operator.d.ts";

const url = process.env["PLINTH_URL"];
const key = process.env["PLINTH_OPERATOR_KEY"];
if (!url || !key) {
  console.error("client.ts needs PLINTH_URL and PLINTH_OPERATOR_KEY");
  process.exit(2);
}

const bearer = { Authorization: `Bearer ${key}` };
const described = async (headers: Record<string, string>): Promise<unknown> =>
  (await fetch(`${url}/api/openapi.json`, { headers })).json();
const mine = checked(await described({}));
const document = await described(bearer);
const theirs = checked(document);
const options = { baseUrl: url, querySerializer: { object: { style: "form", explode: true } } } as const;
const api = createClient<Nobody>({ ...options, fetch: mine.fetch });
const operator = createClient<Operator>({ ...options, fetch: theirs.fetch, headers: bearer });

type Thing = components["schemas"]["things"];
type Problem = components["schemas"]["Problem"];
interface Answer<T> { data?: T; error?: unknown; response: Response }

/** The body of an answer that has this status. */
function body<T>(answer: Answer<T>, status: number): NonNullable<T> {
  assert.equal(answer.response.status, status, JSON.stringify(answer.error));
  assert.ok(answer.data != null, "no body");
  return answer.data;
}

/** An answer without a body. */
function empty(answer: Answer<unknown>, status: number): Response {
  assert.equal(answer.response.status, status, JSON.stringify(answer.error));
  return answer.response;
}

/** The problem of an answer that has this status and, if named, is about this place with this code. */
function problem(answer: Answer<unknown>, status: number, place?: string, code?: string): Problem {
  assert.equal(answer.response.status, status, JSON.stringify(answer.error ?? answer.data));
  const it = answer.error as Problem;
  assert.equal(it.status, status);
  if (place) assert.ok(it.errors?.some((e) => (e.pointer ?? e.parameter) === place && (!code || e.code === code)), JSON.stringify(it));
  return it;
}

/** A record that was asked for wholly: its type says that it could be a part. */
const whole = (record: object): Thing => {
  assert.ok("text" in record && "state" in record);
  return record as Thing;
};

const nothing = "01900000-0000-7000-8000-000000000000";
const path = (id: string) => ({ path: { id } });

// ── Create ──────────────────────────────────────────────────────────────────────────────────

const ada = body(await api.POST("/api/owners", { body: { name: "Ada", email: "ada@example.com" } }), 201);
const bob = body(await api.POST("/api/owners", { body: { name: "Bob" } }), 201);
const tools = body(await api.POST("/api/topics", { body: { name: "tools" } }), 201);
const books = body(await api.POST("/api/topics", { body: { name: "books" } }), 201);

const made = await api.POST("/api/things", {
  body: {
    text: "Ladder", folded: "STRASSE", code: "AB12", slug: "ladder7", email: "a@example.com", url: "https://example.com/a?b=c",
    count: 7, number: -4, big: "9000000000000000000", ratio: -0.25, price: "1234.5", whole: "99", done: true, maybe: false,
    at: "2024-02-29T12:00:00.123456+02:00", day: "2024-02-29", state: "held", mood: "good",
    owner: ada.id, lender: bob.id, tags: ["a", "b"], scores: [1, 2], weights: [0.5], moods: ["bad", "good"], topics: [tools.id, books.id],
    meta: { deep: { list: [1, "two", null] }, kept: true }, secret: "sealed words", sought: "found@example.com", serial: "S-1", pin: "1234",
    born: "2020-01-01T00:00:00Z",
  },
});
const ladder = body(made, 201);
assert.equal(made.response.headers.get("location"), `/api/things/${ladder.id}`);
assert.equal(made.response.headers.get("etag"), '"1"');
assert.equal(ladder.price, "1234.50");
assert.equal(ladder.at, "2024-02-29T10:00:00.123Z");
assert.equal(ladder.born, "2020-01-01T00:00:00.000Z");
assert.deepEqual(ladder.topics, [tools.id, books.id]);
assert.deepEqual(ladder.meta, { deep: { list: [1, "two", null] }, kept: true });
assert.ok(!("pin" in ladder) && !("unseen" in ladder) && !("note" in ladder), "what is hidden is not answered");

const saw = body(await api.POST("/api/things", { body: { text: "Saw", parent: ladder.id, owner: ada.id, count: 3, price: "10" } }), 201);
assert.deepEqual([saw.state, saw.done, saw.maybe, saw.tags, saw.remark], ["open", false, null, null, null]);
const named = body(await api.POST("/api/things", { body: { id: "0190b0c0-0000-7000-8000-00000000000a", text: "Axe", state: "closed", count: 5 } }), 201);
assert.equal(named.id, "0190b0c0-0000-7000-8000-00000000000a");
for (const n of [1, 2, 3, 4]) body(await api.POST("/api/things", { body: { text: `Nail ${n}`, count: 100 + n, mood: n % 2 ? "good" : "bad" } }), 201);

const once = { header: { "Idempotency-Key": "the-same" } };
const first = body(await api.POST("/api/things", { params: once, body: { text: "Once" } }), 201);
assert.equal(body(await api.POST("/api/things", { params: once, body: { text: "Once" } }), 201).id, first.id);
problem(await api.POST("/api/things", { params: once, body: { text: "Other" } }), 422);
const silent = await api.POST("/api/things", { params: { header: { Prefer: "return=minimal" } }, body: { text: "Silent" } });
assert.equal(silent.response.status, 201);
assert.equal(silent.response.headers.get("preference-applied"), "return=minimal");
assert.ok(silent.response.headers.get("location"));

// What does not fit the types is refused by the compiler, and by the server.
// @ts-expect-error text is required
problem(await api.POST("/api/things", { body: {} }), 422, "/text", "required");
// @ts-expect-error count is a number
problem(await api.POST("/api/things", { body: { text: "x", count: "7" } }), 422, "/count", "type");
// @ts-expect-error there is no such value
problem(await api.POST("/api/things", { body: { text: "x", state: "lost" } }), 422, "/state", "enum");
// @ts-expect-error bigints are strings
problem(await api.POST("/api/things", { body: { text: "x", big: 5 } }), 422, "/big", "type");
problem(await api.POST("/api/things", { body: { text: "x", remark: "y" } }), 422, "/remark", "readonly");
problem(await api.POST("/api/things", { body: { text: "x", count: 1001, tags: ["1", "2", "3", "4", "5", "6"], code: "ab" } }), 422, "/tags", "max");
problem(await api.POST("/api/things", { body: { text: "x", owner: nothing } }), 422, "/owner", "ref");
problem(await api.POST("/api/things", { body: { text: "x", price: "1000000" } }), 422, "/price", "rule");
problem(await api.POST("/api/things", { body: { text: "x", price: "1.005" } }), 422, "/price", "scale");
problem(await api.POST("/api/things", { body: { text: "x", code: "AB12" } }), 409, "/code", "unique");
problem(await api.POST("/api/things", { body: { id: ladder.id, text: "x" } }), 409, "/id", "unique");
problem(await api.POST("/api/owners", { body: { name: "ADA" } }), 409, "/name", "unique");

// ── Read and list ───────────────────────────────────────────────────────────────────────────

const read = await api.GET("/api/things/{id}", { params: path(ladder.id) });
assert.deepEqual(body(read, 200), ladder);
const tag = read.response.headers.get("etag") ?? "";
assert.equal(tag, '"1"');
empty(await api.GET("/api/things/{id}", { params: { ...path(ladder.id), header: { "If-None-Match": tag } } }), 304);
const expanded = body(await api.GET("/api/things/{id}", { params: { ...path(ladder.id), query: { fields: "text,owner", expand: "owner,topics,children(limit=2,expand=owner)" } } }), 200);
assert.equal(expanded.expand?.owner?.name, "Ada");
assert.deepEqual(expanded.expand?.topics?.map((topic) => topic.name).sort(), ["books", "tools"]);
assert.equal(expanded.expand?.children?.[0]?.expand?.owner?.name, "Ada");
assert.ok(!("state" in expanded), "only what was asked for");

const held = body(await api.GET("/api/things", { params: { query: { filter: 'state == "held" && owner.name == param.who', param: { "param.who": "ada" } } } }), 200);
assert.ok("items" in held);
assert.deepEqual(held.items, [ladder]);
const top = body(await api.GET("/api/things", { params: { query: { sort: "-count,text", fields: "text,count", limit: 3 } } }), 200);
assert.ok("items" in top && top.next);
assert.deepEqual(top.items.map((thing) => thing.count), [104, 103, 102]);
const deep = body(await api.GET("/api/owners", { params: { query: { expand: "things(sort=-count,limit=5)", sort: "name" } } }), 200);
assert.ok("items" in deep);
assert.deepEqual(deep.items[0]?.expand?.things?.map((thing) => thing.text), ["Ladder", "Saw"]);

const seen: string[] = [];
let cursor: string | undefined;
let total = -1;
do {
  const page = body(await api.GET("/api/things", { params: { query: { sort: "mood,-text", limit: 4, count: "exact", ...(cursor ? { cursor } : {}) } } }), 200);
  assert.ok("items" in page);
  seen.push(...page.items.map((thing) => thing.id));
  total = page.total ?? -1;
  cursor = page.next;
} while (cursor);
assert.equal(seen.length, total);
assert.equal(new Set(seen).size, total);

const asked = body(await api.POST("/api/things/query", { body: { filter: "count in param.counts", param: { counts: [3, 5] }, sort: "count", fields: "count" } }), 200);
assert.ok("items" in asked);
assert.deepEqual(asked.items.map((thing) => thing.count), [3, 5]);
const sealed = body(await api.GET("/api/things", { params: { query: { filter: "sought == param.s", param: { "param.s": "found@example.com" } } } }), 200);
assert.ok("items" in sealed && sealed.items.length === 1);

const groups = body(await api.GET("/api/things", { params: { query: { group: "state", aggregate: "count,sum(price),avg(price),min(at),max(count)" } } }), 200);
assert.ok("groups" in groups);
assert.deepEqual(groups.groups.map((group) => (group as Record<string, unknown>)["state"]), ["closed", "held", "open"]);
const sums = body(await api.POST("/api/things/query", { body: { aggregate: "count,sum(count)" } }), 200);
assert.ok("groups" in sums && sums.groups.length === 1);

assert.equal(body(await api.GET("/api/owners/by/name/{value}", { params: { path: { value: "aDa" } } }), 200).id, ada.id);
assert.equal(body(await api.GET("/api/things/by/code/{value}", { params: { path: { value: "AB12" } } }), 200).id, ladder.id);
assert.equal(body(await api.GET("/api/things/by/number/{value}", { params: { path: { value: "-4" } } }), 200).id, ladder.id);
assert.equal(body(await api.GET("/api/things/by/serial/{value}", { params: { path: { value: "S-1" } } }), 200).id, ladder.id);
problem(await api.GET("/api/topics/by/name/{value}", { params: { path: { value: "none" } } }), 404);

problem(await api.GET("/api/things", { params: { query: { filter: "nowhere == 1" } } }), 400, "filter", "unknown");
problem(await api.GET("/api/things", { params: { query: { filter: "count ==" } } }), 400, "filter", "syntax");
problem(await api.GET("/api/things", { params: { query: { filter: 'count == "a"' } } }), 400, "filter", "type");
problem(await api.GET("/api/things", { params: { query: { filter: 'note == "a"' } } }), 400, "filter", "unknown");
problem(await api.GET("/api/things", { params: { query: { sort: "secret" } } }), 400, "sort");
problem(await api.GET("/api/things", { params: { query: { limit: 501 } } }), 400, "limit");
problem(await api.GET("/api/things", { params: { query: { cursor: "made-up" } } }), 400, "cursor");
// @ts-expect-error exact is the only count
problem(await api.GET("/api/things", { params: { query: { count: "about" } } }), 400, "count");
// @ts-expect-error there is no such parameter
problem(await api.GET("/api/things", { params: { query: { order: "text" } } }), 400, "order", "unknown");
problem(await api.GET("/api/things/{id}", { params: path(nothing) }), 404);
problem(await api.GET("/api/things/{id}", { params: path(ladder.id), headers: { Accept: "application/xml" } }), 406);
// A stream has no end, and no place in a description of answers; it is there.
const hang = new AbortController();
const stream = await fetch(`${url}/api/things/${ladder.id}?start=snapshot`, { headers: { Accept: "text/event-stream" }, signal: hang.signal });
assert.equal(stream.status, 200);
const parts = stream.body!.pipeThrough(new TextDecoderStream()).getReader();
let told = "";
for (let part = await parts.read(); !part.done && !/\nevent: ready\n[^]*\n\n/.test(told); part = await parts.read()) told += part.value;
hang.abort();
assert.match(told, /^event: snapshot\ndata: \{.*"Ladder"/m);
problem(await api.GET("/api/things", { headers: { Authorization: "Bearer made-up" } }), 401);

// ── Change ──────────────────────────────────────────────────────────────────────────────────

const change = { params: { ...path(ladder.id), header: { "If-Match": tag } } };
const changed = body(await api.PATCH("/api/things/{id}", { ...change, body: { text: "Long ladder", mood: null, tags: [], meta: { deep: null, more: 1 } } }), 200);
assert.deepEqual([changed.rev, changed.text, changed.mood, changed.tags], [2, "Long ladder", null, []]);
assert.deepEqual(changed.meta, { kept: true, more: 1 });
problem(await api.PATCH("/api/things/{id}", { ...change, body: { text: "Late" } }), 412);
const merge = { "Content-Type": "application/merge-patch+json" };
assert.equal(body(await api.PATCH("/api/things/{id}", { params: path(ladder.id), headers: merge, body: { text: "Long ladder" } }), 200).rev, 2, "nothing changed");
const quiet = empty(await api.PATCH("/api/things/{id}", { params: { ...path(ladder.id), header: { Prefer: "return=minimal" } }, body: { done: false } }), 204);
assert.equal(quiet.headers.get("etag"), '"3"');
problem(await api.PATCH("/api/things/{id}", { params: path(ladder.id), body: { born: "2021-01-01T00:00:00Z" } }), 422, "/born", "readonly");
problem(await api.PATCH("/api/things/{id}", { params: path(ladder.id), body: { seen: "2021-01-01T00:00:00Z" } }), 422, "/seen", "readonly");
problem(await api.PATCH("/api/things/{id}", { params: path(ladder.id), body: { unseen: "x" } }), 422, "/unseen", "unknown");
problem(await api.PATCH("/api/things/{id}", { params: path(nothing), body: { text: "x" } }), 404);
problem(await api.PATCH("/api/things/{id}", { params: path(ladder.id), headers: { "Content-Type": "text/plain" }, body: { text: "x" } }), 415);

const fresh = crypto.randomUUID().replace(/^.{15}/, "0190b0c0-0001-7");
const put = { params: { ...path(fresh), header: { "If-None-Match": "*" } } };
assert.equal(body(await api.PUT("/api/things/{id}", { ...put, body: { text: "Put", count: 1 } }), 201).rev, 1);
problem(await api.PUT("/api/things/{id}", { ...put, body: { text: "Put" } }), 412);
const replaced = body(await api.PUT("/api/things/{id}", { params: { ...path(fresh), header: { "If-Match": '"1"' } }, body: { text: "Put again" } }), 200);
assert.deepEqual([replaced.text, replaced.count, replaced.rev], ["Put again", 0, 2]);
problem(await api.PUT("/api/things/{id}", { params: { ...path(nothing), header: { "If-Match": "*" } }, body: { text: "x" } }), 412);

const more = body(await api.POST("/api/things/{id}/increment", { params: path(saw.id), body: { count: 2, price: "0.25", big: "5" } }), 200);
assert.deepEqual([more.count, more.price, more.big], [5, "10.25", "5"]);
problem(await api.POST("/api/things/{id}/increment", { params: path(saw.id), body: { count: 1000 } }), 422, "/count", "max");
problem(await api.POST("/api/things/{id}/increment", { params: path(saw.id), body: { text: 1 } }), 422, "/text");
problem(await api.POST("/api/things/{id}/increment", { params: path(nothing), body: { count: 1 } }), 404);

// ── Batches ─────────────────────────────────────────────────────────────────────────────────

const both = body(await api.POST("/api/batch", { body: { operations: [
  { op: "create", collection: "topics", body: { name: "birds" } },
  { op: "update", collection: "things", id: saw.id, body: { mood: "bad" }, ifMatch: String(more.rev) },
  { op: "delete", collection: "things", id: named.id },
] } }), 200);
assert.deepEqual(both.results.map((result) => result.status), [201, 200, 204]);
const failed = problem(await api.POST("/api/batch", { body: { operations: [
  { op: "create", collection: "topics", body: { name: "bees" } },
  { op: "create", collection: "topics", body: { name: "birds" } },
] } }), 409);
assert.equal(failed.operation, 1);
problem(await api.GET("/api/topics/by/name/{value}", { params: { path: { value: "bees" } } }), 404);
const some = body(await api.POST("/api/batch", { body: { atomic: false, operations: [
  { op: "create", collection: "topics", body: { name: "bees" } },
  { op: "delete", collection: "things", id: nothing },
] } }), 200);
assert.deepEqual(some.results.map((result) => result.status), [201, 404]);
// @ts-expect-error there is no such operation
problem(await api.POST("/api/batch", { body: { operations: [{ op: "burn", collection: "topics" }] } }), 400, "/operations/0/op");

// ── Files ───────────────────────────────────────────────────────────────────────────────────

const png = Uint8Array.from(atob("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="), (c) => c.charCodeAt(0));
/** A form of the record and its files, in the order in which they are to be sent. */
const form = (record: unknown, files: [field: string, name: string, type: string, content: BlobPart][]) => {
  const parts = new FormData();
  parts.append("record", new Blob([JSON.stringify(record)], { type: "application/json" }));
  for (const [field, name, type, content] of files) parts.append(field, new Blob([content], { type }), name);
  return () => parts;
};
const pictured = body(await api.POST("/api/things", {
  body: { record: { text: "Pictured" } },
  bodySerializer: form({ text: "Pictured" }, [["picture", "dot.png", "image/png", png], ["papers", "a b.txt", "text/plain", "first"], ["papers", "ü.txt", "text/plain", "second"]]),
}), 201);
assert.equal(pictured.picture?.size, png.length);
assert.equal(pictured.picture.url, `/api/files/things/${pictured.id}/picture/dot.png`);
assert.deepEqual(pictured.papers?.map((paper) => paper.name), ["a b.txt", "ü.txt"]);
const file = (name: string) => ({ path: { id: pictured.id, name } });
const dot = await api.GET("/api/files/things/{id}/picture/{name}", { params: file("dot.png"), parseAs: "arrayBuffer" });
assert.equal(dot.response.headers.get("content-type"), "image/png");
assert.equal((body(dot, 200) as unknown as ArrayBuffer).byteLength, png.length);
const partly = await api.GET("/api/files/things/{id}/papers/{name}", { params: file("ü.txt"), headers: { Range: "bytes=1-3" }, parseAs: "text" });
assert.equal(body(partly, 206), "eco");
problem(await api.GET("/api/files/things/{id}/papers/{name}", { params: file("ü.txt"), headers: { Range: "bytes=99-" } }), 416);
empty(await api.GET("/api/files/things/{id}/picture/{name}", { params: file("dot.png"), headers: { "If-None-Match": dot.response.headers.get("etag") ?? "" } }), 304);
problem(await api.GET("/api/files/things/{id}/papers/{name}", { params: file("none.txt") }), 404);
const fewer = body(await api.PATCH("/api/things/{id}", { params: path(pictured.id), body: { picture: null, papers: pictured.papers.slice(1) } }), 200);
assert.deepEqual([fewer.picture, fewer.papers?.map((paper) => paper.name)], [null, ["ü.txt"]]);
problem(await api.GET("/api/files/things/{id}/picture/{name}", { params: file("dot.png") }), 404);
problem(await api.PATCH("/api/things/{id}", { params: path(pictured.id), body: { record: {} }, bodySerializer: form({}, [["picture", "a.txt", "text/plain", "no picture"]]) }), 422, "/picture", "type");
problem(await api.PATCH("/api/things/{id}", { params: path(pictured.id), body: { record: {} }, bodySerializer: form({}, [["picture", "large.png", "image/png", new Blob([png, new Uint8Array(20_000)])]]) }), 413, "/picture", "max");

// ── Rights ──────────────────────────────────────────────────────────────────────────────────

const letter = body(await api.POST("/api/letters", { body: { words: "not shown yet" } }), 201);
assert.deepEqual(Object.keys(letter).sort(), ["created", "id", "rev", "updated"]);
problem(await api.GET("/api/letters/{id}", { params: path(letter.id) }), 404);
const order = body(await api.POST("/api/orders", { body: { item: "Rope", amount: 2 } }), 201);
assert.deepEqual(Object.keys(order).sort(), ["created", "id", "rev", "updated"]);
// @ts-expect-error nobody is told of it
problem(await api.GET("/api/orders/{id}", { params: path(order.id) }), 404);
// @ts-expect-error nobody is told of it
problem(await api.GET("/api/closed", {}), 401);
// @ts-expect-error nobody is told of it
problem(await api.DELETE("/api/letters/{id}", { params: path(letter.id) }), 401);
const asNobody = (method: string, path: string, init: RequestInit = {}) => mine.fetch(`${url}${path}`, { method, ...init });
assert.equal((await asNobody("PATCH", "/api/things")).status, 405);
assert.equal((await asNobody("POST", `/api/things/${saw.id}`)).headers.get("allow"), "GET, HEAD, PATCH, PUT, DELETE, OPTIONS");
assert.equal((await asNobody("GET", "/api/nowhere")).status, 404);
assert.equal((await asNobody("HEAD", `/api/things/${saw.id}`)).status, 200);
const json = { "Content-Type": "application/json" };
for (const wrong of ["{", '{"text":"a","text":"b"}', '{"text":"a","Text":"b"}', '{"text":"a"} x', "[1", ""]) {
  assert.ok([400, 422].includes((await asNobody("POST", "/api/things", { headers: json, body: wrong })).status), wrong);
}
assert.equal((await asNobody("POST", "/api/things", { headers: json, body: JSON.stringify({ text: "x".repeat(1_100_000) }) })).status, 413);

const shown = body(await operator.PATCH("/api/letters/{id}", { params: path(letter.id), body: { shown: true } }), 200);
assert.ok("words" in shown && shown.words === "not shown yet");
assert.equal(body(await api.GET("/api/letters/{id}", { params: path(letter.id) }), 200).words, "not shown yet");
assert.equal(body(await operator.GET("/api/orders/{id}", { params: path(order.id) }), 200).amount, 2);
const noted = body(await operator.PATCH("/api/things/{id}", { params: path(saw.id), body: { note: "for staff", remark: "for all", draft: "for whom it is done" } }), 200);
assert.deepEqual([noted.note, noted.remark, noted.draft], ["for staff", "for all", "for whom it is done"]);
const public_ = whole(body(await api.GET("/api/things/{id}", { params: path(saw.id) }), 200));
assert.ok(!("note" in public_) && public_.remark === "for all" && public_.draft === undefined, "a field that may not be read is not there");
const word = body(await operator.POST("/api/closed", { body: { word: "shut" } }), 201);
empty(await operator.DELETE("/api/closed/{id}", { params: path(word.id) }), 204);

// ── Identity ────────────────────────────────────────────────────────────────────────────────

const email = `ann-${crypto.randomUUID().slice(0, 8)}@example.com`;
const password = "a horse that is correct";
const joined = body(await api.POST("/api/auth/register", { body: { email, password, name: "Ann" } }), 201);
// @ts-expect-error name is required
problem(await api.POST("/api/auth/register", { body: { email, password } }), 422, "/name", "required");
problem(await api.POST("/api/auth/register", { body: { email, password, name: "Ann", grade: 1 } }), 422, "/grade");
const signedIn = await api.POST("/api/auth/login", { body: { email, password } });
const { token, user } = body(signedIn, 200);
assert.match(signedIn.response.headers.get("ratelimit") ?? "", /^"address";r=\d+;t=\d+$/);
assert.deepEqual(user, joined.user);
const session = { headers: { Authorization: `Bearer ${token}` } };
const me = body(await api.GET("/api/auth/me", session), 200);
assert.deepEqual([me.user.email, me.user.role, me.user.verified], [email, "member", false]);
const sessions: components["schemas"]["SignedInAt"][] = body(await api.GET("/api/auth/sessions", session), 200).items;
assert.deepEqual(sessions.map((one) => one.current), [true]);
const refused = await api.POST("/api/auth/login", { body: { email, password: "another horse" } });
problem(refused, 401);
assert.equal(refused.error && "mfa" in refused.error ? refused.error.mfa?.ticket : undefined, undefined);
// @ts-expect-error there is no such method
problem(await api.POST("/api/auth/mfa", { body: { ticket: "pb_", method: "passkey", code: "1" } }), 422, "/method", "enum");
empty(await api.POST("/api/auth/logout", session), 204);
problem(await api.GET("/api/auth/me", session), 401);

// ── Delete ──────────────────────────────────────────────────────────────────────────────────

problem(await api.DELETE("/api/owners/{id}", { params: path(ada.id) }), 409);
problem(await api.DELETE("/api/things/{id}", { params: { ...path(ladder.id), header: { "If-Match": '"1"' } } }), 412);
empty(await api.DELETE("/api/owners/{id}", { params: path(bob.id) }), 204);
assert.equal(body(await api.GET("/api/things/{id}", { params: path(ladder.id) }), 200).lender, null, "cleared");
empty(await api.DELETE("/api/things/{id}", { params: path(ladder.id) }), 204);
problem(await api.GET("/api/things/{id}", { params: path(saw.id) }), 404); // deleted with its parent
problem(await api.DELETE("/api/things/{id}", { params: path(ladder.id) }), 404);
empty(await api.DELETE("/api/owners/{id}", { params: path(ada.id) }), 204);

const statuses: Record<string, number> = {};
for (const { counts } of [mine, theirs]) for (const [status, n] of Object.entries(counts.statuses)) statuses[status] = (statuses[status] ?? 0) + n;
for (const status of [200, 201, 204, 206, 304, 400, 401, 404, 405, 406, 409, 412, 413, 415, 416, 422]) assert.ok(statuses[status], `no answer had the status ${status}`);
const sum = (name: "answers" | "bodies") => mine.counts[name] + theirs.counts[name];
const used = new Set([...mine.counts.operations, ...theirs.counts.operations]);
console.log(`client: ${used.size} of ${operationsOf(document).length} operations, ${sum("answers")} answers as described, ${sum("bodies")} bodies; ${JSON.stringify(statuses)}`);
