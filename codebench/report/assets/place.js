// The place in the page, as the address says it: `#samples?run=2000&prompt=rust-basics/factorial`.

function readPlace() {
  const said = location.hash.slice(1);
  const end = said.indexOf('?');
  const query = end < 0 ? '' : said.slice(end + 1);
  return {
    section: end < 0 ? said : said.slice(0, end),
    query: Object.fromEntries(new URLSearchParams(query)),
  };
}

function placeOf(section, query) {
  const told = Object.entries(query).filter(([, value]) => value);
  const text = new URLSearchParams(told).toString().replaceAll('%2F', '/');
  return `#${section}${text ? `?${text}` : ''}`;
}

/** Note the place in the address without a step in the history: it follows every key. */
function notePlace(section, query) {
  history.replaceState(null, '', placeOf(section, query));
}
