// mingo, with what it lacks or where it is known to differ from MongoDB:
//   - counts and sizes are 64-bit integers here, and sums of integers are exact; beyond 64 bits they are doubles
//     (MongoDB's manual, "$sum"), and those of decimals are decimals
//   - texts are measured by code points of what they stand for (values.mjs)
//   - $indexOfCP is not there
//   - $lookup with a field and a pipeline runs the pipeline over the whole collection

import { Context, OpType } from 'mingo/core';
import { Aggregator } from 'mingo/aggregator';
import { Query } from 'mingo/query';
import * as accumulators from 'mingo/operators/accumulator';
import * as expressions from 'mingo/operators/expression';
import * as stages from 'mingo/operators/pipeline';
import * as projections from 'mingo/operators/projection';
import * as queries from 'mingo/operators/query';
import { resolve } from 'mingo/util';
import { Decimal, Long, ordered, plain } from './values.mjs';

const value = (obj, expr, options) => expressions.$ifNull(obj, [expr, null], options);
const integer = (n) => (n instanceof Long ? Number(n.n) : n);

const mended = {
  $size: (obj, expr, options) => new Long(expressions.$size(obj, expr, options)),
  $strLenCP: (obj, expr, options) => new Long([...plain(value(obj, expr, options))].length),
  $indexOfCP: (obj, expr, options) => {
    const [text, part] = expr.map((e) => value(obj, e, options));
    if (text === null) return null;
    const [s, p] = [plain(text), plain(part)];
    const at = s.indexOf(p);
    return new Long(at < 0 ? -1 : [...s.slice(0, at)].length);
  },
  $substrCP: (obj, expr, options) => {
    const [text, from, count] = expr.map((e) => value(obj, e, options));
    return ordered([...plain(text ?? '')].slice(integer(from), integer(from) + integer(count)).join(''));
  },
  $subtract: (obj, expr, options) => {
    const [a, b] = expr.map((e) => value(obj, e, options));
    return new Long(a.n - b.n);
  },
  $toDecimal: (obj, expr, options) => {
    const v = value(obj, expr, options);
    return v instanceof Long ? new Decimal(v.n) : v;
  },
};

function $sum(coll, expr, options) {
  let sum = 0n;
  let decimal = false;
  for (const v of accumulators.$push(coll, expr, options)) {
    if (v instanceof Long || v instanceof Decimal) sum += v.n;
    decimal ||= v instanceof Decimal;
  }
  if (decimal) return new Decimal(sum);
  return BigInt.asIntN(64, sum) === sum ? new Long(sum) : Number(sum);
}

function $count(coll, name, options) {
  return stages.$count(coll, name, options).map((d) => ({ [name]: new Long(d[name]) }));
}

function $lookup(coll, spec, options) {
  const joined = options.collectionResolver(spec.from);
  const by = new Map();
  const key = (v) => (v instanceof Long ? v.text : (v ?? null));
  const listed = (v) => (Array.isArray(v) ? v : [v]);
  for (const d of joined) {
    for (const k of new Set(listed(resolve(d, spec.foreignField)).map(key))) {
      if (!by.has(k)) by.set(k, []);
      by.get(k).push(d);
    }
  }
  const outer = options.variables ?? {};
  return coll.map((d) => {
    const found = [...new Set(listed(resolve(d, spec.localField)).flatMap((v) => by.get(key(v)) ?? []))];
    if (!spec.pipeline) return { ...d, [spec.as]: found };
    const let_ = {};
    for (const [name, from] of Object.entries(spec.let ?? {})) {
      let_[name] = from === '$$ROOT' ? d : outer[from.slice(2)];
    }
    return { ...d, [spec.as]: run(found, spec.pipeline, options.collectionResolver, { ...outer, ...let_ }) };
  });
}

const context = Context.init({
  [OpType.ACCUMULATOR]: { ...accumulators, $sum },
  [OpType.EXPRESSION]: { ...expressions, ...mended },
  [OpType.PIPELINE]: { ...stages, $lookup, $count },
  [OpType.PROJECTION]: projections,
  [OpType.QUERY]: queries,
});

// run answers a pipeline over documents. variables are those of a let.
export function run(docs, pipeline, collectionResolver, variables = {}) {
  return new Aggregator(pipeline, { context, collectionResolver, variables }).run(docs);
}

// filtered finds the documents that fit.
export function filtered(docs, filter) {
  const query = new Query(filter, { context });
  return docs.filter((d) => query.test(d));
}
