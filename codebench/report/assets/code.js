// Programs as lines of coloured text, with what the compiler said at its line.

const ERROR_INDEX = 'https://doc.rust-lang.org/error_codes/';

/** The lines of a program, each a list of [colour, text, given]; `given` is the prompt's part. */
function linesOf(program, written) {
  const lines = [[]];
  let at = 0;
  const add = (colour, text) => {
    for (const [place, part] of text.split('\n').entries()) {
      if (place > 0) {
        lines.push([]);
        at += 1;
      }
      if (!part) continue;
      const given = Math.max(0, Math.min(part.length, written - at));
      if (given > 0) lines.at(-1).push([colour, part.slice(0, given), true]);
      if (given < part.length) lines.at(-1).push([colour, part.slice(given), false]);
      at += part.length;
    }
  };
  let start = 0;
  for (const [, colour, length] of program.colours.matchAll(/([A-Z])(\d+)/g)) {
    add(colour, program.text.slice(start, start + Number(length)));
    start += Number(length);
  }
  add('X', program.text.slice(start));
  if (lines.length > 1 && lines.at(-1).length === 0) lines.pop();
  return lines;
}

/** A line's elements; characters from `mark[0]` to `mark[1]` stand out. */
function coloured(line, mark = [0, 0]) {
  const parts = [];
  let at = 0;
  for (const [colour, text, given] of line) {
    const cuts = [0, ...mark.map((place) => place - at), text.length]
      .map((place) => Math.max(0, Math.min(text.length, place)))
      .sort((a, b) => a - b);
    for (let cut = 0; cut < 3; cut += 1) {
      const part = text.slice(cuts[cut], cuts[cut + 1]);
      if (!part) continue;
      const names = [colour === 'X' ? '' : `h${colour}`, given ? 'given' : '', cut === 1 ? 'mark' : ''];
      const name = names.filter(Boolean).join(' ');
      parts.push(name ? el('span', { class: name }, part) : part);
    }
    at += text.length;
  }
  return parts;
}

function codeName(code) {
  if (!/^E\d{4}$/.test(code ?? '')) return code ? el('b', {}, code) : null;
  const href = `${ERROR_INDEX}${code}.html`;
  return el('a', { class: 'out', href, rel: 'noreferrer', title: "rustc's explanation" }, code);
}

function said(one) {
  const name = one.code ? [codeName(one.code), ' '] : [el('b', {}, one.level), ' '];
  return el('div', { class: `said ${one.level === 'error' ? 'error' : 'warning'}` }, ...name, one.message);
}

function failureNote(failure) {
  const [check, args, expected, got, message, line] = failure;
  const told = [
    ['check', check], ['called with', args], ['expected', expected], ['got', got], ['said', message], ['in line', line],
  ].filter(([, text]) => text !== null);
  return el('dl', { class: 'failure' }, ...told.flatMap(([name, text]) => [
    el('dt', {}, name), el('dd', {}, el('code', {}, String(text))),
  ]));
}

/** The program of a sample, numbered, with its diagnostics. */
function codeBlock(sample) {
  const lines = linesOf(sample.program, sample.written);
  const here = (number) =>
    sample.diagnostics.filter((one) => (one.line === null ? 0 : Math.min(one.line, lines.length)) === number);
  const rows = lines.flatMap((line, place) => {
    const notes = here(place + 1);
    const wrong = notes.some((one) => one.level === 'error');
    return [
      el('div', { class: `line${wrong ? ' wrong' : ''}` },
        el('span', { class: 'number', 'aria-hidden': 'true' }, String(place + 1)),
        el('code', {}, ...coloured(line), '\n')),
      ...notes.map(said),
    ];
  });
  return el('div', { class: 'code', tabindex: '0', role: 'region', 'aria-label': 'Program' },
    ...here(0).map(said), ...rows);
}

function badge(sample) {
  const kind = sample.succeeds ? 'good' : sample.outcome === 'infra_error' ? 'ours' : 'bad';
  return el('span', { class: `badge ${kind}` }, words(sample.outcome));
}
