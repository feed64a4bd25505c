"""Calls a server with OpenAI's client, and checks every answer against the client's own schemas.

Usage: openai_client.py PORT. The server asks for the key "alpha" and serves "tiny".
"""

import sys
from typing import Literal

import openai
from openai.types import Completion, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel, Field

client = openai.OpenAI(base_url=f"http://127.0.0.1:{sys.argv[1]}/v1", api_key="alpha", max_retries=0, timeout=60)
messages = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "the sea"}]


def checked(kind, answer):
    kind.model_validate(answer.model_dump(), strict=True)
    return answer


def refused(error, parameter, call):
    try:
        call()
    except error as found:
        assert found.param == parameter, (found.param, parameter)
    else:
        raise AssertionError(f"{error.__name__} expected")


assert [model.id for model in client.models.list()] == ["tiny", "gpt-4o"]
checked(Model, client.models.retrieve("gpt-4o"))

answer = checked(
    ChatCompletion, client.chat.completions.create(model="tiny", messages=messages, temperature=0, max_tokens=12)
)
text = answer.choices[0].message.content
assert text and answer.choices[0].finish_reason == "length" and answer.usage.completion_tokens == 12
assert answer._request_id.startswith("req_")

chunks = [
    checked(ChatCompletionChunk, chunk)
    for chunk in client.chat.completions.create(
        model="gpt-4o", messages=messages, temperature=0, max_completion_tokens=12, stream=True,
        stream_options={"include_usage": True},
    )
]
assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == text
assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "length"
assert chunks[-1].usage.completion_tokens == 12
turns = [*messages, {"role": "assistant", "content": text}, {"role": "user", "content": "and?"}]
following = client.chat.completions.create(model="tiny", messages=turns, temperature=0, max_tokens=12)
assert checked(ChatCompletion, following).usage.prompt_tokens_details.cached_tokens > 0

with client.chat.completions.stream(model="tiny", messages=messages, temperature=0, max_tokens=12) as stream:
    try:
        stream.get_final_completion()
    except openai.LengthFinishReasonError as cut:
        assert cut.completion.choices[0].message.content == text
    else:
        raise AssertionError("an answer that was cut must say so")

several = checked(
    ChatCompletion,
    client.chat.completions.create(model="tiny", messages=messages, n=3, seed=5, temperature=1, max_tokens=4),
)
assert [choice.index for choice in several.choices] == [0, 1, 2]

parts = [{"role": "user", "content": [{"type": "text", "text": "the"}, {"type": "text", "text": "sea"}]}]
stopped = client.chat.completions.create(model="tiny", messages=parts, stop=["the", "a"], max_tokens=200)
checked(ChatCompletion, stopped)
extra = client.chat.completions.create(
    model="tiny", messages=messages, max_tokens=4, extra_body={"cache": "cascading:64/2", "session": "s"}
)
checked(ChatCompletion, extra)

completion = checked(Completion, client.completions.create(model="tiny", prompt=["the", "a"], max_tokens=5))
assert len(completion.choices) == 2
# Before the last one the reason is null, as OpenAI's own service has it, which the client's type does not say.
pieces = list(client.completions.create(model="tiny", prompt=[5, 6], stream=True))
checked(Completion, pieces[-1])
assert pieces[-1].choices[0].finish_reason == "length"



class Part(BaseModel):
    colour: Literal["red", "green"]
    weight: int | None


class Thing(BaseModel):
    kind: str = Field(max_length=10)
    parts: list[Part] = Field(min_length=1, max_length=2)


parsed = client.chat.completions.parse(
    model="tiny", messages=messages, response_format=Thing, max_tokens=500, temperature=1, seed=3
)
assert parsed.choices[0].finish_reason == "stop" and len(parsed.choices[0].message.parsed.parts) in (1, 2)
with client.chat.completions.stream(
    model="tiny", messages=messages, response_format=Thing, max_tokens=500, temperature=1, seed=4
) as stream:
    assert stream.get_final_completion().choices[0].message.parsed.kind is not None

create = client.chat.completions.create
bad = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"not": {}}}}
refused(
    openai.BadRequestError, "response_format.json_schema.schema",
    lambda: create(model="tiny", messages=messages, response_format=bad),
)
refused(openai.BadRequestError, "temperature", lambda: create(model="tiny", messages=messages, temperature=9))
tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
refused(openai.BadRequestError, "tools", lambda: create(model="tiny", messages=messages, tools=tools))
refused(openai.NotFoundError, "model", lambda: create(model="other", messages=messages))
image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]}]
refused(openai.BadRequestError, "messages[0].content[0]", lambda: create(model="tiny", messages=image))
refused(openai.AuthenticationError, None, lambda: client.with_options(api_key="wrong").models.list())
refused(openai.NotFoundError, None, lambda: client.embeddings.create(model="tiny", input="a"))
print("openai", openai.__version__, "ok")
