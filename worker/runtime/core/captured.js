// The built-ins of the language as they were before any guest code ran. A guest may replace Array.prototype.push and all
// the others; the runtime's own code, and the packages in it, go on with these. harden.mjs puts this text before the
// bundle when building, and has the bundle's calls, loops and accessors go through $m, $iter and $g.
//
// What an object is, is told by its prototype: one of the language's own gets the captured method; any other object is
// asked for its own, as the code says.
const { apply: $apply, getPrototypeOf: $protoOf, ownKeys: $ownKeys, getOwnPropertyDescriptor: $descriptor } = Reflect;
const $isArray = Array.isArray;

/** Every prototype of the language whose objects the runtime handles. @type {Map<any, string>} */
const $protos = new Map();
for (const name of [
  'Array',
  'String',
  'Number',
  'Boolean',
  'Symbol',
  'BigInt',
  'Function',
  'Promise',
  'Map',
  'Set',
  'WeakMap',
  'WeakSet',
  'WeakRef',
  'RegExp',
  'Date',
  'Error',
  'TypeError',
  'RangeError',
  'SyntaxError',
  'ArrayBuffer',
  'DataView',
  'FinalizationRegistry',
  'Uint8Array',
  'Int8Array',
  'Uint8ClampedArray',
  'Uint16Array',
  'Int16Array',
  'Uint32Array',
  'Int32Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
  'Float16Array',
])
  // prettier-ignore
  if (globalThis[name] !== undefined) $protos.set(globalThis[name].prototype, name);
const $generatorProto = $protoOf(function* () {}.prototype);
for (const iterator of [[].values(), new Map().keys(), new Set().values(), ''[Symbol.iterator](), ''.matchAll(/x/g)])
  $protos.set($protoOf(iterator), 'Iterator');

/** The nearest property `key` from `proto` up, without Object.prototype. @param {any} proto @param {any} key */
function $find(proto, key) {
  for (let p = proto; p !== null && p !== Object.prototype; p = $protoOf(p)) {
    const found = $descriptor(p, key);
    if (found !== undefined) return found;
  }
  return undefined;
}
const $primitives = {
  string: String,
  number: Number,
  boolean: Boolean,
  symbol: Symbol,
  bigint: BigInt,
  function: Function,
};

/** [prototypes, what each has], for `key` of a kind ('value' or 'get'). @param {any} key @param {'value' | 'get'} kind */
function $table(key, kind) {
  const protos = [];
  const found = [];
  for (const proto of $protos.keys()) {
    const property = $find(proto, key)?.[kind];
    if (typeof property !== 'function') continue;
    protos[protos.length] = proto;
    found[found.length] = property;
  }
  return [protos, found];
}

/** What a value of the language's own types has under a key; undefined for any other value. @param {any[]} table */
function $lookup([protos, found]) {
  /** @type {any} */
  const primitive = { __proto__: null };
  for (const type of $ownKeys($primitives)) {
    for (let i = 0; i < protos.length; i++) if (protos[i] === $primitives[type].prototype) primitive[type] = found[i];
  }
  return (/** @type {any} */ o) => {
    const type = typeof o;
    if (type !== 'object') return primitive[type];
    if (o === null) return undefined;
    const proto = $protoOf(o);
    for (let i = 0; i < protos.length; i++) if (protos[i] === proto) return found[i];
    return undefined;
  };
}

const $exec = RegExp.prototype.exec;
const $then = Promise.prototype.then;
const $withResolvers = Promise.withResolvers;
const $slice = String.prototype.slice;
const $split = String.prototype.split;
const $replace = String.prototype.replace;
const $replaceAll = String.prototype.replaceAll;
const $indexOf = String.prototype.indexOf;
const $charAt = String.prototype.charAt;
const $globalOf = $descriptor(RegExp.prototype, 'global').get;
const $sourceOf = $descriptor(RegExp.prototype, 'source').get;
const $flagsOf = $descriptor(RegExp.prototype, 'flags').get;
const $RegExp = RegExp;
const $regExpProto = RegExp.prototype;
const $Promise = Promise;
const $resolve = Promise.resolve.bind(Promise);
const $reject = Promise.reject.bind(Promise);
const $isRegExp = (/** @type {any} */ value) =>
  typeof value === 'object' && value !== null && $protoOf(value) === $regExpProto;
// The flags' getter reads the others by name.
const $flags = (/** @type {RegExp} */ re) => {
  let flags = '';
  for (let i = 0; i < $flagGetters.length; i++) if ($apply($flagGetters[i][1], re, [])) flags += $flagGetters[i][0];
  return flags;
};
const $flagGetters = [['d', 'hasIndices'], ['g', 'global'], ['i', 'ignoreCase'], ['m', 'multiline'], ['s', 'dotAll'], ['u', 'unicode'],
  ['v', 'unicodeSets'], ['y', 'sticky']].map(([flag, name]) => [flag, $descriptor(RegExp.prototype, name).get]); // prettier-ignore

/** All matches of `re` in `text`, from its start. @param {RegExp} re @param {string} text @param {boolean} all */
function $matches(re, text, all) {
  const flags = $flags(re);
  const own = new $RegExp($apply($sourceOf, re, []), $apply($indexOf, flags, ['g']) >= 0 ? flags : flags + 'g');
  const list = [];
  for (let match; (match = $apply($exec, own, [text])) !== null;) {
    list[list.length] = match;
    if (match[0] === '') own.lastIndex++;
    if (!all) break;
  }
  return list;
}
/** The text for a match: "$1", "$&" and "$$" in `pattern` are what they mean to String.prototype.replace. @param {any} match @param {string} pattern */
function $expand(match, pattern) {
  let out = '';
  for (let i = 0; i < pattern.length; i++) {
    const next = pattern[i + 1];
    if (pattern[i] !== '$' || next === undefined) out += pattern[i];
    else if (next === '$') { out += '$'; i++; } // prettier-ignore
    else if (next === '&') { out += match[0]; i++; } // prettier-ignore
    else if (next >= '1' && next <= '9' && +next < match.length) { out += match[+next] ?? ''; i++; } // prettier-ignore
    else out += '$';
  }
  return out;
}
/** @param {string} text @param {RegExp} re @param {any} by */
function $replaceRegExp(text, re, by) {
  const matches = $matches(re, text, $apply($globalOf, re, []));
  let out = '';
  let at = 0;
  for (let i = 0; i < matches.length; i++) {
    const match = matches[i];
    out += $apply($slice, text, [at, match.index]);
    if (typeof by === 'function') {
      const args = [];
      for (let k = 0; k < match.length; k++) args[k] = match[k];
      args[args.length] = match.index;
      args[args.length] = text;
      out += $apply(by, undefined, args);
    } else out += $expand(match, `${by}`);
    at = match.index + match[0].length;
  }
  return out + $apply($slice, text, [at]);
}

// A promise that is resolved with another asks that for its "then", which a guest may have replaced: here it is not asked.
const $promiseProto = Promise.prototype;
/** @param {any} value @param {any} resolve @param {any} reject */
const $settle = (value, resolve, reject) => {
  if (typeof value === 'object' && value !== null && $protoOf(value) === $promiseProto)
    $apply($then, value, [resolve, reject]);
  else resolve(value);
};
// Where the stack ends in a promise's beginning, whoever called for it is told: a promise that is rejected within the runtime is
// nobody's, and would end the run later.
const $rangeErrorProto = RangeError.prototype;
const $outOfStack = (/** @type {any} */ error) =>
  typeof error === 'object' &&
  error !== null &&
  $protoOf(error) === $rangeErrorProto &&
  $descriptor(error, 'message')?.value === 'Maximum call stack size exceeded';
/** What the bundle knows as Promise: makes real ones. @param {any} executor */
function $SafePromise(executor) {
  const { promise, resolve, reject } = $apply($withResolvers, $Promise, []);
  try {
    executor((/** @type {any} */ value) => $settle(value, resolve, reject), reject);
  } catch (error) {
    if ($outOfStack(error)) throw error;
    reject(error);
  }
  return promise;
}
$SafePromise.prototype = $promiseProto;
/** Promise.prototype.then. @this {any} @param {any} fulfilled @param {any} rejected */
function $safeThen(fulfilled, rejected) {
  const { promise, resolve, reject } = $apply($withResolvers, $Promise, []);
  const by = (/** @type {any} */ f, /** @type {any} */ otherwise) =>
    typeof f !== 'function'
      ? otherwise
      : (/** @type {any} */ value) => {
          let result;
          try {
            result = f(value);
          } catch (error) {
            return reject(error);
          }
          $settle(result, resolve, reject);
        };
  $apply($then, this, [by(fulfilled, resolve), by(rejected, reject)]);
  return promise;
}

/** Where the built-in itself would ask what a guest may have replaced. @type {Record<string, Record<string, Function>>} */
const $instead = {
  __proto__: null,
  String: {
    __proto__: null,
    replace(/** @type {any} */ re, /** @type {any} */ by) {
      return $isRegExp(re) ? $replaceRegExp(this, re, by) : $apply($replace, this, [re, by]);
    },
    replaceAll(/** @type {any} */ re, /** @type {any} */ by) {
      return $isRegExp(re) ? $replaceRegExp(this, re, by) : $apply($replaceAll, this, [re, by]);
    },
    split(/** @type {any} */ re, /** @type {any} */ limit) {
      if (!$isRegExp(re)) return $apply($split, this, [re, limit]);
      const text = `${this}`;
      const matches = $matches(re, text, true);
      const parts = [];
      let at = 0;
      for (let i = 0; i < matches.length && (limit === undefined || parts.length < limit); i++) {
        if (matches[i][0] === '' && (matches[i].index === 0 || matches[i].index === text.length)) continue;
        parts[parts.length] = $apply($slice, text, [at, matches[i].index]);
        for (let k = 1; k < matches[i].length; k++) parts[parts.length] = matches[i][k];
        at = matches[i].index + matches[i][0].length;
      }
      if (limit === undefined || parts.length < limit) parts[parts.length] = $apply($slice, text, [at]);
      return parts;
    },
    match(/** @type {any} */ re) {
      const own = $isRegExp(re) ? re : new $RegExp(re);
      if (!$apply($globalOf, own, [])) return $apply($exec, own, [`${this}`]);
      const matches = $matches(own, `${this}`, true);
      for (let i = 0; i < matches.length; i++) matches[i] = matches[i][0];
      return matches.length === 0 ? null : matches;
    },
    matchAll(/** @type {any} */ re) {
      return $matches(re, `${this}`, true);
    },
    search(/** @type {any} */ re) {
      return $matches(re, `${this}`, false)[0]?.index ?? -1;
    },
  },
  RegExp: {
    __proto__: null,
    test(/** @type {any} */ text) {
      return $apply($exec, this, [text]) !== null;
    },
  },
  Promise: {
    __proto__: null,
    then: $safeThen,
    catch(/** @type {any} */ f) {
      return $apply($safeThen, this, [undefined, f]);
    },
    finally(/** @type {any} */ f) {
      return $apply($safeThen, this, [
        (/** @type {any} */ value) => $apply($safeThen, $resolve(f()), [() => value]),
        (/** @type {any} */ error) => $apply($safeThen, $resolve(f()), [() => $reject(error)]),
      ]);
    },
  },
};

/** A method that takes its `this` as first argument. @param {string} name */
function $method(name) {
  const [protos, found] = $table(name, 'value');
  for (let i = 0; i < protos.length; i++) found[i] = $instead[$protos.get(protos[i])]?.[name] ?? found[i];
  const lookup = $lookup([protos, found]);
  return (/** @type {any} */ o, /** @type {any[]} */ ...args) => $apply(lookup(o) ?? o[name], o, args);
}
/** An accessor as a function of the object. @param {string} name */
function $getter(name) {
  const lookup = $lookup($table(name, 'get'));
  return (/** @type {any} */ o) => {
    const get = lookup(o);
    return get === undefined ? o[name] : $apply(get, o, []);
  };
}

/** What a loop walks over: an iterator whose methods are its own. */
class $Walk {
  constructor(/** @type {any} */ next, /** @type {any} */ end) {
    this.next = next;
    this.return = end;
  }
  [Symbol.iterator]() {
    return this;
  }
}
Object.setPrototypeOf($Walk.prototype, null);
const $iteratorOf = $lookup($table(Symbol.iterator, 'value'));
const $nextOf = $lookup($table('next', 'value'));
const $generatorNext = $generatorProto.next;
const $generatorReturn = $generatorProto.return;
/** `o` as a loop, a spread or a destructuring is to see it. @param {any} o */
function $iter(o) {
  if ($isArray(o)) {
    let i = 0;
    return new $Walk(
      () => (i < o.length ? { value: o[i++], done: false } : { value: undefined, done: true }),
      undefined,
    );
  }
  if ((typeof o !== 'object' && typeof o !== 'string') || o === null) return o;
  const next = $nextOf(o);
  if (next !== undefined) return new $Walk(() => $apply(next, o, []), undefined);
  const start = $iteratorOf(o);
  if (start !== undefined) return $iter($apply(start, o, []));
  if (typeof o === 'object' && $protoOf($protoOf(o) ?? o) === $generatorProto) {
    return new $Walk(
      () => $apply($generatorNext, o, []),
      (/** @type {any} */ value) => $apply($generatorReturn, o, [value]),
    );
  }
  return o;
}

/** The same where each value is taken apart as a list. @param {any} o */
function $each(o) {
  const list = [];
  for (const value of $iter(o)) list[list.length] = $iter(value);
  return $iter(list);
}

const $setAdd = Set.prototype.add;
const $mapSet = Map.prototype.set;
/** The constructors ask for "add" and "set" by name. @param {any} values */
function $newSet(values) {
  const set = new Set();
  if (values !== undefined && values !== null) for (const value of $iter(values)) $apply($setAdd, set, [value]);
  return set;
}
/** @param {any} entries */
function $newMap(entries) {
  const map = new Map();
  if (entries !== undefined && entries !== null)
    for (const entry of $iter(entries)) $apply($mapSet, map, [entry[0], entry[1]]);
  return map;
}

/** Static functions that themselves loop over what they are given. @type {Record<string, Function>} */
const $insteadStatic = {
  __proto__: null,
  'Array.from': (/** @type {any} */ source, /** @type {any} */ map) => {
    const list = [];
    const add = (/** @type {any} */ value) => {
      list[list.length] = map === undefined ? value : map(value, list.length);
    };
    if (source[Symbol.iterator] === undefined) for (let i = 0; i < source.length; i++) add(source[i]);
    else for (const value of $iter(source)) add(value);
    return list;
  },
  'Object.fromEntries': (/** @type {any} */ entries) => {
    /** @type {any} */
    const object = {};
    for (const entry of $iter(entries)) object[entry[0]] = entry[1];
    return object;
  },
  'Promise.all': (/** @type {any} */ promises) =>
    new $Promise((resolve, reject) => {
      const values = [];
      let left = 1;
      const settle = () => --left === 0 && resolve(values);
      for (const promise of $iter(promises)) {
        const at = values.length;
        values[at] = undefined;
        left++;
        $apply($then, $resolve(promise), [
          (/** @type {any} */ value) => {
            values[at] = value;
            settle();
          },
          reject,
        ]);
      }
      settle();
    }),
};
/** @param {any} holder @param {string} name @param {string} key */
function $static(holder, name, key) {
  const value = holder[key];
  return (
    $insteadStatic[`${name}.${key}`] ??
    (typeof value === 'function' && typeof holder === 'function' ? value.bind(holder) : value)
  );
}
