"""Calls a server with Anthropic's client, and checks every answer against the client's own schemas.

Usage: anthropic_client.py PORT. The server asks for the key "alpha" and serves "tiny".
"""

import json
import sys

import anthropic
from anthropic.types import Message

client = anthropic.Anthropic(
    base_url=f"http://127.0.0.1:{sys.argv[1]}", api_key="alpha", max_retries=0, timeout=60
)
request = {
    "model": "tiny",
    "max_tokens": 12,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    "messages": [{"role": "user", "content": [{"type": "text", "text": "the sea"}]}],
    # The client has no argument for it any more.
    "extra_body": {"temperature": 0},
}


def checked(message):
    Message.model_validate(message.model_dump(), strict=True)
    return message


def refused(error, call):
    try:
        call()
    except error:
        return
    raise AssertionError(f"{error.__name__} expected")


message = checked(client.messages.create(**request))
text = message.content[0].text
assert text and message.stop_reason == "max_tokens" and message.usage.output_tokens == 12
count = client.messages.count_tokens(
    **{name: value for name, value in request.items() if name in ("model", "system", "messages")}
)
assert count.input_tokens == message.usage.input_tokens + message.usage.cache_read_input_tokens

with client.messages.stream(**request) as stream:
    assert "".join(stream.text_stream) == text
    final = checked(stream.get_final_message())
assert final.stop_reason == "max_tokens"
turns = [*request["messages"], {"role": "assistant", "content": final.content}, {"role": "user", "content": "and?"}]
assert checked(client.messages.create(**{**request, "messages": turns})).usage.cache_read_input_tokens > 0

stopped = checked(client.messages.create(**{**request, "stop_sequences": [text[4:6]]}))
assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", text[4:6])
events = [event.type for event in client.messages.create(**request, stream=True)]
assert events[0] == "message_start" and events[-2:] == ["message_delta", "message_stop"], events
assert events.count("message_start") == 1

schema = {
    "type": "object", "properties": {"unit": {"enum": ["C", "F"]}}, "required": ["unit"], "additionalProperties": False
}
asking = {
    **request, "max_tokens": 200, "tools": [{"name": "weather", "description": "Tells it", "input_schema": schema}]
}
choice = {"type": "tool", "name": "weather"}
called = checked(client.messages.create(**asking, tool_choice=choice))
call = called.content[-1]
assert (called.stop_reason, call.type, call.name) == ("tool_use", "tool_use", "weather") and call.input["unit"] in "CF"
with client.messages.stream(**asking, tool_choice=choice) as stream:
    deltas = [event.partial_json for event in stream if event.type == "input_json"]
    streamed = checked(stream.get_final_message())
assert json.loads("".join(deltas)) == call.input == streamed.content[-1].input
result = {"type": "tool_result", "tool_use_id": call.id, "content": "rain"}
turns = [
    *request["messages"], {"role": "assistant", "content": called.content}, {"role": "user", "content": [result]}
]
answered = checked(client.messages.create(**{**asking, "messages": turns}))
assert answered.usage.cache_read_input_tokens > 0
begun = [*request["messages"], {"role": "assistant", "content": "It is"}]
assert not client.messages.create(**{**request, "messages": begun}).content[0].text.startswith("It is")
schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
config = {"format": {"type": "json_schema", "schema": schema}}
made = checked(client.messages.create(**{**request, "output_config": config, "max_tokens": 100}))
assert made.stop_reason == "end_turn" and isinstance(json.loads(made.content[0].text)["n"], int)

refused(anthropic.BadRequestError, lambda: client.messages.create(**{**request, "max_tokens": 0}))
refused(anthropic.NotFoundError, lambda: client.messages.create(**{**request, "model": "other"}))
refused(anthropic.AuthenticationError, lambda: client.with_options(api_key="wrong").messages.create(**request))
print("anthropic", anthropic.__version__, "ok")
