// Makes a bundle independent of what a guest replaces: calls of built-in methods, loops, spreads, destructurings,
// accessors, static functions and globals of the language become uses of what captured.js kept. See there.
import { parse } from 'acorn';
import { ancestor } from 'acorn-walk';
import MagicString from 'magic-string';

const kGlobals = [
  'Object', 'Function', 'Array', 'Number', 'Boolean', 'String', 'Symbol', 'BigInt', 'Math', 'JSON', 'Reflect', 'Proxy', 'Promise', 'Map',
  'Set', 'WeakMap', 'WeakSet', 'WeakRef', 'ArrayBuffer', 'DataView', 'Uint8Array', 'Int8Array', 'Uint8ClampedArray', 'Uint16Array',
  'Int16Array', 'Uint32Array', 'Int32Array', 'Float32Array', 'Float64Array', 'BigInt64Array', 'BigUint64Array', 'Date', 'RegExp', 'Error',
  'TypeError', 'RangeError', 'SyntaxError', 'EvalError', 'ReferenceError', 'URIError', 'AggregateError', 'FinalizationRegistry', 'Intl',
  'parseInt', 'parseFloat', 'isNaN', 'isFinite', 'encodeURIComponent', 'decodeURIComponent', 'encodeURI', 'decodeURI',
]; // prettier-ignore
const kHolders = [
  'Object',
  'Array',
  'Number',
  'String',
  'Symbol',
  'Math',
  'JSON',
  'Reflect',
  'Promise',
  'ArrayBuffer',
  'Date',
  'BigInt',
  'Error',
];
const kAccessors = ['byteLength', 'byteOffset', 'buffer', 'size', 'flags', 'source', 'description', 'detached'];

/** Names of methods that objects of the language inherit, but for those that any object is asked for. */
const kMethods = new Set(
  kGlobals
    .map((name) => globalThis[name]?.prototype)
    .concat([
      Object.getPrototypeOf(Uint8Array.prototype),
      Object.getPrototypeOf([].values()),
      Object.getPrototypeOf(function* () {}.prototype),
    ])
    .filter((proto) => proto && proto !== Object.prototype)
    .flatMap((proto) =>
      Object.getOwnPropertyNames(proto).filter(
        (key) => typeof Object.getOwnPropertyDescriptor(proto, key).value === 'function',
      ),
    ),
);
for (const name of ['constructor', 'valueOf', 'toJSON', 'toLocaleString']) kMethods.delete(name);

/** Whether a "?." to the left of it may skip a call or an access: those stay as they are. @param {any} node */
function isOptional(node) {
  for (; node.type === 'CallExpression' || node.type === 'MemberExpression'; node = node.callee ?? node.object) {
    if (node.optional) return true;
  }
  return false;
}

/**
 * The bundle, and what stands before it: first the globals, then captured.js, then what that makes of them.
 * @param {string} source @returns {{ globals: string, captured: string, code: string }}
 */
export function harden(source) {
  const code = new MagicString(source);
  const tree = parse(source, { ecmaVersion: 'latest', sourceType: 'script' });
  const methods = new Set();
  const accessors = new Set();
  const statics = new Map();
  const wrap = (node, by = '$iter') => code.prependRight(node.start, `${by}(`).appendLeft(node.end, ')');

  /** What the built-in walks over itself, by what a guest may have replaced: the code must do without. @param {any} node @param {string} what */
  const refuse = (node, what) => {
    throw new Error(`${what} cannot be hardened: ${source.slice(Math.max(node.start - 60, 0), node.end + 20)}`);
  };
  const refusePatterns = (node) => {
    for (const parameter of node.params)
      if ((parameter.left ?? parameter).type === 'ArrayPattern') refuse(parameter, 'an array pattern as a parameter');
  };

  ancestor(tree, {
    FunctionDeclaration: refusePatterns,
    FunctionExpression: refusePatterns,
    ArrowFunctionExpression: refusePatterns,
    NewExpression(node) {
      const { name } = node.callee;
      if (!['Set', 'Map'].includes(name) || node.arguments.length === 0) return;
      code.overwrite(node.start, node.callee.end, `$new${name}`);
    },
    CallExpression(node) {
      const { callee } = node;
      if (callee.type !== 'MemberExpression' || callee.computed || isOptional(node)) return;
      const { object, property } = callee;
      if (object.type === 'Super' || property.type !== 'Identifier' || !kMethods.has(property.name)) return;
      if (object.type === 'Identifier' && (kHolders.includes(object.name) || object.name === 'native')) return;
      methods.add(property.name);
      // The object may stand in parentheses of its own, which are not its node's. ".name(" becomes ", ".
      code.prependRight(callee.start, `$m.${property.name}(`);
      const open = source.indexOf('(', property.end);
      code.overwrite(source.lastIndexOf('.', property.start), open + 1, node.arguments.length > 0 ? ', ' : '');
    },
    MemberExpression(node, _, ancestors) {
      if (node.computed || isOptional(node) || node.property.type !== 'Identifier') return;
      const parent = ancestors.at(-2);
      const { object, property } = node;
      const ofPrototype =
        object.type === 'MemberExpression' && object.object.name in globalThis && object.property.name === 'prototype';
      const written = (parent.type === 'AssignmentExpression' && parent.left === node) || parent.type === 'UpdateExpression' ||
        (parent.type === 'UnaryExpression' && parent.operator === 'delete'); // prettier-ignore
      if (written) return;
      if (
        ofPrototype &&
        kGlobals.includes(object.object.name) &&
        Object.hasOwn(globalThis[object.object.name].prototype, property.name)
      ) {
        const name = `$${object.object.name}_prototype_${property.name}`;
        const then = name === '$Promise_prototype_then';
        statics.set(name, then ? '$safeThen' : `${object.object.name}.prototype.${property.name}`);
        code.overwrite(node.start, node.end, name);
        return;
      }
      if (object.type === 'Identifier' && kHolders.includes(object.name)) {
        const holder = globalThis[object.name];
        // What a guest sets for V8 to use is read where it stands.
        const live = ['prototype', 'prepareStackTrace', 'stackTraceLimit'];
        if (live.includes(property.name) || !Object.hasOwn(holder, property.name)) return;
        const name = `$${object.name}_${property.name}`;
        statics.set(name, `$static(${object.name}, '${object.name}', '${property.name}')`);
        code.overwrite(node.start, node.end, name);
      } else if (kAccessors.includes(property.name) && !(parent.type === 'CallExpression' && parent.callee === node)) {
        if (object.type === 'Super' || object.type === 'ThisExpression') return;
        accessors.add(property.name);
        code.prependRight(node.start, `$g.${property.name}(`);
        code.overwrite(source.lastIndexOf('.', property.start), node.end, ')');
      }
    },
    ForOfStatement(node) {
      if (node.await) return;
      const [declared] = node.left.declarations ?? [];
      wrap(node.right, (declared?.id ?? node.left).type === 'ArrayPattern' ? '$each' : '$iter');
    },
    SpreadElement(node, _, ancestors) {
      if (ancestors.at(-2).type !== 'ObjectExpression') wrap(node.argument);
    },
    VariableDeclarator(node) {
      if (node.init && node.id.type === 'ArrayPattern') wrap(node.init);
      if (!node.init || node.id.type !== 'ObjectPattern') return;
      // const { buffer, x } = view: the accessors' values, and the rest as it is.
      const keys = node.id.properties.map((property) => property.key?.name);
      if (!keys.some((key) => kAccessors.includes(key)) || keys.includes(undefined)) return;
      for (const key of keys) if (kAccessors.includes(key)) accessors.add(key);
      const fields = keys.map((key) => `${key}: ${kAccessors.includes(key) ? `$g.${key}(o)` : `o.${key}`}`);
      code.prependRight(node.init.start, `((o) => ({ ${fields.join(', ')} }))(`).appendLeft(node.init.end, ')');
    },
    AssignmentExpression(node) {
      if (node.left.type === 'ArrayPattern') wrap(node.right);
    },
  });
  const list = (names, make) =>
    `{ __proto__: null, ${[...names]
      .sort()
      .map((name) => `${name}: ${make}('${name}')`)
      .join(', ')} }`;
  const captured = [
    `const $m = ${list(methods, '$method')};`,
    `const $g = ${list(accessors, '$getter')};`,
    ...[...statics].map(([name, value]) => `const ${name} = ${value};`),
  ].join('\n');
  return { globals: `const { ${kGlobals.join(', ')} } = globalThis;`, captured, code: code.toString() };
}
