// Asks the server for an answer and fills a turn with it as it comes.
import { able, chatTokens, completionTokens, request, stream, textOf } from "./api.js";
import { messagesOf, parametersOf } from "./chat_tree.js";

/** Whether a model talks; otherwise it only continues texts. */
export const talks = (model) => able([model], "chat", "see").length > 0;

function clock(node) {
  const begun = performance.now();
  let first = 0;
  return {
    tick() {
      if (!first) first = performance.now();
    },
    end(usage) {
      const seconds = (performance.now() - begun) / 1000;
      const tokens = usage?.completion_tokens ?? node.tokens?.length ?? 0;
      const later = (performance.now() - first) / 1000;
      node.stats = { seconds, first: first ? (first - begun) / 1000 : seconds, tokens,
        rate: tokens > 1 && later > 0 ? (tokens - 1) / later : 0,
        prompt: usage?.prompt_tokens, cached: usage?.prompt_tokens_details?.cached_tokens };
    },
  };
}

/** Streams the answer to `line` (turns, the last one a person's) into `node`. `onChange` is called as it grows. */
export async function answer({ model, line, node, settings, signal, onChange }) {
  if (!talks(model)) {
    const prompt = line.map((turn) => turn.content).join("");
    return complete({ model, prompt, node, settings, signal, onChange });
  }
  const time = clock(node);
  let usage = null;
  const body = { model: model.id, messages: messagesOf(line, settings.system), stream: true, stream_options: { include_usage: true },
    ...parametersOf(settings) };
  if (settings.heat) Object.assign(body, { logprobs: true, top_logprobs: 5 });
  if (settings.heat) node.tokens = [];
  await stream("/v1/chat/completions", body, {
    signal,
    onEvent(event) {
      usage = event.usage || usage;
      const choice = event.choices?.[0];
      if (!choice) return;
      if (choice.delta?.content) {
        time.tick();
        node.content += choice.delta.content;
      }
      if (choice.delta?.tool_calls) node.content += "\n```json\n" + JSON.stringify(choice.delta.tool_calls.map((call) => call.function), null, 1) + "\n```\n";
      if (choice.logprobs && node.tokens) node.tokens.push(...chatTokens(choice.logprobs));
      if (choice.finish_reason) node.finish = choice.finish_reason;
      time.end(usage);
      onChange();
    },
  });
  time.end(usage);
  onChange();
}

/** Continues `prompt` into `node`, after tokens that it may have already. */
export async function complete({ model, prompt, node, settings, signal, onChange }) {
  const time = clock(node);
  let usage = null;
  const { response_format: format, ...parameters } = parametersOf(settings);
  const body = { model: model.id, prompt, stream: true, stream_options: { include_usage: true }, ...parameters };
  if (format) body.response_format = format;
  if (settings.heat) Object.assign(body, { logprobs: 5 });
  if (settings.heat && !node.tokens) node.tokens = [];
  await stream("/v1/completions", body, {
    signal,
    onEvent(event) {
      usage = event.usage || usage;
      const choice = event.choices?.[0];
      if (!choice) return;
      if (choice.text) {
        time.tick();
        node.content += choice.text;
      }
      if (choice.logprobs && node.tokens) node.tokens.push(...completionTokens(choice.logprobs));
      if (choice.finish_reason) node.finish = choice.finish_reason;
      time.end(usage);
      onChange();
    },
  });
  time.end(usage);
  onChange();
}

/** Goes on from another token of an answer: fills `node` with what stood before it, that token, and what follows it now. */
export async function branch({ model, line, tokens, node, settings, signal, onChange }) {
  node.tokens = tokens;
  node.content = textOf(tokens);
  onChange();
  let prompt = line.map((turn) => turn.content).join("");
  if (talks(model)) {
    const body = { model: model.id, messages: messagesOf(line, settings.system), add_generation_prompt: true };
    prompt = (await request("/apply-template", { body, signal })).prompt;
  }
  await complete({ model, prompt: prompt + node.content, node, settings: { ...settings, heat: true, schema: "" }, signal, onChange });
}
