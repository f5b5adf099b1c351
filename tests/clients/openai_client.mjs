// OpenAI's own JavaScript client, unchanged, against a server that runs. usage: openai_client.mjs ADDRESS
import assert from "node:assert/strict";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.argv[2] + "/v1", apiKey: "none", maxRetries: 0 });
const question = { model: "emoji-nvila", messages: [{ role: "user", content: "What is this?" }], temperature: 0, max_completion_tokens: 8 };

const names = [];
for await (const model of client.models.list()) names.push(model.id);
assert.deepEqual(names, ["books-lm", "emoji-nvila", "emoji-infinity"]);

const whole = await client.chat.completions.create(question);
let text = "", usages = 0;
for await (const chunk of await client.chat.completions.create({ ...question, stream: true, stream_options: { include_usage: true } })) {
  text += chunk.choices[0]?.delta?.content ?? "";
  usages += chunk.usage ? 1 : 0;
}
assert.equal(text, whole.choices[0].message.content);
assert.equal(usages, 1);

const response = await client.responses.create({ model: "emoji-nvila", input: "What is this?", temperature: 0, max_output_tokens: 8 });
assert.equal(response.output_text, text);

const drawn = await client.images.generate({ model: "emoji-infinity", prompt: "red apple" });
assert.ok(Buffer.from(drawn.data[0].b64_json, "base64").subarray(1, 4).equals(Buffer.from("PNG")));

await assert.rejects(client.chat.completions.create({ ...question, model: "absent" }), OpenAI.NotFoundError);
const stream = await client.chat.completions.create({ ...question, model: "books-lm", max_completion_tokens: 400, stream: true });
for await (const chunk of stream) {
  assert.ok(chunk.id);
  break;  // leaves
}
console.log("the JavaScript client: all passed");
