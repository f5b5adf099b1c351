// An answer as tokens: how likely each was, what else was likely, and a way to go on from that instead.
import { html, useEffect, useRef, useState } from "./vendor/preact.js";
import { textOf, textsOf } from "./api.js";

const share = (logprob) => Math.exp(logprob);
const percent = (logprob) => {
  const p = share(logprob) * 100;
  return p >= 99.95 ? "100 %" : p >= 0.1 ? `${p.toFixed(1)} %` : "< 0.1 %";
};
/** 0 (certain) to 5 (surprising). */
const heat = (logprob) => Math.min(5, Math.floor(-logprob / Math.LN2));
const visible = (text) => text.replace(/\n/g, "↵").replace(/\t/g, "⇥") || "∅";

/** `onBranch(tokens)` is called with the tokens of a new beginning. */
export function Tokens({ tokens, onBranch }) {
  const [open, setOpen] = useState(-1);
  const box = useRef();
  const texts = textsOf(tokens);
  useEffect(() => {
    if (open < 0) return undefined;
    const away = (event) => !box.current?.querySelector(".alternatives")?.contains(event.target) && !event.target.closest?.(".token") && setOpen(-1);
    document.addEventListener("pointerdown", away);
    return () => document.removeEventListener("pointerdown", away);
  }, [open]);
  const onKey = (event) => {
    const at = event.target.dataset?.at === undefined ? NaN : Number(event.target.dataset.at);
    if (event.key === "Escape" && open >= 0) {
      event.stopPropagation();
      const was = open;
      setOpen(-1);
      box.current.querySelector(`[data-at="${was}"]`)?.focus();
    }
    if (Number.isNaN(at)) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      setOpen(open === at ? -1 : at);
    }
    const to = event.key === "ArrowRight" ? at + 1 : event.key === "ArrowLeft" ? at - 1 : -1;
    const next = to >= 0 && box.current.querySelector(`[data-at="${to}"]`);
    if (next) {
      event.preventDefault();
      next.focus();
    }
  };
  return html`<div class="tokens" ref=${box} onKeyDown=${onKey} role="group" aria-label="Tokens of the answer; arrow keys walk, Enter shows alternatives">
    ${tokens.map((token, i) => html`<span role="button" class=${`token heat${heat(token.logprob)}`} data-at=${i} key=${i}
        tabindex=${i === Math.max(open, 0) ? 0 : -1} aria-expanded=${open === i} title=${percent(token.logprob)}
        onClick=${() => setOpen(open === i ? -1 : i)}>${texts[i]}</span>${open === i && html`<${Alternatives} token=${token}
          onPick=${(other) => { setOpen(-1); onBranch([...tokens.slice(0, i), { ...other, top: token.top }]); }} />`}`)}
  </div>`;
}

function Alternatives({ token, onPick }) {
  const list = useRef();
  useEffect(() => {
    const box = list.current.getBoundingClientRect();
    const over = box.right - document.documentElement.clientWidth + 8;
    if (over > 0) list.current.style.marginLeft = `${-over}px`;
    list.current.scrollIntoView({ block: "nearest" });
    list.current.querySelector("button")?.focus({ preventScroll: true });
  }, []);
  const chosen = textOf([token]);
  const others = token.top.length ? token.top : [token];
  return html`<span class="alternatives" ref=${list} role="group" aria-label="What else was likely here">
    ${others.map((other) => {
      const text = textOf([other]);
      return html`<button type="button" class="alternative"
          onClick=${() => onPick(other)}>
        <i style=${{ width: `${Math.max(share(other.logprob) * 100, 1)}%` }}></i><code>${visible(text)}</code><span>${percent(other.logprob)}</span>
        ${text === chosen ? html`<b aria-hidden="true">✓</b><em class="hidden">, chosen</em>` : html`<em class="hidden">, go on from here</em>`}</button>`;
    })}</span>`;
}

/** Mean probability and perplexity, in words. */
export function summary(tokens) {
  if (!tokens?.length) return "";
  const mean = tokens.reduce((sum, token) => sum + token.logprob, 0) / tokens.length;
  return `perplexity ${Math.exp(-mean).toFixed(2)}`;
}
