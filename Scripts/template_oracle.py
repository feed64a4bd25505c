"""Renders chat templates with Jinja2 itself, in the environment that transformers sets up for them."""

import datetime
import functools
import json

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox

NOW = datetime.datetime(2026, 11, 29, 21, 10, 35)


class GenerationBlock(jinja2.ext.Extension):
    """`{% generation %}` marks an answer for training; its text is that of its body."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def environment():
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    result = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationBlock, jinja2.ext.loopcontrols]
    )
    result.filters["tojson"] = tojson
    result.globals["raise_exception"] = raise_exception
    result.globals["strftime_now"] = NOW.strftime
    return result


@functools.cache
def compiled(template):
    return environment().from_string(template)


def render(template, variables):
    """("text", what is written) or ("error", its kind, its message)."""
    try:
        return "text", compiled(template).render(**variables)
    except (jinja2.exceptions.TemplateSyntaxError, SyntaxError) as error:
        return "error", "syntax", str(error)
    except jinja2.exceptions.UndefinedError as error:
        return "error", "undefined", str(error)
    except jinja2.exceptions.SecurityError as error:
        return "error", "security", str(error)
    except (RecursionError, OverflowError) as error:
        return "error", "limit", str(error)
    except jinja2.exceptions.TemplateError as error:
        return "error", "raised" if type(error) is jinja2.exceptions.TemplateError else "type", str(error)
    except Exception as error:
        return "error", "type", f"{type(error).__name__}: {error}"
