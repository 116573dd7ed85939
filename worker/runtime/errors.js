// How an error that nobody caught is told to the C++ side.
import { inspect } from './inspect.js';

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
  const shown = safely(() => inspect(error)) || safely(() => String(error)) || 'an error that cannot be shown';
  if (!isError) return ['', safely(() => (typeof error === 'string' ? error : inspect(error))), '', '', '', `Uncaught ${shown}`];
  return [safely(() => error.name), safely(() => error.message), safely(() => error.stack),
    safely(() => error.cause?.code ?? error.code), safely(() => error.cause?.message), shown];
}
