// A conversation is a tree of turns: editing and drawing again adds a branch beside the old one, and each turn remembers which
// of its branches is shown.
import { newId } from "./store.js";

export const newChat = (model) => ({ id: newId(), title: "", created: Date.now(), model, nodes: {}, shown: {} });

export const childrenOf = (chat, parent) =>
  Object.values(chat.nodes).filter((node) => node.parent === parent).sort((a, b) => a.created - b.created);

/** The turns that are shown, from the first one on. */
export function pathOf(chat) {
  const path = [];
  for (let parent = null; ;) {
    const children = childrenOf(chat, parent);
    if (children.length === 0) return path;
    const node = children.find((child) => child.id === chat.shown[parent]) || children[children.length - 1];
    path.push(node);
    parent = node.id;
  }
}

/** Adds a turn after `parent` (null: the first) and shows it. */
export function addNode(chat, parent, fields) {
  const node = { id: newId(), parent, created: Date.now() + Object.keys(chat.nodes).length / 1000, content: "", media: [], ...fields };
  chat.nodes[node.id] = node;
  chat.shown[parent] = node.id;
  return node;
}

/** Turns up to and with `node`. */
export function lineTo(chat, id) {
  const line = [];
  for (let node = chat.nodes[id]; node; node = chat.nodes[node.parent]) line.unshift(node);
  return line;
}

/** The messages of the API for these turns. */
export function messagesOf(nodes, system) {
  const messages = system ? [{ role: "system", content: system }] : [];
  for (const node of nodes) {
    if (!node.media.length) {
      messages.push({ role: node.role, content: node.content });
      continue;
    }
    const parts = node.media.map((one) => (one.type.startsWith("video/") ? { type: "video_url", video_url: { url: one.uri } }
      : { type: "image_url", image_url: { url: one.uri } }));
    messages.push({ role: node.role, content: [...parts, { type: "text", text: node.content }] });
  }
  return messages;
}

/** Parameters of a request, without those that were left to the model. */
export function parametersOf(settings) {
  const body = {};
  for (const name of ["temperature", "top_p", "min_p", "seed"]) if (settings[name] != null) body[name] = settings[name];
  body.max_tokens = settings.max_tokens || 512;
  if (settings.schema) {
    let schema;
    try {
      schema = JSON.parse(settings.schema);
    } catch (error) {
      throw new Error(`The JSON schema in the settings is no JSON: ${error.message}`);
    }
    body.response_format = { type: "json_schema", json_schema: { name: "answer", strict: true, schema } };
  }
  return body;
}
