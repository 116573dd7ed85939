// Draws a run's requests. Everything that comes from a guest or an origin goes into the page as text, never as markup.
(() => {
  'use strict';
  const data = JSON.parse(document.getElementById('data').textContent);
  const by = (id) => document.getElementById(id);
  const phases = ['queue', 'dns', 'connect', 'tls', 'wait', 'receive'];
  const rowHeight = 28;

  /** An element with a class and text. */
  function make(name, className, text) {
    const element = document.createElement(name);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  }
  const count = (n) => n.toLocaleString('en');
  const bytes = (n) =>
    n < 1000 ? `${n} B` : n < 1e6 ? `${(n / 1e3).toFixed(1)} kB` : n < 1e9 ? `${(n / 1e6).toFixed(1)} MB` : `${(n / 1e9).toFixed(2)} GB`;
  const milliseconds = (ms) => (ms < 10 ? ms.toFixed(2) : ms < 1000 ? ms.toFixed(0) : `${count(Math.round(ms))}`);

  const requests = data.requests;
  const first = requests.reduce((least, r) => Math.min(least, r.at), Infinity);
  const last = requests.reduce((most, r) => Math.max(most, r.at + r.ms), -Infinity);
  const span = Math.max(last - first, 0.001);
  for (const r of requests)
    r.text = [r.method, r.url, r.run, r.rule, r.reason, r.status, r.code, r.message, r.address, ...r.sent.flat(), ...r.received.flat()]
      .join('\n')
      .toLowerCase();
  const kinds = {
    all: () => true,
    allowed: (r) => r.decision !== 'deny',
    denied: (r) => r.decision === 'deny',
    failed: (r) => Boolean(r.code) && r.decision !== 'deny',
  };

  // ---- what stands above

  by('source').textContent = data.name;
  document.title = `${data.name} – Postern`;
  const runs = [...new Set(requests.map((r) => r.run))].filter(Boolean);
  const sum = (f) => requests.reduce((total, r) => total + f(r), 0);
  const facts = [
    ['requests', count(requests.length)],
    ['allowed', count(requests.filter(kinds.allowed).length)],
    ['denied', count(requests.filter(kinds.denied).length)],
    ['failed', count(requests.filter(kinds.failed).length)],
    ['received', bytes(sum((r) => r.in))],
    ['sent', bytes(sum((r) => r.out))],
    ['from first to last', requests.length ? `${milliseconds(span)} ms` : '–'],
  ];
  if (runs.length > 1) facts.unshift(['runs', count(runs.length)]);
  if (data.lost) facts.push(['events lost', count(data.lost)]);
  if (data.left) facts.push(['not shown', count(data.left)]);
  for (const [name, value] of facts) {
    const pair = make('div');
    pair.append(make('dt', '', name), make('dd', '', value));
    by('summary').append(pair);
  }
  for (const phase of phases) {
    const item = make('li');
    item.append(make('i', phase), phase);
    by('legend').append(item);
  }
  by('scale').textContent = `0 to ${milliseconds(span)} ms`;
  for (const run of runs) {
    const option = make('option', '', run);
    option.value = run;
    by('run').append(option);
  }
  by('run').hidden = runs.length < 2;

  // ---- the rows: those that are in sight

  let shown = requests;
  let selected = null;

  function result(r) {
    if (r.code) return r.code;
    return r.status ? String(r.status) : 'no end';
  }
  function row(r, index) {
    const element = make('div', 'row');
    element.setAttribute('role', 'row');
    element.setAttribute('aria-selected', String(r === selected));
    element.style.top = `${index * rowHeight}px`;
    element.title = r.url;
    const decision = r.decision === 'deny' ? 'deny' : r.decision ? 'allow' : '';
    const bar = make('span', 'bar');
    let at = ((r.at - first) / span) * 100;
    const known = phases.filter((phase) => r.timings[phase] > 0);
    for (const phase of known.length ? known : ['none']) {
      const width = ((known.length ? r.timings[phase] : r.ms) / span) * 100;
      const part = make('i', phase);
      part.style.left = `${Math.min(at, 99.5)}%`;
      part.style.width = `${width}%`;
      bar.append(part);
      at += width;
    }
    element.append(
      make('span', decision, r.decision || '–'),
      make('span', '', r.method),
      make('span', '', r.url),
      make('span', r.code ? (r.decision === 'deny' ? 'deny' : 'fail') : '', result(r)),
      make('span', '', bytes(r.in)),
      make('span', '', milliseconds(r.ms)),
      bar,
    );
    for (const cell of element.children) cell.setAttribute('role', 'cell');
    element.addEventListener('click', () => select(r));
    return element;
  }
  function draw() {
    const list = by('list');
    const from = Math.max(0, Math.floor(list.scrollTop / rowHeight) - 20);
    const to = Math.min(shown.length, from + Math.ceil(list.clientHeight / rowHeight) + 40);
    by('rows').style.height = `${shown.length * rowHeight}px`;
    by('rows').replaceChildren(...shown.slice(from, to).map((r, i) => row(r, from + i)));
    by('nothing').hidden = shown.length > 0;
  }

  // ---- one request

  function pairs(list) {
    const dl = make('dl');
    for (const [name, value] of list) {
      if (value === '' || value === undefined || value === null) continue;
      dl.append(make('dt', '', name), make('dd', '', value));
    }
    return dl;
  }
  function select(r) {
    selected = r === selected ? null : r;
    const detail = by('detail');
    detail.hidden = selected === null;
    detail.replaceChildren();
    if (selected !== null) {
      detail.append(
        make('h2', '', `${r.method} ${r.url}`),
        pairs([
          ['decision', r.decision],
          ['rule', r.rule],
          ['reason', r.reason],
          ['status', r.status ? String(r.status) : ''],
          ['error', r.code],
          ['', r.message],
          ['address', r.address],
          ['protocol', r.protocol],
          ['received', bytes(r.in)],
          ['sent', bytes(r.out)],
          ['began', new Date(r.at).toISOString()],
          ['run', r.run],
        ]),
        make('h3', '', 'Time'),
        pairs([
          ...phases.filter((p) => r.timings[p] >= 0).map((p) => [p, `${r.timings[p].toFixed(3)} ms`]),
          ['all', `${r.ms.toFixed(3)} ms`],
        ]),
      );
      for (const [title, list] of [
        ['Request fields', r.sent],
        ['Response fields', r.received],
      ]) {
        if (list.length) detail.append(make('h3', '', title), pairs(list));
      }
      for (const [title, body] of [
        ['Request body', r.upload],
        ['Response body', r.body],
      ]) {
        if (body) detail.append(make('h3', '', title), make('pre', '', body));
      }
    }
    draw();
  }

  // ---- search and filter, kept in the address

  function apply() {
    const words = by('search').value.toLowerCase().split(/\s+/).filter(Boolean);
    const run = by('run').value;
    const kind = kinds[by('show').value] ?? kinds.all;
    shown = requests.filter((r) => kind(r) && (!run || r.run === run) && words.every((word) => r.text.includes(word)));
    const state = new URLSearchParams();
    if (by('search').value) state.set('q', by('search').value);
    if (by('show').value !== 'all') state.set('show', by('show').value);
    if (run) state.set('run', run);
    const hash = state.toString();
    if (hash !== location.hash.slice(1)) history.replaceState(null, '', `#${hash}`);
    by('list').scrollTop = 0;
    draw();
  }
  function restore() {
    const state = new URLSearchParams(location.hash.slice(1));
    by('search').value = state.get('q') ?? '';
    by('show').value = state.get('show') ?? 'all';
    by('run').value = state.get('run') ?? '';
    if (by('show').value === '') by('show').value = 'all';
    if (state.get('theme')) document.documentElement.className = state.get('theme') === 'dark' ? 'dark' : 'light';
    apply();
    const number = Number(state.get('open'));
    if (number > 0 && number <= shown.length) select(shown[number - 1]);
  }
  for (const id of ['search', 'show', 'run']) by(id).addEventListener('input', apply);
  by('theme').addEventListener('click', () => {
    const root = document.documentElement;
    const dark = root.className ? root.className === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
    root.className = dark ? 'light' : 'dark';
  });
  by('list').addEventListener('scroll', () => requestAnimationFrame(draw));
  by('list').addEventListener('keydown', (event) => {
    if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return;
    event.preventDefault();
    const at = shown.indexOf(selected);
    const next = shown[event.key === 'ArrowDown' ? at + 1 : Math.max(0, at - 1)];
    if (next && next !== selected) select(next);
  });
  addEventListener('resize', draw);
  addEventListener('hashchange', restore);
  restore();
})();
