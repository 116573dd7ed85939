// Random identifiers, from the kernel's source: a fork must not repeat its parent.
const { random } = native;

/** RFC 9562 section 5.4. */
export function randomUUID() {
  const b = new Uint8Array(16);
  random(b);
  b[6] = (b[6] & 0x0f) | 0x40;
  b[8] = (b[8] & 0x3f) | 0x80;
  let text = '';
  for (let i = 0; i < 16; i++)
    text += (i === 4 || i === 6 || i === 8 || i === 10 ? '-' : '') + (b[i] + 256).toString(16).slice(1);
  return text;
}
