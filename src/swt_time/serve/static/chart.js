// The fan chart of one series, drawn by uPlot.

import { shown } from "./elements.js";

const HEIGHT = 340;
const NEAR = 60; // values before a forecast that are shown at first, or five horizons
const utc = (seconds) => window.uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC");

const pad = (value) => String(value).padStart(2, "0");

export function moment(chart, at) {
  if (!chart.calendar) return at.toLocaleString("en");
  const date = new Date(at * 1000);
  const day = `${date.getUTCFullYear()}-${pad(date.getUTCMonth() + 1)}-${pad(date.getUTCDate())}`;
  const clock = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()];
  if (!chart.clock) return day;
  return `${day} ${pad(clock[0])}:${pad(clock[1])}${clock[2] ? `:${pad(clock[2])}` : ""}`;
}

export function bounds(chart) {
  const levels = Object.keys(chart.around).filter((name) => name.startsWith("yhat-lo-")).map((name) => name.slice(8));
  return levels.sort((a, b) => b - a).map((level) => [level, chart.around[`yhat-lo-${level}`], chart.around[`yhat-hi-${level}`]]);
}

export class FanChart {
  constructor(place, readout) {
    this.place = place;
    this.readout = readout;
    this.plot = null;
    new ResizeObserver(() => this.resize()).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.chart && this.draw(this.chart));
    place.addEventListener("keydown", (event) => this.key(event));
  }

  draw(chart) {
    this.chart = chart;
    this.plot?.destroy();
    this.readout.textContent = "";
    const total = chart.times.length;
    const ahead = (numbers) => [...Array(chart.known).fill(null), ...numbers];
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    const hidden = { stroke: "transparent", points: { show: false } };
    const data = [chart.times, [...chart.values, ...Array(total - chart.known).fill(null)]];
    const series = [{}, { stroke: color("--ink"), width: 1.5, points: { show: chart.known < 60, size: 4 } }];
    const bands = [];
    for (const [level, low, high] of bounds(chart)) {
      bands.push({ series: [data.length + 1, data.length], fill: color(Number(level) > 90 ? "--fan-wide" : "--fan-narrow") });
      data.push(ahead(low), ahead(high));
      series.push(hidden, hidden);
    }
    for (const one of chart.past) {
      const line = Array(total).fill(null);
      one.yhat.forEach((value, i) => (line[one.row + i] = value));
      data.push(line);
      series.push({ stroke: color("--past"), width: 1.5, dash: [5, 4], points: { show: false } });
    }
    data.push(ahead(chart.yhat));
    series.push({ stroke: color("--ahead"), width: 2.5, points: { show: chart.yhat.length === 1, size: 8, fill: color("--ahead") } });
    const axis = { stroke: color("--quiet"), grid: { stroke: color("--line"), width: 1 }, ticks: { stroke: color("--line"), width: 1 }, font: "12px system-ui, sans-serif" };
    const options = {
      width: this.width(),
      height: HEIGHT,
      tzDate: utc,
      series,
      bands,
      legend: { show: false },
      cursor: { drag: { x: true, y: false }, points: { size: 7 } },
      scales: { x: { time: chart.calendar } },
      axes: [
        { ...axis, space: 78, ...(chart.calendar ? { values: DATES } : {}) },
        { ...axis, size: 64, values: (_, ticks) => ticks.map((value) => value.toLocaleString("en", { maximumSignificantDigits: 6, notation: Math.abs(value) >= 1e6 ? "compact" : "standard" })) },
      ],
      hooks: { setCursor: [(plot) => this.read(plot.cursor.idx)] },
    };
    this.plot = new window.uPlot(options, data, this.place);
    const first = Math.max(0, chart.known - Math.max(NEAR, 5 * chart.yhat.length));
    this.plot.setScale("x", { min: chart.times[first], max: chart.times.at(-1) });
  }

  width() {
    return Math.max(this.place.clientWidth, 200);
  }

  resize() {
    if (this.plot && this.plot.width !== this.width()) this.plot.setSize({ width: this.width(), height: HEIGHT });
  }

  showAll() {
    if (this.plot) this.plot.setScale("x", { min: this.chart.times[0], max: this.chart.times.at(-1) });
  }

  read(index) {
    if (index === null || index === undefined) return;
    const { chart } = this;
    const step = index - chart.known;
    const parts = [moment(chart, chart.times[index])];
    if (step < 0) {
      parts.push(chart.values[index] === null ? "no value" : `value ${shown(chart.values[index])}`);
      for (const one of chart.past) {
        const value = one.yhat[index - one.row];
        if (value !== undefined && value !== null) parts.push(`forecast then ${shown(value)}`);
      }
    } else {
      parts.push(`forecast ${shown(chart.yhat[step])}`);
      for (const [level, low, high] of bounds(chart).reverse()) parts.push(`${level} %: ${shown(low[step])} to ${shown(high[step])}`);
    }
    this.readout.textContent = parts.join(" · ");
  }

  key(event) {
    const { plot, chart } = this;
    if (!plot || event.ctrlKey || event.metaKey || event.altKey) return;
    const index = this.at ?? chart.known;
    const to = { ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: chart.times.length - 1, PageUp: index - chart.yhat.length, PageDown: index + chart.yhat.length }[event.key];
    if (to !== undefined) {
      this.at = Math.min(Math.max(to, 0), chart.times.length - 1);
      this.within(this.at);
      const top = plot.valToPos(chart.yhat[this.at - chart.known] ?? chart.values[this.at] ?? 0, "y");
      plot.setCursor({ left: plot.valToPos(chart.times[this.at], "x"), top });
      this.read(this.at);
    } else if (event.key === "+" || event.key === "=") this.zoom(index, 0.5);
    else if (event.key === "-") this.zoom(index, 2);
    else if (event.key === "Escape") this.showAll();
    else return;
    event.preventDefault();
  }

  // Move what is shown so that a point lies within it.
  within(index) {
    const { min, max } = this.plot.scales.x;
    const at = this.chart.times[index];
    const move = at < min ? at - min : at > max ? at - max : 0;
    if (move) this.plot.setScale("x", { min: min + move, max: max + move });
  }

  zoom(index, factor) {
    const { min, max } = this.plot.scales.x;
    const [first, last] = [this.chart.times[0], this.chart.times.at(-1)];
    const half = Math.min(((max - min) * factor) / 2, (last - first) / 2);
    const middle = Math.min(Math.max(this.chart.times[index], first + half), last - half);
    if (half > 0) this.plot.setScale("x", { min: middle - half, max: middle + half });
  }
}

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const YEAR = 365 * DAY;

// Labels of a time axis by the distance of its ticks: the last columns are what stands below where the day or year changes.
const DATES = [
  [YEAR, "{YYYY}", null, null, null, null, null, null, 1],
  [28 * DAY, "{YYYY}-{MM}", null, null, null, null, null, null, 1],
  [DAY, "{MM}-{DD}", "\n{YYYY}", null, null, null, null, null, 1],
  [HOUR, "{HH}:{mm}", "\n{YYYY}-{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
  [MINUTE, "{HH}:{mm}", "\n{YYYY}-{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
  [1, "{HH}:{mm}:{ss}", "\n{YYYY}-{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
  [0.001, ":{ss}.{fff}", "\n{YYYY}-{MM}-{DD} {HH}:{mm}", null, "\n{MM}-{DD} {HH}:{mm}", null, "\n{HH}:{mm}", null, 1],
];
