// CommonJS: require, its cache, and what an import of such a module sees. Resolving is native (worker/resolver/module_resolver.cc), and so
// is finding out what a file is.
import { ArrayPush, StringSlice, applyTo, defineProperty, hasOwn, keys, parse, stringify } from '../core/primordials.js';
import { codedError } from '../core/coded_error.js';
import { builtinModule, builtinNames } from './builtins.js';
import { lazyGlobal, part } from '../core/lazy_part.js';

const { moduleResolve, moduleFormat, moduleSource, compileCommonJs, requireModule, urlOfPath, pathOfUrl } = native;

/** By path. A guest may delete from it and put into it, as Node's can. @type {Record<string, any>} */
const cache = { __proto__: null };
/** Sources that were read to find the names of exports, until they are run. @type {Record<string, string>} */
const sources = { __proto__: null };
/** @type {any} */
let main;

/** @param {string} path */
const directoryOf = (path) => StringSlice(path, 0, path.lastIndexOf('/')) || '/';

export class Module {
  /** @param {string} id @param {any} [parent] */
  constructor(id = '', parent = undefined) {
    this.id = id;
    this.path = directoryOf(id);
    this.exports = {};
    this.filename = /** @type {string | null} */ (null);
    this.loaded = false;
    this.children = [];
    this.paths = nodeModulePaths(this.path);
    defineProperty(this, 'parent', { value: parent, writable: true, configurable: true, enumerable: false });
    if (parent instanceof Module) ArrayPush(parent.children, this);
  }
  /** @param {string} specifier */
  require(specifier) {
    return load(specifier, urlOfPath(this.filename ?? `${this.path}/x`), this);
  }
  /** @param {string} content @param {string} filename */
  _compile(content, filename) {
    run(this, content, filename);
  }
  /** @param {string | URL} where a path or file: URL */
  static createRequire(where) {
    const path = typeof where === 'string' && where[0] === '/' ? where : pathOfUrl(`${where}`);
    if (path === '')
      throw codedError(
        'ERR_INVALID_ARG_VALUE',
        `createRequire needs an absolute path or a file: URL, not "${where}"`,
        TypeError,
      );
    const module = new Module(path);
    module.filename = path;
    return requireOf(module);
  }
  /** @param {string} name */
  static isBuiltin(name) {
    const bare = `${name}`.startsWith('node:') ? StringSlice(`${name}`, 5) : `${name}`;
    return builtinNames().includes(bare);
  }
  static get builtinModules() {
    return builtinNames().slice();
  }
  /** @param {string} specifier @param {any} [parent] */
  static _resolveFilename(specifier, parent) {
    return resolvePath(specifier, urlOfPath(parent?.filename ?? '/x'));
  }
  /** @param {string} specifier @param {any} [parent] */
  static _load(specifier, parent) {
    return load(`${specifier}`, urlOfPath(parent?.filename ?? '/x'), parent);
  }
}
/** @type {any} */ (Module)._cache = cache;
/** @type {any} */ (Module)._extensions = { __proto__: null };
/** @type {any} */ (Module).Module = Module;
/** @type {any} */ (Module).wrapper = ['(function (exports, require, module, __filename, __dirname) { ', '\n});'];
/** @type {any} */ (Module).wrap = (/** @type {any} */ script) =>
  /** @type {any} */ (Module).wrapper[0] + script + /** @type {any} */ (Module).wrapper[1];
/** @type {any} */ (Module)._nodeModulePaths = (/** @type {any} */ from) => nodeModulePaths(`${from}`);
/** @type {any} */ (Module).globalPaths = [];

/** @param {string} directory */
function nodeModulePaths(directory) {
  const paths = [];
  for (let at = directory; ; at = directoryOf(at)) {
    if (!at.endsWith('/node_modules')) ArrayPush(paths, `${at === '/' ? '' : at}/node_modules`);
    if (at === '/' || at === '') return paths;
  }
}

/** A path, or the name of a builtin. @param {string} specifier @param {string} importer a URL */
function resolvePath(specifier, importer) {
  const url = moduleResolve(specifier, importer, true);
  return url.startsWith('file:') ? pathOfUrl(url) : url;
}

/** @param {any} module */
function requireOf(module) {
  const require = (/** @type {any} */ specifier) => {
    if (typeof specifier !== 'string') throw codedError('ERR_INVALID_ARG_TYPE', 'require needs a string', TypeError);
    return module.require(specifier);
  };
  defineProperty(require, 'name', { value: 'require' });
  require.resolve = (/** @type {any} */ specifier, /** @type {any} */ options) => {
    if (typeof specifier !== 'string')
      throw codedError('ERR_INVALID_ARG_TYPE', 'require.resolve needs a string', TypeError);
    if (Module.isBuiltin(specifier)) return specifier;
    if (options?.paths === undefined) return resolvePath(specifier, urlOfPath(module.filename ?? `${module.path}/x`));
    /** @type {any} */
    let failure = codedError(
      'MODULE_NOT_FOUND',
      `cannot find the module '${specifier}': there are no paths to look in`,
    );
    for (const path of [...options.paths]) {
      try {
        return resolvePath(specifier, urlOfPath(`${path}/x`));
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  };
  /** @type {any} */ (require.resolve).paths = (/** @type {any} */ specifier) =>
    Module.isBuiltin(specifier) ? null : nodeModulePaths(module.path);
  require.cache = cache;
  require.main = main;
  require.extensions = /** @type {any} */ (Module)._extensions;
  return require;
}

/** @param {string} specifier @param {string} importer a URL @param {any} parent */
function load(specifier, importer, parent) {
  if (specifier === '') throw codedError('ERR_INVALID_ARG_VALUE', 'require needs a name that is not empty', TypeError);
  const url = moduleResolve(specifier, importer, true);
  if (!url.startsWith('file:')) {
    const exports = builtinModule(url, importer);
    return hasOwn(exports, 'default') && url.startsWith('node:') ? exports.default : exports;
  }
  return loadFile(pathOfUrl(url), url, parent);
}

/** The module once more, with __esModule: what was compiled from ES modules asks for `.default` by it. @param {string} url */
function withMark(url) {
  const from = stringify(url);
  const code = `export * from ${from}; export { default } from ${from}; export const __esModule = true;`;
  return requireModule(`data:text/javascript,${encodeURIComponent(code)}`);
}

/** @param {string} path @param {string} url @param {any} parent */
function loadFile(path, url, parent) {
  const known = cache[path];
  if (known !== undefined) {
    if (parent instanceof Module && !parent.children.includes(known)) ArrayPush(parent.children, known);
    return known.exports;
  }
  const format = moduleFormat(path);
  if (format.startsWith('module')) {
    const namespace = requireModule(url);
    if (hasOwn(namespace, 'module.exports')) return namespace['module.exports'];
    return hasOwn(namespace, 'default') && !hasOwn(namespace, '__esModule') ? withMark(url) : namespace;
  }
  const module = new Module(path, parent);
  module.filename = path;
  cache[path] = module;
  let ran = false;
  try {
    const source = sources[path] ?? moduleSource(path, format);
    delete sources[path];
    if (format === 'json') module.exports = parseJson(source, path);
    else run(module, source, path);
    ran = true;
  } finally {
    // One that failed is read anew when it is next asked for.
    if (!ran) delete cache[path];
  }
  module.loaded = true;
  return module.exports;
}

/** @param {string} source @param {string} path */
function parseJson(source, path) {
  try {
    return parse(source.charCodeAt(0) === 0xfeff ? StringSlice(source, 1) : source);
  } catch (error) {
    throw codedError('ERR_INVALID_JSON', `${path}: ${error.message}`, SyntaxError);
  }
}

/** @param {any} module @param {string} source @param {string} path */
function run(module, source, path) {
  const compiled = compileCommonJs(source, urlOfPath(path));
  const { exports } = module;
  applyTo(compiled, exports, [exports, requireOf(module), module, path, module.path]);
}

/** The program itself. @param {string} url @param {string} source */
export function runMain(url, source) {
  const path = pathOfUrl(url);
  main = new Module(path);
  main.id = '.';
  main.filename = path;
  cache[path] = main;
  run(main, source, path);
  main.loaded = true;
}

/** What an import of the CommonJS module `url` gives as its default. @param {string} url */
export const importCommonJs = (url) => loadFile(pathOfUrl(url), url, undefined);

/** require, module and exports for the script of `postern eval`, as globals. @param {string} url */
export function evalScope(url) {
  /** @type {any} */
  let made;
  const module = () => {
    if (made === undefined) {
      made = new Module(pathOfUrl(url));
      made.filename = pathOfUrl(url);
    }
    return made;
  };
  lazyGlobal('require', () => requireOf(module()));
  lazyGlobal('module', module);
  lazyGlobal('exports', () => module().exports);
}

const kMostNames = 10_000; // of one module's exports, over all that it exports again

/** The names that the module's source seems to export, and those of what it exports again. @param {string} url @returns {string[]} */
export function exportNames(url) {
  const names = new Set();
  const seen = new Set();
  const visit = (/** @type {string} */ at) => {
    if (seen.has(at) || names.size > kMostNames) return;
    seen.add(at);
    const path = pathOfUrl(at);
    const format = moduleFormat(path);
    if (format.startsWith('commonjs')) {
      const source = (sources[path] ??= moduleSource(path, format));
      const { exports, reexports } = part('cjs_lexer').names(source);
      for (const name of exports) names.add(name);
      for (const specifier of reexports) {
        let next;
        try {
          next = moduleResolve(specifier, at, true);
        } catch {
          continue; // what is not there fails when it is required, if it is
        }
        if (next.startsWith('file:')) visit(next);
        else for (const name of keys(builtinModule(next, at))) if (name !== 'default') names.add(name);
      }
    } else if (format.startsWith('json')) {
      const value = parseJson(moduleSource(path, format), path);
      if (typeof value === 'object' && value !== null) for (const name of keys(value)) names.add(name);
    }
  };
  visit(url);
  names.delete('default');
  names.delete('module.exports');
  return [...names];
}
