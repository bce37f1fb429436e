// The page itself: place, keys, light and dark.

let ALL = [];
let PROMPTS = [];
let active = 'samples';

const promptName = (prompt) => {
  const [set, ...name] = prompt.split('/');
  return PROMPTS.every((other) => other.startsWith(`${set}/`)) ? name.join('/') : prompt;
};

function goToPlace() {
  const { section, query } = readPlace();
  if (section === 'samples' || section === 'compare') {
    active = section;
    if (section === 'samples' && byId('list')) showSamples(query);
    if (section === 'compare') showPairs(query);
    byId(section)?.scrollIntoView();
  }
}

const THEMES = { light: 'dark', dark: 'light' };

function theme() {
  return document.documentElement.dataset.theme ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light');
}

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  try {
    localStorage.setItem('codebench-theme', name);
  } catch {
    // a browser that stores nothing still changes the colours
  }
  drawCharts();
}

function rememberedTheme() {
  try {
    const name = localStorage.getItem('codebench-theme');
    if (name in THEMES) document.documentElement.dataset.theme = name;
  } catch {
    // as the system says
  }
}

const move = (by) => (active === 'compare' ? stepPair(by) : step(by));

const KEYS = {
  n: () => move(1),
  j: () => move(1),
  p: () => move(-1),
  k: () => move(-1),
  f: () => filter({ show: browser.query.show === 'failures' ? '' : 'failures' }),
  c: () => {
    const link = byId('sample')?.querySelector('.facts a:last-of-type');
    if (link) location.hash = link.getAttribute('href');
  },
  t: () => setTheme(THEMES[theme()]),
  '/': () => byId('search')?.focus(),
  '?': () => byId('keys').showModal(),
};

function pressed(event) {
  const typing = event.target.closest?.('input, select, textarea, dialog');
  if (event.key === 'Escape') event.target.blur?.();
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !(event.key in KEYS)) return;
  if (!ALL.length && !['t', '?'].includes(event.key)) return;
  event.preventDefault();
  KEYS[event.key]();
}

async function start() {
  document.documentElement.className = 'scripting';
  rememberedTheme();
  byId('theme').addEventListener('click', KEYS.t);
  byId('help').addEventListener('click', KEYS['?']);
  addEventListener('keydown', pressed);
  addEventListener('focusin', ({ target }) => {
    active = target.closest?.('#samples, #compare')?.id ?? active;
  });
  for (const wide of document.querySelectorAll('.counts, .heat')) wide.parentElement.scrollLeft = 1e6;
  drawCharts();
  new ResizeObserver(resizeCharts).observe(byId('charts'));
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawCharts);
  try {
    ALL = await loadSamples();
  } catch (error) {
    byId('filters')?.replaceChildren(el('p', { class: 'lead-in' }, `The samples cannot be shown: ${error.message}.`));
    return;
  }
  PROMPTS = [...new Set(ALL.map((sample) => sample.prompt))];
  if (ALL.length) {
    const { section } = readPlace();
    if (section !== 'samples') showSamples({ run: DATA.runs.filter((run) => run.n).at(-1).key });
    if (section !== 'compare') showPairs({});
    goToPlace();
    addEventListener('hashchange', goToPlace);
  }
  document.documentElement.dataset.ready = 'yes';
  performance.mark('ready');
}

start();
