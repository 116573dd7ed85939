// Which names a CommonJS module exports, as its source tells. The lexer's form without WebAssembly, which may not be there.
import lexer from '../../../node_modules/cjs-module-lexer/lexer.js';

/** @param {string} source @returns {{exports: Iterable<string>, reexports: Iterable<string>}} */
export function names(source) {
  try {
    return lexer.parse(source);
  } catch {
    return { exports: [], reexports: [] }; // what does not parse says so when it is compiled
  }
}
