// What was understood of the table, and the form in which it is corrected.

import { byId, drawing, element, fill, isNew, row, say, show } from "./elements.js";

const PLAIN = ["time_column", "id_column", "target", "frequency", "fill", "date_format", "encoding"];
const IN_DETAILS = ["time_column", "id_column", "frequency", "fill", "date_format", "encoding"];
const MANY = 12;

let columns = [];
let suggested = null;

export function readForm() {
  const options = { known: [], calendar: false };
  for (const name of PLAIN) options[name] = byId(name).value.trim() || null;
  for (const box of byId("known").querySelectorAll("input:checked")) {
    if (box.id === "calendar") options.calendar = true;
    else options.known.push(box.value);
  }
  const steps = byId("horizon").valueAsNumber;
  options.horizon = Number.isFinite(steps) ? Math.round(steps) : null;
  return options;
}

export function clearForm() {
  columns = [];
  suggested = null;
  byId("form").reset();
  byId("known").replaceChildren();
  isNew(byId("known"), null);
  byId("understood").replaceChildren();
  byId("more").open = false;
  byId("columns").open = false;
  clearErrors();
}

// The form as it was sent: after a reload of the page.
export function restoreForm(options) {
  for (const name of PLAIN) if (options[name]) byId(name).value = options[name];
  for (const box of byId("known").querySelectorAll("input")) {
    box.checked = box.id === "calendar" ? options.calendar : options.known.includes(box.value);
  }
  if (options.horizon) byId("horizon").value = options.horizon;
  if (IN_DETAILS.some((name) => options[name])) byId("more").open = true;
}

export function showColumns(found) {
  if (!isNew(byId("known"), found)) return;
  columns = found;
  const names = found.map((one) => [one.name, one.name]);
  fill(byId("time_column"), [["", "Found in the table"], ...names]);
  fill(byId("id_column"), [["", "Found in the table"], ...names]);
  fill(byId("target"), [["", "Found in the table"], ...names]);
  const calendar = byId("calendar")?.checked ?? false;
  const checked = new Set([...byId("known").querySelectorAll("input:checked")].map((box) => box.value));
  byId("known").replaceChildren(...found.map((one) => check(one.name, one.name, checked.has(one.name))), check("", "Calendar: weekday, month, time of the year", calendar, "calendar"));
}

function check(value, text, checked, id = "") {
  return element("label", { class: "check" }, element("input", { type: "checkbox", id, value, checked }), element("span", {}, text));
}

export function showUnderstood(found) {
  if (found.horizon !== suggested && !byId("horizon").value) byId("horizon").value = found.horizon;
  suggested = found.horizon;
  if (!isNew(byId("understood"), [found, columns]) && byId("understood").querySelector(".understood")) return;
  const [first, ...sentences] = found.sentences;
  const words = element("div", { class: "words" }, element("p", { class: "first" }, first), element("p", {}, sentences.join(" ")));
  const parts = [element("div", { class: "understood" }, words, picture(found.preview))];
  if (found.repairs.length) parts.push(element("ul", { class: "repairs" }, ...found.repairs.map((one) => element("li", {}, one))));
  byId("understood").replaceChildren(...parts);
  const series = found.values.length === 1 ? found.values[0] : `all ${found.series.toLocaleString("en")} columns of numbers`;
  rename("target", found.ids.length ? `Found: ${found.values[0]}` : `Found: ${series}`);
  rename("time_column", `Found: ${found.time}`);
  rename("id_column", found.ids.length ? `Found: ${found.ids.join(", ")}` : "None: each column is a series");
  showRoles(found);
}

function rename(id, text) {
  const automatic = byId(id).options[0];
  if (byId(id).value === "") automatic.textContent = text;
}

function showRoles(found) {
  const roles = new Map(columns.map((one) => [one.name, "–"]));
  for (const name of found.values) roles.set(name, "forecast");
  for (const name of found.known) roles.set(name, "known in advance");
  for (const name of found.ids) roles.set(name, "names of the series");
  for (const name of roles.has(found.time) ? [found.time] : found.time.split(", ")) roles.set(name, "time");
  byId("columns-title").textContent = `${columns.length.toLocaleString("en")} columns`;
  const cells = (one) => row(one.name, roles.get(one.name), one.kind, one.missing ? one.missing.toLocaleString("en") : "–", one.examples.join(" · "));
  byId("column-rows").replaceChildren(...columns.map(cells));
  show(byId("columns"));
  const taken = (name) => ["time", "names of the series"].includes(roles.get(name)) || (roles.get(name) === "forecast" && found.values.length === 1);
  for (const box of byId("known").querySelectorAll("input")) {
    if (box.id !== "calendar") show(box.parentElement, !taken(box.value) || box.checked);
  }
  byId("known").classList.toggle("many", columns.length > MANY);
}

// The newest values of the first series, as a small picture.
function picture(values) {
  const low = Math.min(...values);
  const height = Math.max(...values) - low || 1;
  const step = 200 / Math.max(values.length - 1, 1);
  const points = values.map((value, i) => `${(i * step).toFixed(1)},${(46 - (44 * (value - low)) / height).toFixed(1)}`);
  return drawing("svg", { viewBox: "0 0 200 48", class: "preview", preserveAspectRatio: "none", "aria-hidden": "true" }, drawing("polyline", { points: points.join(" ") }));
}

export function clearErrors() {
  for (const field of document.querySelectorAll("[data-field]")) {
    field.querySelector(".field-error")?.remove();
    const control = field.querySelector("input, select");
    control?.removeAttribute("aria-invalid");
    control?.removeAttribute("aria-describedby");
  }
  say(byId("table-error"), null);
}

// A message of the library, next to the field that it names.
export function showError(error, focus) {
  clearErrors();
  const field = error.field && document.querySelector(`[data-field="${error.field}"]`);
  if (!field || (field.id === "future-field" && field.hidden)) {
    say(byId("table-error"), error.message);
    return;
  }
  if (!byId("understood").firstChild) {
    const label = field.querySelector("label, legend").textContent;
    byId("understood").append(element("p", {}, `The table cannot be forecast as it is: see “${label}” below.`));
  }
  field.append(element("p", { class: "field-error", id: "field-error", role: "alert" }, error.message));
  const control = field.querySelector("input, select");
  if (field.closest("details")) field.closest("details").open = true;
  if (control) {
    control.setAttribute("aria-invalid", "true");
    control.setAttribute("aria-describedby", "field-error");
    if (focus) control.focus();
  }
}
