// TypeScript by taking its types out: what they stand on becomes spaces, so that every position stays where it was. What would
// need other code to be written (enums, namespaces with values, parameter properties) is refused, as Node does.
import { codedError } from '../coded_error.js';
import { parse } from '@babel/parser';

/** @param {string} message @param {string} path @param {{line: number, column: number}} at */
function failure(message, path, at) {
  return codedError(
    'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX',
    `${path}:${at.line}:${at.column + 1}: ${message}`,
    SyntaxError,
  );
}

/** @param {string} source @param {string} path */
export function stripTypes(source, path) {
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
      'explicitResourceManagement',
      'importAttributes',
      'sourcePhaseImports',
    ],
  };
  let tree;
  try {
    tree = parse(source, /** @type {any} */ (options));
  } catch (error) {
    if (error?.loc === undefined) throw error;
    throw Object.assign(failure(error.message.replace(/ \(\d+:\d+\)$/, ''), path, error.loc), {
      code: 'ERR_INVALID_TYPESCRIPT_SYNTAX',
    });
  }
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
  const refuse = (what, node) => {
    throw failure(`${what} cannot be run by taking types out; write it in JavaScript`, path, node.loc.start);
  };

  /** @param {any} node @param {any} parent */
  function visit(node, parent) {
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
        if (!node.declare) refuse('an enum', node);
        blankStatement(node);
        return;
      case 'TSModuleDeclaration':
        if (!node.declare && !onlyTypes(node)) refuse('a namespace with values', node);
        blankStatement(node);
        return;
      case 'TSImportEqualsDeclaration':
        if (node.importKind !== 'type') refuse('import … = …', node);
        blankStatement(node);
        return;
      case 'TSExportAssignment':
        refuse('export = …', node);
        return;
      case 'TSNamespaceExportDeclaration':
        blankStatement(node);
        return;
      case 'TSParameterProperty':
        refuse('a parameter property', node);
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
        blankSpecifiers(node);
        return;
      case 'ExportNamedDeclaration':
        if (node.exportKind === 'type') return void blankStatement(node);
        if (node.declaration !== null && goes(node.declaration)) return void blankStatement(node);
        blankSpecifiers(node);
        break;
      case 'ExportDefaultDeclaration':
        if (goes(node.declaration)) return void blankStatement(node);
        break;
      case 'ExportAllDeclaration':
        if (node.exportKind === 'type') return void blankStatement(node);
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
      case 'ClassProperty':
      case 'ClassAccessorProperty':
      case 'ClassPrivateProperty':
        if (node.declare || node.abstract) return void blank(node.start, node.end, ';');
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
  function blankSpecifiers(node) {
    for (const specifier of node.specifiers ?? [])
      if (specifier.importKind === 'type' || specifier.exportKind === 'type')
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
  return out + source.slice(at);
}
