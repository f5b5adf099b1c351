// What is kept over a reload: conversations and drawings in IndexedDB, choices in localStorage. Nothing leaves the browser.

const stores = ["chats", "drawings"];
let database = null;
const memory = Object.fromEntries(stores.map((name) => [name, new Map()]));

function open() {
  database ??= new Promise((resolve) => {
    let request;
    try {
      request = indexedDB.open("tessera-studio", 1);
    } catch {
      resolve(null);
      return;
    }
    request.onupgradeneeded = () => {
      for (const name of stores) request.result.createObjectStore(name, { keyPath: "id" });
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = request.onblocked = () => resolve(null); // a private window: kept until the page closes
  });
  return database;
}

async function run(name, mode, act) {
  const db = await open();
  if (!db) return null;
  return new Promise((resolve, reject) => {
    const transaction = db.transaction(name, mode);
    const request = act(transaction.objectStore(name));
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = transaction.onerror = () => reject(transaction.error);
  });
}

/** All of a store, newest first; what this page has put there where the browser cannot read it. */
export async function all(name) {
  const read = await run(name, "readonly", (store) => store.getAll()).catch(() => null);
  const kept = read ?? [...memory[name].values()];
  return kept.sort((a, b) => b.created - a.created);
}

/** Keeps an object with an `id`; false where the browser has no room. */
export async function put(name, value) {
  memory[name].set(value.id, value);
  try {
    await run(name, "readwrite", (store) => store.put(value));
    return true;
  } catch {
    return false;
  }
}

export async function remove(name, id) {
  memory[name].delete(id);
  await run(name, "readwrite", (store) => store.delete(id)).catch(() => {});
}

export function choice(name, fallback) {
  try {
    return JSON.parse(localStorage.getItem(`tessera-${name}`)) ?? fallback;
  } catch {
    return fallback;
  }
}
export function setChoice(name, value) {
  try {
    localStorage.setItem(`tessera-${name}`, JSON.stringify(value));
  } catch {
    // full or forbidden: the choice holds until the page closes
  }
}

export const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(9)), (b) => b.toString(36).padStart(2, "0")).join("");
export const newSeed = () => crypto.getRandomValues(new Uint32Array(1))[0];
