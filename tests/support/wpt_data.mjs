// Runs the data files of the web-platform tests inside a guest. process.argv: the file's text comes from /wpt/NAME.
// __return: {passed, failed: [what, …]}
const name = process.argv[2];
const { default: data } = await import(`/wpt/${name}.json`, { with: { type: 'json' } });
const failed = [];
let passed = 0;
const same = (what, a, b) => (Object.is(a, b) ? passed++ : failed.push(`${what}: ${JSON.stringify(a)} is not ${JSON.stringify(b)}`));
const attempt = (f) => {
  try {
    return f();
  } catch (error) {
    return error;
  }
};
const parts = ['href', 'origin', 'protocol', 'username', 'password', 'host', 'hostname', 'port', 'pathname', 'search', 'hash'];

const runs = {
  urltestdata() {
    for (const t of data) {
      if (typeof t === 'string') continue;
      const what = `${JSON.stringify(t.input)} on ${t.base}`;
      const url = attempt(() => (t.base === null ? new URL(t.input) : new URL(t.input, t.base)));
      if (t.failure) {
        same(what, url instanceof TypeError, true);
        same(`${what} canParse`, URL.canParse(t.input, t.base ?? undefined), false);
        continue;
      }
      for (const part of parts) if (part in t) same(`${what} ${part}`, url[part], t[part]);
      if ('searchParams' in t) same(`${what} searchParams`, url.searchParams.toString(), t.searchParams);
    }
  },
  setters_tests() {
    for (const [part, tests] of Object.entries(data)) {
      if (part === 'comment') continue;
      for (const t of tests) {
        const url = new URL(t.href);
        url[part] = t.new_value;
        for (const [k, v] of Object.entries(t.expected)) same(`${t.href} ${part}=${JSON.stringify(t.new_value)} ${k}`, url[k], v);
      }
    }
  },
  toascii() {
    for (const t of data) {
      if (typeof t === 'string' || t.input === '') continue; // no host at all is another URL
      const url = attempt(() => new URL(`https://${t.input}/x`));
      if (t.output === null) same(t.input, url instanceof TypeError, true);
      else same(t.input, url.host, t.output);
    }
  },
  IdnaTestV2: () => runs.toascii(),
  'percent-encoding'() {
    for (const t of data) {
      if (typeof t === 'string') continue;
      // The others are a document's encoding, which a guest has not.
      same(t.input, new URL(`https://example.com/?${t.input}`).search.slice(1), t.output['utf-8']);
    }
  },
  encodings() {
    for (const [encoding, labels] of Object.entries(data)) {
      for (const label of labels) {
        for (const given of [label, label.toUpperCase(), ` \t\n\f\r${label}\r\f\n\t `]) {
          const got = attempt(() => new TextDecoder(given));
          if (encoding === 'replacement') same(given, got instanceof RangeError, true);
          else same(given, got.encoding, encoding.toLowerCase());
        }
        same(`${label} with a letter`, attempt(() => new TextDecoder(`\0${label}`)) instanceof RangeError, true);
      }
    }
  },
  async mimeTypes() {
    for (const t of data) {
      if (typeof t === 'string' || /^[\t\n\r ]|[\t\n\r ]$/.test(t.input)) continue;
      const make = () => new Response(null, { headers: { 'content-type': t.input } });
      if (/[\0\n\r]|[^\0-\xff]/.test(t.input)) same(t.input, attempt(make) instanceof TypeError, true);
      else same(t.input, (await make().blob()).type, t.output ?? '');
    }
  },
  'mime-types': () => runs.mimeTypes(),
  'generated-mime-types': () => runs.mimeTypes(),
  async base64() {
    for (const [input, output] of data) {
      const text = attempt(() => atob(input));
      if (output === null) same(input, text instanceof DOMException && text.name === 'InvalidCharacterError', true);
      else same(input, String([...text].map((c) => c.charCodeAt(0))), String(output));
      const response = await fetch(`data:;base64,${input}`).catch((e) => e);
      if (output === null) same(`data: ${input}`, response instanceof TypeError, true);
      else same(`data: ${input}`, String(new Uint8Array(await response.arrayBuffer())), String(output));
    }
  },
  async 'data-urls'() {
    for (const [input, type, body] of data) {
      const response = await fetch(input).catch((e) => e);
      if (type === null) {
        same(input, response instanceof TypeError, true);
        continue;
      }
      same(`${input} type`, response.headers.get('content-type'), type);
      same(`${input} body`, String(new Uint8Array(await response.arrayBuffer())), String(body));
    }
  },
  urlpatterntestdata() {
    const keys = ['protocol', 'username', 'password', 'hostname', 'port', 'pathname', 'search', 'hash'];
    for (const t of data) {
      if (typeof t === 'string') continue;
      const what = JSON.stringify(t.pattern);
      const pattern = attempt(() => new URLPattern(...t.pattern));
      if (t.expected_obj === 'error') {
        same(what, pattern instanceof TypeError, true);
        continue;
      }
      if (!(pattern instanceof URLPattern)) {
        failed.push(`${what}: ${pattern}`);
        continue;
      }
      for (const key of keys) if (t.expected_obj && key in t.expected_obj) same(`${what} ${key}`, pattern[key], t.expected_obj[key]);
      if (t.expected_match === 'error') {
        same(`${what} test`, attempt(() => pattern.test(...(t.inputs ?? []))) instanceof TypeError, true);
        continue;
      }
      const matched = attempt(() => pattern.exec(...(t.inputs ?? [])));
      same(`${what} on ${JSON.stringify(t.inputs)}`, matched !== null && !(matched instanceof Error), t.expected_match !== null && t.expected_match !== undefined);
      if (!t.expected_match || !matched || matched instanceof Error) continue;
      for (const key of keys) {
        const want = t.expected_match[key];
        if (want === undefined) continue;
        same(`${what} ${key} input`, matched[key].input, want.input);
        for (const [group, value] of Object.entries(want.groups)) same(`${what} ${key} group ${group}`, matched[key].groups[group], value ?? undefined);
      }
    }
  },
};
await runs[name]();
__return({ passed, failed });
