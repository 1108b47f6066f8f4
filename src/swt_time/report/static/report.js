// Draw the curves of one series at a time, found by search; text is put into the page as text alone.
(function () {
  "use strict";
  const curves = JSON.parse(document.getElementById("curves").textContent);
  const series = curves.series;
  if (!series.length) return;
  const at = (id) => document.getElementById("viewer" + id);
  const list = at("-list"), search = at("-search"), chart = at("-chart");
  const SHOWN = 100, HEIGHT = 300, NARROWEST = 4;
  let plot = null, current = null;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const number = (value) => value == null ? "–" : Number(value.toPrecision(5)).toLocaleString("en-US", { maximumFractionDigits: 8 });
  const time = (x) => {
    if (!curves.dates) return String(x);
    const text = new Date(Math.round(x * 1000)).toISOString().replace("T", " ").slice(0, 19);
    return text.endsWith(" 00:00:00") ? text.slice(0, 10) : text.endsWith(":00") ? text.slice(0, 16) : text;
  };

  function timesOf(one) {
    const packed = curves.times[one.t];
    if (Array.isArray(packed)) return packed;
    return Array.from({ length: packed.count }, (_, k) => packed.from + k * packed.step);
  }

  // Columns of uPlot: times, both bounds of each level, observed, what came afterwards, forecast; later ones lie above.
  function columns(one) {
    const before = one.c, ahead = one.f.length, none = (n) => Array(n).fill(null);
    const last = one.y[before - 1];
    const after = (values) => none(before - 1).concat([last], values, none(Math.max(ahead - values.length, 0)));
    return [timesOf(one)].concat(
      one.b.map(after), [one.y.concat(none(ahead)), one.o ? after(one.o) : none(before + ahead), after(one.f)]);
  }

  function draw(one) {
    current = one;
    at("-title").textContent = one.n;
    at("-values").textContent = "";
    const data = columns(one), low = data[0][0], high = data[0][data[0].length - 1];
    const date = (x) => time(x).slice(0, 10), moment = (x) => time(x).slice(5, 16);
    const labels = (u, ticks, side, space, step) => !curves.dates ? ticks.map(number) : ticks.map(step < 86400 ? moment : date);
    const axis = { stroke: colour("soft"), grid: { stroke: colour("rule"), width: 1 }, ticks: { stroke: colour("rule"), width: 1 } };
    const line = (name, width) => ({ stroke: colour(name), width: width, points: { show: false } });
    const lines = [{}].concat(
      one.b.map(() => ({ stroke: "transparent", width: 0, points: { show: false } })),
      [line("context", 1.2), line("truth", 1.6), line("yhat", 2)]);
    const bands = curves.levels.map((level, k) => ({ series: [2 + 2 * k, 1 + 2 * k], fill: colour("level" + Math.min(k, 2)) }));
    if (plot) plot.destroy();
    plot = new uPlot({
      width: Math.max(chart.clientWidth, 200), height: HEIGHT, legend: { show: false }, bands: bands, series: lines,
      axes: [Object.assign({ space: 100, values: labels }, axis), Object.assign({ size: 64, values: (u, ticks) => ticks.map(number) }, axis)],
      scales: { x: { time: curves.dates, range: (u, from, to) => [Math.max(from, low), Math.min(to, high)] } },
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      cursor: { drag: { x: true, y: false }, points: { show: false } },
      hooks: { setCursor: [values], setScale: [(u, key) => key === "x" && range(u)] },
    }, data, chart);
  }

  function values(u) {
    const k = u.cursor.idx;
    if (k == null) return;
    const said = [time(u.data[0][k])], add = (name, value) => value != null && said.push(name + " " + number(value));
    const first = current.b.length + 1;
    add("observed", u.data[first][k]);
    if (k >= current.c) {
      add("observed afterwards", u.data[first + 1][k]);
      add("forecast", u.data[first + 2][k]);
      curves.levels.forEach((level, j) => said.push(
        level + " % interval " + number(u.data[1 + 2 * j][k]) + " to " + number(u.data[2 + 2 * j][k])));
    }
    at("-values").textContent = said.join("; ");
  }

  function range(u) {
    chart.dataset.from = u.scales.x.min;
    chart.dataset.to = u.scales.x.max;
  }

  // Zoom by a factor around the middle, or move by a share of what is shown.
  function look(factor, move) {
    if (!plot) return;
    const all = plot.data[0], low = all[0], high = all[all.length - 1], least = (high - low) / (all.length - 1) * NARROWEST;
    const from = plot.scales.x.min, to = plot.scales.x.max;
    const width = Math.min(Math.max((to - from) * factor, least), high - low);
    let start = (from + to) / 2 - width / 2 + move * (to - from);
    start = Math.min(Math.max(start, low), high - width);
    plot.setScale("x", { min: start, max: start + width });
  }
  const actions = {
    in: () => look(0.5, 0), out: () => look(2, 0), earlier: () => look(1, -0.25), later: () => look(1, 0.25),
    whole: () => look(Infinity, 0),
  };
  const keys = { "+": "in", "=": "in", "-": "out", "ArrowLeft": "earlier", "ArrowRight": "later", "0": "whole" };

  function find() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = series.filter((one) => words.every((word) => one.n.toLowerCase().includes(word)));
    list.replaceChildren(...found.slice(0, SHOWN).map((one) => {
      const option = document.createElement("option");
      option.value = String(series.indexOf(one));
      option.textContent = one.n;
      return option;
    }));
    const more = found.length > SHOWN ? ", the first " + SHOWN + " are listed" : "";
    at("-count").textContent = found.length + " of " + series.length + " series match" + more + ".";
    if (found.length && (!current || !found.includes(current))) {
      list.selectedIndex = 0;
      draw(found[0]);
    } else if (found.length) {
      list.value = String(series.indexOf(current));
    }
  }

  at("").hidden = false;
  const left = curves.total - series.length;
  at("-note").textContent = left > 0
    ? "The first " + series.length.toLocaleString("en-US") + " of " + curves.total.toLocaleString("en-US") +
      " series are in this file; " + left.toLocaleString("en-US") + " were left out so that it stays below 1 MB."
    : series.length > 1 ? "All " + series.length.toLocaleString("en-US") + " series can be looked at here." : "";
  at("").querySelector(".pick").hidden = series.length === 1;
  search.addEventListener("input", find);
  search.addEventListener("keydown", (event) => { if (event.key === "ArrowDown") { event.preventDefault(); list.focus(); } });
  list.addEventListener("change", () => draw(series[Number(list.value)]));
  for (const button of at("").querySelectorAll("button")) button.addEventListener("click", actions[button.dataset.do]);
  chart.addEventListener("keydown", (event) => {
    if (keys[event.key] && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      actions[keys[event.key]]();
    }
  });
  new ResizeObserver(() => plot && plot.setSize({ width: Math.max(chart.clientWidth, 200), height: HEIGHT })).observe(chart);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => current && draw(current));
  find();
})();
