// Puts the page's parts together, with the hashes that its Content-Security-Policy allows: build.mjs OUTPUT.h
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';

const read = (name) => readFileSync(new URL(name, import.meta.url), 'utf8');
const hash = (text) => `sha256-${createHash('sha256').update(text).digest('base64')}`;
const style = read('report.css'),
  script = read('report.js');
const page = read('page.html')
  .replace('@STYLE_HASH@', hash(style))
  .replace('@SCRIPT_HASH@', hash(script))
  .replace('@STYLE@', () => style)
  .replace('@SCRIPT@', () => script);
const [before, after] = page.split('@DATA@');
const literal = (text) => {
  // In pieces: compilers need not take longer ones.
  const pieces = [];
  for (let i = 0; i < text.length; i += 8000) pieces.push(`R"page(${text.slice(i, i + 8000)})page"`);
  return pieces.join('\n');
};
writeFileSync(
  process.argv[2],
  `// Made by report/build.mjs.\n#pragma once\nnamespace postern::report {\ninline constexpr char kBefore[] = ${literal(before)};\ninline constexpr char kAfter[] = ${literal(after)};\n}\n`,
);
