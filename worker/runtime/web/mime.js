// MIME types (MIME Sniffing standard, section 4): parsing, serialising, and what a list of headers says.
import { ArrayPush, RegExpExec, StringIndexOf, StringLower, StringSlice } from '../core/primordials.js';

/** @typedef {{type: string, subtype: string, parameters: [string, string][]}} MimeType */

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const quotable = /^[\t\x20-\x7e\x80-\xff]*$/;
const edges = /^[\t\n\r ]+|[\t\n\r ]+$/g;
const end = /[\t\n\r ]+$/;

/**
 * An HTTP quoted string from its opening quote on, and where it ends (Fetch standard, section 2.2).
 * @param {string} text @param {number} at @returns {[string, number]}
 */
export function quotedString(text, at) {
  let value = '';
  for (at++; at < text.length; at++) {
    if (text[at] === '"') return [value, at + 1];
    // A backslash at the end stands for itself.
    if (text[at] === '\\' && at + 1 < text.length) at++;
    value += text[at];
  }
  return [value, at];
}

/** @param {string} input @returns {MimeType | null} */
export function parseMimeType(input) {
  input = input.replace(edges, '');
  const slash = StringIndexOf(input, '/');
  if (slash < 0) return null;
  const type = StringSlice(input, 0, slash);
  let at = StringIndexOf(input, ';', slash);
  if (at < 0) at = input.length;
  const subtype = StringSlice(input, slash + 1, at).replace(end, '');
  if (RegExpExec(token, type) === null || RegExpExec(token, subtype) === null) return null;
  /** @type {[string, string][]} */
  const parameters = [];
  while (at < input.length) {
    at++;
    while (at < input.length && StringIndexOf('\t\n\r ', input[at]) >= 0) at++;
    let from = at;
    while (at < input.length && input[at] !== ';' && input[at] !== '=') at++;
    const name = StringLower(StringSlice(input, from, at));
    if (at >= input.length) break;
    if (input[at] === ';') continue;
    at++;
    let value;
    if (input[at] === '"') {
      [value, at] = quotedString(input, at);
      while (at < input.length && input[at] !== ';') at++;
    } else {
      from = at;
      while (at < input.length && input[at] !== ';') at++;
      value = StringSlice(input, from, at).replace(end, '');
      if (value === '') continue;
    }
    if (RegExpExec(token, name) === null || RegExpExec(quotable, value) === null) continue;
    if (parameterOf({ parameters }, name) === undefined) ArrayPush(parameters, [name, value]);
  }
  return { type: StringLower(type), subtype: StringLower(subtype), parameters };
}

/** @param {{parameters: [string, string][]}} mime @param {string} name @returns {string | undefined} */
export function parameterOf({ parameters }, name) {
  for (let i = 0; i < parameters.length; i++) if (parameters[i][0] === name) return parameters[i][1];
  return undefined;
}

/** @param {MimeType} mime */
export const essenceOf = (mime) => `${mime.type}/${mime.subtype}`;

/** @param {MimeType} mime */
export function serializeMimeType(mime) {
  let text = essenceOf(mime);
  for (let i = 0; i < mime.parameters.length; i++) {
    const [name, value] = mime.parameters[i];
    text += `;${name}=${RegExpExec(token, value) === null ? `"${value.replace(/["\\]/g, '\\$&')}"` : value}`;
  }
  return text;
}

/** The values of a header as the list that its commas separate (Fetch: get, decode, and split). @param {string} text */
function splitValues(text) {
  const values = [];
  let value = '';
  for (let at = 0; ;) {
    const from = at;
    while (at < text.length && text[at] !== '"' && text[at] !== ',') at++;
    value += StringSlice(text, from, at);
    if (at < text.length && text[at] === '"') {
      const start = at;
      [, at] = quotedString(text, at);
      value += StringSlice(text, start, at);
      if (at < text.length) continue;
    }
    ArrayPush(values, value.replace(edges, ''));
    if (at >= text.length) return values;
    value = '';
    at++;
  }
}

/** Fetch's extract a MIME type. @param {string | null} contentType all values, as Headers.get gives them @returns {MimeType | null} */
export function extractMimeType(contentType) {
  if (contentType === null) return null;
  /** @type {MimeType | null} */
  let mime = null;
  let charset;
  for (const value of splitValues(contentType)) {
    const next = parseMimeType(value);
    if (next === null || essenceOf(next) === '*/*') continue;
    if (mime === null || essenceOf(next) !== essenceOf(mime)) charset = parameterOf(next, 'charset');
    else if (parameterOf(next, 'charset') === undefined && charset !== undefined)
      ArrayPush(next.parameters, ['charset', charset]);
    mime = next;
  }
  return mime;
}
