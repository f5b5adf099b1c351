// Requests to the server that this page came from, and to no other.

export class ApiError extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

const keyName = "tessera-key";
export const getKey = () => sessionStorage.getItem(keyName) || "";
export const setKey = (key) => (key ? sessionStorage.setItem(keyName, key) : sessionStorage.removeItem(keyName));

function headers(body) {
  const all = {};
  if (body !== undefined) all["Content-Type"] = "application/json";
  if (getKey()) all.Authorization = `Bearer ${getKey()}`;
  return all;
}

async function failure(response) {
  let message = `${response.status} ${response.statusText}`;
  try {
    message = (await response.json()).error.message || message;
  } catch {
    // not JSON: the status has to do
  }
  if (response.status === 429) message += `; try again in ${response.headers.get("Retry-After") || "a few"} seconds`;
  return new ApiError(message, response.status);
}

async function send(path, { body, signal } = {}) {
  try {
    return await fetch(path, {
      method: body === undefined ? "GET" : "POST",
      headers: headers(body),
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
      cache: "no-store",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The server does not answer. Is it still running?");
  }
}

/** The JSON of an answer; throws ApiError with the server's own words. */
export async function request(path, options) {
  const response = await send(path, options);
  if (!response.ok) throw await failure(response);
  return response.json();
}

/** Text of a GET, and whether it was there. */
export async function fetchText(path, signal) {
  const response = await send(path, { signal });
  if (!response.ok) throw await failure(response);
  return response.text();
}

/** A file as a blob: pictures of runs need the key too, which an <img> does not send. */
export async function fetchBlob(path, signal) {
  const response = await send(path, { signal });
  if (!response.ok) throw await failure(response);
  return response.blob();
}

/** Posts and calls `onEvent` with the JSON of every event of the stream. */
export async function stream(path, body, { signal, onEvent }) {
  const response = await send(path, { body, signal });
  if (!response.ok) throw await failure(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      held += value;
      for (let end = held.indexOf("\n\n"); end >= 0; end = held.indexOf("\n\n")) {
        const data = held.slice(0, end).split("\n").filter((line) => line.startsWith("data:"))
          .map((line) => line.slice(5).replace(/^ /, "")).join("\n");
        held = held.slice(end + 2);
        if (data === "[DONE]") return;
        if (!data) continue;
        const event = JSON.parse(data);
        if (event.error) throw new ApiError(event.error.message, 500);
        onEvent(event);
      }
    }
  } catch (error) {
    if (error.name === "AbortError" || error instanceof ApiError) throw error;
    throw new ApiError("The answer broke off: the connection to the server was lost.");
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Of which models: those that have all these abilities. */
export const able = (models, ...abilities) =>
  models.filter((model) => abilities.some((ability) => model.tessera?.abilities?.includes(ability)));

const decodeBytes = (bytes, fallback) => (bytes ? new Uint8Array(bytes) : new TextEncoder().encode(fallback));

/** A token of a chat's log probabilities: its bytes, its log probability, and others that were likely. */
export function chatTokens(logprobs) {
  return (logprobs?.content || []).map((entry) => ({
    bytes: decodeBytes(entry.bytes, entry.token),
    logprob: entry.logprob,
    top: entry.top_logprobs.map((other) => ({ bytes: decodeBytes(other.bytes, other.token), logprob: other.logprob })),
  }));
}

/** Bytes of "a" or of "bytes:\xe2\x96". */
function tokenBytes(text) {
  if (!text.startsWith("bytes:\\x")) return new TextEncoder().encode(text);
  return new Uint8Array([...text.matchAll(/\\x([0-9a-f]{2})/g)].map((match) => parseInt(match[1], 16)));
}

/** The same of /v1/completions. */
export function completionTokens(logprobs) {
  return (logprobs?.tokens || []).map((token, i) => ({
    bytes: tokenBytes(token),
    logprob: logprobs.token_logprobs[i] ?? 0,
    top: Object.entries(logprobs.top_logprobs?.[i] || {}).sort((a, b) => b[1] - a[1])
      .map(([text, logprob]) => ({ bytes: tokenBytes(text), logprob })),
  }));
}

/** Text of tokens, one string for each; a character that several tokens share belongs to the last of them. */
export function textsOf(tokens) {
  const decoder = new TextDecoder();
  return tokens.map((token, i) => decoder.decode(token.bytes, { stream: i + 1 < tokens.length }));
}
export const textOf = (tokens) => textsOf(tokens).join("");
