"""Calls a server with OpenAI's client, and checks every answer against the client's own schemas.

Usage: openai_client.py PORT. The server asks for the key "alpha" and serves "tiny".
"""

import json
import sys
from typing import Literal

import openai
from openai.types import Completion, CreateEmbeddingResponse, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response
from pydantic import BaseModel, Field

client = openai.OpenAI(base_url=f"http://127.0.0.1:{sys.argv[1]}/v1", api_key="alpha", max_retries=0, timeout=60)
messages = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "the sea"}]


def checked(kind, answer):
    kind.model_validate(answer.model_dump(by_alias=True), strict=True)
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

# Embeddings: the client asks for base64 by itself.
texts = ["the sea", "the mountain and the river"]
embeddings = checked(CreateEmbeddingResponse, client.embeddings.create(model="tiny", input=texts))
floats = checked(CreateEmbeddingResponse, client.embeddings.create(model="tiny", input=texts, encoding_format="float"))
assert [entry.index for entry in embeddings.data] == [0, 1] and embeddings.usage.prompt_tokens > 2
for entry, other in zip(embeddings.data, floats.data):
    assert len(entry.embedding) == 32 and abs(sum(value * value for value in entry.embedding) - 1) < 1e-5
    assert all(abs(a - b) < 1e-7 for a, b in zip(entry.embedding, other.embedding))
refused(openai.BadRequestError, "dimensions",
        lambda: client.embeddings.create(model="tiny", input="the sea", dimensions=8))

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

weather = {
    "type": "object", "properties": {"unit": {"enum": ["C", "F"]}}, "required": ["unit"], "additionalProperties": False
}
tools = [{"type": "function", "function": {"name": "weather", "parameters": weather, "strict": True}}]
named = {"type": "function", "function": {"name": "weather"}}
asking = {"model": "tiny", "temperature": 0, "max_tokens": 200, "tools": tools}
calling = checked(
    ChatCompletion, client.chat.completions.create(**asking, messages=messages, tool_choice=named)
)
call = calling.choices[0].message.tool_calls[0]
assert calling.choices[0].finish_reason == "tool_calls" and calling.choices[0].message.content is None
assert json.loads(call.function.arguments)["unit"] in ("C", "F") and call.function.name == "weather"
with client.chat.completions.stream(**asking, messages=messages, tool_choice=named) as stream:
    kinds = [event.type for event in stream]
    streamed = checked(ChatCompletion, stream.get_final_completion()).choices[0]
assert "tool_calls.function.arguments.done" in kinds and streamed.finish_reason == "tool_calls"
assert streamed.message.tool_calls[0].function.arguments == call.function.arguments
turns = [
    *messages, calling.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "rain"},
    {"role": "user", "content": "and?"},
]
answered = checked(ChatCompletion, client.chat.completions.create(**asking, messages=turns))
assert answered.usage.prompt_tokens_details.cached_tokens > 0

likely = checked(
    ChatCompletion,
    client.chat.completions.create(
        model="tiny", messages=messages, temperature=0, max_tokens=12, logprobs=True, top_logprobs=3
    ),
)
noted = likely.choices[0].logprobs.content
assert b"".join(bytes(token.bytes) for token in noted).decode(errors="replace") == text
assert all(len(token.top_logprobs) == 3 and token.top_logprobs[0].token == token.token for token in noted)
begun = [*messages, {"role": "assistant", "content": "It is"}]
assert not client.chat.completions.create(model="tiny", messages=begun, max_tokens=4).choices[0].message.content.startswith("It is")


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
checked(ChatCompletion, create(model="tiny", messages=messages, tools=tools, max_tokens=8))
refused(openai.BadRequestError, "tools[0].type", lambda: create(model="tiny", messages=messages, tools=[{"type": "x"}]))
refused(openai.NotFoundError, "model", lambda: create(model="other", messages=messages))
image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]}]
refused(openai.BadRequestError, "messages[0].content[0]", lambda: create(model="tiny", messages=image))
refused(openai.AuthenticationError, None, lambda: client.with_options(api_key="wrong").models.list())
refused(openai.BadRequestError, "input", lambda: client.embeddings.create(model="tiny", input=[]))
respond = client.responses.create
request = {"model": "tiny", "instructions": "Be brief.", "temperature": 0, "max_output_tokens": 12}
response = checked(Response, respond(**request, input="the sea", metadata={"a": "b"}))
assert response.output_text == text and response.status == "incomplete"
assert response.incomplete_details.reason == "max_output_tokens" and response.usage.output_tokens == 12
assert checked(Response, client.responses.retrieve(response.id)) == response
events = list(respond(**request, input=[{"role": "user", "content": "the sea"}], stream=True))
for event in events:
    type(event).model_validate(event.model_dump(), strict=True)
assert [event.sequence_number for event in events] == list(range(len(events)))
assert [event.type for event in events if event.type != "response.output_text.delta"] == [
    "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
    "response.output_text.done", "response.content_part.done", "response.output_item.done", "response.incomplete",
]
assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == text
assert events[-1].response.output_text == text
following = checked(Response, respond(**request, input="and?", previous_response_id=response.id))
assert following.previous_response_id == response.id and following.usage.input_tokens_details.cached_tokens > 0
by_hand = [{"role": "user", "content": "the sea"}, *response.output, {"role": "user", "content": "and?"}]
assert checked(Response, respond(**request, input=by_hand)).output_text == following.output_text
function = {"type": "function", "name": "weather", "parameters": weather, "strict": True}
choice = {"type": "function", "name": "weather"}
asking = {"model": "tiny", "temperature": 0, "max_output_tokens": 200, "tools": [function]}
called = checked(Response, respond(**asking, input="the sea", tool_choice=choice))
item = called.output[-1]
assert (called.status, item.type, item.name) == ("completed", "function_call", "weather")
assert json.loads(item.arguments)["unit"] in ("C", "F")
result = [{"type": "function_call_output", "call_id": item.call_id, "output": "rain"}]
answered = checked(Response, respond(**asking, input=result, previous_response_id=called.id))
assert answered.usage.input_tokens_details.cached_tokens > 0
by_hand = [{"role": "user", "content": "the sea"}, *called.output, *result]
assert checked(Response, respond(**asking, input=by_hand)).output_text == answered.output_text
with client.responses.stream(**asking, input="the sea", tool_choice=choice) as stream:
    kinds = [event.type for event in stream]
    final = stream.get_final_response()
assert kinds[-2:] == ["response.output_item.done", "response.completed"], kinds
assert final.output[-1].arguments == item.arguments
text_format = {"format": {"type": "json_schema", "name": "unit", "schema": weather, "strict": True}}
formatted = checked(Response, respond(model="tiny", input="unit?", max_output_tokens=100, text=text_format))
assert json.loads(formatted.output_text)["unit"] in ("C", "F") and formatted.status == "completed"
client.responses.delete(response.id)
refused(openai.NotFoundError, None, lambda: client.responses.retrieve(response.id))
lost = lambda: respond(**request, input="and?", previous_response_id=response.id)
refused(openai.BadRequestError, "previous_response_id", lost)
print("openai", openai.__version__, "ok")
