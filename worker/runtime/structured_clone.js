// structuredClone (HTML 2.7): of what the language itself has; platform objects are refused.
import { isArrayBuffer } from './primordials.js';
import { DOMException } from './dom_exception.js';

const { clone } = native;

/** @param {any} value @param {any} [options] */
export function structuredClone(value, options) {
  if (arguments.length === 0) throw new TypeError('structuredClone needs a value');
  const transfer = [...(options?.transfer ?? [])];
  for (let i = 0; i < transfer.length; i++) {
    if (!isArrayBuffer(transfer[i]) || transfer[i].detached || transfer.indexOf(transfer[i]) !== i)
      throw new DOMException('Only an ArrayBuffer that is not detached can be transferred, once', 'DataCloneError');
  }
  let failed;
  try {
    return clone(value, transfer);
  } catch (error) {
    failed = error;
  }
  // V8's own words come as a plain Error; what a getter of the guest threw passes through.
  if (
    failed instanceof Error &&
    Object.getPrototypeOf(failed) === Error.prototype &&
    /could not be cloned|DataClone/.test(failed.message)
  ) {
    throw new DOMException(failed.message, 'DataCloneError');
  }
  throw failed;
}
