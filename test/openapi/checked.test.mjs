// What checked.mjs must notice: without this, a judge that says yes to all would look like success.

import assert from "node:assert/strict";
import test from "node:test";
import { checked } from "./checked.mjs";

const json = (schema) => ({ "application/json": { schema } });
const problem = { description: "refused", content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } } };
const document = {
  openapi: "3.1.0",
  paths: {
    "/api/posts/{id}": { get: { operationId: "read", responses: {
      200: { description: "it", headers: { ETag: { required: true, schema: { type: "string" } } }, content: json({ anyOf: [{ $ref: "#/components/schemas/post" }, { $ref: "#/components/schemas/part" }] }) },
      304: { description: "not changed" }, 404: problem } } },
  },
  components: { schemas: {
    post: { type: "object", required: ["id", "at"], properties: { id: { type: "string", format: "uuid" }, at: { type: "string", format: "date-time" } } },
    part: { type: "object", required: ["id"], properties: { id: { type: "string", format: "uuid" }, at: { type: ["string", "null"], format: "date-time" } } },
    Problem: { type: "object", required: ["status", "instance"], properties: { status: { type: "integer" }, instance: { type: "string" } } },
  } },
};
const id = "01900000-0000-7000-8000-000000000000";
const path = `/api/posts/${id}`;

const cases = [
  ["a record", 200, `{"id":"${id}","at":"2024-01-01T00:00:00.000Z"}`, {}, null],
  ["a part", 200, `{"id":"${id}"}`, {}, null],
  ["a member that is not described", 200, `{"id":"${id}","more":1}`, {}, /additional properties \(more\)/],
  ["a missing member", 200, `{"at":null}`, {}, /required property 'id'/],
  ["a wrong format", 200, `{"id":"7"}`, {}, /format "uuid"/],
  ["a moment without a zone", 200, `{"id":"${id}","at":"2024-01-01T00:00:00"}`, {}, /format "date-time"/],
  ["no JSON", 200, "{", {}, /no JSON/],
  ["another content type", 200, "{}", { "content-type": "text/html" }, /content type text\/html/],
  ["no ETag", 200, `{"id":"${id}"}`, { etag: null }, /header ETag is missing/],
  ["no body", 200, "", {}, /no JSON/],
  ["a status that is not described", 202, "{}", {}, /status 202/],
  ["a problem", 404, `{"status":404,"instance":"${path}"}`, { "content-type": "application/problem+json" }, null],
  ["a problem of another status", 404, `{"status":400,"instance":"${path}"}`, { "content-type": "application/problem+json" }, /says 400/],
  ["a problem of another form", 404, "nothing here", { "content-type": "text/plain" }, /content type text\/plain/],
];

for (const [name, status, body, headers, wrong] of cases) {
  test(name, async () => {
    const all = { "content-type": "application/json", etag: '"1"', ...headers };
    const present = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null));
    const { fetch } = checked(document, async () => new Response(body, { status, headers: present }));
    const asked = fetch(`http://x${path}`);
    if (wrong) await assert.rejects(asked, wrong);
    else assert.equal((await asked).status, status);
  });
}

test("a method and a route that are not described", async () => {
  const answer = (status, body, headers = {}) => checked(document, async () => new Response(body, { status, headers })).fetch;
  await assert.rejects(answer(200, "{}")(`http://x${path}`, { method: "DELETE" }), /DELETE is not described/);
  await assert.rejects(answer(200, "{}")("http://x/api/none/1"), /route is not described/);
  await assert.rejects(answer(405, `{"status":405,"instance":"${path}"}`, { "content-type": "application/problem+json" })(`http://x${path}`, { method: "PUT" }), /without Allow/);
});
