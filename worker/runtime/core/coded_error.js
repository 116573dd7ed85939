// Errors as Node has them: with a code for programs beside the words for people.

/** @param {string} code @param {string} message @param {any} [Kind] @returns {any} */
export function codedError(code, message, Kind = Error) {
  const error = new Kind(message);
  error.code = code;
  return error;
}
