// Looks at a report of `tessera plan` in the system's Chromium: node report.mjs PAGE.html [FOLDER FOR PICTURES]
// Each check is one sentence; the program ends with 1 when any of them does not hold.
import { existsSync, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [file, pictures] = process.argv.slice(2);
if (!file || !existsSync(file)) {
  console.error(`[report.mjs] no page to look at; got '${file ?? ""}', want the path of a report`);
  process.exit(2);
}
if (pictures) mkdirSync(pictures, { recursive: true });
const address = pathToFileURL(resolve(file)).href;

let failures = 0;
function check(sentence, holds, detail = "") {
  if (!holds) ++failures;
  console.log(`${holds ? "ok  " : "FAIL"} ${sentence}${holds || detail === "" ? "" : `: ${detail}`}`);
}

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

// Opens the page, hands it to `look`, and wants a silent console and no request but the page itself.
async function visit(name, options, look) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const complaints = [], requests = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => requests.push(request.url()));
  await page.goto(address);
  await look(page);
  if (pictures) await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
  const loaded = requests.filter((url) => url !== address && !url.startsWith("data:"));
  check(`${name}: the console is silent`, complaints.length === 0, complaints.join(" | "));
  check(`${name}: nothing is loaded`, loaded.length === 0, loaded.join(" "));
  await context.close();
}

// For each figure: its title, the marks in its SVG, and coordinates that are no numbers.
const figuresOf = (page) => page.$$eval("figure", (figures) => figures.map((figure) => {
  const svg = figure.querySelector(".plot svg");
  return {
    title: figure.querySelector("h3").textContent,
    named: Boolean(svg?.getAttribute("aria-label")),
    marks: svg ? svg.querySelectorAll(".series path[d], .series circle, .series line, .empty").length : 0,
    broken: svg ? [...svg.querySelectorAll("*")].some((node) => [...node.attributes].some(({ value }) =>
      /NaN|Infinity|undefined/.test(value))) : true,
    width: svg ? svg.viewBox.baseVal.width : 0,
  };
}));

async function checkFigures(page, name) {
  const figures = await figuresOf(page);
  check(`${name}: there are figures`, figures.length > 0);
  const bad = figures.filter((figure) => !figure.named || figure.marks === 0 || figure.broken);
  check(`${name}: every figure drew its marks`, bad.length === 0, JSON.stringify(bad));
  return figures;
}

async function checkWidth(page, name) {
  const cut = await page.$$eval(".scroll:has(table.wrapped)", (all) => all.filter((one) => one.scrollWidth > one.clientWidth)
    .map((one) => `${one.querySelector("caption")?.textContent} (${one.scrollWidth} of ${one.clientWidth} px)`));
  check(`${name}: tables whose texts break into lines are seen to their last column`, cut.length === 0, cut.join(" | "));
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  check(`${name}: the page does not scroll sideways`, over <= 0, `${over} px too wide`);
  // Text of a plot may leave its SVG by a pixel or two, never its card.
  const outside = await page.$$eval("figure", (figures) => figures.flatMap((figure) => {
    const card = figure.getBoundingClientRect();
    return [...figure.querySelectorAll(".plot svg text")].filter((text) => {
      const box = text.getBoundingClientRect();
      return box.left < card.left || box.right > card.right;
    }).map((text) => text.textContent);
  }));
  check(`${name}: no label leaves its card`, outside.length === 0, outside.join(", "));
  const over_each_other = await page.$$eval("figure .plot svg .grid", (grids) => grids.flatMap((grid) => {
    const labels = [...grid.querySelectorAll("text")].filter((text) => !text.getAttribute("transform"));
    const boxes = labels.map((text) => [text.textContent, text.getBoundingClientRect()]);
    return boxes.flatMap(([text, a], i) => boxes.slice(0, i).filter(([, b]) =>
      a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3)
      .map(([other]) => `${text} over ${other}`));
  }));
  check(`${name}: no label of an axis lies over another`, over_each_other.length === 0, over_each_other.join(", "));
}

const firstMark = (page) => page.locator(".plot .series circle").first();
const tipText = (page) => page.$eval(".tip", (tip) => (tip.checkVisibility() ? tip.innerText : ""));

async function checkLegend(page) {
  const button = page.locator(".legend button").first();
  if (await button.count() === 0) return;
  const marks = async () => (await figuresOf(page)).reduce((sum, figure) => sum + figure.marks, 0);
  const before = await marks();
  const pressed = () => button.getAttribute("aria-pressed");
  await button.click();
  check("desk: the legend hides a series", await marks() < before && await pressed() === "false");
  await button.click();
  check("desk: the legend shows it again", await marks() === before && await pressed() === "true");
}

await visit("desk", { viewport: { width: 1280, height: 900 }, colorScheme: "light" }, async (page) => {
  await checkFigures(page, "desk");
  await checkWidth(page, "desk");
  await checkLegend(page);
  await firstMark(page).hover({ force: true });
  check("desk: a mark under the mouse tells what it is", (await tipText(page)).length > 0);
  if (pictures) await page.screenshot({ path: join(pictures, "tooltip.png") });
  await page.mouse.move(2, 2);
  check("desk: the tooltip goes with the mouse", await tipText(page) === "");
  await page.locator(".plot svg").first().focus();
  await page.keyboard.press("ArrowRight");
  const first = await tipText(page);
  await page.keyboard.press("ArrowRight");
  check("desk: arrow keys walk along the marks", first !== "" && await tipText(page) !== first, first);
  await page.keyboard.press("Escape");
});

await visit("phone", { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true }, async (page) => {
  await checkFigures(page, "phone");
  await checkWidth(page, "phone");
  await firstMark(page).tap({ force: true });
  check("phone: a mark that is tapped tells what it is", (await tipText(page)).length > 0);
  const box = await page.locator(".tip").boundingBox();
  check("phone: the tooltip stays on the screen", box && box.x >= 0 && box.x + box.width <= 360, JSON.stringify(box));
  await page.touchscreen.tap(5, 300);
  check("phone: a tap elsewhere takes the tooltip away", await tipText(page) === "");
  await page.setViewportSize({ width: 740, height: 360 });
  await page.waitForTimeout(200);
  const widths = (await figuresOf(page)).map((figure) => figure.width);
  check("phone: plots follow the screen when it is turned", Math.max(...widths) > 400, widths.join(" "));
  await page.setViewportSize({ width: 360, height: 740 });
  await page.waitForTimeout(200);
});

await visit("dark", { viewport: { width: 1280, height: 900 }, colorScheme: "dark" }, async (page) => {
  await checkFigures(page, "dark");
  const light = (colour) => colour.match(/\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0) / 765;
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  check("dark: the ground is dark", light(await ground()) < 0.25, await ground());
  await page.emulateMedia({ media: "print", colorScheme: "dark" });
  check("print: paper is light even in the dark", light(await ground()) > 0.95, await ground());
  await page.emulateMedia({ media: "screen", colorScheme: "dark" });
});

// page.pdf() tears the page's events from the test's eyes; the page itself notes what was there while it printed.
await visit("print", { viewport: { width: 1280, height: 900 } }, async (page) => {
  await page.evaluate(() => window.addEventListener("beforeprint", () => {
    window.printed = [...document.querySelectorAll(".plot svg")].map((svg) => ({
      width: svg.viewBox.baseVal.width, marks: svg.querySelectorAll(".series path[d], .series circle, .empty").length,
    }));
  }));
  const screen = await figuresOf(page);
  const path = pictures && join(pictures, "print.pdf");
  const pdf = await page.pdf({ path, preferCSSPageSize: true });
  const printed = await page.evaluate(() => window.printed ?? []);
  check("print: a PDF comes out", pdf.subarray(0, 5).toString() === "%PDF-" && pdf.length > 10000,
    `${pdf.length} bytes`);
  check("print: every figure is drawn for paper", printed.length === screen.length &&
    printed.every(({ width, marks }) => width <= 690 && marks > 0), JSON.stringify(printed));
  const after = (await figuresOf(page)).map((figure) => figure.width).join(" ");
  check("print: the screen's plots come back", after === screen.map((figure) => figure.width).join(" "), after);
});

await visit("no script", { viewport: { width: 360, height: 740 }, javaScriptEnabled: false }, async (page) => {
  const text = await page.locator("main").innerText();
  check("no script: the text reads and says why there are no plots", text.includes("JavaScript"));
  await page.locator("details summary").first().click();
  check("no script: a figure's data unfolds", await page.locator("details table td").first().isVisible());
});

await browser.close();
console.log(failures === 0 ? "all checks hold" : `${failures} checks do not hold`);
process.exit(failures === 0 ? 0 : 1);
