// How an error that nobody caught is told to the C++ side.
import { ArrayPush, StringSlice, StringStartsWith, applyTo } from './primordials.js';
import { inspect } from './inspect.js';

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
  for (let i = 0; i < shown.length; i++) text += `\n    at ${shown[i].toString()}`;
  return text;
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

/** [name, message, stack, cause.code, cause.message, as it is printed]. @param {any} error */
export function describeError(error) {
  const isError = safely(() => error instanceof Error) === 'true' || safely(() => typeof error?.stack) === 'string';
  let shown = safely(() => inspect(error)) || safely(() => String(error)) || 'an error that cannot be shown';
  // An error without frames, as a syntax error is: inspect puts it into brackets.
  const stack = safely(() => error.stack);
  if (isError && StringStartsWith(shown, `[${stack}]`)) shown = stack + StringSlice(shown, stack.length + 2);
  if (!isError)
    return ['', safely(() => (typeof error === 'string' ? error : inspect(error))), '', '', '', `Uncaught ${shown}`];
  return [
    safely(() => error.name),
    safely(() => error.message),
    safely(() => error.stack),
    safely(() => error.cause?.code ?? error.code),
    safely(() => error.cause?.message),
    shown,
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
