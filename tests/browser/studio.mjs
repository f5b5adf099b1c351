// Uses the page of `tessera serve` in the system's Chromium: node studio.mjs ADDRESS [FOLDER FOR PICTURES]
// The server must serve models/books-lm, models/books-lm-hyperfit, models/emoji-nvila and models/emoji-infinity, with --runs and --votes.
// Each check is one sentence; the program ends with 1 when any of them does not hold.
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [address, pictures] = process.argv.slice(2);
if (!address) {
  console.error("[studio.mjs] no server to look at; want its address, such as http://127.0.0.1:8080");
  process.exit(2);
}
if (pictures) mkdirSync(pictures, { recursive: true });
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let failures = 0;
function check(sentence, holds, detail = "") {
  if (!holds) ++failures;
  console.log(`${holds ? "ok  " : "FAIL"} ${sentence}${holds || detail === "" ? "" : `: ${detail}`}`);
}

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});

async function visit(name, options, look) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
  // short answers, so that a slow machine is through in time
  await context.addInitScript(() => localStorage.getItem("tessera-chat-settings") || localStorage.setItem("tessera-chat-settings", '{"max_tokens":24}'));
  const page = await context.newPage();
  page.setDefaultTimeout(60000);
  const complaints = [], elsewhere = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => !request.url().startsWith(address) && !/^(data|blob):/.test(request.url()) && elsewhere.push(request.url()));
  try {
    await page.goto(address);
    await page.waitForSelector("main");
    await look(page, complaints);
  } catch (error) {
    check(`${name}: goes through`, false, error.message.split("\n").slice(0, 4).join(" "));
    if (pictures) await page.screenshot({ path: join(pictures, `${name}-failed.png`) }).catch(() => {});
  }
  check(`${name}: the console is silent`, complaints.length === 0, complaints.join(" | "));
  check(`${name}: no request leaves the server`, elsewhere.length === 0, elsewhere.join(" "));
  await context.close();
}

/** Whether `test` holds of how many there are, within 10 s: a page draws what a key did a moment later. */
async function becomes(locator, test) {
  for (const end = Date.now() + 10000; ;) {
    if (test(await locator.count())) return true;
    if (Date.now() > end) return false;
    await new Promise((next) => setTimeout(next, 50));
  }
}

const shot = (page, name) => pictures && page.screenshot({ path: join(pictures, `${name}.png`) });
const view = async (page, name) => {
  await page.evaluate((hash) => { location.hash = hash; }, name);
  await until(page, (hash) => document.querySelector(`nav a[href="#${hash}"]`)?.getAttribute("aria-current") === "page", name);
};
// Looked at by the clock: an idle page may not paint, and so would never be asked in its frames.
const until = (page, holds, given) => page.waitForFunction(holds, given, { polling: 50 });
const settled = (page) => until(page, () => !document.querySelector(".spinner"));
/** Reads the store once: a read waits for every write that was asked for before it. */
const stored = (page) => page.evaluate(() => new Promise((done, fail) => {
  const opened = indexedDB.open("tessera-studio");
  opened.onerror = fail;
  opened.onsuccess = () => {
    const read = opened.result.transaction("chats").objectStore("chats").count();
    read.onerror = fail;
    read.onsuccess = () => { opened.result.close(); done(); };
  };
}));
const last = (page) => page.locator(".message.assistant").last();
const said = (page) => last(page).locator(".prose, .tokens, .said").innerText();
const choose = (page, id) => page.locator(".model select").selectOption(id);
async function ask(page, text) {
  const before = await page.locator(".message").count();
  await page.fill("#say", text);
  await page.keyboard.press("Enter");
  await until(page, (count) => document.querySelectorAll(".message").length !== count && document.querySelector(".message.assistant"), before);
  await settled(page);
}

/** Serious findings of axe-core, and whether the page scrolls sideways. */
async function sound(page, name) {
  await page.evaluate(axe);
  const findings = await page.evaluate(async () => (await window.axe.run()).violations.filter((one) => ["serious", "critical"].includes(one.impact))
    .map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => `${node.target} ${node.any[0]?.message ?? ""}`).join(", ")}`));
  check(`${name}: axe-core has no serious finding`, findings.length === 0, findings.join(" | "));
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  check(`${name}: does not scroll sideways`, over <= 0, `${over} px`);
}

await visit("chat", {}, async (page) => {
  await choose(page, "books-lm");
  await page.click('form [aria-label="Settings"]');
  await page.getByLabel("Most tokens").fill("24");
  const effect = page.locator("dialog .hint");
  check("chat: the settings say what the model is drawn with", (await effect.innerText()).includes("books-lm: temperature 1"));
  await page.getByLabel("Temperature").fill("0");
  check("chat: and what was chosen instead", (await effect.innerText()).includes("temperature 0"));
  await page.keyboard.press("Escape");
  await ask(page, "Once");
  const first = await said(page);
  check("chat: a text is continued", first.length > 10, first);
  await last(page).getByLabel("Answer again").click();
  await page.waitForSelector(".branches");
  await settled(page);
  check("chat: answering again makes a branch", (await last(page).locator(".branches").innerText()).includes("2 of 2"));
  check("chat: the same text comes at temperature 0", await said(page) === first, await said(page));
  await page.locator(".message.user").first().getByLabel("Edit").click();
  await page.locator(".editor textarea").fill("The king");
  await page.click("text=Send again");
  await until(page, () => document.querySelector(".message.user .said")?.textContent === "The king");
  await settled(page);
  check("chat: an edited turn is answered anew", await said(page) !== first);
  await page.locator(".message.user").getByLabel("Earlier branch").click();
  check("chat: the turn before the edit is still there", (await page.locator(".message.user .said").innerText()) === "Once");
  await stored(page);
  await page.reload();
  await page.waitForSelector(".message.assistant");
  check("chat: branches are kept over a reload", (await page.locator(".message.user .said").innerText()) === "Once" &&
    await becomes(page.locator(".branches"), (count) => count === 2));
  const download = page.waitForEvent("download");
  await page.click('[aria-label="Save as a page"]');
  const saved = readFileSync(await (await download).path(), "utf8");
  check("chat: the saved page holds the conversation and loads nothing", saved.includes("Once") && !/src="http|<script/.test(saved));
  await last(page).getByLabel("As curl or Python").click();
  check("chat: a request is told as curl", (await page.locator(".snippet").innerText()).includes(`curl ${address}`));
  await page.click("dialog >> text=Python");
  check("chat: and as Python", (await page.locator(".snippet").innerText()).includes("from openai import OpenAI"));
  await page.keyboard.press("Escape");
  await sound(page, "chat");
  await shot(page, "chat");
});

await visit("probabilities", {}, async (page) => {
  await choose(page, "books-lm");
  await page.click('form [aria-label="Settings"]');
  await page.getByLabel("Most tokens").fill("24");
  await page.getByLabel("Temperature").fill("0");
  await page.keyboard.press("Escape");
  await page.click('[aria-label="Token probabilities"]');
  await ask(page, "Once");
  const tokens = page.locator(".token");
  check("probabilities: an answer is shown as tokens", await tokens.count() > 5);
  const whole = await said(page);
  await tokens.nth(0).focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Enter");
  const others = page.locator(".alternative");
  check("probabilities: Enter shows what else was likely", await becomes(others, (count) => count >= 4));
  await sound(page, "probabilities");
  await shot(page, "probabilities");
  await others.nth(2).click();
  await page.waitForSelector(".branches");
  await settled(page);
  check("probabilities: another token leads to another text", await said(page) !== whole && await tokens.count() > 3);
});

await visit("pictures", {}, async (page) => {
  await view(page, "draw");
  await page.fill("form textarea", "red apple");
  await page.keyboard.press("Enter");
  await page.waitForSelector("text=Draw again from scale", { timeout: 120000 });
  const scales = await page.locator(".strip button").count();
  check("pictures: every scale is kept", scales >= 4, `${scales}`);
  await page.locator(".strip button").nth(2).click();
  await page.click("text=Draw again from scale 3");
  await until(page, () => document.querySelectorAll(".drawing").length === 2 && !document.querySelector(".growing"));
  check("pictures: a drawing goes on from scale 3", (await page.locator(".drawing").first().innerText()).includes("scales 1 to 3 kept"));
  await until(page, () => !document.querySelector("form .button")?.textContent.includes("Stop"));
  await sound(page, "pictures");
  await shot(page, "draw");
  await page.click("text=Contact sheet");
  check("pictures: the contact sheet holds both", await becomes(page.locator(".sheet figure"), (count) => count === 2));
  const uri = await page.locator(".sheet img").first().getAttribute("src");
  await page.reload();
  await page.waitForSelector(".drawing");
  check("pictures: drawings are kept over a reload", await becomes(page.locator(".drawing"), (count) => count === 2));
  await view(page, "chat");
  await choose(page, "emoji-nvila");
  for (const name of ["apple.bmp", "apple.png"]) {
    await page.locator("input[type=file]").setInputFiles({ name, mimeType: `image/${name.slice(-3)}`, buffer: Buffer.from("BM, whatever it is called") });
    check(`pictures: ${name}, which is a BMP, is refused with what is read`, await becomes(page.getByText(new RegExp(`${name} .*JPEG, PNG, WebP or GIF`)), (count) => count === 1));
  }
  check("pictures: nothing was added", await page.locator(".composer .media img").count() === 0);
  const kinds = await page.evaluate(async () => {
    const { kindOf } = await import("/studio/media_kinds.js");
    const starts = ["\x89PNG\r\n\x1a\n", "\xff\xd8\xff\xe0", "RIFF1234WEBP", "GIF89a", "\x1a\x45\xdf\xa3", "1234ftypisom", "1234moov", "1234ftypavif", "1234ftypheic", "II*\0", "RIFF1234AVI ", "<svg>", ""];
    return Promise.all(starts.map((start) => kindOf(new Blob([Uint8Array.from(start, (c) => c.charCodeAt(0))]))));
  });
  check("pictures: files are known by their content", kinds.join() === "image/png,image/jpeg,image/webp,image/gif,video/webm,video/mp4,video/mp4,,,,,,", kinds.join());
  await page.locator("input[type=file]").setInputFiles([{ name: "apple.bmp", mimeType: "image/bmp", buffer: Buffer.from("BM") },
    { name: "apple.png", mimeType: "image/png", buffer: Buffer.from(uri.split(",")[1], "base64") }]);
  await page.waitForSelector(".composer .media img");  // the one that is read, after one that is not
  await ask(page, "What is this?");
  check("pictures: a model that sees answers about a picture", (await said(page)).length > 1, await said(page));
  check("pictures: the picture stands beside the question", await becomes(page.locator(".message.user img"), (count) => count === 1));
  await shot(page, "see");
});

await visit("compare", {}, async (page) => {
  await view(page, "compare");
  await page.locator("label.pill", { hasText: "books-lm-hyperfit" }).locator("input").check();
  await page.locator("label.pill", { hasText: /^books-lm$/ }).locator("input").check();
  await page.getByLabel("Most tokens").fill("30");
  await page.fill("form textarea", "Once");
  await page.keyboard.press("Enter");
  await page.waitForSelector(".votes");
  check("compare: two models stand side by side", await becomes(page.locator(".column-card"), (count) => count === 2));
  check("compare: what differs is marked", await becomes(page.locator(".column-card mark"), (count) => count > 0));
  await sound(page, "compare");
  await shot(page, "compare");
  await page.getByText("Blind", { exact: true }).click();
  await page.click("button >> text=Compare");
  await until(page, () => document.querySelector(".votes")?.textContent.includes("A"));
  check("compare: names are hidden while blind", !(await page.locator(".columns").innerText()).includes("books-lm"));
  await page.locator(".votes button").first().click();
  await page.waitForSelector("text=kept for preference tuning");
  check("compare: after the vote names are shown", (await page.locator(".columns").innerText()).includes("books-lm"));
});

await visit("runs", {}, async (page) => {
  await view(page, "runs");
  await page.waitForSelector(".plot canvas");
  check("runs: a plot says what it shows", (await page.locator(".plot [role=img]").getAttribute("aria-label")).includes("goes from"));
  await sound(page, "runs");
  await shot(page, "runs");
  await view(page, "data");
  await page.waitForSelector(".sheet figure");
  check("data: samples are shown", await becomes(page.locator(".sheet figure"), (count) => count === 24));
  await page.getByLabel("Later samples").click();
  await until(page, () => document.querySelector(".sheet figcaption small")?.textContent === "24");
  await sound(page, "data");
  await shot(page, "data");
});

await visit("errors", {}, async (page, complaints) => {
  await choose(page, "books-lm");
  await ask(page, "word ".repeat(3000));
  check("errors: a prompt that is too long is told in the server's words", /context|too many/.test(await last(page).locator(".problem").innerText()));
  await page.locator('.bar [aria-label="New conversation"]').click();
  await page.context().setOffline(true);
  await ask(page, "Once");
  check("errors: a server that is gone is told", (await last(page).locator(".problem").innerText()).includes("does not answer"));
  await page.context().setOffline(false);
  await last(page).getByLabel("Answer again").click();
  await page.waitForTimeout(50);
  await settled(page);
  check("errors: and then it answers again", await becomes(last(page).locator(".problem"), (count) => count === 0));
  check("errors: the new answer is one", (await said(page)).length > 0);
  // the browser itself speaks of requests that failed, and of nothing else
  complaints.splice(0, complaints.length, ...complaints.filter((text) => !/^Failed to load resource/.test(text)));
});

await visit("stop", {}, async (page) => {
  await choose(page, "books-lm");
  await page.click('form [aria-label="Settings"]');
  await page.getByLabel("Most tokens").fill("1500");
  await page.keyboard.press("Escape");
  await page.fill("#say", "Once");
  await page.keyboard.press("Enter");
  await until(page, () => document.querySelector(".message.assistant .prose")?.textContent.length > 60);
  await page.keyboard.press("Escape");
  await settled(page);
  check("stop: Escape ends an answer and keeps what came", (await said(page)).length > 20);
});

for (const [name, options] of [["phone", { viewport: { width: 320, height: 640 }, hasTouch: true, isMobile: true }],
  ["tablet", { viewport: { width: 768, height: 1000 } }], ["dark", { colorScheme: "dark" }]]) {
  await visit(name, options, async (page) => {
    await choose(page, "books-lm");
    await page.click('[aria-label="Token probabilities"]');
    await ask(page, "Once");
    await sound(page, `${name}, chat`);
    await page.locator(".token").nth(4).click();
    await page.waitForSelector(".alternatives");
    const box = await page.locator(".alternatives").boundingBox();
    check(`${name}: alternatives stay on the screen`, box.x >= 0 && box.x + box.width <= page.viewportSize().width, JSON.stringify(box));
    await shot(page, `${name}-chat`);
    for (const one of ["draw", "compare", "runs", "data"]) {
      await view(page, one);
      await page.waitForTimeout(400);
      await sound(page, `${name}, ${one}`);
      await shot(page, `${name}-${one}`);
    }
  });
}

await visit("keyboard", {}, async (page) => {
  await page.keyboard.press("Alt+2");
  await page.waitForSelector(".view.draw");
  await page.keyboard.press("Alt+1");
  await page.waitForSelector(".view.chat");
  await page.keyboard.press("/");
  check("keyboard: / leads to the box", await becomes(page.locator("#say:focus"), (count) => count === 1));
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("?");
  check("keyboard: ? shows the keys", await becomes(page.locator("dialog kbd"), (count) => count > 3));
  await page.keyboard.press("Escape");
  check("keyboard: Escape closes the dialog", await becomes(page.locator("dialog"), (count) => count === 0));
  const reached = new Set();
  for (let i = 0; i < 25; ++i) {
    await page.keyboard.press("Tab");
    reached.add(await page.evaluate(() => document.activeElement?.getAttribute("aria-label") || document.activeElement?.textContent?.trim()));
  }
  check("keyboard: Tab reaches views, models and the box", ["Draw", "Settings", "Token probabilities"].every((one) => reached.has(one)), [...reached].join(", "));
});

await browser.close();
console.log(failures === 0 ? "all checks hold" : `${failures} checks do not hold`);
process.exit(failures === 0 ? 0 : 1);
