// A database whose language is mingo's. Requests and answers are lines of extended JSON on stdin and stdout; test
// code of data/mongo sends them. A request names a database and, inside a transaction or a snapshot, its state.

import { createInterface } from 'node:readline';
import { decode, encode, Long } from './values.mjs';
import { filtered, run } from './language.mjs';

// State is what is stored at one moment: documents by collection and id. Documents are never changed in place.
class State {
  constructor(from) {
    this.collections = new Map(from?.collections);
    this.own = new Set();
  }
  docs(name) {
    return [...(this.collections.get(name)?.values() ?? [])];
  }
  // writable is a collection that other states do not see.
  writable(name) {
    if (!this.own.has(name)) {
      this.collections.set(name, new Map(this.collections.get(name)));
      this.own.add(name);
    }
    return this.collections.get(name);
  }
}

const databases = new Map();

function database(name) {
  if (!databases.has(name)) databases.set(name, { committed: new State(), states: new Map(), indexes: new Map(), last: 0 });
  return databases.get(name);
}

class Refused extends Error {
  constructor(index) {
    super('duplicate key');
    this.index = index;
  }
}

const text = (v) => JSON.stringify(encode(v));

// unique refuses a document of which another has the values.
function unique(db, docs, name, doc) {
  for (const x of db.indexes.get(name) ?? []) {
    if (!x.unique || x.keys.some((k) => doc[k] === undefined)) continue;
    const own = x.keys.map((k) => text(doc[k]));
    for (const other of docs.values()) {
      if (other._id !== doc._id && x.keys.every((k, i) => text(other[k]) === own[i])) throw new Refused(x.name);
    }
  }
}

// within is the document in which the last name of a path stands, copied on the way; undefined where there is none, and
// none is to be made.
function within(doc, names, make) {
  for (const name of names) {
    if (!(name in doc) && !make) return undefined;
    doc = doc[name] = { ...doc[name] };
  }
  return doc;
}

function changed(doc, change) {
  const out = { ...doc };
  for (const [op, fields] of Object.entries(change)) {
    for (const [path, v] of Object.entries(fields)) {
      const names = path.split('.');
      const k = names.pop();
      if (op === '$set') within(out, names, true)[k] = v;
      else if (op === '$unset') delete within(out, names, false)?.[k];
      else if (op === '$inc') out[k] = new Long((out[k]?.n ?? 0n) + v.n);
      else if (op === '$rename') {
        if (k in out) out[v] = out[k];
        delete out[k];
      } else throw new Error(`unknown update ${op}`);
    }
  }
  return out;
}

// The one writer's state is what committed becomes: where it wrote.
const operations = {
  rows(db, state, r) {
    let pipeline = r.pipeline;
    if (!pipeline) {
      pipeline = [{ $match: r.filter }];
      if (Object.keys(r.sort).length) pipeline.push({ $sort: r.sort });
      if (r.limit) pipeline.push({ $limit: r.limit });
      if (Object.keys(r.project).length) pipeline.push({ $project: r.project });
    }
    return { rows: run(state.docs(r.from), pipeline, (name) => state.docs(name)) };
  },
  insert(db, state, r) {
    const docs = state.writable(r.from);
    if (docs.has(r.doc._id)) throw new Refused('id');
    unique(db, docs, r.from, r.doc);
    docs.set(r.doc._id, r.doc);
    return {};
  },
  update(db, state, r) {
    const found = filtered(state.docs(r.from), r.filter);
    if (found.length === 0 && r.how === 'upsert') found.push({ ...r.filter });
    const docs = state.writable(r.from);
    for (const doc of r.how === 'many' ? found : found.slice(0, 1)) {
      const next = changed(doc, r.change);
      unique(db, docs, r.from, next);
      docs.set(doc._id, next);
    }
    return { n: found.length };
  },
  delete(db, state, r) {
    const found = filtered(state.docs(r.from), r.filter);
    const docs = state.writable(r.from);
    for (const doc of found) docs.delete(doc._id);
    return { n: found.length };
  },
  begin(db) {
    db.states.set(++db.last, new State(db.committed));
    return { n: db.last };
  },
  end(db, state, r) {
    if (r.commit) {
      const next = new State(db.committed);
      for (const name of state.own) next.collections.set(name, state.collections.get(name));
      db.committed = next;
    }
    db.states.delete(r.state);
    return {};
  },
  collections: (db, state) => ({ rows: [...state.collections.keys()].map((name) => ({ name })) }),
  create(db, state, r) {
    state.writable(r.from);
    return {};
  },
  drop(db, state, r) {
    state.collections.delete(r.from);
    db.indexes.delete(r.from);
    return {};
  },
  rename(db, state, r) {
    if (!state.collections.has(r.from)) return {};
    state.collections.set(r.to, state.collections.get(r.from));
    state.collections.delete(r.from);
    state.own.delete(r.to);
    db.indexes.set(r.to, db.indexes.get(r.from) ?? []);
    db.indexes.delete(r.from);
    return {};
  },
  createIndex(db, state, r) {
    const x = { name: r.name, unique: r.unique, keys: r.keys };
    const docs = state.writable(r.from);
    const before = db.indexes.get(r.from) ?? [];
    db.indexes.set(r.from, [x]);
    try {
      for (const doc of docs.values()) unique(db, docs, r.from, doc);
    } catch (err) {
      db.indexes.set(r.from, before);
      throw err;
    }
    db.indexes.set(r.from, [...before.filter((y) => y.name !== x.name), x]);
    return {};
  },
  dropIndex(db, state, r) {
    db.indexes.set(r.from, (db.indexes.get(r.from) ?? []).filter((x) => x.name !== r.name));
    return {};
  },
  copy(db, state, r) {
    databases.set(r.to, { ...db, committed: new State(state), states: new Map(), indexes: new Map(db.indexes) });
    return {};
  },
  close(db, state, r) {
    databases.delete(r.db);
    return {};
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    const r = decode(JSON.parse(line));
    const db = database(r.db);
    const state = r.state ? db.states.get(r.state) : db.committed;
    // What is written outside of a transaction is another state: snapshots keep theirs.
    const at = r.state || ['rows', 'collections', 'begin', 'end', 'copy', 'close'].includes(r.op) ? state : new State(state);
    answer = operations[r.op](db, at, r);
    if (at !== state) db.committed = at;
  } catch (err) {
    answer = err instanceof Refused ? { index: err.index } : { error: `${err.stack}` };
  }
  process.stdout.write(JSON.stringify({ ...answer, rows: answer.rows?.map(encode) }) + '\n');
}
