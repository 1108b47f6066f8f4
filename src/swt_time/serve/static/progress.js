// What the server is doing: only what it has reported.

import { byId, duration, element, number, row, say, show } from "./elements.js";

const STAGES = [
  ["read", "Read the table"],
  ["fit", "Compare methods on held-out blocks and fit the best"],
  ["forecast", "Forecast, with intervals"],
  ["backtest", "Forecast the newest stretches of the past, to see how good it is"],
  ["report", "Write the report"],
];

export function showProgress(run, ahead) {
  const stages = run.events.filter((event) => event.stage).map((event) => event.stage);
  const current = stages.at(-1);
  const at = STAGES.findIndex(([name]) => name === current);
  const waiting = run.state === "waiting";
  say(byId("progress-title"), waiting ? "Waiting for a free place" : "At work");
  byId("elapsed").textContent = waiting ? (ahead ? `${ahead} before this one` : "next") : duration(run.seconds ?? 0);
  byId("stages").replaceChildren(
    ...STAGES.map(([, text], i) => {
      const state = i < at ? "done" : i === at ? "now" : "next";
      const item = element("li", { class: state }, element("span", { class: "mark", "aria-hidden": "true" }), element("span", {}, text + (i === at ? detail(run) : "")));
      if (i === at) item.setAttribute("aria-current", "step");
      if (i < at) item.append(element("span", { class: "hidden" }, " (done)"));
      return item;
    }),
  );
  const begun = run.events.findLastIndex((event) => event.stage);
  const compared = run.events.slice(Math.max(begun, 0)).filter((event) => event.compared).map((event) => event.compared);
  const best = Math.min(...compared.map((one) => one.error ?? Infinity));
  show(byId("compared"), compared.length > 0);
  byId("compared-rows").replaceChildren(
    ...compared.map((one) => {
      const made = row(one.candidate, number(one.error?.toFixed(3) ?? "–"), number(`${one.seconds.toFixed(1)} s`));
      if (one.error === best) made.className = "best";
      return made;
    }),
  );
  const words = waiting ? "Waiting for a free place." : at < 0 ? "" : `Step ${at + 1} of ${STAGES.length}: ${STAGES[at][1]}.`;
  if (byId("announced").textContent !== words) byId("announced").textContent = words;
}

function detail(run) {
  const step = run.events.at(-1)?.step;
  if (step) return ` (step ${step.step} of ${step.total})`;
  const doing = run.events.at(-1)?.doing;
  return doing ? `: ${doing}` : "";
}
