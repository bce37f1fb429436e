// Elements, made from names and texts. Nothing here or elsewhere turns a text into markup.

const byId = (id) => document.getElementById(id);

function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === 'function') made.addEventListener(key, value);
    else made.setAttribute(key, value === true ? '' : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== false));
  return made;
}

function button(text, click, attributes = {}) {
  return el('button', { type: 'button', click, ...attributes }, text);
}

/** A labelled select; `groups` is a list of [group name or '', [[value, text], ...]]. */
function select(label, groups, chosen, change) {
  const option = ([value, text]) => el('option', { value, selected: value === chosen }, text);
  const made = el(
    'select',
    { change: () => change(made.value) },
    groups.flatMap(([name, options]) =>
      name ? el('optgroup', { label: name }, options.map(option)) : options.map(option),
    ),
  );
  return el('label', {}, el('span', {}, label), made);
}

/** A row of buttons of which one is on; `options` is a list of [value, text]. */
function choice(options, chosen, change) {
  return options.map(([value, text]) =>
    button(text, () => change(value), { 'aria-pressed': String(value === chosen) }),
  );
}

const words = (name) => name.replaceAll('_', ' ');

const plural = (n, noun) => `${n} ${noun}${n === 1 ? '' : 's'}`;
