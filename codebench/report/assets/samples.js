// The samples: kept as columns, compressed when there are many, unpacked when the page opens.

const DATA = JSON.parse(byId('data').textContent);

async function inflated(text) {
  if (typeof DecompressionStream === 'undefined') {
    throw new Error('this browser is too old to unpack the samples (Chrome 80, Firefox 113, Safari 16.4)');
  }
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Response(stream).text();
}

async function loadSamples() {
  let content = JSON.parse(byId('embedded').textContent);
  if (content?.gzip) content = JSON.parse(await inflated(content.gzip));
  if (!content?.columns.run) return [];
  const { columns, pools } = content;
  const programs = pools.programs.map(([text, colours]) => ({ text, colours, uses: 0 }));
  const rows = columns.run.map((run, row) => {
    const word = (name) => pools.words[columns[name][row]];
    const sample = {
      run: DATA.runs[run],
      prompt: word('prompt'),
      name: word('prompt').slice(word('prompt').indexOf('/') + 1),
      index: columns.index[row],
      outcome: word('outcome'),
      compiles: columns.compiles[row] === 1,
      program: programs[columns.program[row]],
      written: columns.written[row],
      rest: word('rest'),
      diagnostics: pools.diagnostics[columns.diagnostics[row]].map(
        ([level, code, message, line]) => ({ level, code, message, line }),
      ),
      tests: pools.tests[columns.tests[row]],
      notes: pools.notes[columns.notes[row]],
      finish: word('finish'),
      tokens: columns.tokens[row],
      generationMs: columns.generation_ms[row],
      compileMs: columns.compile_ms[row],
      seed: columns.seed[row],
    };
    sample.program.uses += 1;
    sample.at = `${sample.run.key}/${sample.prompt}/${sample.index}`;
    sample.codes = [...new Set(errors(sample).map((one) => one.code).filter(Boolean))];
    sample.succeeds = sample.outcome === 'passed' || sample.outcome === 'compiled';
    return sample;
  });
  return rows;
}

const errors = (sample) => sample.diagnostics.filter((one) => one.level === 'error');
