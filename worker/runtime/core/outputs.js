// Standard output and standard error as a program has them: streams whose `write` it may replace.

/** By descriptor, once they are made. @type {{stream: any, write: Function}[]} */
const outputs = [];

/** @param {number} fd @param {any} stream */
export function noteOutput(fd, stream) {
  outputs[fd] = { stream, write: stream.write };
}

/** Where a program has put a `write` of its own in the place of the stream's, that gets what console says: whether there is one. @param {number} fd @param {string} text */
export function writeByProgram(fd, text) {
  const made = outputs[fd];
  if (made === undefined || made.stream.write === made.write) return false;
  try {
    made.stream.write(text, 'utf8');
  } catch (error) {
    if (error instanceof RangeError) throw error; // the stack's end; as in Node console keeps any other for itself
  }
  return true;
}
