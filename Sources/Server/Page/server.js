// Requests to the server that this page came from.

export class ServerError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export const key = {
  get: () => sessionStorage.getItem("sluice.key") ?? "",
  set: (text) => sessionStorage.setItem("sluice.key", text),
};

async function send(path, { method = "GET", body, signal } = {}) {
  const headers = {};
  if (key.get()) headers.authorization = `Bearer ${key.get()}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  const response = await fetch(path, {
    method, headers, signal, cache: "no-store", body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (response.ok) return response;
  const error = (await response.json().catch(() => ({}))).error ?? {};
  throw new ServerError(response.status, error.code, error.message ?? `the server answered ${response.status}`);
}

export async function models() {
  return (await (await send("/v1/models")).json()).data;
}

const sessionPath = (session) => `/v1/sessions/${encodeURIComponent(session)}`;

export async function memory(session) {
  return (await send(`${sessionPath(session)}/memory`)).json();
}

// Reads the conversation anew under another cache.
export async function readAnew(session, cache) {
  return (await send(`${sessionPath(session)}/memory`, { method: "POST", body: cache ? { cache } : {} })).json();
}

export async function tokenTexts(session) {
  return (await (await send(`${sessionPath(session)}/tokens`)).json()).texts;
}

export async function forget(session) {
  await send(sessionPath(session), { method: "DELETE" });
}

// Yields the parsed data of server-sent events until the stream has ended.
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const parts = text.split("\n\n");
    text = parts.pop();
    for (const part of parts) {
      const data = part.split("\n").find((line) => line.startsWith("data: "))?.slice(6);
      if (data && data !== "[DONE]") yield JSON.parse(data);
    }
  }
}

// One that is cut is shown as such, and the next message goes on from there.
const longestAnswer = 2048;

// Yields { text, thought, usage, finish }, of which a piece has one or some.
export async function* answer({ session, messages, cache, signal }) {
  const body = {
    session, messages, stream: true, stream_options: { include_usage: true }, max_tokens: longestAnswer,
    ...(cache ? { cache } : {}),
  };
  const response = await send("/v1/chat/completions", { method: "POST", body, signal });
  for await (const event of events(response)) {
    if (event.error) throw new ServerError(200, event.error.code, event.error.message);
    const choice = event.choices[0];
    yield {
      text: choice?.delta.content ?? "", thought: choice?.delta.reasoning_content ?? "",
      finish: choice?.finish_reason ?? null, usage: event.usage ?? null,
    };
  }
}
