"""Conversations that the recorded renderings of chat templates share."""

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Says what the weather is like in a city.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "The city, as <name>, \"name\" or 名前"},
                "days": {"type": "integer", "description": "How many days", "minimum": 1, "maximum": 7},
                "unit": {"type": "string", "description": "The unit", "enum": ["celsius", "fahrenheit"]},
            },
            "required": ["city"],
        },
    },
}

NOTES = {
    "type": "function",
    "function": {
        "name": "store_note",
        "description": "Keeps a note & its tags",
        "parameters": {
            "type": "object",
            "properties": {
                "tags": {"type": "array", "description": "Tags", "items": {"type": "string"}},
                "place": {
                    "type": "object",
                    "description": "Where",
                    "properties": {"latitude": {"type": "number", "description": "Degrees"}},
                    "additionalProperties": {"type": "number"},
                    "required": [],
                },
                "urgent": {"type": "boolean", "description": "Whether it hurries", "default": False},
            },
            "required": ["tags", "place"],
        },
    },
}

NO_PARAMETERS = {
    "type": "function",
    "function": {"name": "now", "description": "Tells the time.", "parameters": {"type": "object", "properties": {}}},
}

SYSTEM = {"role": "system", "content": "  You answer in one sentence.\n"}
USER = {"role": "user", "content": "What's the weather in Köln, 東京 and <|im_end|>?"}
ANSWER = {"role": "assistant", "content": "Rain in all of them.\n"}
THOUGHT = {"role": "assistant", "content": "<think>\nBoth are wet.\n</think>\n\nRain in all of them."}
REASONED = {"role": "assistant", "content": "Rain.", "reasoning_content": "Both are wet."}
AGAIN = {"role": "user", "content": " And tomorrow?\r\n"}


def call(name, arguments, identifier="abcdef123"):
    return {"type": "function", "id": identifier, "function": {"name": name, "arguments": arguments}}


ARGUMENTS = {"city": "Köln", "days": 2, "ratio": 0.5, "deep": {"list": [1, None, True], "text": "a \"quote\"\n"}}
CALLING = {"role": "assistant", "content": "", "tool_calls": [call("get_weather", ARGUMENTS)]}
CALLING_NONE = {"role": "assistant", "content": None, "tool_calls": [call("get_weather", ARGUMENTS)]}
CALLING_TEXT = {"role": "assistant", "content": None, "tool_calls": [call("get_weather", '{"city": "Köln"}')]}
CALLING_TWO = {
    "role": "assistant",
    "content": "Two calls.",
    "tool_calls": [call("get_weather", {"city": "東京"}), call("now", {}, "bbbbbb222")],
}
RESULT = {"role": "tool", "name": "get_weather", "tool_call_id": "abcdef123", "content": '{"sky": "grey", "t": 7.5}'}
RESULT_TWO = {"role": "tool", "name": "now", "tool_call_id": "bbbbbb222", "content": "21:10"}
DONE = {"role": "assistant", "content": "7.5 degrees, grey."}

CONVERSATIONS = {
    "user": [USER],
    "system": [SYSTEM, USER],
    "turns": [USER, ANSWER, AGAIN],
    "system-turns": [SYSTEM, USER, ANSWER, AGAIN],
    "thought": [SYSTEM, USER, THOUGHT, AGAIN],
    "reasoned": [USER, REASONED, AGAIN],
    "unanswered-end": [USER, ANSWER],
    "later-system": [USER, ANSWER, SYSTEM, AGAIN],
    "two-users": [USER, AGAIN],
    "tool-call": [USER, CALLING],
    "tool-call-none": [SYSTEM, USER, CALLING_NONE, RESULT],
    "tool-call-text": [USER, CALLING_TEXT, RESULT],
    "tool-result": [SYSTEM, USER, CALLING, RESULT],
    "tool-answer": [SYSTEM, USER, CALLING, RESULT, DONE, AGAIN],
    "two-calls": [USER, CALLING_TWO, RESULT, RESULT_TWO],
    "two-calls-answer": [SYSTEM, USER, CALLING_TWO, RESULT, RESULT_TWO, DONE, AGAIN],
    "developer": [{"role": "developer", "content": "Be brief."}, USER],
    "parts": [{"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]}],
    "odd-role": [{"role": "narrator", "content": "Once."}, USER],
    "empty": [],
}

DOCUMENTS = [{"title": "Köln", "text": "Wet & grey."}, {"title": "東京", "text": "\"Dry\""}]

SETTINGS = {
    "": {"add_generation_prompt": True, "tools": None},
    "no-prompt": {"add_generation_prompt": False, "tools": None},
    "tools": {"add_generation_prompt": True, "tools": [WEATHER, NOTES]},
    "bare-tool": {"add_generation_prompt": True, "tools": [NO_PARAMETERS]},
    "no-thinking": {"add_generation_prompt": True, "tools": None, "enable_thinking": False},
    "thinking": {"add_generation_prompt": True, "tools": [WEATHER], "enable_thinking": True, "reasoning_effort": "high"},
    "documents": {"add_generation_prompt": True, "tools": [WEATHER], "documents": DOCUMENTS},
    "builtin": {
        "add_generation_prompt": True,
        "tools": [WEATHER],
        "builtin_tools": ["brave_search", "code_interpreter"],
        "tools_in_user_message": False,
    },
    "others": {
        "add_generation_prompt": True,
        "functions": '[{"name": "now"}]',
        "datetime": "2026-11-29",
        "enable_citations": True,
        "preserve_thinking": True,
    },
}

TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


# Settings that every conversation is written with, and conversations that are written with all of them.
COMMON_SETTINGS = ["", "no-prompt", "tools"]
RICH_CONVERSATIONS = ["system", "thought", "reasoned", "tool-answer"]


def cases():
    """Names of cases, each with the variables of a template."""
    for conversation, messages in CONVERSATIONS.items():
        for setting, values in SETTINGS.items():
            if setting not in COMMON_SETTINGS and conversation not in RICH_CONVERSATIONS:
                continue
            name = conversation + ("/" + setting if setting else "")
            yield name, {"messages": messages, "documents": None, **TOKENS, **values}
