// Requests to the server that this page came from.

const TOKEN = "swt-time-token";

export class ServerError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export function setToken(token) {
  sessionStorage.setItem(TOKEN, token);
}

export function hasToken() {
  return sessionStorage.getItem(TOKEN) !== null;
}

async function request(method, path, body, kind) {
  const headers = { "X-SWT-Time": "page" };
  const token = sessionStorage.getItem(TOKEN);
  if (token !== null) headers.Authorization = `Bearer ${token}`;
  if (kind) headers["Content-Type"] = kind;
  let answer;
  try {
    answer = await fetch(`/jobs${path}`, { method, headers, body, cache: "no-store" });
  } catch {
    throw new ServerError(0, "The server does not answer. Is it still running?");
  }
  if (answer.ok) return answer;
  const text = await answer.text();
  let message = `The server refused this (${answer.status}).`;
  try {
    const parsed = JSON.parse(text);
    const said = parsed.detail ?? parsed.error?.message ?? parsed.error ?? parsed.message;
    if (typeof said === "string") message = said;
  } catch {
    // not JSON, so not an answer of the service itself
  }
  throw new ServerError(answer.status, message);
}

export async function ask(method, path, value) {
  const body = value === undefined ? undefined : JSON.stringify(value);
  const answer = await request(method, path, body, body && "application/json");
  return answer.json();
}

export async function sendFile(method, path, name, content) {
  const answer = await request(method, `${path}?name=${encodeURIComponent(name)}`, content, "application/octet-stream");
  return answer.json();
}

export async function download(path, name) {
  const answer = await request("GET", path);
  const address = URL.createObjectURL(await answer.blob());
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
