// TypeScript and JSX to JavaScript. Types are taken out: what they stand on becomes spaces, so that every position stays where it
// was. A file for which that is not enough (enums, namespaces with values, decorators, JSX, …) goes through parts/transpile.js.
import { parse } from '@babel/parser';
import { codedError } from '../core/coded_error.js';
import { part } from '../core/lazy_part.js';

/** Thrown where types cannot just be taken out. */
class NeedsMore {
  /** @param {any} node */
  constructor(node) {
    this.at = node.loc.start;
  }
}

const targets = ['es3', 'es5', 'es6', 'es2015', 'es2016', 'es2017', 'es2018', 'es2019', 'es2020', 'es2021'];

/** Whether fields of classes are assigned in the constructor, as before ES2022. @param {any} options of a tsconfig.json */
function assignsFields(options) {
  if (typeof options.useDefineForClassFields === 'boolean') return !options.useDefineForClassFields;
  return targets.includes(`${options.target}`.toLowerCase());
}

/**
 * [text, source map or "", whether it has statements of an ES module], or [message, line, column] of a syntax error, from 1.
 * @param {string} source @param {string} path @param {string} url @param {string} kind "module", "commonjs", or "" where the text says it
 * @param {string} compilerOptions of a tsconfig.json, as JSON
 */
export function compile(source, path, url, kind, compilerOptions) {
  const given = JSON.parse(compilerOptions);
  const options = { ...given, assignsFields: assignsFields(given) };
  if (!path.endsWith('x')) {
    try {
      return strip(source, path, kind, options);
    } catch (error) {
      // What one parser does not know the other may, or not know how deep; and its errors are those that people know.
      if (!(error instanceof NeedsMore || error instanceof RangeError) && error?.loc === undefined) throw error;
    }
  }
  const made = part('transpile').transpile(source, path, kind, options);
  if (made.text === undefined) return [made.message, made.line, made.column];
  const map = {
    ...JSON.parse(made.map),
    file: undefined,
    sourceRoot: undefined,
    sources: [url],
    sourcesContent: [source],
  };
  return [made.text, JSON.stringify(map), made.isModule];
}

/** node:module's stripTypeScriptTypes: types are taken out, and no more. @param {string} source @param {string} path */
export function stripTypes(source, path) {
  try {
    return strip(source, path, '', { verbatimModuleSyntax: true })[0];
  } catch (error) {
    const at = error?.loc ?? error?.at;
    if (at === undefined) throw error;
    const needsMore = error instanceof NeedsMore;
    const message = needsMore
      ? 'this needs other code, and not only no types'
      : error.message.replace(/ \(\d+:\d+\)$/, '');
    const code = needsMore ? 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX' : 'ERR_INVALID_TYPESCRIPT_SYNTAX';
    throw codedError(code, `${path}:${at.line}:${at.column + 1}: ${message}`, SyntaxError);
  }
}

/** The names in a pattern that declares some; among them may be others. @param {any} node @returns {Generator<string>} */
function* namesIn(node) {
  if (node.type === 'Identifier') yield node.name;
  else
    for (const key of ['properties', 'elements', 'value', 'argument', 'left'])
      for (const inner of [node[key] ?? []].flat()) if (inner !== null) yield* namesIn(inner);
}

/** Names of what is there for types only, and of what is used as a value. @param {any} program */
function namesOf(program) {
  const types = new Set();
  const values = new Set();
  const used = new Set();
  for (const statement of program.body) {
    const declared = statement.declaration ?? statement;
    if (/^TS(?:Interface|TypeAlias)Declaration$/.test(declared.type)) types.add(declared.id.name);
    else if (declared.id?.name !== undefined) values.add(declared.id.name);
    for (const { id } of declared.declarations ?? []) for (const name of namesIn(id)) values.add(name);
    if (statement.type === 'ImportDeclaration')
      for (const specifier of statement.specifiers) values.add(specifier.local.name);
  }
  const kOfValues = /^TS(?:As|Satisfies|NonNull|Instantiation)Expression$|^TSTypeAssertion$/;
  const visit = (/** @type {any} */ node) => {
    if (node.type === 'Identifier') return void used.add(node.name);
    if (node.type === 'ImportDeclaration' || (node.type.startsWith('TS') && !kOfValues.test(node.type))) return;
    if (node.type === 'ExportNamedDeclaration' && (node.exportKind === 'type' || node.source)) return;
    for (const key of Object.keys(node)) {
      const isName = (key === 'property' || key === 'key') && !node.computed;
      if (
        isName ||
        key === 'implements' ||
        key === 'exported' ||
        key === 'loc' ||
        key === 'extra' ||
        key === 'errors' ||
        key === 'label'
      )
        continue;
      const value = node[key];
      if (Array.isArray(value)) {
        for (const item of value) if (typeof item?.type === 'string') visit(item);
      } else if (typeof value?.type === 'string') visit(value);
    }
  };
  for (const statement of program.body) visit(statement);
  for (const name of values) types.delete(name);
  return { types, used };
}

/** [text, "", whether it has statements of an ES module]. @param {string} source @param {string} path @param {string} kind @param {any} given */
function strip(source, path, kind, given) {
  const options = {
    sourceType: path.endsWith('.cts') ? 'script' : 'unambiguous',
    allowReturnOutsideFunction: true,
    allowAwaitOutsideFunction: true,
    errorRecovery: false,
    attachComment: false,
    tokens: true,
    plugins: [
      ['typescript', { dts: false }],
      'decorators',
      'decoratorAutoAccessors',
      'explicitResourceManagement',
      'importAttributes',
      'sourcePhaseImports',
    ],
  };
  const tree = parse(source, /** @type {any} */ (options));
  const { types, used } = namesOf(tree.program);
  let isModule = false;
  /** A statement of an ES module, which CommonJS has none of. */
  const noteModule = (/** @type {any} */ node) => {
    if (kind === 'commonjs') throw new NeedsMore(node);
    isModule = true;
  };
  const blanks = []; // [from, to, what stands there instead]
  const blank = (from, to, instead = '') => blanks.push([from, to, instead]);
  const tokens = tree.tokens;

  /** The token that begins at or after `position`. */
  const tokenFrom = (position) => {
    let low = 0,
      high = tokens.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (tokens[middle].start < position) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const isToken = (token, text) => token !== undefined && source.slice(token.start, token.end) === text;
  /** Takes a comma after `end` too. */
  const withComma = (end) => {
    const next = tokens[tokenFrom(end)];
    return isToken(next, ',') ? next.end : end;
  };
  /** Takes out the words `words` that stand between `from` and `to`. */
  const blankWords = (from, to, words) => {
    for (let i = tokenFrom(from); i < tokens.length && tokens[i].start < to; i++)
      if (words.includes(source.slice(tokens[i].start, tokens[i].end))) blank(tokens[i].start, tokens[i].end);
  };
  /** A statement that goes: where the one before has no semicolon, one must stand there. */
  const blankStatement = (node) => blank(node.start, node.end, ';');

  const modifiers = ['public', 'private', 'protected', 'readonly', 'override', 'abstract', 'declare'];
  const refuse = (/** @type {any} */ node) => {
    throw new NeedsMore(node);
  };

  /** @param {any} node @param {any} parent */
  function visit(node, parent) {
    if (node.decorators?.length > 0) refuse(node);
    switch (node.type) {
      case 'TSTypeAnnotation':
      case 'TSTypeParameterDeclaration':
      case 'TSTypeParameterInstantiation':
      case 'TSTypeParameters':
        blank(node.start, node.end);
        return;
      case 'TSInterfaceDeclaration':
      case 'TSTypeAliasDeclaration':
      case 'TSDeclareFunction':
        blankStatement(node);
        return;
      case 'TSEnumDeclaration':
        if (!node.declare) refuse(node);
        blankStatement(node);
        return;
      case 'TSModuleDeclaration':
        if (!node.declare && !onlyTypes(node)) refuse(node);
        blankStatement(node);
        return;
      case 'TSImportEqualsDeclaration':
        if (node.importKind !== 'type') refuse(node);
        blankStatement(node);
        return;
      case 'TSExportAssignment':
        refuse(node);
        return;
      case 'TSNamespaceExportDeclaration':
        blankStatement(node);
        return;
      case 'TSParameterProperty':
        refuse(node);
        return;
      case 'TSAsExpression':
      case 'TSSatisfiesExpression':
        visit(node.expression, node);
        blank(node.expression.extra?.parenthesized ? closingAfter(node.expression) : node.expression.end, node.end);
        return;
      case 'TSNonNullExpression':
        visit(node.expression, node);
        blank(node.end - 1, node.end);
        return;
      case 'TSTypeAssertion':
        blank(
          node.start,
          node.expression.extra?.parenthesized ? node.expression.extra.parenStart : node.expression.start,
        );
        visit(node.expression, node);
        return;
      case 'TSInstantiationExpression':
        visit(node.expression, node);
        blank(node.expression.end, node.end);
        return;
      case 'ImportDeclaration':
        if (node.importKind === 'type') return void blankStatement(node);
        noteModule(node);
        blankImports(node);
        return;
      case 'ExportNamedDeclaration':
        if (node.exportKind === 'type') return void blankStatement(node);
        if (node.declaration && goes(node.declaration)) return void blankStatement(node);
        noteModule(node);
        blankExports(node);
        if (!node.declaration) return;
        break;
      case 'ExportDefaultDeclaration':
        if (goes(node.declaration)) return void blankStatement(node);
        noteModule(node);
        if (node.declaration.type === 'Identifier' && types.has(node.declaration.name))
          return void blankStatement(node);
        break;
      case 'ExportAllDeclaration':
        if (node.exportKind === 'type') return void blankStatement(node);
        noteModule(node);
        break;
      case 'VariableDeclaration':
        if (node.declare) return void blankStatement(node);
        break;
      case 'VariableDeclarator':
        if (node.definite)
          blankWords(node.id.typeAnnotation ? node.start : node.id.end, node.id.typeAnnotation?.start ?? node.end, [
            '!',
          ]);
        break;
      case 'ClassDeclaration':
      case 'ClassExpression':
        if (node.declare) return void blankStatement(node);
        if (node.abstract) blankWords(node.start, node.id?.start ?? node.body.start, ['abstract']);
        if (node.implements?.length > 0) {
          const first = node.implements[0].start;
          let i = tokenFrom(first) - 1;
          while (!isToken(tokens[i], 'implements')) i--;
          blank(tokens[i].start, node.body.start);
          node.implements = [];
        }
        break;
      case 'TSAbstractMethodDefinition':
      case 'TSDeclareMethod':
      case 'TSIndexSignature':
      case 'TSAbstractPropertyDefinition':
      case 'TSAbstractClassProperty':
        blank(node.start, node.end, ';');
        return;
      case 'ClassAccessorProperty':
        if (node.abstract) return void blank(node.start, node.end, ';');
        return refuse(node);
      case 'ClassProperty':
      case 'ClassPrivateProperty':
        if (node.declare || node.abstract) return void blank(node.start, node.end, ';');
        if (given.assignsFields) refuse(node);
        blankModifiers(node);
        if (node.optional || node.definite) {
          const keyEnd = node.computed ? closingAfter(node.key, ']') : node.key.end;
          blankWords(keyEnd, node.typeAnnotation?.start ?? node.value?.start ?? node.end, ['?', '!']);
        }
        break;
      case 'ClassMethod':
      case 'ClassPrivateMethod':
        blankModifiers(node);
        if (node.optional) blankWords(node.key.end, node.body.start, ['?']);
        break;
      case 'Identifier':
      case 'ObjectPattern':
      case 'ArrayPattern':
        if (node.optional)
          blankWords(
            node.type === 'Identifier' ? node.start + node.name.length : node.start,
            node.typeAnnotation?.start ?? node.end,
            ['?'],
          );
        break;
      default:
    }
    // A function's "this" is a parameter for types only.
    if (Array.isArray(node.params) && node.params[0]?.type === 'Identifier' && node.params[0].name === 'this') {
      blank(node.params[0].start, withComma(node.params[0].end));
      node.params = node.params.slice(1);
    }
    if (/Function|Method/.test(node.type) && node.returnType && node.type === 'ArrowFunctionExpression')
      keepArrow(node);
    for (const key of Object.keys(node)) {
      if (key === 'loc' || key === 'tokens' || key === 'extra' || key === 'errors' || key === 'comments') continue;
      const value = node[key];
      if (Array.isArray(value)) {
        for (const item of value) if (typeof item?.type === 'string') visit(item, node);
      } else if (typeof value?.type === 'string') visit(value, node);
    }
    void parent;
  }

  /** The types of an arrow function may reach over lines; its ")" must stay on the line of "=>". */
  function keepArrow(node) {
    const type = node.returnType;
    if (type.loc.start.line === type.loc.end.line) return;
    let i = tokenFrom(type.start) - 1;
    while (!isToken(tokens[i], ')')) i--;
    blank(tokens[i].start, tokens[i].end);
    let arrow = tokenFrom(type.end);
    while (!isToken(tokens[arrow], '=>')) arrow++;
    blanks.push([type.start, type.end - 1, '']);
    blank(type.end - 1, type.end, ')');
    node.returnType = null;
  }

  /** Where a token closes what `node` stands in. */
  function closingAfter(node, text = ')') {
    let i = tokenFrom(node.end);
    while (!isToken(tokens[i], text)) i++;
    return tokens[i].end;
  }
  function blankModifiers(node) {
    const end = node.key.start;
    const from = node.decorators?.length > 0 ? node.decorators.at(-1).end : node.start;
    blankWords(from, end, modifiers);
  }
  /** What is imported for its type goes, and so does an import of which nothing is left: as in TypeScript itself. */
  function blankImports(node) {
    const { specifiers } = node;
    const verbatim = given.verbatimModuleSyntax === true;
    const unused = (specifier) => specifier.importKind === 'type' || (!verbatim && !used.has(specifier.local.name));
    if (!verbatim && specifiers.length > 0 && specifiers.every(unused)) return void blankStatement(node);
    const [first, ...others] = specifiers;
    // "import a, { b }" without one of the two has no comma.
    if (first?.type === 'ImportDefaultSpecifier' && others.length > 0) {
      const last = others.at(-1);
      if (unused(first)) blank(first.start, withComma(first.end));
      else if (others.every(unused))
        blank(first.end, last.type === 'ImportSpecifier' ? closingAfter(last, '}') : last.end);
    }
    for (const specifier of specifiers)
      if (specifier.type === 'ImportSpecifier' && unused(specifier)) blank(specifier.start, withComma(specifier.end));
  }
  function blankExports(node) {
    for (const specifier of node.specifiers ?? [])
      if (specifier.exportKind === 'type' || (!node.source && types.has(specifier.local?.name)))
        blank(specifier.start, withComma(specifier.end));
  }
  /** Whether a declaration is types only. */
  function goes(node) {
    return (
      /^TS(?:Interface|TypeAlias)Declaration$|^TSDeclareFunction$/.test(node.type) ||
      Boolean(node.declare) ||
      (node.type === 'TSModuleDeclaration' && onlyTypes(node))
    );
  }
  function onlyTypes(node) {
    if (node.body.type === 'TSModuleDeclaration') return onlyTypes(node.body);
    return node.body.body.every((statement) => {
      const inner =
        statement.type === 'ExportNamedDeclaration' && statement.declaration ? statement.declaration : statement;
      return goes(inner) || (statement.type === 'ExportNamedDeclaration' && statement.exportKind === 'type');
    });
  }

  visit(tree.program, null);
  blanks.sort(([a], [b]) => a - b);
  let out = '';
  let at = 0;
  for (const [from, to, instead] of blanks) {
    if (to <= at) continue;
    const start = Math.max(from, at);
    out += source.slice(at, start);
    const spaces = source.slice(start, to).replace(/[^\r\n\u2028\u2029]/g, ' ');
    out +=
      instead === '' || from < at || spaces.length === 0
        ? spaces
        : instead === ')'
          ? `${spaces.slice(0, -1)})`
          : instead + spaces.slice(1);
    at = to;
  }
  return [out + source.slice(at), '', isModule];
}
