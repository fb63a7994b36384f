// Asks every operation of a running app's own description, as a caller without knowledge of the app
// could: well, badly, and about records that are not there. Every answer is held against the
// description (checked.mjs). It leaves records behind where the caller may create and not delete.
//
//     PLINTH_URL=http://127.0.0.1:8080 PLINTH_KEY=… node sweep.mjs      no key: nobody
//
// The last line is the count of what was asked.

import assert from "node:assert/strict";
import { checked, operationsOf } from "./checked.mjs";
import { identity } from "./identity.mjs";

const { PLINTH_URL, PLINTH_KEY } = process.env;
const authorization = PLINTH_KEY ? { authorization: `Bearer ${PLINTH_KEY}` } : {};
const document = await (await fetch(new URL("/api/openapi.json", PLINTH_URL), { headers: authorization })).json();
const { fetch: ask, counts } = checked(document);

/** Asks; the answer is checked, and must have one of the statuses if any are named. */
async function send(method, path, { body, headers = {}, want } = {}) {
  const json = body !== undefined;
  const answer = await ask(new URL(path, PLINTH_URL), {
    method,
    redirect: "manual", // where the browser would be sent, nothing is asked
    headers: { ...authorization, ...(json ? { "content-type": "application/json" } : {}), ...headers },
    body: json ? JSON.stringify(body) : undefined,
  });
  if (want) assert.ok([want].flat().includes(answer.status), `${method} ${path}: ${answer.status} ${await answer.clone().text()}`);
  return answer;
}

const resolve = (node) => (node?.$ref ? resolve(node.$ref.slice(2).split("/").reduce((n, step) => n[step.replaceAll("~1", "/")], document)) : node);
const nothing = "01900000-0000-7000-8000-000000000000";
const query = (q) => "?" + new URLSearchParams(q);

/** A record for every id that a ref may need is not at hand: what asks for one is refused, which is an answer too. */
function sample(schema, name, mark) {
  schema = resolve(schema);
  if (schema.default !== undefined) return schema.default;
  if (schema.oneOf) return sample(schema.oneOf[0], name, mark);
  const type = [schema.type].flat()[0];
  if (schema.enum) return schema.enum[0];
  switch (type) {
    case "boolean": return true;
    case "integer": case "number": return Math.max(schema.minimum ?? 1, Math.min(schema.maximum ?? 1, 1));
    case "array": return [];
    case "object": return {};
  }
  if (schema.format === "uuid") return nothing;
  if (schema.format === "email") return `${name}-${mark}@example.com`;
  if (schema.format === "uri") return `https://example.com/${name}/${mark}`;
  if (schema.format === "date-time") return "2030-01-02T03:04:05Z";
  if (schema.format === "date") return "2030-01-02";
  if (schema.description?.startsWith("A whole number") || schema.description?.startsWith("A decimal number")) return "1";
  let text = `${name}-${mark}`;
  while (text.length < (schema.minLength ?? 0)) text += "-more";
  return text.slice(0, schema.maxLength ?? 200);
}

const samples = (schema, mark) => Object.fromEntries((resolve(schema).required ?? []).map((name) => [name, sample(resolve(schema).properties[name], name, mark)]));

for (const [path, item] of Object.entries(document.paths)) {
  const collection = path.match(/^\/api\/([a-z0-9_]+)$/)?.[1];
  if (collection && collection !== "batch") await records(collection, item, document.paths[`${path}/{id}`] ?? {});
  if (path === "/api/batch") await batch();
  const by = path.match(/^(.*\/by\/([a-z0-9_]+)\/)\{value\}$/);
  if (by) await lookup(by[1], by[2]);
  const file = path.match(/^\/api\/files\/([a-z0-9_]+)\/\{id\}\/([a-z0-9_]+)\//);
  if (file) await send("GET", `/api/files/${file[1]}/${nothing}/${file[2]}/x.txt`, { want: 404 });
}

async function records(name, many, one) {
  const base = `/api/${name}`;
  if (many.get) await lists(name, base);
  else await send("GET", base, { want: [200, 401, 403] });
  const made = many.post ? await creates(name, base, many.post) : undefined;
  const id = made ?? nothing;
  if (one.patch) {
    await send("PATCH", `${base}/${nothing}`, { body: {}, want: [401, 403, 404] });
    await send("PATCH", `${base}/${id}`, { body: { no_such_field: 1 }, want: [401, 403, 404, 422] });
    await send("PATCH", `${base}/${id}`, { body: {}, headers: { "content-type": "text/plain" }, want: [404, 415] });
    await send("PATCH", `${base}/${id}`, { body: {}, headers: { "if-match": '"77"' }, want: [401, 403, 404, 412] });
    await send("PATCH", `${base}/${id}`, { body: {}, headers: { "content-type": "application/merge-patch+json" }, want: [200, 404] });
    await send("PATCH", `${base}/${id}`, { body: {}, headers: { prefer: "return=minimal" }, want: [204, 404] });
  }
  if (one.put && made) {
    const mark = crypto.randomUUID().slice(0, 8);
    await send("PUT", `${base}/${id}`, { body: samples(one.put.requestBody.content["application/json"].schema, mark), want: [200, 409, 422] });
    await send("PUT", `${base}/${id}`, { body: {}, headers: { "if-none-match": "*" }, want: 412 });
  }
  const increment = document.paths[`${base}/{id}/increment`]?.post;
  if (increment) {
    const fields = Object.keys(resolve(increment.requestBody.content["application/json"].schema).properties);
    for (const field of fields) await send("POST", `${base}/${id}/increment`, { body: { [field]: 1 }, want: [200, 404, 409, 422] });
    await send("POST", `${base}/${id}/increment`, { body: {}, want: [400, 404] });
  }
  if (one.delete) {
    await send("DELETE", `${base}/${nothing}`, { want: [401, 403, 404] });
    if (made) {
      await send("DELETE", `${base}/${id}`, { headers: { "if-match": '"77"' }, want: 412 });
      await send("DELETE", `${base}/${id}`, { want: 204 });
      await send("DELETE", `${base}/${id}`, { want: 404 });
    }
  }
  await send("POST", `${base}/${nothing}/nowhere`, { body: {}, want: 404 });
}

async function lists(name, base) {
  const page = await (await send("GET", base + query({ limit: 3, count: "exact", sort: "-created,id" }), { want: 200 })).json();
  const record = resolve({ $ref: `#/components/schemas/${name}` });
  const own = Object.keys(record.properties).filter((field) => field !== "expand");
  await send("GET", base + query({ fields: own.slice(0, 2).join(",") }), { want: 200 });
  for (const field of own) await send("GET", base + query({ fields: field, limit: 2, filter: `${field} == null` }), { want: [200, 400] });
  for (const field of own) await send("GET", base + query({ sort: `-${field}`, limit: 2 }), { want: [200, 400] });
  for (const field of own) await send("GET", base + query({ group: field, aggregate: `count,min(${field}),max(${field})` }), { want: [200, 400] });
  const expandable = Object.keys(resolve(record.properties.expand)?.properties ?? {});
  if (expandable.length) await send("GET", base + query({ expand: expandable.join(","), limit: 5 }), { want: 200 });
  await send("GET", base + query({ aggregate: "count" }), { want: 200 });
  await send("GET", base + query({ filter: "id == param.i", "param.i": nothing }), { want: 200 });
  for (const bad of [{ filter: "no_such_field == 1" }, { filter: "id ==" }, { sort: "-" }, { limit: "501" }, { cursor: "x" }, { nowhere: "1" }, { expand: "nobody" }, { fields: "nothing" }, { count: "about" }]) {
    await send("GET", base + query(bad), { want: 400 });
  }
  await send("HEAD", base, { want: 200 });
  await send("GET", base, { headers: { accept: "text/html" }, want: 406 });
  await send("GET", base, { headers: { authorization: "Bearer false" }, want: 401 });
  await send("POST", `${base}/query`, { body: { limit: 2, filter: "id != param.i", param: { i: nothing }, sort: "id" }, want: 200 });
  await send("POST", `${base}/query`, { body: { limit: "2" }, want: 400 });
  await send("POST", `${base}/query`, { body: {}, headers: { "content-type": "text/plain" }, want: 415 });
  if (page.next) await send("GET", base + query({ limit: 3, sort: "-created,id", cursor: page.next }), { want: 200 });
  for (const { id } of page.items) {
    const whole = await send("GET", `${base}/${id}`, { want: 200 });
    await send("GET", `${base}/${id}`, { headers: { "if-none-match": whole.headers.get("etag") }, want: 304 });
    await send("GET", `${base}/${id}`, { headers: { "if-match": '"0"' }, want: 412 });
    await send("GET", `${base}/${id}` + query({ fields: own.at(-1), ...(expandable.length ? { expand: expandable[0] } : {}) }), { want: 200 });
    await send("HEAD", `${base}/${id}`, { want: 200 });
  }
  await send("GET", `${base}/${nothing}`, { want: 404 });
  await send("GET", `${base}/not-an-id`, { want: [400, 404] });
}

async function creates(name, base, operation) {
  const schema = resolve(operation.requestBody.content["application/json"].schema);
  const mark = crypto.randomUUID().slice(0, 8);
  const made = await send("POST", base, { body: samples(schema, mark), want: [201, 401, 403, 409, 422] });
  await send("POST", base, { body: { ...samples(schema, mark), no_such_field: 1 }, want: 422 });
  await send("POST", base, { body: [], want: [400, 422] });
  await send("POST", base, { headers: { "content-type": "application/json" }, want: 400 });
  await send("POST", base, { body: {}, headers: { "content-type": "text/plain" }, want: 415 });
  await send("POST", base, { body: {}, headers: { accept: "text/html" }, want: 406 });
  await send("POST", base, { body: {}, headers: { authorization: "Basic eDp5" }, want: 401 });
  for (const field of Object.keys(schema.properties)) {
    const wrong = field === "meta" ? undefined : { "not": "this" };
    if (wrong) await send("POST", base, { body: { ...samples(schema, mark), [field]: wrong }, want: [201, 409, 422] });
  }
  return made.status === 201 && document.paths[`${base}/{id}`]?.delete ? (await made.json()).id : undefined;
}

async function lookup(base, field) {
  const name = base.split("/")[2];
  const { items } = await (await send("GET", `/api/${name}` + query({ limit: 1, filter: `${field} != null` }), { want: 200 })).json();
  if (items[0]) await send("GET", base + encodeURIComponent(items[0][field]), { want: 200 });
  await send("GET", `${base}nothing-has-this`, { want: [400, 404] });
}

async function batch() {
  const gone = { op: "delete", collection: "no_such_collection", id: nothing };
  await send("POST", "/api/batch", { body: { operations: [gone] }, want: [401, 403, 404] });
  await send("POST", "/api/batch", { body: { atomic: false, operations: [gone] }, want: 200 });
  await send("POST", "/api/batch", { body: { operations: [{ op: "burn" }] }, want: 400 });
  await send("POST", "/api/batch", { body: { operations: [] }, want: 200 });
}

if (document.paths["/api/auth/login"]) await identity(document, send, samples);

const all = operationsOf(document);
const left = all.filter((id) => !counts.operations.has(id));
assert.deepEqual(left.filter((id) => !/\.(put|update)$/.test(id)), [], "operations that were not asked");
console.log(`sweep: ${all.length} operations, ${counts.answers} answers as described, ${counts.bodies} bodies; ${JSON.stringify(counts.statuses)}`);
