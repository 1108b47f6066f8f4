// The forecast, how good it is, what it is made of, and its files.

import { FanChart, bounds, moment } from "./chart.js";
import { byId, element, fill, number, row, say, show, shown } from "./elements.js";
import { ask, download, hasToken } from "./server.js";

const FEW = 12;
const MOST_MATCHES = 300;

let chart = null;
let job = null;
let names = [];

export function showResult(found) {
  job = found;
  const run = found.forecast;
  const last = (kind) => run.events.findLast((event) => kind in event)?.[kind];
  const result = last("result");
  names = result.series;
  chart ??= new FanChart(byId("chart"), byId("readout"));
  byId("series-search").value = "";
  show(byId("choose-series"), names.length > 1);
  show(byId("series-search").parentElement, names.length > FEW);
  byId("open-report").href = `/jobs/${found.id}/report.html`;
  show(byId("open-report"), !hasToken()); // a link sends no token
  const notes = run.events.filter((event) => event.note).map((event) => event.note);
  byId("result-notes").replaceChildren(...[...new Set(notes)].map((one) => element("li", {}, one)));
  byId("chosen").textContent = (last("chosen") ?? []).join("\n");
  showScores(result.scores);
  search();
}

function search() {
  const words = byId("series-search").value.toLowerCase();
  const matches = names.map((name, i) => [String(i), name]).filter(([, name]) => name.toLowerCase().includes(words));
  fill(byId("series"), matches.slice(0, MOST_MATCHES));
  byId("series").disabled = matches.length === 0;
  if (matches.length) choose();
}

async function choose() {
  const index = Number(byId("series").value);
  const { id } = job;
  let found;
  try {
    found = await ask("GET", `/${id}/charts/${index}`);
  } catch (error) {
    say(byId("download-error"), error.message);
    return;
  }
  if (job.id !== id || Number(byId("series").value) !== index) return;
  say(byId("download-error"), null);
  found.clock = found.times.some((at) => at % 86400 !== 0);
  chart.at = null;
  chart.draw(found);
  const { yhat, known, times } = found;
  const [from, to] = [moment(found, times[known]), moment(found, times.at(-1))];
  const mean = yhat.reduce((sum, value) => sum + value, 0) / yhat.length;
  byId("chart-caption").textContent = `${found.name}: ${yhat.length === 1 ? `one step, ${from}` : `${yhat.length} steps from ${from} to ${to}`}; on average ${shown(mean)}, between ${shown(Math.min(...yhat))} and ${shown(Math.max(...yhat))}.`;
  show(byId("legend-past"), found.past.length > 0);
  showNumbers(found);
}

function showNumbers(found) {
  const intervals = bounds(found).reverse();
  byId("number-head").replaceChildren(element("th", { scope: "col" }, "Time"), element("th", { scope: "col", class: "number" }, "Forecast"), ...intervals.map(([level]) => element("th", { scope: "col", class: "number" }, `${level} % interval`)));
  const cells = (value, i) => [moment(found, found.times[found.known + i]), number(shown(value)), ...intervals.map(([, low, high]) => number(`${shown(low[i])} to ${shown(high[i])}`))];
  byId("number-rows").replaceChildren(...found.yhat.slice(0, 1000).map((value, i) => row(...cells(value, i))));
}

function showScores(scores) {
  show(byId("backtest-part"), scores !== null);
  if (scores === null) return;
  const [model, ...baselines] = Object.keys(scores.original);
  const error = scores.original[model].mae;
  const against = baselines.map((name) => {
    const gain = 1 - error / scores.original[name].mae;
    if (!Number.isFinite(gain)) return null;
    const percent = `${Math.abs(100 * gain).toFixed(0)} %`;
    return `${percent} ${gain >= 0 ? "lower" : "higher"} than that of ${title(name, scores.season)}`;
  });
  const said = against.filter((one) => one !== null).join(" and ");
  const stretches = scores.windows === 1 ? `the newest ${scores.horizon} steps` : `the newest ${scores.windows} stretches of ${scores.horizon} steps`;
  byId("backtest-words").textContent = `Asked for ${stretches} of the table (${scores.points.toLocaleString("en")} values), swt-time has a mean absolute error of ${shown(error)}${said ? `: ${said}` : ""}. ${scores.how}`;
  byId("backtest-rows").replaceChildren(
    ...Object.entries(scores.original).map(([name, one]) => {
      const made = row(name, number(shown(one.mae)), number(shown(one.rmse)), number(shown(one.mase)), number(one.smape === null ? "–" : `${one.smape.toFixed(1)} %`));
      if (name === model) made.className = "best";
      return made;
    }),
  );
  const levels = Object.entries(scores.intervals[model]?.coverage ?? {});
  byId("coverage").textContent = levels.length ? `Of these values, ${levels.map(([level, share]) => `${(100 * share).toFixed(0)} % lay within the ${level} % interval`).join(" and ")}.` : "";
}

const title = (name, season) => (name === "seasonal naive" ? `seasonal naive (the value ${season === 1 ? "one row" : `${season} rows`} before)` : name);

async function save(file) {
  const stem = job.names.table.replace(/\.[^.]*$/, "") || "table";
  const button = document.activeElement;
  try {
    await download(`/${job.id}/${file}`, file === "report.html" ? `${stem}-report.html` : `${stem}-forecast.csv`);
    say(byId("download-error"), null);
  } catch (error) {
    say(byId("download-error"), error.message);
  }
  button?.focus();
}

export function prepareResult() {
  byId("series").addEventListener("change", choose);
  byId("series-search").addEventListener("input", search);
  byId("zoom-out").addEventListener("click", () => chart?.showAll());
  byId("download-table").addEventListener("click", () => save("forecast.csv"));
  byId("download-report").addEventListener("click", () => save("report.html"));
}
