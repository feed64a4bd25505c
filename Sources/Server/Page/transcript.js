// What was said, with the colours of what the memory holds of it.

import { align, holding, pieces } from "/page/holding.js";
import { element } from "/page/picture.js";

const beginnings = [
  "Tell me a long story about a river that never ends.", "Explain how a lock lifts a boat, step by step.",
  "What can you still remember of our conversation?",
];

const box = () => document.getElementById("messages");

function marked(message, place, texts, held) {
  return pieces(message.content, place, texts, held).map(({ text, stage, level }) =>
    level < 0 ? text : element("span", {
      className: `mark level${level}${stage < 0 ? "" : ` stage${stage % 8}`}`, textContent: text,
    }));
}

function article(message, content) {
  const node = element("article", { className: message.role });
  node.append(element("h3", { textContent: message.role === "user" ? "You" : "Model" }));
  if (message.thought) {
    const thought = element("p", { textContent: message.thought });
    node.append(element("details", {}, element("summary", { textContent: "Thoughts" }), thought));
  }
  node.append(element("p", { className: "text" }, ...content));
  if (message.note) node.append(element("p", { className: "note", textContent: message.note }));
  return node;
}

function welcome(say) {
  const offers = beginnings.map((text) => {
    const offer = element("button", { className: "offer", textContent: text, type: "button" });
    offer.addEventListener("click", () => say(text));
    return offer;
  });
  const text = "A model reads text as a stream of tokens, and its memory, the cache, has room for some of them. "
    + "Here you see which ones it holds while you talk, and which it has forgotten.";
  return element(
    "div", { className: "welcome" }, element("h2", { textContent: "A conversation without end" }),
    element("p", { textContent: text }), ...offers);
}

// Shows all messages, and the one that is being written, whose node follows it.
export function showMessages(conversation, { memory, texts, marks, writing, say }) {
  const places = align(texts, conversation.messages);
  const held = holding(memory);
  const isMarked = marks && texts.length > 0;
  const nodes = conversation.messages.map((message, index) =>
    article(message, isMarked ? marked(message, places[index], texts, held) : [message.content]));
  if (nodes.length === 0) nodes.push(welcome(say));
  if (writing) {
    const node = article(writing, [writing.content]);
    node.classList.add("writing");
    nodes.push(node);
  }
  const follows = isAtEnd();
  box().replaceChildren(...nodes);
  if (follows) scrollToEnd();
}

let isDue = false;

// Goes on with the message that is being written, at most once a frame.
export function showProgress(message) {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    write(message);
  });
}

function write(message) {
  const text = box().querySelector(".writing .text");
  if (!text) return;
  const follows = isAtEnd();
  text.textContent = message.content || (message.thought ? "thinking …" : "");
  if (follows) scrollToEnd();
}

function isAtEnd() {
  return box().scrollHeight - box().scrollTop - box().clientHeight < 80;
}

export function scrollToEnd() {
  box().scrollTop = box().scrollHeight;
}
