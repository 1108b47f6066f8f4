// Elements of the page. Text becomes text: nothing in here or elsewhere makes markup of a string.

export const byId = (id) => document.getElementById(id);

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") made.className = value;
    else if (name.startsWith("aria-") || name === "scope" || name === "for") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.map((child) => (child instanceof Node ? child : document.createTextNode(String(child)))));
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

export function drawing(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

export function show(node, visible = true) {
  if (node.hidden === visible) node.hidden = !visible;
}

export function say(node, text) {
  const message = text ?? "";
  if (node.textContent !== message) node.textContent = message;
  show(node, message !== "");
}

const drawn = new WeakMap();

// Whether a node shows something else than this value: what has not changed is not drawn again, so that it keeps its
// place and focus, and is not read out a second time.
export function isNew(node, value) {
  const text = JSON.stringify(value);
  if (drawn.get(node) === text) return false;
  drawn.set(node, text);
  return true;
}

// A select with options [value, text]; the chosen value stays if it is still there.
export function fill(select, options) {
  const chosen = select.value;
  select.replaceChildren(...options.map(([value, text]) => element("option", { value }, text)));
  select.value = options.some(([value]) => value === chosen) ? chosen : options.length ? options[0][0] : "";
}

export function row(...cells) {
  return element("tr", {}, ...cells.map((cell, i) => (cell instanceof Node ? cell : element(i ? "td" : "th", i ? {} : { scope: "row" }, cell))));
}

export const number = (text) => element("td", { class: "number" }, text);

export function duration(seconds) {
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
}

// Four significant digits, without an exponent where it reads better.
export function shown(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e9)) return value.toExponential(3);
  const digits = size === 0 ? 0 : Math.max(0, Math.min(6, 3 - Math.floor(Math.log10(size))));
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
