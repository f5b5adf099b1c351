// Drawing: pictures scale by scale, and again from any scale on.
import { html, useEffect, useRef, useState } from "./vendor/preact.js";
import { able, stream } from "./api.js";
import { curlOf, pythonOf } from "./export.js";
import { all, newId, newSeed, put, remove } from "./store.js";
import { copy, Dialog, Empty, Field, IconButton, ModelSelect, NumberField, Problem, Spinner, useChoice } from "./ui.js";

const uriOf = (event) => `data:image/${event.output_format || "png"};base64,${event.b64_json}`;

/** Draws; `onPicture(index, scale, scales, uri)` for each scale, `scale` null for the finished picture. */
export async function draw({ body, edits, signal, onPicture }) {
  await stream(edits ? "/v1/images/edits" : "/v1/images/generations", { ...body, stream: true, partial_images: 64 }, {
    signal,
    onEvent(event) {
      if (event.type?.endsWith("partial_image")) onPicture(event.index ?? 0, event.scale ?? event.partial_image_index, event.scales, uriOf(event));
      else if (event.type?.endsWith("completed")) onPicture(event.index ?? 0, null, null, uriOf(event));
    },
  });
}

function Frames({ picture, at, onAt }) {
  const last = picture.frames.length - 1;
  return html`<div class="scales"><label class="field"><span>Scale ${at + 1} of ${picture.scales || last + 1}</span>
      <input type="range" min="0" max=${Math.max(last, 0)} value=${at} disabled=${last < 1} onInput=${(e) => onAt(Number(e.target.value))} /></label>
    <div class="strip" role="group" aria-label="All scales">${picture.frames.map((uri, i) => html`<button type="button" aria-pressed=${i === at} aria-label=${`Scale ${i + 1}`} onClick=${() => onAt(i)}>
      <img src=${uri} alt="" /></button>`)}</div></div>`;
}

function Picture({ drawing, index, onAgain, onOpen, say }) {
  const picture = drawing.pictures[index];
  const [at, setAt] = useState(null);
  const shown = at == null ? picture.frames.length - 1 : Math.min(at, picture.frames.length - 1);
  const done = picture.done, kept = Math.min(shown + 1, picture.frames.length - 1);
  return html`<figure class=${`picture ${done ? "" : "growing"}`}>
    <div class="canvas">${picture.frames.length ? html`<img src=${picture.frames[shown]} alt=${`${drawing.prompt}, scale ${shown + 1}`} />` : html`<${Spinner} label="The first scale is being drawn" />`}</div>
    ${picture.frames.length > 1 && html`<${Frames} picture=${picture} at=${shown} onAt=${setAt} />`}
    ${done && html`<figcaption class="row">
      <${IconButton} icon="again" text=${`Draw again from scale ${kept}`} label=${`Keeps scales 1 to ${kept} and draws the others anew`} disabled=${kept < 1} onClick=${() => onAgain(picture, kept)} />
      <a class="button square" href=${picture.frames[picture.frames.length - 1]} download=${`${drawing.prompt.slice(0, 40)}-${index + 1}.png`} aria-label="Save the picture" title="Save the picture"><svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d="M12 4v11M7 11l5 5 5-5M5 20h14" /></svg></a>
    </figcaption>`}</figure>`;
}

const bodyOf = (drawing) => ({ model: drawing.model, prompt: drawing.prompt, n: drawing.pictures.length, seed: drawing.seed,
  ...(drawing.cfg != null && { cfg: drawing.cfg }), ...(drawing.tau != null && { tau: drawing.tau }) });

function Drawing({ drawing, onAgain, onRemove, say }) {
  return html`<section class="drawing" aria-label=${drawing.prompt}><header><div><h2>${drawing.prompt}</h2>
      <small>${drawing.model} · seed ${drawing.seed}${drawing.keep ? ` · scales 1 to ${drawing.keep} kept` : ""}</small></div>
      <span class="row"><${IconButton} icon="copy" label="Copy as curl" onClick=${() => copy(curlOf("/v1/images/generations", bodyOf(drawing)), say)} />
        <${IconButton} icon="code" label="Copy as Python" onClick=${() => copy(pythonOf("/v1/images/generations", bodyOf(drawing)), say)} />
        <${IconButton} icon="trash" label="Delete this drawing" onClick=${onRemove} /></span></header>
    ${drawing.error && html`<p class="problem" role="alert">${drawing.error}</p>`}
    <div class="pictures">${drawing.pictures.map((_, i) => html`<${Picture} key=${i} drawing=${drawing} index=${i} say=${say} onAgain=${onAgain} />`)}</div></section>`;
}

export function Draw({ models: everyModel, say }) {
  const models = able(everyModel, "draw");
  const [model, setModel] = useChoice("draw-model", "");
  const [settings, setSettings] = useChoice("draw-settings", { n: 1 });
  const [prompt, setPrompt] = useState("");
  const [drawings, setDrawings] = useState(null);
  const [sheet, setSheet] = useState(false);
  const [tuning, setTuning] = useState(false);
  const [, redraw] = useState(0);
  const running = useRef(null);
  const current = models.find((one) => one.id === model) || models[0];
  useEffect(() => { all("drawings").then(setDrawings); return () => running.current?.abort(); }, []);
  useEffect(() => {
    const onKey = (event) => event.key === "Escape" && running.current?.abort();
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
  if (!models.length) return html`<main class="view"><${Empty} title="No model here draws"><p>Start the server with one that does: <code>tessera serve -m models/emoji-infinity</code></p><//></main>`;
  if (!drawings) return html`<main class="view"></main>`;
  const change = () => redraw((n) => n + 1);
  const run = async (fields, body, edits) => {
    const drawing = { id: newId(), created: Date.now(), model: current.id, ...fields };
    setDrawings((before) => [drawing, ...before]);
    const stop = new AbortController();
    running.current = stop;
    try {
      await draw({ body, edits, signal: stop.signal, onPicture(index, scale, scales, uri) {
        const picture = drawing.pictures[index];
        if (!picture) return;
        if (scale == null) {
          if (picture.frames.length && picture.frames.length >= (picture.scales || 0)) picture.frames[picture.frames.length - 1] = uri;
          else picture.frames.push(uri);
          picture.done = true;
        } else {
          picture.scales = scales;
          picture.frames.push(uri);
        }
        change();
      } });
    } catch (error) {
      drawing.error = error.name === "AbortError" ? "Stopped" : error.message;
    }
    running.current = null;
    drawing.pictures = drawing.pictures.filter((one) => one.done || one.frames.length);
    change();
    if (drawing.pictures.length && !(await put("drawings", drawing))) say("The browser has no room for this drawing; it is lost on reload");
  };
  const blank = (n) => Array.from({ length: n }, () => ({ frames: [], done: false }));
  const start = (event) => {
    event.preventDefault();
    if (running.current || !prompt.trim()) return;
    const seed = settings.seed ?? newSeed(), n = settings.n || 1;
    const fields = { prompt: prompt.trim(), seed, cfg: settings.cfg, tau: settings.tau, pictures: blank(n) };
    run(fields, bodyOf({ model: current.id, ...fields }), false);
  };
  const again = (drawing) => (picture, keep) => {
    if (running.current) return;
    const seed = newSeed();
    const body = { ...bodyOf({ ...drawing, pictures: blank(1), seed }), model: drawing.model, image: picture.frames[picture.frames.length - 1], keep_scales: keep };
    run({ prompt: drawing.prompt, model: drawing.model, seed, cfg: drawing.cfg, tau: drawing.tau, keep, pictures: blank(1) }, body, true);
  };
  const removeOne = async (drawing) => {
    await remove("drawings", drawing.id);
    setDrawings((before) => before.filter((one) => one !== drawing));
  };
  const set = (name) => (value) => setSettings({ ...settings, [name]: value });
  return html`<main class="view draw"><div class="bar"><${ModelSelect} models=${models} value=${current.id} onChange=${setModel} />
      <span class="row"><button type="button" class="button" aria-pressed=${sheet} onClick=${() => setSheet(!sheet)}>Contact sheet</button></span></div>
    <form class="composer wide" onSubmit=${start}><textarea rows="1" aria-label="What to draw" placeholder="red apple" value=${prompt} onInput=${(e) => setPrompt(e.target.value)}
        onKeyDown=${(e) => { if (e.key === "Enter" && !e.shiftKey && !e.isComposing) start(e); }}></textarea>
      <div class="row spread"><span class="row"><label class="count"><span>Pictures</span><select value=${settings.n || 1} onChange=${(e) => set("n")(Number(e.target.value))}>${[1, 2, 4, 8, 16].map((n) => html`<option value=${n}>${n}</option>`)}</select></label>
        <${IconButton} icon="tune" label="Settings" onClick=${() => setTuning(true)} /></span>
        ${running.current ? html`<${IconButton} icon="stop" text="Stop" label="Stop (Escape)" onClick=${() => running.current?.abort()} />`
          : html`<button type="submit" class="button primary" disabled=${!prompt.trim()}><svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d="M4 20l4-1L20 7l-3-3L5 16z" /></svg><span>Draw</span></button>`}</div></form>
    ${drawings.length === 0 && html`<${Empty} title="Words become pictures, coarse to fine"><p>Every scale is shown as it is drawn, and kept, so that you can go back to one and draw on differently.</p><//>`}
    ${sheet ? html`<div class="sheet">${drawings.flatMap((drawing) => drawing.pictures.filter((one) => one.frames.length).map((picture) => html`<figure><img src=${picture.frames[picture.frames.length - 1]} alt="" /><figcaption>${drawing.prompt}</figcaption></figure>`))}</div>`
      : html`<div class="drawings">${drawings.map((drawing) => html`<${Drawing} key=${drawing.id} drawing=${drawing} say=${say} onAgain=${again(drawing)} onRemove=${() => removeOne(drawing)} />`)}</div>`}
    ${tuning && html`<${Dialog} title="How it draws" onClose=${() => setTuning(false)}><div class="grid two">
      <${NumberField} label="Seed" hint="The same seed draws the same" min="0" step="1" value=${settings.seed} onChange=${set("seed")} placeholder="a new one each time" />
      <${NumberField} label="Guidance (cfg)" min="0" max="20" step="0.5" value=${settings.cfg} onChange=${set("cfg")} placeholder="the model's own" />
      <${NumberField} label="Temperature (tau)" min="0" max="2" step="0.05" value=${settings.tau} onChange=${set("tau")} placeholder="the model's own" /></div><//>`}
  </main>`;
}
