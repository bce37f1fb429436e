// Two steps side by side: which samples broke, which were fixed, and what changed in them.

const pairs = { query: {}, shown: [], open: null };

const KINDS = {
  broken: ['broken', (a, b) => a.succeeds && !b.succeeds],
  fixed: ['fixed', (a, b) => !a.succeeds && b.succeeds],
  failing: ['fail in both', (a, b) => !a.succeeds && !b.succeeds],
  good: ['good in both', (a, b) => a.succeeds && b.succeeds],
  all: ['all', () => true],
};

function allPairs(a, b) {
  const name = (sample) => `${sample.prompt}/${sample.index}`;
  const right = new Map(ALL.filter((sample) => sample.run.key === b).map((sample) => [name(sample), sample]));
  return ALL.filter((sample) => sample.run.key === a && right.has(name(sample)))
    .map((sample) => ({ at: name(sample), a: sample, b: right.get(name(sample)) }));
}

function showPairs(query) {
  if (!byId('compare')) return;
  const withSamples = DATA.runs.filter((run) => run.n !== null);
  const b = query.b ?? withSamples.at(-1)?.key;
  const a = query.a ?? withSamples.filter((run) => run.key !== b).at(-1)?.key;
  pairs.query = { ...query, a, b };
  const found = allPairs(a, b);
  const here = found.filter((pair) => !query.prompt || pair.a.prompt === query.prompt);
  const telling = ['broken', 'fixed'].find((name) => here.some((pair) => KINDS[name][1](pair.a, pair.b)));
  const kind = query.show in KINDS ? query.show : telling ?? 'all';
  pairs.shown = here.filter((pair) => KINDS[kind][1](pair.a, pair.b));
  drawSides(found, here, kind);
  openPair(pairs.shown.find((pair) => pair.at === query.at) ?? pairs.shown[0] ?? null);
}

function filterPairs(change) {
  const query = { ...pairs.query, ...change };
  showPairs(query);
  notePlace('compare', query);
}

function drawSides(found, here, kind) {
  const { a, b, prompt = '' } = pairs.query;
  const runs = [['', DATA.runs.filter((run) => run.n !== null).map((run) => [run.key, run.short])]];
  byId('sides').replaceChildren(
    select('Left', runs, a, (value) => filterPairs({ a: value })),
    select('Right', runs, b, (value) => filterPairs({ b: value })),
    select('Prompt', [['', [['', 'all'], ...PROMPTS.map((name) => [name, promptName(name)])]]], prompt, (value) => filterPairs({ prompt: value })),
    el('span', { class: 'choice' }, ...choice(
      Object.entries(KINDS).map(([value, [text, fits]]) => [value, `${text} ${here.filter((pair) => fits(pair.a, pair.b)).length}`]),
      kind, (show) => filterPairs({ show }))),
  );
  byId('change').replaceChildren(...changeOf(a, b));
  byId('moved').replaceChildren(...movedPrompts(found));
}

/** How the compile rate changed, as it was judged when the page was made; the base is earlier. */
function changeOf(a, b) {
  const found = DATA.changes.find((one) => one.base === a && one.other === b);
  if (found) return [el('b', { class: found.tone }, found.points), `, ${found.verdict}`];
  const turned = DATA.changes.some((one) => one.base === b && one.other === a);
  return turned ? [button('earlier step to the left', () => filterPairs({ a: b, b: a }))] : [];
}

/** The prompts whose number of good samples changed, the largest change first. */
function movedPrompts(found) {
  const moved = PROMPTS.map((prompt) => {
    const mine = found.filter((pair) => pair.a.prompt === prompt);
    const [before, after] = [mine.filter((pair) => pair.a.succeeds).length, mine.filter((pair) => pair.b.succeeds).length];
    return { prompt, n: mine.length, before, after };
  }).filter(({ before, after }) => before !== after);
  moved.sort((x, y) => Math.abs(y.after - y.before) - Math.abs(x.after - x.before));
  return moved.slice(0, 12).map(({ prompt, n, before, after }) =>
    button([el('span', {}, promptName(prompt)), el('b', { class: after > before ? 'good' : 'bad' }, `${before} → ${after}`), el('span', { class: 'quiet' }, ` of ${n}`)],
      () => filterPairs({ prompt: pairs.query.prompt === prompt ? '' : prompt }),
      { 'aria-pressed': String(pairs.query.prompt === prompt) }));
}

function stepPair(by) {
  const next = pairs.shown[pairs.shown.indexOf(pairs.open) + by];
  if (!next) return;
  openPair(next);
  notePlace('compare', { ...pairs.query, at: next.at });
}

function openPair(pair) {
  pairs.open = pair;
  byId('pairs-count').textContent = plural(pairs.shown.length, 'pair');
  byId('pair').replaceChildren(...(pair ? pairView(pair) : [el('p', { class: 'nothing' }, 'No pair of samples fits.')]));
}

function pairView({ a, b }) {
  const same = a.program.text === b.program.text;
  const side = (sample) => el('div', { class: 'side' }, el('b', {}, sample.run.label), badge(sample), ...errors(sample).slice(0, 3).map(said));
  return [
    el('header', {},
      el('h3', {}, a.name, el('span', { class: 'quiet' }, ` sample ${a.index}${same ? ', the same program' : ''}`)),
      stepper(pairs.shown.indexOf(pairs.open), pairs.shown.length, stepPair)),
    el('div', { class: 'heads' }, side(a), side(b)),
    el('div', { class: 'diff', role: 'region', tabindex: '0', 'aria-label': 'Difference of the two programs' }, ...diffRows(a, b)),
  ];
}

function diffRows(a, b) {
  const [left, right] = [linesOf(a.program, 0), linesOf(b.program, 0)];
  const text = (lines) => lines.map((line) => line.map((part) => part[1]).join(''));
  const [before, after] = [text(left), text(right)];
  return diffLines(before, after).map(([i, j, equal]) => {
    const marks = i !== null && j !== null && !equal ? unlike(before[i], after[j]) : [[0, 0], [0, 0]];
    const half = (lines, place, mark, name) => el('div', { class: `half ${place === null ? 'absent' : equal ? '' : name}` },
      el('span', { class: 'number', 'aria-hidden': 'true' }, place === null ? '' : String(place + 1)),
      el('code', {}, ...(place === null ? [] : coloured(lines[place], mark)), '\n'));
    return el('div', { class: equal ? 'row equal' : 'row' }, half(left, i, marks[0], 'removed'), half(right, j, marks[1], 'added'));
  });
}
