// The trend: curves over the steps with their intervals. Colours come from the style sheet.

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const LINES = ['--accent', '--second', '--third'];

/** Distances between ticks: steps are whole numbers. */
const WHOLE = [...Array(12).keys()].flatMap((power) => [1, 2, 5].map((digit) => digit * 10 ** power));

/** The charts of the first row. */
const SIZES = { compile: 'large', pass: 'medium' };

let drawn = [];
let logarithmic = false;

function number(value, chart) {
  if (value === null || value === undefined) return '–';
  const text = value.toLocaleString('en', { maximumFractionDigits: chart.digits, minimumFractionDigits: chart.digits > 1 ? chart.digits : 0 });
  return chart.unit ? `${text}\u202f${chart.unit}` : text;
}

function reading(chart, place) {
  const run = DATA.runs[place];
  const parts = chart.curves.map((curve, line) => {
    const [low, high] = [curve.low[place], curve.high[place]];
    const range = low === null ? '' : ` (${number(low, { ...chart, unit: '' })}–${number(high, { ...chart, unit: '' })})`;
    const counts = curve.said[place] ? `, ${curve.said[place]}` : '';
    const name = chart.curves.length > 1 ? [el('i', { class: `key key${line}` }), `${curve.name} `] : [];
    return el('span', {}, ...name, el('b', {}, number(curve.values[place], chart)), `${range}${counts}`);
  });
  return [el('span', {}, run.label, run.partial ? ' (partial)' : ''), ...parts];
}

/** Points by hand: a hollow one says that samples are missing. */
function points(chart) {
  return (plot) => {
    const { ctx } = plot;
    const ratio = devicePixelRatio;
    const many = DATA.runs.length > 20;
    chart.curves.forEach((curve, line) => {
      curve.values.forEach((value, place) => {
        if (value === null) return;
        const x = plot.valToPos(plot.data[0][place], 'x', true);
        const y = plot.valToPos(value, 'y', true);
        ctx.beginPath();
        ctx.arc(x, y, (many ? 2 : chart.id === 'compile' ? 4 : 3) * ratio, 0, 2 * Math.PI);
        ctx.fillStyle = DATA.runs[place].partial ? colour('--page') : colour(LINES[line]);
        ctx.fill();
        if (many && !DATA.runs[place].partial) return;
        ctx.lineWidth = 1.75 * ratio;
        ctx.strokeStyle = DATA.runs[place].partial ? colour(LINES[line]) : colour('--page');
        ctx.stroke();
      });
    });
  };
}

function targetLine(plot) {
  const { target } = DATA.trend;
  if (target === null) return;
  const { ctx, bbox } = plot;
  const y = plot.valToPos(target, 'y', true);
  ctx.save();
  ctx.strokeStyle = colour('--quiet');
  ctx.setLineDash([3 * devicePixelRatio, 4 * devicePixelRatio]);
  ctx.lineWidth = devicePixelRatio;
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.fillStyle = colour('--quiet');
  ctx.font = `${11 * devicePixelRatio}px ${colour('--sans')}`;
  ctx.textAlign = 'right';
  ctx.fillText(`target ${target}\u202f%`, bbox.left + bbox.width, y - 5 * devicePixelRatio);
  ctx.restore();
}

function seriesOf(chart) {
  const series = [{}];
  const bands = [];
  const data = [DATA.trend.steps ?? DATA.runs.map((_, place) => place)];
  const hidden = { stroke: 'transparent', width: 0, points: { show: false } };
  chart.curves.forEach((curve, line) => {
    series.push({ stroke: colour(LINES[line]), width: 2, points: { show: false } });
    data.push(curve.values);
    if (curve.low.some((value) => value !== null)) {
      bands.push({ series: [series.length, series.length + 1], fill: colour(line ? '--band2' : '--band') });
      series.push(hidden, hidden);
      data.push(curve.high, curve.low);
    }
  });
  return { series, bands, data };
}

function draw(chart, box) {
  const { series, bands, data } = seriesOf(chart);
  const note = el('p', { class: 'reading' });
  const place = el('div', {});
  const show = (at) => note.replaceChildren(...reading(chart, at));
  box.replaceChildren(el('h3', {}, chart.title, chart.id === 'compile' && el('span', { class: 'quiet' }, chart.about)), note, place);
  show(DATA.runs.length - 1);
  const axis = {
    stroke: colour('--quiet'),
    font: `12px ${colour('--sans')}`,
    ticks: { show: false },
    grid: { stroke: colour('--line'), width: 1 },
  };
  const most = Math.max(...chart.curves.flatMap((curve) => curve.values)) * 1.15;
  const top = chart.top ?? Math.max(most, chart.least);
  const plot = new uPlot({
    width: place.clientWidth,
    height: chart.id in SIZES ? 260 : 132,
    legend: { show: false },
    series,
    bands,
    padding: [10, 14, 0, 0],
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
    scales: {
      x: { time: false, distr: logarithmic ? 3 : 1, range: (_, low, high) => margins(low, high) },
      y: { range: [0, top || 1] },
    },
    axes: [
      { ...axis, grid: { show: false }, size: 28, incrs: WHOLE, values: (_, splits) => splits.map(stepName), splits: DATA.trend.steps && !logarithmic ? undefined : () => data[0] },
      { ...axis, size: 44, space: chart.id in SIZES ? 40 : 30, values: (_, splits) => splits.map((value) => (chart.unit ? `${value}\u202f${chart.unit}` : value.toLocaleString('en', { maximumFractionDigits: 2 }))) },
    ],
    hooks: {
      draw: [...(chart.id === 'compile' ? [targetLine] : []), points(chart)],
      setCursor: [(self) => show(self.cursor.idx ?? DATA.runs.length - 1)],
    },
  }, data, place);
  place.addEventListener('click', () => {
    if (plot.cursor.idx !== null) location.hash = placeOf('samples', { run: DATA.runs[plot.cursor.idx].key });
  });
  return { plot, place };
}

const stepName = (value) => {
  if (!DATA.trend.steps) return DATA.runs[value]?.short ?? '';
  return value === null ? '' : value.toLocaleString('en', { useGrouping: false });
};

function margins(low, high) {
  if (logarithmic) return [low / 1.15, high * 1.15];
  const room = (high - low || 1) * 0.03;
  return [low - room, high + room];
}

function drawCharts() {
  for (const { plot } of drawn) plot.destroy();
  const room = byId('charts');
  if (DATA.runs.length < 2) {
    room.replaceChildren(el('p', { class: 'lead-in' }, 'One step so far. Give several results, or their folder, to see the trend.'));
    return;
  }
  const boxes = DATA.trend.charts.map((chart) => el('figure', { class: SIZES[chart.id] ?? null, title: chart.about }));
  const isLarge = (box) => box.className !== '';
  room.replaceChildren(...boxes.filter(isLarge), el('i'), ...boxes.filter((box) => !isLarge(box)));
  drawn = DATA.trend.charts.map((chart, place) => draw(chart, boxes[place]));
  const steps = DATA.trend.steps;
  if (steps && steps[0] > 0 && steps.at(-1) / steps[0] > 10) {
    byId('axis').replaceChildren(...choice([['', 'linear'], ['log', 'logarithmic']], logarithmic ? 'log' : '', (value) => {
      logarithmic = value === 'log';
      drawCharts();
    }));
  }
}

function resizeCharts() {
  for (const { plot, place } of drawn) plot.setSize({ width: place.clientWidth, height: plot.height });
}
