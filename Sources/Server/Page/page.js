// The page: conversations on one side, what the memory holds of the current one on the other.

import * as conversations from "/page/conversations.js";
import * as memory from "/page/memory.js";
import { element, number } from "/page/picture.js";
import * as server from "/page/server.js";
import * as transcript from "/page/transcript.js";

const find = (name) => document.getElementById(name);
const plans = [
  ["", "the server's cache"], ["streaming-llm:4+252", "256 tokens: sinks and the newest"],
  ["streaming-llm:4+1020", "1,024 tokens: sinks and the newest"], ["window:256", "256 tokens: only the newest"],
  ["cascading:256/4", "256 tokens: a cascade of four windows"],
  ["h2o:256[positions=clipped]", "256 tokens: those most attended to"],
  ["subgen:256", "256 tokens: older ones in clusters"], ["full", "everything"],
];

let current = conversations.current();
// The answer under way: { conversation, message, abort }.
let running = null;

function showMessages() {
  transcript.showMessages(current, {
    memory: memory.shown.memory, texts: memory.shown.texts, marks: find("mark").checked, say,
    writing: running?.conversation === current ? running.message : null,
  });
}

// Runs something that may fail, and says why where it does.
async function attempt(body) {
  try {
    find("problem").textContent = "";
    await body();
    return true;
  } catch (error) {
    if (error.name === "AbortError") return false;
    find("problem").textContent =
      error instanceof TypeError ? "The server does not answer. Is it running?" : error.message;
    if (error.status === 401) find("key").focus();
    return false;
  }
}

async function refresh() {
  await memory.refresh({ withTexts: true }).catch(() => {});
  showMessages();
}

// Talking.

// The messages that the server does not hold yet: it may have been started anew, or an answer was stopped.
async function unheard(conversation) {
  const held = (await server.memory(conversation.session)).messages;
  const own = conversation.messages.map(({ role, content }) => ({ role, content }));
  if (held < own.length) return own.slice(held);
  conversations.rename(conversation);
  if (conversation === current) memory.turnTo(conversation.session);
  return own;
}

async function say(text) {
  if (running || !text.trim()) return;
  const conversation = current;
  const answer = { conversation, message: { role: "assistant", content: "" }, abort: new AbortController() };
  running = answer;
  conversation.messages.push({ role: "user", content: text });
  showAll();
  transcript.scrollToEnd();
  watch(answer);
  const isDone = await attempt(() => receive(answer));
  running = null;
  if (isDone || answer.message.content) {
    if (!isDone) answer.message.note = "stopped";
    conversation.messages.push(answer.message);
  } else {
    // Nothing came: the message goes back to where it was typed.
    conversation.messages.pop();
    if (!find("message").value) find("message").value = text;
  }
  conversations.save();
  showAll();
  if (conversation === current) await refresh();
}

async function receive({ conversation, message, abort }) {
  const messages = await unheard(conversation);
  const options = { session: conversation.session, messages, cache: conversation.cache, signal: abort.signal };
  let [first, count] = [0, 0];
  const isShown = () => conversation === current;
  for await (const piece of server.answer(options)) {
    message.content += piece.text;
    if (piece.thought) message.thought = (message.thought ?? "") + piece.thought;
    if (piece.text || piece.thought) {
      count += 1;
      first ||= performance.now();
      if (count > 4 && isShown()) memory.shown.speed = (1000 * (count - 1)) / (performance.now() - first);
      if (isShown()) transcript.showProgress(message);
    }
    if (piece.finish === "length") message.note = "cut at its limit of tokens";
    if (piece.usage && isShown()) showCost(piece.usage, performance.now() - first);
  }
}

function showCost(usage, milliseconds) {
  if (usage.completion_tokens > 1) memory.shown.speed = (1000 * (usage.completion_tokens - 1)) / milliseconds;
  const remembered = usage.prompt_tokens_details?.cached_tokens ?? 0;
  const read = usage.prompt_tokens - remembered;
  find("plan-note").textContent =
    `Of the last prompt ${number(read)} tokens were read, ${number(remembered)} had been before.`;
}

// While an answer is written the picture follows it.
async function watch(answer) {
  while (running === answer) {
    if (answer.conversation === current) await memory.refresh({ withTexts: false }).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

async function changePlan(cache) {
  const conversation = current;
  const before = conversation.cache;
  if (running) return;
  conversation.cache = cache;
  find("plan-note").textContent = "Reading the conversation again under this cache …";
  const isRead = await attempt(async () => {
    const { messages } = await server.memory(conversation.session);
    if (messages > 0) await server.readAnew(conversation.session, cache);
  });
  if (!isRead) conversation.cache = before;
  conversations.save();
  if (conversation !== current) return;
  find("plan-note").textContent = "";
  showPlan();
  await refresh();
}

// Controls.

function showAll() {
  find("send").hidden = running !== null;
  find("stop").hidden = running === null;
  find("plan").disabled = running !== null;
  showMessages();
  showConversations();
}

function showPlan() {
  const isKnown = plans.some(([spec]) => spec === current.cache);
  find("plan").value = isKnown ? current.cache : "other";
  find("spec-form").hidden = isKnown;
  find("spec").value = isKnown ? "" : current.cache;
}

function showConversations() {
  find("list").replaceChildren(...conversations.all().map((conversation) => {
    const title = conversations.title(conversation);
    const open = element("button", { className: "plain choose", textContent: title });
    if (conversation === current) open.setAttribute("aria-current", "true");
    open.addEventListener("click", () => choose(conversation.session));
    const remove = element("button", { className: "plain remove", textContent: "×", "aria-label": `Delete ${title}` });
    remove.addEventListener("click", () => discard(conversation));
    return element("li", {}, open, remove);
  }));
}

function choose(session) {
  conversations.choose(session);
  current = conversations.current();
  memory.turnTo(current.session);
  find("plan-note").textContent = "";
  hidePanels();
  showPlan();
  showAll();
  transcript.scrollToEnd();
  find("message").focus();
  attempt(() => memory.refresh({ withTexts: true })).then(showMessages);
}

async function discard(conversation) {
  if (running?.conversation === conversation) running.abort.abort();
  await attempt(() => server.forget(conversation.session));
  conversations.remove(conversation.session);
  choose(conversations.current().session);
}

const panels = [["show-conversations", "conversations"], ["show-memory", "memory"]];

function hidePanels(exception) {
  for (const [button, panel] of panels) {
    if (panel === exception) continue;
    find(panel).classList.remove("open");
    find(button).setAttribute("aria-expanded", "false");
  }
}

function fitMessage() {
  const box = find("message");
  box.style.height = "auto";
  box.style.height = `${Math.min(box.scrollHeight + 2, 220)}px`;
}

function send(event) {
  event.preventDefault();
  const text = find("message").value;
  if (running || !text.trim()) return;
  find("message").value = "";
  fitMessage();
  say(text);
}

function connectPlan() {
  find("plan").replaceChildren(
    ...plans.map(([spec, name]) => element("option", { value: spec, textContent: name })),
    element("option", { value: "other", textContent: "another …" }));
  find("plan").addEventListener("change", () => {
    const isOther = find("plan").value === "other";
    find("spec-form").hidden = !isOther;
    if (isOther) find("spec").focus();
    else changePlan(find("plan").value);
  });
  find("spec-form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (find("spec").value.trim()) changePlan(find("spec").value.trim());
  });
}

function connect() {
  connectPlan();
  find("composer").addEventListener("submit", send);
  find("message").addEventListener("input", fitMessage);
  find("message").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) send(event);
  });
  find("stop").addEventListener("click", () => running?.abort.abort());
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    running?.abort.abort();
    hidePanels();
  });
  find("new").addEventListener("click", () => choose(conversations.create().session));
  find("mark").addEventListener("change", showMessages);
  find("key").value = server.key.get();
  find("key-form").addEventListener("submit", (event) => event.preventDefault());
  find("key").addEventListener("change", () => {
    server.key.set(find("key").value.trim());
    start();
  });
  for (const [button, panel] of panels) {
    find(button).addEventListener("click", () => {
      hidePanels(panel);
      find(button).setAttribute("aria-expanded", String(find(panel).classList.toggle("open")));
    });
  }
}

async function start() {
  await attempt(async () => {
    const [model] = await server.models();
    find("model").textContent = model.id;
    find("plan").options[0].textContent = `the server's: ${model.cache}`;
    await memory.refresh({ withTexts: true });
  });
  showMessages();
  transcript.scrollToEnd();
}

connect();
memory.turnTo(current.session);
showPlan();
showAll();
start();
