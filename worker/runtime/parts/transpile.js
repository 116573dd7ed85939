// TypeScript and JSX for which taking types out is not enough: TypeScript's own compiler, a file at a time (isolatedModules),
// without libraries and without checking types. build.mjs takes it from the package.
import {
  SyntaxKind,
  createProgram,
  createSourceFile,
  flattenDiagnosticMessageText,
  forEachChild,
  getLineAndCharacterOfPosition,
  isFunctionLike,
} from 'typescript';

// Numbers of TypeScript's own enums, which it inlines.
const kCommonJs = 1,
  kModule = 99; // ModuleKind, as a file's format
const kNodeNext = 199; // ModuleKind: what is written has the file's own format
const kTarget = 12; // ScriptTarget.ES2025: what V8 has stays as it is, and decorators do not
const kLatest = 99; // ScriptTarget
const kTypeOnly = new Set([SyntaxKind.InterfaceDeclaration, SyntaxKind.TypeAliasDeclaration]);
const kJsx = { __proto__: null, react: 2, 'react-jsx': 4, 'react-jsxdev': 5 }; // JsxEmit

const hasModifier = (node, kind) => node.modifiers?.some((modifier) => modifier.kind === kind) === true;

/** Whether a statement is one that only an ES module has, once types are gone. @param {any} node */
function isModuleStatement(node) {
  switch (node.kind) {
    case SyntaxKind.ImportDeclaration:
      return node.importClause?.phaseModifier !== SyntaxKind.TypeKeyword;
    case SyntaxKind.ExportDeclaration:
      return !node.isTypeOnly;
    case SyntaxKind.ExportAssignment:
      return !node.isExportEquals;
    default:
      return (
        hasModifier(node, SyntaxKind.ExportKeyword) &&
        !hasModifier(node, SyntaxKind.DeclareKeyword) &&
        !kTypeOnly.has(node.kind)
      );
  }
}

/** Whether there is an import.meta in a file, or an await that no function is around. @param {any} file */
function needsModule(file) {
  // A list of what is to be looked at, not recursion: expressions may be long chains.
  const work = [[file, false]];
  while (work.length > 0) {
    const [node, inFunction] = work.pop();
    if (node.kind === SyntaxKind.MetaProperty && node.keywordToken === SyntaxKind.ImportKeyword) return true;
    if (!inFunction && (node.kind === SyntaxKind.AwaitExpression || node.awaitModifier !== undefined)) return true;
    const inside = inFunction || isFunctionLike(node) || node.kind === SyntaxKind.PropertyDeclaration;
    forEachChild(node, (child) => void work.push([child, inside]));
  }
  return false;
}

/** What of a tsconfig.json says what is written. @param {any} given @param {any} file @param {boolean} isModule */
function optionsOf(given, file, isModule) {
  const options = {
    module: kNodeNext, target: kTarget, isolatedModules: true, noCheck: true, noLib: true, noResolve: true, sourceMap: true, allowJs: true, alwaysStrict: false,
    esModuleInterop: given.esModuleInterop !== false, suppressOutputPathCheck: true, allowNonTsExtensions: true, types: [], removeComments: false,
    useDefineForClassFields: !given.assignsFields, verbatimModuleSyntax: given.verbatimModuleSyntax === true && isModule,
  }; // prettier-ignore
  for (const name of ['experimentalDecorators', 'emitDecoratorMetadata'])
    if (given[name] === true) options[name] = true;
  for (const name of ['jsxFactory', 'jsxFragmentFactory', 'jsxImportSource'])
    if (typeof given[name] === 'string') options[name] = given[name];
  // Where nobody says how, who names a factory wants it called.
  const classic = options.jsxFactory !== undefined || file.pragmas.has('jsx');
  options.jsx = kJsx[given.jsx] ?? kJsx[classic ? 'react' : 'react-jsx'];
  return options;
}

/**
 * {text, map, isModule} of JavaScript, or {message, line, column}, from 1, of the first error. @param {string} source @param {string} path @param {string} kind
 * "module", "commonjs" or "" where the text says what it is @param {any} given compilerOptions of a tsconfig.json
 */
export function transpile(source, path, kind, given) {
  const withJsx = path.endsWith('x');
  // Its own name is of no importance, and may hold anything.
  const name = `/file${/\.[cm]?[jt]sx?$/.exec(path)?.[0] ?? '.ts'}`;
  const file = createSourceFile(name, source, { languageVersion: kLatest });
  const isModule = kind === 'module' || (kind === '' && (file.statements.some(isModuleStatement) || needsModule(file)));
  file.impliedNodeFormat = isModule ? kModule : kCommonJs;
  // Where JSX needs an import, it is written into modules only.
  if (kind === 'module' || withJsx) file.externalModuleIndicator ??= true;
  const written = {};
  const host = {
    getSourceFile: (asked) => (asked === name ? file : undefined),
    writeFile: (to, text) => (written[to.endsWith('.map') ? 'map' : 'text'] = text),
    getDefaultLibFileName: () => '/lib.d.ts', useCaseSensitiveFileNames: () => true, getCanonicalFileName: (asked) => asked, getCurrentDirectory: () => '/',
    getNewLine: () => '\n', fileExists: (asked) => asked === name, readFile: () => undefined, directoryExists: () => false, getDirectories: () => [],
  }; // prettier-ignore
  const program = createProgram([name], optionsOf(given, file, isModule), host);
  const [error] = program.getSyntacticDiagnostics(file);
  if (error !== undefined) {
    const at = getLineAndCharacterOfPosition(file, error.start);
    return {
      message: flattenDiagnosticMessageText(error.messageText, '; '),
      line: at.line + 1,
      column: at.character + 1,
    };
  }
  program.emit();
  const text = written.text.replace(/\n?\/\/# sourceMappingURL=[^\n]*$/, '');
  return { text, map: written.map, isModule: isModule && file.externalModuleIndicator !== undefined };
}
