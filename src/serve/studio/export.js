// A conversation as a page of its own, and requests as curl and Python.
import { messagesOf, parametersOf } from "./chat_tree.js";
import { talks } from "./answer.js";
import { markdown } from "./ui.js";

const escaped = (text) => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

/** HTML that holds everything it shows. */
export function pageOf(title, nodes, model) {
  const turns = nodes.map((node) => `<article class="${node.role === "user" ? "user" : "assistant"}"><h2>${node.role === "user" ? "You" : escaped(node.model || model)}</h2>
${node.media.map((one) => (one.type.startsWith("video/") ? `<video controls src="${escaped(one.uri)}"></video>` : `<img alt="${escaped(one.name)}" src="${escaped(one.uri)}">`)).join("")}
${node.role === "user" ? `<p class="said">${escaped(node.content)}</p>` : markdown(node.content)}</article>`).join("\n");
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'">
<title>${escaped(title)}</title><style>
:root{color-scheme:light dark;font:16px/1.6 system-ui,sans-serif}body{max-width:44rem;margin:2rem auto;padding:0 1rem;background:Canvas;color:CanvasText}
h1{font-size:1.5rem}h2{font-size:.85rem;margin:0 0 .3rem;opacity:.7}article{padding:1rem 0;border-top:1px solid color-mix(in srgb,CanvasText 15%,transparent)}
.said{white-space:pre-wrap;overflow-wrap:anywhere}img,video{max-width:100%;max-height:24rem;border-radius:8px}pre{overflow-x:auto;padding:.8rem;background:color-mix(in srgb,CanvasText 7%,transparent);border-radius:8px}
</style></head><body><h1>${escaped(title)}</h1><p>${escaped(model)} · ${new Date().toLocaleString("en")}</p>
${turns}</body></html>`;
}

function bodyOf(model, line, settings) {
  const parameters = parametersOf(settings);
  if (talks(model)) return ["/v1/chat/completions", { model: model.id, messages: messagesOf(line, settings.system), ...parameters }];
  return ["/v1/completions", { model: model.id, prompt: line.map((turn) => turn.content).join(""), ...parameters }];
}

/** For a shell; pictures are shortened by `shorten`. */
export function curlOf(path, body) {
  return `curl ${location.origin}${path} \\\n  -H 'Content-Type: application/json' \\\n  -d '${JSON.stringify(body, null, 2).replace(/'/g, "'\\''")}'`;
}

/** A value as Python writes it. */
function python(value, indent) {
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value !== "object") return JSON.stringify(value);
  const list = Array.isArray(value);
  const inner = Object.entries(value).map(([name, one]) => `${indent}    ${list ? "" : `${JSON.stringify(name)}: `}${python(one, `${indent}    `)},`);
  if (inner.length === 0) return list ? "[]" : "{}";
  return `${list ? "[" : "{"}\n${inner.join("\n")}\n${indent}${list ? "]" : "}"}`;
}

export function pythonOf(path, body) {
  const call = path === "/v1/chat/completions" ? "chat.completions" : path === "/v1/completions" ? "completions" : path.endsWith("edits") ? "images.edit" : "images.generate";
  const known = path.startsWith("/v1/images") ? ["model", "prompt", "n", "size"] : ["model", "messages", "prompt", "temperature", "top_p", "seed", "max_tokens", "response_format"];
  const own = Object.fromEntries(Object.entries(body).filter(([name]) => !known.includes(name)));
  const lines = Object.entries(body).filter(([name]) => known.includes(name)).map(([name, value]) => `    ${name}=${python(value, "    ")},`);
  if (Object.keys(own).length) lines.push(`    extra_body=${python(own, "    ")},`);
  const function_ = call.startsWith("images") ? call : `${call}.create`;
  const shown = call === "chat.completions" ? "answer.choices[0].message.content" : call === "completions" ? "answer.choices[0].text" : "len(answer.data)";
  return `from openai import OpenAI\n\nclient = OpenAI(base_url="${location.origin}/v1", api_key="none")\nanswer = client.${function_}(\n${lines.join("\n")}\n)\nprint(${shown})`;
}

export const codeOf = (model, line, settings) => {
  const [path, body] = bodyOf(model, line, settings);
  return { curl: curlOf(path, body), python: pythonOf(path, body) };
};
