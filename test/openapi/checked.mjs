// A fetch that holds every answer against an OpenAPI 3.1 document: the route and the status are
// described, the content type is one of those named, required headers are there, and the body is
// what its schema says, with no member that the document does not name. A difference throws.
//
//     const { fetch, counts } = checked(document);
//
// By itself it asks a list of requests and tells of each answer whether it is as described:
//
//     node checked.mjs openapi.json http://127.0.0.1:8080 requests.ndjson
//
// Each line of the list is {"method","path","headers","body"}, only path is needed; a body that is
// not a string is sent as JSON. "-" reads the list from stdin.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import Ajv from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

const methods = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

// What JSON Schema leaves open in an object that names its members is closed here: a member that the
// document does not name is a mistake of one of the two. Schemas that say nothing of their members
// (groups, json fields) stay open.
function close(node) {
  if (Array.isArray(node)) return node.map(close);
  if (node === null || typeof node !== "object") return node;
  const out = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, key === "enum" || key === "const" || key === "default" ? value : close(value)]));
  if (out.properties && !Array.isArray(out.properties) && out.additionalProperties === undefined && out.type === "object") out.additionalProperties = false;
  return out;
}

// The route of the document that a path belongs to: fewer placeholders win, as OpenAPI wants.
function router(paths) {
  const routes = Object.keys(paths).map((template) => ({
    template,
    holes: (template.match(/\{/g) ?? []).length,
    pattern: new RegExp("^" + template.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{[^}]+\}/g, "[^/]+") + "$"),
  })).sort((a, b) => a.holes - b.holes);
  return (path) => routes.find((route) => route.pattern.test(path))?.template;
}

/** checked makes the fetch; plain is the one that does the asking. */
export function checked(document, plain = globalThis.fetch) {
  const root = close(document);
  const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: true, coerceTypes: false, useDefaults: false });
  addFormats(ajv);
  ajv.addSchema(root, "openapi");
  const compiled = new Map();
  const find = router(root.paths);
  const counts = { answers: 0, bodies: 0, statuses: {}, operations: new Set(), undescribed: 0 };

  const at = (pointer) => pointer.slice(2).split("/").reduce((node, step) => node?.[step.replaceAll("~1", "/").replaceAll("~0", "~")], root);
  const escape = (step) => step.replaceAll("~", "~0").replaceAll("/", "~1");

  /** Follows a $ref of the document; tells where it led. */
  function resolve(node, pointer) {
    while (node?.$ref) [node, pointer] = [at(node.$ref), node.$ref];
    return [node, pointer];
  }

  function valid(pointer, value) {
    if (!compiled.has(pointer)) compiled.set(pointer, ajv.compile({ $ref: "openapi" + encodeURI(pointer) }));
    const test = compiled.get(pointer);
    return test(value) ? [] : test.errors.map((e) => `${e.instancePath || "/"} ${e.message}${e.params?.additionalProperty ? ` (${e.params.additionalProperty})` : ""}`);
  }

  /** What is wrong with an answer, in words; nothing when it is as described. */
  function judge({ method, path }, status, headers, text) {
    const wrong = [];
    const problem = status >= 400;
    const template = find(path);
    const verb = method.toLowerCase();
    const item = template && root.paths[template];
    // HEAD is answered as GET, without the body; the document need not say so.
    const operation = item && (item[verb] ?? (verb === "head" ? item.get : undefined));
    const described = Boolean(operation);
    const type = (headers.get("content-type") ?? "").split(";")[0].trim();

    let response, pointer;
    if (operation) {
      const base = `#/paths/${escape(template)}/${item[verb] ? verb : "get"}/responses/`;
      const key = operation.responses[status] ? String(status) : operation.responses.default ? "default" : undefined;
      if (!key) return { wrong: [`the status ${status} is not described`], described };
      counts.operations.add(operation.operationId);
      [response, pointer] = resolve(operation.responses[key], base + key);
    } else if (item && status !== 405 && verb !== "options") {
      // The route is there, the method is not the caller's to use: it must have been refused, or the
      // list of what he may not read is empty.
      const empty = verb === "get" && status === 200 && text === '{"items":[]}';
      if (empty) return { wrong, described };
      if (![401, 403, 404].includes(status)) return { wrong: [`${method} is not described, and was answered with ${status}`], described };
    } else if (!item && !problem) {
      return { wrong: [`the route is not described, and was answered with ${status}`], described };
    }
    if (status === 405 && !headers.get("allow")) wrong.push("405 without Allow");

    for (const [name, given] of Object.entries(response?.headers ?? {})) {
      const [header] = resolve(given);
      if (header.required && headers.get(name) === null) wrong.push(`the header ${name} is missing`);
    }
    if (problem && !response) { // no operation to look into: every problem has one form
      if (type !== "application/problem+json") wrong.push(`a problem is ${type || "without a type"}`);
      [response, pointer] = [{ content: { "application/problem+json": { schema: {} } } }, undefined];
    }
    if (verb === "head" || status === 304) {
      if (text !== "") wrong.push("there should be no body");
      return { wrong, described };
    }
    const content = response?.content;
    if (!content) {
      if (text !== "") wrong.push("a body is not described");
      return { wrong, described };
    }
    if (text === "" && !problem && headers.get("preference-applied") === "return=minimal") return { wrong, described };
    const media = content[type] ? type : content["*/*"] ? "*/*" : undefined;
    if (!media) {
      wrong.push(`the content type ${type || "(none)"} is not described`);
      return { wrong, described };
    }
    if (!/[/+]json$/.test(type)) {
      return { wrong, described };
    }
    let value;
    try {
      value = JSON.parse(text);
    } catch (error) {
      wrong.push(`the body is no JSON: ${error.message}`);
      return { wrong, described };
    }
    counts.bodies++;
    const where = pointer ? `${pointer}/content/${escape(media)}/schema` : "#/components/schemas/Problem";
    wrong.push(...valid(where, value));
    if (problem && value.status !== status) wrong.push(`the problem says ${value.status}, the answer ${status}`);
    if (problem && value.instance !== path) wrong.push(`the problem is about ${value.instance}`);
    return { wrong, described };
  }

  async function fetch(input, init) {
    const request = new Request(input, init);
    const url = new URL(request.url);
    const response = await plain(request);
    const text = await response.clone().text();
    const { wrong, described } = judge({ method: request.method, path: url.pathname }, response.status, response.headers, text);
    counts.answers++;
    if (!described) counts.undescribed++;
    counts.statuses[response.status] = (counts.statuses[response.status] ?? 0) + 1;
    if (wrong.length) {
      throw new Error(`${request.method} ${url.pathname}${url.search} was answered with ${response.status}, not as described:\n  ${wrong.join("\n  ")}\n  ${text.slice(0, 2000)}`);
    }
    return response;
  }

  return { fetch, judge, counts };
}

/** How many operations a document describes. */
export const operationsOf = (document) =>
  Object.values(document.paths).flatMap((item) => methods.filter((verb) => item[verb]).map((verb) => item[verb].operationId));

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const [file, url, list] = process.argv.slice(2);
  if (!file || !url || !list) {
    console.error("usage: node checked.mjs openapi.json URL requests.ndjson");
    process.exit(2);
  }
  const { fetch, counts } = checked(JSON.parse(readFileSync(file, "utf8")));
  let wrong = 0;
  for (const line of readFileSync(list === "-" ? 0 : list, "utf8").split("\n")) {
    if (line.trim() === "") continue;
    const { method = "GET", path, headers = {}, body } = JSON.parse(line);
    const json = body !== undefined && typeof body !== "string";
    if (json && !Object.keys(headers).some((name) => name.toLowerCase() === "content-type")) headers["content-type"] = "application/json";
    try {
      await fetch(new URL(path, url), { method, headers, body: json ? JSON.stringify(body) : body });
    } catch (error) {
      wrong++;
      console.error(error.message);
    }
  }
  console.log(JSON.stringify({ answers: counts.answers, bodies: counts.bodies, statuses: counts.statuses, wrong }));
  process.exit(wrong ? 1 : 0);
}
