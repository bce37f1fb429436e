// The samples, filtered, one of them open.

const PAGE = 200;

const browser = { query: {}, shown: [], open: null, most: PAGE };

function matches(sample, query) {
  const { show = '' } = query;
  if (query.run && sample.run.key !== query.run) return false;
  if (query.prompt && sample.prompt !== query.prompt) return false;
  if (query.code && !sample.codes.includes(query.code)) return false;
  if (query.q && !sample.program.text.toLowerCase().includes(query.q.toLowerCase())) return false;
  if (show === 'failures') return !sample.succeeds;
  if (show.startsWith('flag-')) return sample.notes.includes(show.slice(5));
  return !show || sample.outcome === show;
}

function once(samples) {
  const seen = new Set();
  return samples.filter(({ program }) => !seen.has(program) && seen.add(program));
}

function showSamples(query) {
  browser.query = query;
  const found = ALL.filter((sample) => matches(sample, query));
  browser.shown = query.once ? once(found) : found;
  const open = browser.shown.find((sample) => sample.at === query.at) ?? browser.shown[0] ?? null;
  browser.most = Math.max(PAGE, browser.shown.indexOf(open) + 20);
  drawFilters();
  drawList();
  openSample(open);
}

function filter(change) {
  const query = { ...browser.query, ...change };
  showSamples(query);
  notePlace('samples', query);
}

function counted(values) {
  const counts = new Map();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]).map(([value]) => value);
}

function drawFilters() {
  const { query } = browser;
  const inRun = ALL.filter((sample) => !query.run || sample.run.key === query.run);
  const flags = counted(ALL.flatMap((sample) => sample.notes.filter((note) => /^\w+$/.test(note))));
  const some = (values, text = (value) => value) => values.map((value) => [value, text(value)]);
  const kept = (values, value) => (value && !values.includes(value) ? [...values, value] : values);
  if (!byId('choices')) {
    byId('filters').replaceChildren(el('span', { id: 'choices' }), searchBox(), el('span', { id: 'ticks' }));
  }
  if (document.activeElement !== byId('search')) byId('search').value = query.q ?? '';
  byId('choices').replaceChildren(
    select('Step', [['', [['', 'all'], ...DATA.runs.map((run) => [run.key, run.short])]]], query.run ?? '', (run) => filter({ run })),
    select('Prompt', [['', [['', 'all'], ...some(PROMPTS, promptName)]]], query.prompt ?? '', (prompt) => filter({ prompt })),
    select('Outcome', [
      ['', [['', 'all'], ['failures', 'failures']]],
      ['Outcome', some(kept(counted(ALL.map((sample) => sample.outcome)), query.show?.match(/^(?!failures|flag-).+/)?.[0]), words)],
      ...(flags.length ? [['Flag', flags.map((flag) => [`flag-${flag}`, words(flag)])]] : []),
    ], query.show ?? '', (show) => filter({ show })),
    select('Error', [['', [['', 'any'], ...some(kept(counted(inRun.flatMap((sample) => sample.codes)), query.code))]]], query.code ?? '', (code) => filter({ code })),
  );
  byId('ticks').replaceChildren(
    el('label', { class: 'tick' }, el('input', { type: 'checkbox', checked: Boolean(query.once), change: (event) => filter({ once: event.target.checked ? '1' : '' }) }), el('span', {}, 'each program once')),
  );
}

/** Made once: an element that is taken out and put back loses the focus. */
function searchBox() {
  const box = el('input', { id: 'search', type: 'search', placeholder: 'in programs', input: () => filter({ q: box.value }) });
  return el('label', {}, el('span', {}, 'Search'), box);
}

function drawList() {
  const { shown, most } = browser;
  const steps = !browser.query.run && DATA.runs.length > 1;
  const rows = shown.slice(0, most).map((sample) =>
    el('li', {}, button([
      el('i', { class: `dot ${sample.succeeds ? 'good' : 'bad'}` }),
      el('span', { class: 'name' }, sample.name, el('span', { class: 'quiet' }, ` ${sample.index}`)),
      el('span', { class: 'quiet' }, sample.codes[0] ?? (sample.succeeds ? '' : words(sample.outcome))),
      ...(steps ? [el('span', { class: 'quiet step' }, sample.run.short)] : []),
    ], () => go(sample), { 'data-at': sample.at })),
  );
  if (shown.length > most) {
    rows.push(el('li', {}, button(`show ${Math.min(PAGE, shown.length - most)} more of ${shown.length}`, () => {
      browser.most += PAGE;
      drawList();
      markOpen();
    }, { class: 'more' })));
  }
  byId('list').replaceChildren(...rows);
  byId('samples-count').textContent = plural(shown.length, 'sample');
}

function go(sample) {
  openSample(sample);
  notePlace('samples', { ...browser.query, at: sample.at });
}

function step(by) {
  const { shown, open } = browser;
  const next = shown[shown.indexOf(open) + by];
  if (!next) return;
  if (shown.indexOf(next) >= browser.most) {
    browser.most += PAGE;
    drawList();
  }
  go(next);
}

function markOpen() {
  for (const one of byId('list').querySelectorAll('[aria-current]')) one.removeAttribute('aria-current');
  const row = browser.open && byId('list').querySelector(`[data-at="${CSS.escape(browser.open.at)}"]`);
  if (!row) return;
  row.setAttribute('aria-current', 'true');
  const list = byId('list');
  const above = row.offsetTop - list.offsetTop;
  if (above < list.scrollTop) list.scrollTop = above;
  else if (above + row.offsetHeight > list.scrollTop + list.clientHeight) list.scrollTop = above + row.offsetHeight - list.clientHeight;
}

function openSample(sample) {
  browser.open = sample;
  markOpen();
  byId('sample').replaceChildren(...(sample ? sampleView(sample) : [el('p', { class: 'nothing' }, nothingText())]));
}

function nothingText() {
  const run = DATA.runs.find((one) => one.key === browser.query.run);
  if (run && run.n === null) return `${run.label} has numbers only: there is no samples.jsonl beside its results.`;
  return 'No sample fits these filters.';
}

function stepper(place, total, move) {
  return el('span', { class: 'stepper' },
    button('←', () => move(-1), { title: 'Previous (p)', 'aria-label': 'Previous', disabled: place <= 0 }),
    el('span', { class: 'quiet' }, `${place + 1} of ${total}`),
    button('→', () => move(1), { title: 'Next (n)', 'aria-label': 'Next', disabled: place >= total - 1 }));
}

const ENDED = {
  eos: 'ended by itself',
  stop: 'ended by a stop text',
  balanced: 'ended with the item',
  repetition: 'stopped in a loop',
  length: 'cut off by the limit of tokens',
};

function sampleView(sample) {
  const { shown } = browser;
  const facts = [
    plural(sample.tokens, 'token'),
    ENDED[sample.finish] ?? sample.finish,
    `${sample.generationMs} ms to write`,
    `${sample.compileMs} ms to compile`,
    sample.program.uses > 1 && `the same program ${sample.program.uses} times`,
    `seed ${sample.seed}`,
  ].filter(Boolean);
  const others = ALL.filter((other) => other.prompt === sample.prompt && other.index === sample.index && other !== sample);
  return [
    el('header', {},
      el('h3', {}, sample.name, el('span', { class: 'quiet' }, ` sample ${sample.index}, ${sample.run.label}`)),
      badge(sample),
      stepper(shown.indexOf(sample), shown.length, step)),
    sample.notes.length ? el('p', { class: 'flags' }, ...sample.notes.map((note) => el('span', {}, /^\w+$/.test(note) ? words(note) : note))) : null,
    sample.tests ? el('p', {}, sample.tests[3] ? `${sample.tests[1]} of ${plural(sample.tests[0], 'check')} passed` : 'It does not build together with its tests.') : null,
    sample.tests?.[2] ? failureNote(sample.tests[2]) : null,
    codeBlock(sample),
    sample.rest ? el('details', {}, el('summary', {}, 'Also written, not part of the program'), el('pre', {}, sample.rest)) : null,
    el('p', { class: 'facts quiet' }, facts.join(' · ')),
    others.length ? el('p', { class: 'facts' }, 'Same seed at step ', ...others.flatMap((other) => [comparison(sample, other), ' '])) : null,
  ].filter(Boolean);
}

/** A link to the pair of two samples, the earlier step on the left. */
function comparison(sample, other) {
  const [a, b] = [sample, other].sort((x, y) => DATA.runs.indexOf(x.run) - DATA.runs.indexOf(y.run));
  const href = placeOf('compare', { a: a.run.key, b: b.run.key, at: `${sample.prompt}/${sample.index}` });
  return el('a', { href, class: other.succeeds ? 'good' : 'bad', title: `${words(other.outcome)}; side by side` }, other.run.short);
}
