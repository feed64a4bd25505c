// What the memory of the shown conversation holds, and the looking glass over its stream.

import { holding } from "/page/holding.js";
import { draw, element, number, numbers } from "/page/picture.js";
import * as server from "/page/server.js";

// Beyond so many tokens the text is not marked: their texts would be megabytes.
const longestMarked = 32768;

export const shown = { session: null, memory: null, texts: [], speed: 0 };

const find = (name) => document.getElementById(name);

// Shows another conversation, of which nothing is known yet.
export function turnTo(session) {
  Object.assign(shown, { session, memory: null, texts: [], speed: 0 });
  find("glass").replaceChildren();
  show();
}

// Asks the server anew; the texts of tokens only where they are wanted.
export async function refresh({ withTexts }) {
  const { session } = shown;
  const memory = await server.memory(session);
  let { texts } = shown;
  if (withTexts) texts = memory.tokens > 0 && memory.tokens <= longestMarked ? await server.tokenTexts(session) : [];
  if (session !== shown.session) return;
  [shown.memory, shown.texts] = [memory.state === "empty" ? null : memory, texts];
  show();
}

export function show() {
  const hadFocus = document.activeElement?.id === "stream";
  find("numbers").replaceChildren(...numbers(shown.memory, shown.speed));
  find("picture").replaceChildren(...draw(shown.memory));
  const stream = find("stream");
  if (!stream) return;
  stream.addEventListener("pointermove", (event) => {
    const box = stream.getBoundingClientRect();
    look(Math.floor(((event.clientX - box.left) / box.width) * length()));
  });
  stream.addEventListener("keydown", step);
  if (hadFocus) stream.focus();
}

const length = () => shown.memory.tokens + shown.memory.waiting_tokens;

function step(event) {
  const at = Number(find("stream").getAttribute("aria-valuenow"));
  const page = Math.max(1, Math.round(shown.memory.tokens / 20));
  const places = {
    ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1, PageDown: at - page, PageUp: at + page,
    Home: 0, End: shown.memory.tokens - 1,
  };
  if (!(event.key in places)) return;
  event.preventDefault();
  look(places[event.key]);
}

// Says what stands at a place of the stream, and who holds it.
function look(wanted) {
  const { memory, texts } = shown;
  const at = Math.max(0, Math.min(wanted, memory.tokens - 1));
  const { share, stage } = holding(memory);
  const names = memory.groups[0].stages.map(({ stage }) => stage);
  const part = share[at] >= 0.98 ? "" : ` in ${Math.max(1, Math.round(share[at] * 100))} % of the heads`;
  const where = share[at] >= 0.02 ? `held by ${names[stage[at]] ?? "a stage"}${part}` : "forgotten";
  const around = (first, last) => texts.slice(Math.max(0, first), last).join("");
  const text = texts.length > at
    ? ["… ", around(at - 12, at), element("mark", { textContent: texts[at] }), around(at + 1, at + 13), " …"] : [];
  find("glass").replaceChildren(element("b", { textContent: `Token ${number(at)}: ${where}` }), ...text);
  const stream = find("stream");
  stream.setAttribute("aria-valuenow", at);
  stream.setAttribute("aria-valuetext", `token ${at}, ${where}`);
  const cursor = stream.querySelector(".cursor");
  cursor.hidden = false;
  cursor.style.left = `${((at + 0.5) / length()) * 100}%`;
}
