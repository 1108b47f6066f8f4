// The page: a table is sent, read, and forecast by jobs on the server, whose state is shown as it is.

import { byId, say, show } from "./elements.js";
import { clearErrors, clearForm, readForm, restoreForm, showColumns, showError, showUnderstood } from "./form.js";
import { showProgress } from "./progress.js";
import { prepareResult, showResult } from "./result.js";
import { ServerError, ask, sendFile, setToken } from "./server.js";

const JOB = "swt-time-job";
const OFTEN = 300;
const SETTLED = 600;

let job = null; // what the server said last
let timer = null;
let settle = null;
let sent = null; // the form as the server knows it
let afterToken = null;
let mostBytes = Infinity;
let asked = 0; // requests whose answers count: a newer one makes older ones void

function keep(found) {
  job = found;
  sessionStorage.setItem(JOB, found.id);
}

function forget() {
  job = null;
  sessionStorage.removeItem(JOB);
  clearTimeout(timer);
  clearTimeout(settle);
}

const active = (run) => run?.state === "waiting" || run?.state === "running";
const last = (run, kind) => run?.events.findLast((event) => kind in event)?.[kind];

function refused(error, place) {
  if (!(error instanceof ServerError)) throw error;
  if (error.status === 401) return askToken(error);
  if (error.status === 404 && job) {
    forget();
    render();
    say(byId("send-error"), error.message);
    return undefined;
  }
  say(place, error.message);
  return undefined;
}

function askToken() {
  const tried = byId("token").value !== "";
  show(byId("token-part"));
  show(byId("send-part"), false);
  say(byId("token-error"), tried ? "The server does not know this token." : null);
  byId("token").focus();
}

async function sendTable(name, content) {
  say(byId("send-error"), null);
  if (content.size > mostBytes) {
    say(byId("send-error"), `${name} has ${Math.ceil(content.size / 2 ** 20)} MiB; this server takes at most ${Math.floor(mostBytes / 2 ** 20)} MiB. Send a part of it, or compress it.`);
    return;
  }
  afterToken = () => sendTable(name, content);
  say(byId("sending"), `Sending ${name} …`);
  clearForm();
  try {
    keep(await sendFile("POST", "", name, content));
    sent = JSON.stringify(readForm());
    render();
    byId("table-title").focus();
    watch();
  } catch (error) {
    refused(error, byId("send-error"));
  } finally {
    say(byId("sending"), null);
  }
}

// Show the state of the job until nothing of it is at work.
async function watch() {
  clearTimeout(timer);
  const mine = ++asked;
  try {
    const found = await ask("GET", `/${job.id}`);
    if (mine !== asked || job === null) return;
    keep(found);
    render();
    if (active(found.read) || active(found.forecast)) timer = setTimeout(watch, OFTEN);
  } catch (error) {
    if (mine !== asked) return;
    refused(error, byId("ended"));
    if (error.status === 0) timer = setTimeout(watch, 10 * OFTEN);
  }
}

async function act(method, path, value) {
  clearTimeout(timer);
  const mine = ++asked;
  try {
    const found = await ask(method, `/${job.id}${path}`, value);
    if (mine !== asked) return;
    keep(found);
    render();
    watch();
  } catch (error) {
    if (mine === asked) refused(error, byId("table-error"));
  }
}

function readAgain() {
  clearTimeout(settle);
  if (job === null || active(job.forecast)) return;
  const options = readForm();
  if (JSON.stringify(options) === sent) return;
  sent = JSON.stringify(options);
  act("POST", "/read", options);
}

function changed(event) {
  clearTimeout(settle);
  show(byId("future-field"), readForm().known.length > 0);
  // the horizon changes nothing of what is understood
  if (event.target.id !== "horizon" && event.target.id !== "future") settle = setTimeout(readAgain, SETTLED);
}

function start(event) {
  event.preventDefault();
  clearTimeout(settle);
  clearErrors();
  complained = null;
  const options = readForm();
  sent = JSON.stringify(options);
  act("POST", "/forecast", options).then(() => {
    if (job && active(job.forecast)) byId("progress-title").focus();
  });
}

async function sendFuture() {
  const [file] = byId("future").files;
  if (!file) return;
  try {
    keep(await sendFile("PUT", `/${job.id}/future`, file.name, file));
    await act("POST", "/read", readForm());
  } catch (error) {
    refused(error, byId("table-error"));
  }
}

async function removeFuture() {
  byId("future").value = "";
  await act("DELETE", "/future");
  await act("POST", "/read", readForm());
}

async function restart() {
  const old = job;
  complained = null;
  forget();
  asked += 1;
  render();
  byId("send-title").scrollIntoView();
  byId("file").focus();
  if (old) ask("DELETE", `/${old.id}`).catch(() => {});
}

let seen = ""; // whether a fit was at work when the page was drawn last
let drawn = null; // the run whose result is on the page
let complained = null; // the error that is on the page

function render() {
  const { read, forecast } = job ?? {};
  const focused = document.activeElement;
  const watched = focused === document.body || byId("progress-part").contains(focused);
  show(byId("send-part"), job === null && byId("token-part").hidden);
  show(byId("restart"), job !== null);
  show(byId("table-part"), job !== null);
  show(byId("progress-part"), active(forecast));
  show(byId("result-part"), forecast?.state === "done");
  say(byId("ended"), forecast?.state === "cancelled" ? "Cancelled: nothing of it runs any more." : null);
  document.title = `${active(forecast) ? "At work" : forecast?.state === "done" ? "The forecast" : "Forecast a table"} · swt-time`;
  if (job === null) return;
  byId("table-name").textContent = job.names.table;
  renderTable(read, forecast);
  if (active(forecast)) showProgress(forecast, job.ahead);
  const key = forecast && `${job.id} ${forecast.state} ${forecast.events.length}`;
  if (forecast?.state === "done" && drawn !== key) {
    showResult(job);
    if (watched) byId("result-title").focus();
  }
  drawn = forecast?.state === "done" ? key : null;
  if (forecast?.state === "cancelled" && watched && seen === "running") byId("start").focus();
  seen = active(forecast) ? "running" : "";
}

function renderTable(read, forecast) {
  const run = active(forecast) || (forecast && last(forecast, "columns")) ? forecast : read;
  const columns = last(read, "columns") ?? last(run, "columns");
  const understood = last(read, "understood");
  byId("understood").setAttribute("aria-busy", String(active(read)));
  if (active(read) && !byId("understood").firstChild) byId("understood").textContent = "Reading the table …";
  if (columns) showColumns(columns);
  show(byId("form"), columns !== undefined && !active(forecast));
  if (understood) {
    showUnderstood(understood);
    show(byId("future-field"), readForm().known.length > 0);
  } else if (!active(read)) byId("understood").replaceChildren();
  say(byId("future-name"), job.names.future);
  show(byId("future-remove"), Boolean(job.names.future));
  const error = forecast?.error ?? (active(forecast) ? null : read?.error);
  if (active(read) && !understood) return;
  const text = error ? JSON.stringify(error) : null;
  if (text === complained) return;
  complained = text;
  if (error) showError(error, byId("form").contains(document.activeElement));
  else clearErrors();
}

function pasted(event) {
  if (job !== null || event.target.closest?.("input, textarea")) return;
  const [file] = event.clipboardData.files;
  const text = event.clipboardData.getData("text/plain");
  if (file) sendTable(file.name, file);
  else if (text.trim().includes("\n")) sendTable("pasted table", new Blob([text]));
  else return;
  event.preventDefault();
}

function prepareDrop() {
  const place = byId("drop");
  const over = (event, inside) => {
    event.preventDefault();
    place.classList.toggle("over", inside && job === null);
  };
  document.addEventListener("dragover", (event) => over(event, true));
  document.addEventListener("dragleave", (event) => event.relatedTarget === null && over(event, false));
  document.addEventListener("drop", (event) => {
    over(event, false);
    const [file] = event.dataTransfer.files;
    if (!file || active(job?.forecast)) return;
    if (job !== null) restart();
    sendTable(file.name, file);
  });
}

function prepare() {
  prepareDrop();
  prepareResult();
  document.addEventListener("paste", pasted);
  byId("file").addEventListener("change", () => {
    const [file] = byId("file").files;
    if (file) sendTable(file.name, file);
    byId("file").value = "";
  });
  byId("paste-open").addEventListener("click", () => {
    const open = byId("paste-form").hidden;
    show(byId("paste-form"), open);
    byId("paste-open").setAttribute("aria-expanded", String(open));
    if (open) byId("pasted").focus();
  });
  byId("paste-form").addEventListener("submit", (event) => {
    event.preventDefault();
    sendTable("pasted table", new Blob([byId("pasted").value]));
  });
  byId("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    setToken(byId("token").value.trim());
    show(byId("token-part"), false);
    render();
    (afterToken ?? begin)();
  });
  byId("form").addEventListener("change", changed);
  byId("form").addEventListener("submit", start);
  byId("future").addEventListener("change", sendFuture);
  byId("future-remove").addEventListener("click", removeFuture);
  byId("cancel").addEventListener("click", () => act("POST", "/cancel"));
  byId("restart").addEventListener("click", restart);
}

// A page that was reloaded shows the job that it had.
async function begin() {
  const id = sessionStorage.getItem(JOB);
  afterToken = begin;
  try {
    const limits = await ask("GET", "");
    mostBytes = limits.upload_bytes;
    const minutes = Math.round(limits.idle_seconds / 60);
    byId("limits").textContent = `CSV, Parquet or Excel, also compressed; at most ${Math.round(limits.upload_bytes / 2 ** 20)} MiB`;
    byId("kept").textContent = `The table goes to this server only. It is read in a process of its own, and deleted when you choose another table or ${minutes === 1 ? "a minute" : `${minutes} minutes`} after its last use.`;
    if (id === null) return;
    keep(await ask("GET", `/${id}`));
  } catch (error) {
    if (error.status !== 401) forget();
    refused(error, byId("send-error"));
    return;
  }
  render();
  restoreForm(job.options);
  sent = JSON.stringify(readForm());
  if (last(job.read, "understood")) showUnderstood(last(job.read, "understood"));
  watch();
}

prepare();
begin();
