// Two programs, line by line. The longest common subsequence of lines, with equal ends cut first.

const MOST_CELLS = 4e6;

/** Rows of [left line or null, right line or null, equal], as places in `left` and `right`. */
function diffLines(left, right) {
  let start = 0;
  while (start < left.length && start < right.length && left[start] === right[start]) start += 1;
  let end = 0;
  while (end < left.length - start && end < right.length - start && left.at(-1 - end) === right.at(-1 - end)) end += 1;
  const rows = [];
  for (let line = 0; line < start; line += 1) rows.push([line, line, true]);
  rows.push(...middle(left, right, start, end));
  for (let line = end; line > 0; line -= 1) rows.push([left.length - line, right.length - line, true]);
  return rows;
}

function middle(left, right, start, end) {
  const height = left.length - start - end;
  const width = right.length - start - end;
  const common = height * width <= MOST_CELLS ? lengths(left, right, start, height, width) : null;
  const at = (i, j) => (common ? common[i * (width + 1) + j] : 0);
  const rows = [];
  let [i, j] = [0, 0];
  while (i < height || j < width) {
    const removed = [];
    const added = [];
    while ((i < height || j < width) && !(i < height && j < width && common && left[start + i] === right[start + j])) {
      if (j >= width || (i < height && at(i + 1, j) >= at(i, j + 1))) removed.push(start + i++);
      else added.push(start + j++);
    }
    for (let line = 0; line < Math.max(removed.length, added.length); line += 1) {
      rows.push([removed[line] ?? null, added[line] ?? null, false]);
    }
    while (i < height && j < width && left[start + i] === right[start + j]) rows.push([start + i++, start + j++, true]);
  }
  return rows;
}

/** How many lines the rests from line i of the left and line j of the right have in common. */
function lengths(left, right, start, height, width) {
  const table = new Uint32Array((height + 1) * (width + 1));
  for (let i = height - 1; i >= 0; i -= 1) {
    for (let j = width - 1; j >= 0; j -= 1) {
      table[i * (width + 1) + j] = left[start + i] === right[start + j]
        ? table[(i + 1) * (width + 1) + j + 1] + 1
        : Math.max(table[(i + 1) * (width + 1) + j], table[i * (width + 1) + j + 1]);
    }
  }
  return table;
}

/** Where two unlike lines differ: [[from, to] on the left, [from, to] on the right]. */
function unlike(left, right) {
  let start = 0;
  while (start < left.length && start < right.length && left[start] === right[start]) start += 1;
  let end = 0;
  while (end < left.length - start && end < right.length - start && left.at(-1 - end) === right.at(-1 - end)) end += 1;
  const inWord = (text, at) => /\w/.test(text[at - 1] ?? ' ') && /\w/.test(text[at] ?? ' ');
  while (start > 0 && (inWord(left, start) || inWord(right, start))) start -= 1;
  while (end > 0 && (inWord(left, left.length - end) || inWord(right, right.length - end))) end -= 1;
  const alike = (start + end) / Math.max(left.length, right.length);
  if (alike < 0.3) return [[0, 0], [0, 0]];
  return [[start, left.length - end], [start, right.length - end]];
}
