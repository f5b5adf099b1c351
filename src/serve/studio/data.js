// What models are trained on: the samples of a run's recipe, page by page.
import { html, useEffect, useState } from "./vendor/preact.js";
import { request } from "./api.js";
import { Empty, IconButton, Problem, Spinner, useChoice } from "./ui.js";

const perPage = 24;
const longest = 600; // characters of a sample's words

export function Data({ server }) {
  const [sets, setSets] = useState(null);
  const [error, setError] = useState(null);
  const [chosen, setChosen] = useChoice("data-set", "");
  const [at, setAt] = useState(0);
  const [page, setPage] = useState(null);
  const [tries, setTries] = useState(0);
  const set = sets?.find((one) => one.name === chosen) || sets?.[0];
  useEffect(() => { if (server.data) request("/data").then((answer) => setSets(answer.sets)).catch(setError); }, [server.data]);
  useEffect(() => {
    if (!set) return undefined;
    const stop = new AbortController();
    setPage(null);
    setError(null);
    request(`/data/samples?set=${encodeURIComponent(set.name)}&at=${at}&count=${perPage}`, { signal: stop.signal }).then(setPage)
      .catch((problem) => problem.name !== "AbortError" && setError(problem));
    return () => stop.abort();
  }, [set?.name, at, tries]);
  if (!server.data) return html`<main class="view"><${Empty} title="No data to look at"><p>Start the server with a folder of runs, and the data of their recipes are here: <code>tessera serve -m DIR --runs runs</code></p><//></main>`;
  const last = page ? page.at + page.samples.length : at;
  return html`<main class="view data"><div class="bar wrap">${sets && html`<label class="count"><span>Data</span><select value=${set?.name} onChange=${(e) => { setChosen(e.target.value); setAt(0); }}>
        ${sets.map((one) => html`<option value=${one.name}>${one.name}</option>`)}</select></label>`}
      <span class="row"><${IconButton} icon="left" label="Earlier samples" disabled=${at === 0} onClick=${() => setAt(Math.max(0, at - perPage))} />
        <label class="count"><span>Sample</span><input type="number" min="0" value=${at} onChange=${(e) => setAt(Math.max(0, Number(e.target.value) || 0))} /></label>
        <${IconButton} icon="right" label="Later samples" disabled=${!page || page.samples.length < perPage} onClick=${() => setAt(at + perPage)} /></span></div>
    ${page?.size != null && html`<p class="hint">${at.toLocaleString("en")} to ${Math.max(at, last - 1).toLocaleString("en")} of ${page.size.toLocaleString("en")} in one pass</p>`}
    <${Problem} error=${error} retry=${() => setTries(tries + 1)} />
    ${!page && !error && html`<${Spinner} label="Loading samples" />`}
    ${page && html`<div class="sheet large">${page.samples.map((sample) => html`<figure key=${sample.index}>${sample.picture && html`<img src=${sample.picture} alt="" />`}
      <figcaption><small>${sample.index}</small>${sample.text.length > longest ? `${sample.text.slice(0, longest)} …` : sample.text}</figcaption></figure>`)}</div>`}
    ${sets?.length === 0 && html`<${Empty} title="No recipe names its data" />`}
  </main>`;
}
