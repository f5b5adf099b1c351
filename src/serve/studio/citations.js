// "Where did it read this?": runs of an answer that stand word for word in what a model has read, each with its passage.
import { html, useEffect, useState } from "./vendor/preact.js";
import { request } from "./api.js";
import { IconButton, Problem, Spinner } from "./ui.js";

export function Citations({ node, onClose }) {
  const [found, setFound] = useState(null);
  const [error, setError] = useState(null);
  const [at, setAt] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    request("/citations", { body: { model: node.model, text: node.content }, signal: stop.signal }).then(setFound)
      .catch((problem) => problem.name !== "AbortError" && setError(problem));
    return () => stop.abort();
  }, [node.content]);
  if (error) return html`<${Problem} error=${error} />`;
  if (!found) return html`<${Spinner} label="Looking for passages" />`;
  const spans = found.matches;
  const one = spans[at];
  return html`<div class="citations">
    <div class="row spread"><p>${spans.length === 0 ? `No run of ${found.least_tokens} tokens or more stands in what was read (${found.index.tokens.toLocaleString("en")} tokens).`
      : `${spans.length} ${spans.length === 1 ? "passage stands" : "passages stand"} word for word in what was read (${found.index.tokens.toLocaleString("en")} tokens).`}</p>
      <${IconButton} icon="close" label="Close the passages" onClick=${onClose} /></div>
    <p class="said">${found.parts.map((part) => (part.match == null ? part.text
      : html`<span role="button" tabindex="0" class="cited" aria-pressed=${part.match === at} onClick=${() => setAt(part.match)}
        onKeyDown=${(e) => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); setAt(part.match); } }}>${part.text}</span>`))}</p>
    ${one && html`<section class="passages" aria-live="polite"><h3>${one.tokens} tokens, ${one.count === 1 ? "read once" : `read ${one.count} times`}</h3>
      ${one.passages.map((passage) => html`<blockquote><span>${passage.before}</span><mark>${passage.match}</mark><span>${passage.after}</span>
        <cite>passage ${passage.number.toLocaleString("en")}</cite></blockquote>`)}</section>`}
  </div>`;
}
