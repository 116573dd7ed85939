// How an error that nobody caught is told to the C++ side.
import {
  ArrayPush,
  MapGet,
  MapSet,
  StringIndexOf,
  StringSlice,
  StringStartsWith,
  applyTo,
  defineProperty,
} from './primordials.js';
import { codedError } from './coded_error.js';
import { colours, inspect } from './inspect.js';
import { part } from './lazy_part.js';

const defaultPrepare = Error.prepareStackTrace;
const errorToString = Error.prototype.toString;

/**
 * V8 asks this for an error's `stack`: the runtime's own frames are left out, and a guest's
 * Error.prepareStackTrace is asked as usual.
 * @param {any} error @param {any[]} sites
 */
export function prepareStackTrace(error, sites) {
  /** @type {any[]} */
  const shown = [];
  for (let i = 0; i < sites.length; i++) {
    const name = sites[i].getScriptNameOrSourceURL();
    if (typeof name !== 'string' || !StringStartsWith(name, 'postern:')) ArrayPush(shown, sites[i]);
  }
  const prepare = Error.prepareStackTrace;
  if (typeof prepare === 'function' && prepare !== defaultPrepare) return applyTo(prepare, Error, [error, shown]);
  let text;
  try {
    text = applyTo(errorToString, error, []);
  } catch {
    text = 'Error';
  }
  let isFirst = true;
  for (let i = 0; i < shown.length; i++) {
    const frame = frameText(shown[i], isFirst ? error : undefined);
    if (frame === undefined) continue;
    isFirst = false;
    text += `\n    at ${frame}`;
  }
  return text;
}

/** By URL of a script: (line, column) to where that was written, or null. @type {Map<string, any>} */
const maps = new Map();
/** Where an error was made, in what was written. @type {WeakMap<any, any>} */
const origins = new WeakMap();

/** Where that was written which is at a place of a script; undefined where it is what was written. @param {string} url @param {number} line @param {number} column */
function originalOf(url, line, column) {
  if (MapGet(maps, url) === undefined) {
    const where = native.sourceMapOf(url);
    MapSet(maps, url, where ? part('source_map').openSourceMap(url, where) : null);
  }
  return MapGet(maps, url)?.(line, column);
}

/** Whether a program's own source maps count in the `stack` that it sees. */
let ownMaps = false;
/** @param {boolean} on */
export function useOwnMaps(on) {
  ownMaps = on;
}
export const usesOwnMaps = () => ownMaps;
/** Whether the stack says where that was written which is in a script. @param {string} url */
const isMapped = (url) => ownMaps || isTranslated(url);
/** Whether Postern wrote the script: its map is there itself. @param {string} url */
const isTranslated = (url) => StringStartsWith(native.sourceMapOf(url) ?? '', '{');

/**
 * A frame. Of what Postern itself translated (TypeScript, JSX) it is at its place in what was written, and undefined in what was added; a
 * program's own source map counts in what Postern prints (inWhatWasWritten), and here where the program asks for that, as in Node: programs find their files by their stack.
 * @param {any} site @param {any} error whose first frame it is
 */
function frameText(site, error) {
  const text = site.toString();
  const url = site.getScriptNameOrSourceURL();
  if (typeof url !== 'string' || !isMapped(url)) return text;
  const original = originalOf(url, site.getLineNumber(), site.getColumnNumber());
  if (original === undefined) return isTranslated(url) ? undefined : text;
  if (error !== undefined && typeof error === 'object' && error !== null) origins.set(error, original);
  const place = `${url}:${site.getLineNumber()}:${site.getColumnNumber()}`;
  const at = StringIndexOf(text, place);
  if (at < 0) return text;
  return `${StringSlice(text, 0, at)}${original.source}:${original.line}:${original.column}${StringSlice(text, at + place.length)}`;
}

/**
 * The error of a text that is not what it should be, which shows its place as others do.
 * @param {string} code @param {string} message @param {string} url @param {number} line from 1 @param {number} column @param {string} text the line
 */
export function sourceError(code, message, url, line, column, text) {
  const error = codedError(code, message, SyntaxError);
  defineProperty(error, 'stack', {
    value: `SyntaxError: ${message}`,
    writable: true,
    configurable: true,
    enumerable: false,
  });
  origins.set(error, { source: url, line, column, text });
  return error;
}

const kMostMapped = 1000; // frames of a text
const kFrame = /^( +at [^\n]*?)((?:file|data):[^\n]*?):(\d+):(\d+)/gm;
/** An error's text, with the places of its frames in what was written. @param {string} text @param {(place: any) => void} [first] is told of the first frame's, where that has one */
function inWhatWasWritten(text, first) {
  let frames = 0;
  return text.replace(kFrame, (frame, before, url, line, column) => {
    if (frames++ >= kMostMapped || isMapped(url)) return frame;
    const original = originalOf(url, Number(line), Number(column));
    if (original === undefined) return frame;
    if (frames === 1) first?.(original);
    return `${before}${original.source}:${original.line}:${original.column}`;
  });
}

/** As the C++ side shows where an error comes from; empty where it does that itself. @param {any} error */
function excerpt(error) {
  let origin = typeof error === 'object' && error !== null ? origins.get(error) : undefined;
  if (origin === undefined) inWhatWasWritten(`${error.stack}`, (place) => (origin = place));
  return excerptOf(origin);
}

/** The same of a place of a script. @param {string} url @param {number} line @param {number} column */
export function excerptAt(url, line, column) {
  return excerptOf(originalOf(url, line, column));
}

/** ":line:column" of a place of a script, in what was written; "" where that was added. @param {string} url @param {number} line @param {number} column */
export function placeOf(url, line, column) {
  if (!isTranslated(url)) return `:${line}:${column}`;
  const original = originalOf(url, line, column);
  return original === undefined ? '' : `:${original.line}:${original.column}`;
}

/** @param {any} origin */
function excerptOf(origin) {
  if (origin === undefined || typeof origin.text !== 'string' || origin.text.length > 200) return '';
  const { source, line, column, text } = origin;
  let indent = '';
  for (let i = 0; i < column - 1; i++) indent += text[i] === '\t' ? '\t' : ' ';
  return `${source}:${line}:${column}\n${text}\n${indent}^\n\n`;
}

/** @param {() => any} get */
function safely(get) {
  try {
    const value = get();
    return value === undefined || value === null ? '' : `${value}`;
  } catch {
    return '';
  }
}

const kShownDepth = 5; // of what nobody caught, as in Node

/** [name, message, stack, code, cause.message, as it is printed, where it comes from]. @param {any} error */
export function describeError(error) {
  const isError = safely(() => error instanceof Error) === 'true' || safely(() => typeof error?.stack) === 'string';
  let shown =
    safely(() => inspect(error, { colors: colours.err, depth: kShownDepth })) ||
    safely(() => String(error)) ||
    'an error that cannot be shown';
  // An error without frames, as a syntax error is: inspect puts it into brackets.
  const stack = safely(() => error.stack);
  if (isError && StringStartsWith(shown, `[${stack}]`)) shown = stack + StringSlice(shown, stack.length + 2);
  if (!isError)
    return [
      '',
      safely(() => (typeof error === 'string' ? error : inspect(error))),
      '',
      '',
      '',
      `Uncaught ${shown}`,
      '',
    ];
  return [
    safely(() => error.name),
    safely(() => error.message),
    safely(() => inWhatWasWritten(`${error.stack}`)),
    safely(() => error.cause?.posternCode ?? error.cause?.code ?? error.code),
    safely(() => error.cause?.message),
    safely(() => inWhatWasWritten(shown)) || shown,
    safely(() => excerpt(error)),
  ];
}

/** An error for a rejection with what is none; undefined where `reason` can speak for itself. @param {any} reason */
export function rejectionError(reason) {
  if (safely(() => typeof reason?.stack) === 'string') return undefined;
  const error = /** @type {any} */ (
    new Error(`a promise was rejected with ${safely(() => inspect(reason))}, and nothing handles that`)
  );
  error.name = 'UnhandledPromiseRejection';
  error.code = 'ERR_UNHANDLED_REJECTION';
  error.stack = `${error.name}: ${error.message}`;
  return error;
}
