// Values of BSON as mingo takes them. JavaScript has no 64-bit integers, and orders texts by UTF-16 units where
// MongoDB orders them by code points; both are mended here, at the border, and not in mingo.

// Long is a 64-bit integer. mingo compares objects of one class by what they print: digits of one width.
export class Long {
  constructor(n) {
    this.text = (BigInt(n) + (1n << 63n)).toString().padStart(20, '0');
  }
  get n() {
    return BigInt(this.text) - (1n << 63n);
  }
  toString() {
    return this.text;
  }
}

// Decimal is a whole number of up to 34 digits.
export class Decimal {
  constructor(n) {
    this.n = BigInt(n);
  }
  toString() {
    return this.n.toString();
  }
}

export class Binary {
  constructor(json) {
    this.json = json;
  }
  toString() {
    return this.json;
  }
}

// ordered exchanges code units so that their order is that of code points: surrogates come after all others.
// It is undone by plain.
export function ordered(s) {
  if (!/[\ud800-\uffff]/.test(s)) return s;
  return shift(s, (u) => (u < 0xd800 ? u : u < 0xe000 ? u + 0x2000 : u - 0x800));
}

export function plain(s) {
  if (!/[\ud800-\uffff]/.test(s)) return s;
  return shift(s, (u) => (u < 0xd800 ? u : u < 0xf800 ? u + 0x800 : u - 0x2000));
}

function shift(s, unit) {
  let out = '';
  for (let i = 0; i < s.length; i++) out += String.fromCharCode(unit(s.charCodeAt(i)));
  return out;
}

// decode reads canonical extended JSON (MongoDB's specification of that name, version 2).
export function decode(v) {
  if (typeof v === 'string') return ordered(v);
  if (v === null || typeof v !== 'object') return v;
  if (Array.isArray(v)) return v.map(decode);
  if ('$numberLong' in v) return new Long(v.$numberLong);
  if ('$numberInt' in v) return Number(v.$numberInt);
  if ('$numberDouble' in v) return Number(v.$numberDouble);
  if ('$date' in v) return new Date(Number(v.$date.$numberLong));
  if ('$binary' in v) return new Binary(JSON.stringify(v.$binary));
  const out = {};
  for (const k of Object.keys(v)) out[k] = k === '$regex' ? pattern(v[k]) : decode(v[k]);
  return out;
}

// pattern: the end of a text is \z to MongoDB's PCRE and $ to JavaScript, where it is not also before a line feed.
function pattern(s) {
  return ordered(s.replace(/\\z$/, '$'));
}

// encode writes what decode reads. A field without a value is not there.
export function encode(v) {
  if (typeof v === 'string') return plain(v);
  if (typeof v === 'number') return { $numberDouble: String(v) };
  if (v === null || v === undefined || typeof v !== 'object') return v ?? null;
  if (Array.isArray(v)) return v.map(encode);
  if (v instanceof Long) return { $numberLong: v.n.toString() };
  if (v instanceof Decimal) return { $numberDecimal: v.toString() };
  if (v instanceof Date) return { $date: { $numberLong: String(+v) } };
  if (v instanceof Binary) return { $binary: JSON.parse(v.json) };
  const out = {};
  for (const k of Object.keys(v)) if (v[k] !== undefined) out[k] = encode(v[k]);
  return out;
}
