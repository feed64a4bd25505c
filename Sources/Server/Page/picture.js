// Draws what a memory holds: the stream as a strip, and a strip for each stage.

import { holding } from "/page/holding.js";

const width = 1000;

export function element(name, properties = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in node) node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

function drawing(name, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

export const number = (value) => Math.round(value).toLocaleString("en");

export function bytes(count) {
  if (count < 1 << 20) return `${(count / 1024).toFixed(0)} KiB`;
  return `${(count / (1 << 20)).toFixed(count < 100 << 20 ? 1 : 0)} MiB`;
}

const explanations = [
  [/^sinks/, "the first tokens, kept for ever"],
  [/^window:\d+\/1$/, "the newest"],
  [/^window:\d+\/(\d+)/, "one token in $1"],
  [/^window/, "the newest"],
  [/^scored/, "those with most attention"],
  [/^prompt/, "what a prompt's end attends to"],
  [/^clusters/, "melted into clusters"],
  [/^moments/, "melted into sums"],
  [/^compressive/, "melted into a matrix a head"],
  [/^segment/, "the current segment"],
  [/^pages/, "everything, read page by page"],
  [/^tokens/, "everything"],
];

function explanation(stage) {
  const [pattern, text] = explanations.find(([pattern]) => pattern.test(stage)) ?? [/^/, ""];
  return text.replace("$1", stage.match(pattern)[1]);
}

// Rectangles of runs, never thinner than an eye can see.
function rectangles(runs, total, stage) {
  return runs.map(([first, last, share]) => {
    const x = (first / total) * width;
    const wide = Math.max(((last - first) / total) * width, 3);
    return drawing("rect", {
      class: `stage${stage % 8}`, x: Math.min(x, width - wide), y: 0, width: wide, height: 10,
      "fill-opacity": Math.max(share, 0.12),
    });
  });
}

function strip(className, ...children) {
  return drawing(
    "svg", { class: className, viewBox: `0 0 ${width} 10`, preserveAspectRatio: "none", "aria-hidden": "true" },
    ...children);
}

const held = (runs) => runs.reduce((sum, [first, last, share]) => sum + (last - first) * share, 0);

function stageRow(stage, runs, melts, index, total) {
  const count = held(runs);
  return element(
    "li", {},
    element(
      "div", { className: "row" }, element("span", { className: `swatch stage${index % 8}` }),
      element("code", { textContent: stage }), element("span", { className: "why", textContent: explanation(stage) }),
      element("span", { className: "count", textContent: `${number(count)}${melts ? " melted" : ""}` })),
    strip(
      "lane", drawing("rect", { class: "ground", x: 0, y: 0, width, height: 10 }), ...rectangles(runs, total, index)));
}

// The parts of the picture, and a sentence for who cannot see it.
export function draw(memory) {
  if (!memory || memory.state === "released") {
    const text = memory
      ? "The server has let this memory go to make room. The next message reads the conversation again."
      : "Nothing has been read yet.";
    return [element("p", { className: "note", textContent: text })];
  }
  const total = Math.max(memory.tokens + memory.waiting_tokens, 1);
  if (!memory.groups) {
    return [element("p", { className: "note", textContent: "Which tokens are held is not known of this memory." })];
  }
  const whole = [drawing("rect", { class: "forgotten", x: 0, y: 0, width, height: 10 })];
  for (const group of memory.groups) {
    group.stages.forEach(({ runs }, index) => whole.push(...rectangles(runs, total, index)));
  }
  const waiting = (memory.waiting_tokens / total) * width;
  if (waiting > 0) {
    whole.push(drawing("rect", { class: "waiting", x: width - waiting, y: 0, width: waiting, height: 10 }));
  }
  const stream = element(
    "div", {
      id: "stream", tabIndex: 0, role: "slider", "aria-label": "Place in the stream", "aria-valuemin": 0,
      "aria-valuemax": Math.max(memory.tokens - 1, 0), "aria-valuenow": 0,
    },
    strip("whole", ...whole), element("span", { className: "cursor", hidden: true }));
  const parts = [
    element("h2", { textContent: "The stream" }), stream,
    element(
      "div", { className: "axis" }, element("span", { textContent: "first token" }),
      element("span", { textContent: `token ${number(memory.tokens)}` })),
  ];
  for (const group of memory.groups) {
    const name = memory.groups.length > 1 ? `Stages of ${group.heads} heads` : "Its stages";
    const rows = group.stages.map(({ stage, runs, melts }, index) => stageRow(stage, runs, melts, index, total));
    parts.push(element("h2", { textContent: name }), element("ul", { className: "stages" }, ...rows));
  }
  return parts;
}

export function numbers(memory, speed) {
  const has = memory && memory.state !== "released";
  const forgotten = has ? holding(memory).share.reduce((sum, share) => sum + (share < 0.02 ? 1 : 0), 0) : 0;
  const rows = [
    ["read", "tokens read", has ? number(memory.tokens) : "–"],
    ["held", "tokens held", has ? number(memory.held_tokens) : "–"],
    ["forgotten", "forgotten", has ? number(forgotten) : "–"],
    ["memory", "memory", has ? bytes(memory.bytes) : "–"],
    ["speed", "speed", speed ? `${speed.toFixed(speed < 10 ? 1 : 0)} tokens/s` : "–"],
  ];
  return rows.map(([name, title, value]) =>
    element(
      "div", { className: `number ${name}` }, element("dt", { textContent: title }),
      element("dd", {}, element("b", { textContent: value }))));
}
