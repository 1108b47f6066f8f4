// What the server is doing: only what it has reported.

import { byId, duration, element, isNew, number, row, say, show } from "./elements.js";

const STAGES = [
  ["read", "Read the table"],
  ["fit", "Compare methods on held-out blocks and fit the best"],
  ["forecast", "Forecast, with intervals"],
  ["backtest", "Forecast the newest stretches of the past, to see how good it is"],
  ["report", "Write the report"],
];

export function showProgress(run, ahead) {
  const begun = run.events.findLastIndex((event) => event.stage);
  const at = STAGES.findIndex(([name]) => name === run.events[begun]?.stage);
  const waiting = run.state === "waiting";
  say(byId("progress-title"), waiting ? "Waiting for a free place" : "At work");
  byId("elapsed").textContent = waiting ? (ahead ? `${ahead} before this one` : "next") : duration(run.seconds ?? 0);
  const compared = run.events.slice(Math.max(begun, 0)).filter((event) => event.compared).map((event) => event.compared);
  const doing = detail(run.events.at(-1) ?? {});
  if (isNew(byId("stages"), [at, doing])) drawStages(at, doing);
  if (isNew(byId("compared-rows"), compared)) drawCompared(compared);
  const words = waiting ? "Waiting for a free place." : at < 0 ? "" : `Step ${at + 1} of ${STAGES.length}: ${STAGES[at][1]}.`;
  if (byId("announced").textContent !== words) byId("announced").textContent = words;
}

function drawStages(at, doing) {
  const items = STAGES.map(([, text], i) => {
    const state = i < at ? "done" : i === at ? "now" : "next";
    const words = element("span", {}, text + (i === at ? doing : ""));
    const item = element("li", { class: state }, element("span", { class: "mark", "aria-hidden": "true" }), words);
    if (i === at) item.setAttribute("aria-current", "step");
    if (i < at) item.append(element("span", { class: "hidden" }, " (done)"));
    return item;
  });
  byId("stages").replaceChildren(...items);
}

function drawCompared(compared) {
  const best = Math.min(...compared.map((one) => one.error ?? Infinity));
  const rows = compared.map((one) => {
    const made = row(one.candidate, number(one.error?.toFixed(3) ?? "–"), number(`${one.seconds.toFixed(1)} s`));
    if (one.error === best) made.className = "best";
    return made;
  });
  byId("compared-rows").replaceChildren(...rows);
  show(byId("compared"), compared.length > 0);
}

// What the newest event says of the stage.
function detail({ step, doing }) {
  if (step) return ` (step ${step.step} of ${step.total})`;
  return doing ? `: ${doing}` : "";
}
