// Two to four models side by side at one seed, with what differs marked; or blind, for a vote.
import { html, useEffect, useMemo, useRef, useState } from "./vendor/preact.js";
import { able, request } from "./api.js";
import { answer } from "./answer.js";
import { draw } from "./draw.js";
import { newSeed } from "./store.js";
import { differences, Empty, Field, IconButton, NumberField, Problem, Spinner, useChoice } from "./ui.js";

const letters = ["A", "B", "C", "D"];

function Picker({ models, chosen, onChange }) {
  return html`<fieldset class="pills"><legend>Two to four models</legend>${models.map((model) => {
    const on = chosen.includes(model.id);
    return html`<label class="pill"><input type="checkbox" checked=${on} disabled=${!on && chosen.length >= 4}
      onChange=${() => onChange(on ? chosen.filter((id) => id !== model.id) : [...chosen, model.id])} /><span>${model.id}</span></label>`;
  })}</fieldset>`;
}

/** A text with what the first one has not marked. */
function Marked({ text, other }) {
  const parts = useMemo(() => (other == null ? [{ text, same: true }] : differences(text, other)), [text, other]);
  return html`<p class="said">${parts.map((part) => (part.same ? part.text : html`<mark>${part.text}</mark>`))}</p>`;
}

function Column({ column, name, first, done }) {
  return html`<article class="column-card" aria-label=${name}><header><b>${name}</b>${column.stats && html`<small>${column.stats.tokens} tokens${column.stats.rate ? ` · ${column.stats.rate.toFixed(1)}/s` : ""}</small>`}</header>
    ${column.picture ? html`<img class="drawn" src=${column.picture} alt=${`Drawn by ${name}`} />` : html`<${Marked} text=${column.content} other=${done && first !== column ? first.content : null} />`}
    ${column.running && html`<${Spinner} label=${`${name} is at work`} />`}${column.error && html`<p class="problem" role="alert">${column.error}</p>`}</article>`;
}

function Votes({ columns, name, onVote }) {
  return html`<div class="votes" role="group" aria-label="Which is best?"><b>Which is best?</b>${columns.map((_, i) => html`<button type="button" class="button primary" onClick=${() => onVote(i)}>${name(i)}</button>`)}
    <button type="button" class="button" onClick=${() => onVote(-1)}>No difference</button></div>`;
}

export function Compare({ models, server, say }) {
  const writers = able(models, "chat", "write", "see"), painters = able(models, "draw");
  const [kind, setKind] = useChoice("compare-kind", writers.length ? "texts" : "pictures");
  const offered = kind === "texts" ? writers : painters;
  const [chosenEver, setChosen] = useChoice(`compare-${kind}`, []);
  const [settings, setSettings] = useChoice("compare-settings", { max_tokens: 200, temperature: null, seed: null });
  const [blind, setBlind] = useChoice("compare-blind", false);
  const [prompt, setPrompt] = useState("");
  const [round, setRound] = useState(null);
  const [, redraw] = useState(0);
  const running = useRef(null);
  const chosen = chosenEver.filter((id) => offered.some((model) => model.id === id));
  useEffect(() => () => running.current?.abort(), []);
  const change = () => redraw((n) => n + 1);
  const start = async (event) => {
    event.preventDefault();
    if (running.current || !prompt.trim()) return;
    // one model twice is fair too: then the seeds differ
    const ids = chosen.length >= 2 ? [...chosen] : [chosen[0] || offered[0].id, chosen[0] || offered[0].id];
    if (blind) for (let i = ids.length - 1; i > 0; --i) { const k = newSeed() % (i + 1); [ids[i], ids[k]] = [ids[k], ids[i]]; }
    const seed = settings.seed ?? newSeed(), stop = new AbortController();
    const columns = ids.map((id, i) => ({ model: offered.find((model) => model.id === id), content: "", running: true, seed: chosen.length >= 2 ? seed : seed + i }));
    setRound({ prompt: prompt.trim(), columns, seed, blind, kind, vote: null });
    running.current = stop;
    change();
    await Promise.all(columns.map(async (column) => {
      try {
        if (kind === "texts") {
          const line = [{ role: "user", content: prompt, media: [] }];
          await answer({ model: column.model, line, node: column, settings: { ...settings, seed: column.seed }, signal: stop.signal, onChange: change });
        } else {
          await draw({ body: { model: column.model.id, prompt, seed: column.seed }, signal: stop.signal, onPicture(_, __, ___, uri) { column.picture = uri; change(); } });
        }
      } catch (error) {
        column.error = error.name === "AbortError" ? "Stopped" : error.message;
      }
      column.running = false;
      change();
    }));
    running.current = null;
    change();
  };
  const vote = async (best) => {
    const texts = (i) => ({ model: round.columns[i].model.id, seed: round.columns[i].seed, text: round.columns[i].content });
    const body = { prompt: round.prompt, answers: round.columns.map((_, i) => texts(i)), best: best < 0 ? null : best, blind: round.blind };
    try {
      await request("/votes", { body });
      setRound({ ...round, vote: best });
      say(best < 0 ? "Kept: no difference" : "Kept");
    } catch (error) {
      say(error.message);
    }
  };
  if (!offered.length && !writers.length && !painters.length) return html`<main class="view"><${Empty} title="No models" /></main>`;
  const done = round && round.columns.every((column) => !column.running);
  const hidden = round?.blind && round.vote == null;
  const name = (i) => (hidden ? letters[i] : round.columns[i].model.id + (chosen.length < 2 ? ` (seed ${round.columns[i].seed})` : ""));
  const votes = done && round.kind === "texts" && round.vote == null && !round.columns.some((column) => column.error);
  return html`<main class="view compare"><div class="bar"><div class="tabs" role="group" aria-label="What to compare">
      ${[["texts", writers], ["pictures", painters]].map(([one, list]) => html`<button type="button" class="button" aria-pressed=${kind === one} disabled=${!list.length} onClick=${() => setKind(one)}>${one === "texts" ? "Texts" : "Pictures"}</button>`)}</div></div>
    <form class="composer wide" onSubmit=${start}><${Picker} models=${offered} chosen=${chosen} onChange=${setChosen} />
      <textarea rows="2" aria-label="The same prompt for all" placeholder="The same prompt for all" value=${prompt} onInput=${(e) => setPrompt(e.target.value)}
        onKeyDown=${(e) => { if (e.key === "Enter" && !e.shiftKey && !e.isComposing) start(e); }}></textarea>
      <div class="row spread"><span class="row"><label class="switch"><input type="checkbox" checked=${blind} onChange=${(e) => setBlind(e.target.checked)} /><span>Blind</span></label>
        <label class="count"><span>Seed</span><input type="number" min="0" value=${settings.seed ?? ""} placeholder="new" onInput=${(e) => setSettings({ ...settings, seed: e.target.value === "" ? null : Number(e.target.value) })} /></label>
        ${kind === "texts" && html`<label class="count"><span>Most tokens</span><input type="number" min="1" value=${settings.max_tokens} onInput=${(e) => setSettings({ ...settings, max_tokens: Number(e.target.value) || 200 })} /></label>`}</span>
        ${running.current ? html`<${IconButton} icon="stop" text="Stop" label="Stop" onClick=${() => running.current?.abort()} />`
          : html`<button type="submit" class="button primary" disabled=${!prompt.trim()}><span>Compare</span></button>`}</div></form>
    ${!round && html`<${Empty} title="One prompt, several answers"><p>${chosen.length < 2 ? "Choose two models, or compare one with itself at two seeds." : "All get the same seed. Words that the first answer has not are marked."}</p><//>`}
    ${round && html`<h2 class="asked">${round.prompt}</h2><div class=${`columns n${round.columns.length}`}>${round.columns.map((column, i) => html`<${Column} column=${column} name=${name(i)} first=${round.columns[0]} done=${done} />`)}</div>`}
    ${votes && (server.votes ? html`<${Votes} columns=${round.columns} name=${name} onVote=${vote} />` : html`<p class="hint">Start the server with <code>--votes FILE</code> to keep which answer is best.</p>`)}
    ${round?.vote != null && html`<p class="hint" role="status">${round.vote < 0 ? "Kept as no difference." : `${round.columns[round.vote].model.id} was best; kept for preference tuning.`}</p>`}
  </main>`;
}
