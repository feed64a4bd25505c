// Who holds which token of the stream, and where tokens stand in messages.

// For every token: the share of all heads that hold it, and the stage that holds most of it (-1: none).
export function holding(memory) {
  const count = memory?.tokens ?? 0;
  const share = new Float32Array(count);
  const stage = new Int16Array(count).fill(-1);
  if (!memory?.groups) return { share, stage };
  const heads = memory.groups.reduce((sum, group) => sum + group.heads, 0);
  const best = new Float32Array(count);
  for (const group of memory.groups) {
    group.stages.forEach(({ runs }, index) => {
      for (const [first, last, part] of runs) {
        const weight = (part * group.heads) / heads;
        for (let token = first; token < Math.min(last, count); token += 1) {
          share[token] += weight;
          if (weight > best[token]) [best[token], stage[token]] = [weight, index];
        }
      }
    });
  }
  return { share, stage };
}

// Levels of a share, 0 (forgotten) to 4 (held by all).
export const level = (share) => (share < 0.02 ? 0 : share < 0.35 ? 1 : share < 0.65 ? 2 : share < 0.98 ? 3 : 4);

// Finds the messages in the stream: for each the character of the stream at which it begins, and what of it is there.
export function align(texts, messages) {
  const stream = texts.join("");
  let from = 0;
  return messages.map(({ content }) => {
    const text = content.trim();
    const start = text ? stream.indexOf(text, from) : -1;
    if (start < 0) return null;
    from = start + text.length;
    return { start, skipped: content.indexOf(text), length: text.length };
  });
}

// Cuts a message into pieces that are held alike: { text, stage, level }; level -1 is not known.
export function pieces(content, place, texts, { share, stage }) {
  if (!place) return [{ text: content, stage: -1, level: -1 }];
  const pieces = [];
  const add = (text, stage, level) => {
    const last = pieces.at(-1);
    if (last && last.stage === stage && last.level === level) last.text += text;
    else if (text) pieces.push({ text, stage, level });
  };
  add(content.slice(0, place.skipped), -1, -1);
  let next = 0;
  let at = 0;
  const end = place.start + place.length;
  for (; next < texts.length && at + texts[next].length <= place.start; next += 1) at += texts[next].length;
  for (; next < texts.length && at < end; next += 1) {
    const first = Math.max(at, place.start);
    const last = Math.min(at + texts[next].length, end);
    const part = content.slice(place.skipped + first - place.start, place.skipped + last - place.start);
    const known = next < share.length;
    add(part, known && share[next] >= 0.02 ? stage[next] : -1, known ? level(share[next]) : -1);
    at += texts[next].length;
  }
  add(content.slice(place.skipped + place.length), -1, -1);
  return pieces;
}
