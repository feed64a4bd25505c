"""Has schemathesis make up requests from the server's own description and look at the answers.

usage: schemathesis_client.py SCHEMATHESIS PORT KEY
"""

import os
import subprocess
import sys
import tempfile

schemathesis, port, key = sys.argv[1:4]
# What a schema cannot say, such as that the last message is not an assistant's or that ids are the model's, is a 400 for a
# request that the schema takes.
tolerant = ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings", "/v1/messages",
            "/v1/messages/count_tokens", "/apply-template",
            "/detokenize", "/v1/sessions/{name}/memory"]
configuration = "".join(
    f'[[operations]]\ninclude-path = "{path}"\n[operations.checks.positive_data_acceptance]\n'
    'expected-statuses = ["2xx", "400", "404", "409"]\n' for path in tolerant)
# An answer of two thousand million tokens is one that is asked for, but nothing to wait for.
hooks = """import schemathesis


@schemathesis.hook
def map_body(context, body):
    for name in ["max_tokens", "max_completion_tokens", "max_output_tokens"]:
        if isinstance(body, dict) and isinstance(body.get(name), (int, float)) and 64 < body[name] < 2**31:
            body[name] = 64
    return body
"""
examples = os.environ.get("SLUICE_EXAMPLES", "30")
with tempfile.TemporaryDirectory() as folder:
    with open(os.path.join(folder, "schemathesis.toml"), "w") as file:
        file.write(configuration)
    with open(os.path.join(folder, "hooks.py"), "w") as file:
        file.write(hooks)
    result = subprocess.run(
        [schemathesis, "run", f"http://127.0.0.1:{port}/openapi.json", "--header", f"Authorization: Bearer {key}",
         "--max-examples", examples, "--seed", "17", "--phases", "examples,coverage,fuzzing", "--request-timeout", "60",
         "--no-color", "--checks", "all", "--max-response-time", "60"],
        cwd=folder, capture_output=True, text=True,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": folder})
print(result.stdout[-20000:], result.stderr[-4000:])
sys.exit(result.returncode)
