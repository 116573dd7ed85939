// Source maps (ECMA-426): from a position in what runs to the one in what was written.

const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const valueOf = new Map([...digits].map((digit, value) => [digit, value]));

/** The segments of each line: [column, source, line, column there, name], by column. @param {string} mappings */
function decode(mappings) {
  const lines = [[]];
  let source = 0,
    line = 0,
    column = 0,
    name = 0,
    here = 0,
    at = 0;
  const number = () => {
    let value = 0;
    for (let shift = 0; ; shift += 5) {
      const digit = valueOf.get(mappings[at++]);
      if (digit === undefined || shift > 30) throw new Error('the mappings are damaged');
      value += (digit & 31) * 2 ** shift;
      if ((digit & 32) === 0) return value % 2 === 1 ? -Math.floor(value / 2) : value / 2;
    }
  };
  const segmentEnds = () => at >= mappings.length || mappings[at] === ',' || mappings[at] === ';';
  while (at < mappings.length) {
    if (mappings[at] === ';') {
      lines.push([]);
      here = 0;
      at++;
    } else if (mappings[at] === ',') at++;
    else {
      here += number();
      if (segmentEnds()) lines.at(-1).push([here]);
      else {
        source += number();
        line += number();
        column += number();
        const segment = [here, source, line, column];
        if (!segmentEnds()) segment.push((name += number()));
        lines.at(-1).push(segment);
      }
    }
  }
  for (const segments of lines) segments.sort(([a], [b]) => a - b);
  return lines;
}

/**
 * A function of (line, column), from 1, that gives {source, line, column, name, text} or undefined.
 * @param {string} url of the script @param {string} where its map is: itself, a data: URL, or a reference to a file
 */
export function openSourceMap(url, where) {
  let text, base;
  try {
    if (where.startsWith('{')) {
      text = where;
      base = url;
    } else if (where.startsWith('data:')) {
      const comma = where.indexOf(',');
      const data = where.slice(comma + 1);
      const bytes = /;base64$/i.test(where.slice(0, comma))
        ? Uint8Array.from(native.atob(data) ?? '', (c) => c.charCodeAt(0))
        : native.utf8Encode(decodeURIComponent(data));
      text = native.utf8Decode(bytes, false);
      base = url;
    } else {
      base = new URL(where, url).href;
      text = native.readText(native.pathOfUrl(base));
    }
    const map = JSON.parse(text);
    const lines = decode(map.mappings);
    const root = map.sourceRoot ? `${map.sourceRoot.replace(/\/$/, '')}/` : '';
    const sources = map.sources.map((source) => URL.parse(`${root}${source}`, base)?.href ?? `${source}`);
    return (line, column) => {
      const segments = lines[line - 1];
      if (segments === undefined) return undefined;
      let found;
      for (const segment of segments) {
        if (segment[0] > column - 1) break;
        found = segment;
      }
      if (found === undefined || found.length === 1) return undefined;
      const content = map.sourcesContent?.[found[1]] ?? native.readText(native.pathOfUrl(sources[found[1]]));
      return {
        source: sources[found[1]],
        line: found[2] + 1,
        column: found[3] + 1,
        name: found[4] === undefined ? undefined : map.names?.[found[4]],
        text: content?.split(/\r?\n/)[found[2]],
      };
    };
  } catch {
    return null; // a damaged map is no map
  }
}
