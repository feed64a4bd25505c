// Conversations as this browser keeps them; the server holds them too, under the name `session`.

const place = "sluice.conversations";

function newName() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return "page-" + Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function load() {
  try {
    const stored = JSON.parse(localStorage.getItem(place));
    if (Array.isArray(stored?.all)) return stored;
  } catch {
    // What cannot be read is begun anew.
  }
  return { all: [], current: null };
}

const state = load();

export function save() {
  try {
    localStorage.setItem(place, JSON.stringify(state));
  } catch {
    // A full store: the server still holds the conversation.
  }
}

export const all = () => state.all;

export function current() {
  return state.all.find((conversation) => conversation.session === state.current) ?? create();
}

// A new conversation, or the one that nobody has said anything in yet.
export function create() {
  let fresh = state.all.find((conversation) => conversation.messages.length === 0);
  if (!fresh) {
    fresh = { session: newName(), cache: state.all[0]?.cache ?? "", messages: [] };
    state.all.unshift(fresh);
  }
  state.current = fresh.session;
  save();
  return fresh;
}

export function choose(session) {
  state.current = session;
  save();
}

export function remove(session) {
  state.all = state.all.filter((conversation) => conversation.session !== session);
  if (state.current === session) state.current = state.all[0]?.session ?? null;
  save();
}

// The server holds something else under the old name.
export function rename(conversation) {
  conversation.session = newName();
  state.current = conversation.session;
  save();
}

export function title(conversation) {
  const first = conversation.messages.find((message) => message.role === "user");
  return first ? first.content.trim().split("\n")[0].slice(0, 60) : "New conversation";
}
