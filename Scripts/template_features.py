"""Small templates, one feature each; `V` is what they see."""

V = {
    "name": "Zoë",
    "n": 7,
    "f": 2.5,
    "yes": True,
    "nothing": None,
    "words": ["pear", "Apple", "fig", "apple"],
    "people": [
        {"name": "Ann", "age": 31, "tags": ["a", "b"]},
        {"name": "bob", "age": 25, "tags": []},
        {"name": "Cyd", "age": 31, "pet": {"kind": "cat"}},
    ],
    "tree": [{"v": 1, "c": [{"v": 2, "c": []}, {"v": 3, "c": [{"v": 4, "c": []}]}]}, {"v": 5, "c": []}],
    "map": {"b": 2, "A": 1, "c": [1, {"d": "é\"\\\n"}]},
    "html": "<b class=\"x\">'&'</b>",
    "crlf": "one\r\ntwo\rthree\nfour",
    "combining": "e\u0301a",
    "emoji": "a👩‍👩‍👧b",
    "spaced": "  \t two words \n",
    "big": 9007199254740993,
    "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}],
}

FEATURES = r"""
plain
{{ name }}
{{ "a" }}{{ 'b' }}{{ "c" 'd' }}
{{ "\n\t\\\"\x41\u00e9\U0001F600\101\q" }}
{{ 1 }} {{ 1_000 }} {{ 0x1F }} {{ 0o17 }} {{ 0b11 }} {{ 1.5 }} {{ 1e3 }} {{ 1.5e-7 }} {{ 2E+20 }}
{{ 1e16 }} {{ 1e15 }} {{ 123456789012345680.0 }} {{ 0.0001 }} {{ 0.00001 }} {{ 1/3 }} {{ -0.0 }} {{ 1e22 }} {{ 100.0 }}
{{ true }} {{ True }} {{ false }} {{ none }} {{ None }}
{{ [1, 'a', "it's", 'q"', none, true, 1.0] }} {{ [] }} {{ () }} {{ (1,) }} {{ (1, 2) }} {{ {} }}
{{ {'a': 1, "b": [2], 3: none, true: 0} }}
{{ ['é', '\n', '\x07', '\u200b', '\U000e0001', 'tab\t', "both ' and \""] }}
{{ n + 1 }} {{ n - 10 }} {{ n * 2 }} {{ n / 2 }} {{ n // 2 }} {{ -n // 2 }} {{ n % 3 }} {{ -n % 3 }} {{ 2 ** 10 }}
{{ 2 ** -1 }} {{ -2 ** 2 }} {{ 2 ** 3 ** 2 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 1 + 2 * 3 }} {{ (1 + 2) * 3 }}
{{ "ab" * 3 }} {{ 2 * "x" }} {{ [1] * 3 }} {{ [1] + [2] }} {{ (1,) + (2,) }} {{ "a" * -1 }}
{{ true + 1 }} {{ 1 == 1.0 }} {{ true == 1 }} {{ "1" == 1 }} {{ none == false }}
{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 1 == 1 != 2 }} {{ "a" < "b" }} {{ [1, 2] < [1, 3] }} {{ 3 >= 3.0 }}
{{ 1 in [1, 2] }} {{ "a" in "cat" }} {{ "x" not in "cat" }} {{ "b" in map }} {{ not "b" in map }} {{ 5 in {} }}
{{ "a" ~ 1 ~ none ~ 2.0 ~ [1] ~ missing ~ "b" }}
{{ 1 ~ 2 + 3 }}
{{ "x" if n > 5 else "y" }} {{ "x" if n > 9 }} {{ "x" if n > 9 else "y" if n > 6 else "z" }}
{{ yes and "a" or "b" }} {{ nothing or "c" }} {{ not yes }} {{ 0 and 1 }} {{ "" or 0 or [] }} {{ not not n }}
{{ missing }}|{{ missing is defined }}|{{ missing | default("d") }}|{{ nothing | default("d") }}|{{ nothing | default("d", true) }}
{{ missing.attribute }}
{{ missing["x"] }}
{{ missing() }}
{{ missing + 1 }}
{{ "a" + missing }}
{{ missing < 1 }}
{{ missing == missing }} {{ missing == none }} {{ missing != 1 }} {{ missing in [1] }} {{ 1 in missing }}
{{ missing | length }} {{ missing | upper }} {{ missing | trim }} {{ missing | list }} {{ missing | join(",") }} {{ missing | int(3) }}
{{ missing | upper }}|{{ missing | string }}|{{ missing | lower }}|{{ missing | title }}|{{ missing | replace("a", "b") }}
{% for x in missing %}a{% else %}none{% endfor %}
{{ map.missing }}|{{ map["missing"] }}|{{ map.b }}|{{ map["A"] }}|{{ name.missing }}|{{ n.missing }}|{{ words.missing }}
{{ map.missing.deeper }}
{{ nothing.attribute }}|{{ nothing is none }}
{{ nothing.a.b }}
{{ words[0] }} {{ words[-1] }} {{ words[9] }} {{ words.0 }} {{ name[2] }} {{ name[-1] }} {{ words["0"] }}
{{ words[9].x }}
{{ words[1:3] }} {{ words[:-1] }} {{ words[::-1] }} {{ words[::2] }} {{ words[-2:] }} {{ words[5:] }} {{ words[3:1:-1] }} {{ words[:] }}
{{ "abcdef"[1:4] }} {{ "abcdef"[::-1] }} {{ "abcdef"[4:1:-2] }} {{ "abc"[10:] }} {{ "abc"[-10:2] }} {{ "abc"[:none] }}
{{ words[::0] }}
{{ map[1:] }}
{{ n[1:] }}
{{ words["a":] }}
{% set x = 1 %}{{ x }}{% set x, y = 2, 3 %}{{ x }}{{ y }}{% set (a, b) = [4, 5] %}{{ a }}{{ b }}
{% set x, y = [1] %}
{% set x, y = [1, 2, 3] %}
{% set x %}block {{ n }}{% endset %}{{ x | upper }}
{% set x | upper | trim %} block {% endset %}[{{ x }}]
{% set x = 1 %}{% for i in [1, 2] %}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}
{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}
{% set ns = namespace(x=1, y="a") %}{% for i in [1, 2] %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}{{ ns.y }}{{ ns.z }}
{% set ns = namespace({"a": 1}, b=2) %}{{ ns.a }}{{ ns.b }}{{ ns["a"] }}
{% set map.x = 1 %}
{% set missing.x = 1 %}
{% set ns = namespace() %}{% set ns.list = [] %}{% for i in range(3) %}{% set ns.list = ns.list + [i] %}{% endfor %}{{ ns.list }}
{% if n == 7 %}seven{% elif n == 8 %}eight{% else %}other{% endif %}
{% if n == 8 %}eight{% elif n == 7 %}seven{% endif %}|{% if 0 %}a{% elif "" %}b{% else %}c{% endif %}
{% for w in words %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }} {% endfor %}
{% for w in words %}{{ loop.previtem }}<{{ w }}>{{ loop.nextitem }};{% endfor %}
{% for w in words %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }} {% endfor %}
{% for w in words %}{{ loop.cycle("odd", "even") }}{{ loop.depth }}{{ loop.depth0 }} {% endfor %}
{% for x in [1, 1, 2, 2, 1] %}{{ loop.changed(x) }} {% endfor %}
{% for k, v in map.items() %}{{ k }}={{ v }};{% endfor %}
{% for k in map %}{{ k }}{% endfor %}{% for c in "añb" %}[{{ c }}]{% endfor %}
{% for a, b in [1, 2] %}{% endfor %}
{% for x in 5 %}{% endfor %}
{% for x in none %}{% endfor %}
{% for x in [1, 2, 3, 4] if x is odd %}{{ loop.index }}{{ x }}{{ loop.last }} {% else %}no{% endfor %}
{% set ns = namespace(go=true) %}{% for x in range(9) if ns.go %}{{ x }}{% if x == 3 %}{% set ns.go = false %}{% endif %}{% endfor %}
{% set ns = namespace(go=true) %}{% for x in range(9) if ns.go %}{{ x }}{{ loop.last }}{{ loop.nextitem }}{% if x == 3 %}{% set ns.go = false %}{% endif %}{% endfor %}
{% set ns = namespace(go=true) %}{% for x in range(9) if ns.go %}{{ x }}{{ loop.length }}{{ loop.revindex }}{% set ns.go = false %}{% endfor %}
{% for x in [2] if x > 5 %}{{ x }}{% else %}no{% endfor %}
{% for x in range(9) %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 5 %}{% break %}{% endif %}{{ x }}{% endfor %}
{% for x in [1, 2] %}{% for y in [3, 4] %}{{ loop.index }}{% if y == 4 %}{% break %}{% endif %}{% endfor %}{{ loop.index }};{% endfor %}
{% break %}
{% for item in tree recursive %}{{ item.v }}d{{ loop.depth }}{% if item.c %}({{ loop(item.c) }}){% endif %}{% endfor %}
{% for item in tree %}{{ loop(item.c) }}{% endfor %}
{% for item in tree if item %}{{ loop(item.c) }}{% endfor %}
{% for item in tree if item.v != 3 recursive %}{{ item.v }}{{ loop(item.c) }}{% endfor %}
{% for x in [1, 2] %}{% set outer = loop %}{% for y in [3] %}{{ outer.index }}{{ loop.index }}{% endfor %}{% endfor %}
{{ loop }}|{{ loop is defined }}
{% for x in range(3) %}{{ x }}{% endfor %}{{ range(2, 6, 3) }}{{ range(5)[1:3] | list }}{{ range(3) | sum }}{{ range(3, 0, -1) | list }}
{{ range(1000000) }}
{% macro m(a, b=2, c=a) %}{{ a }}-{{ b }}-{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, c=3) }} {{ m(b=5, a=4) }} {{ m() }}
{% macro m(a) %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, x=4) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}
{% macro m(a) %}{{ a.b }}{% endmacro %}{{ m() }}
{% macro wrap(x) %}[{{ x }}:{{ caller() }}]{% endmacro %}{% call wrap(1) %}in{{ n }}{% endcall %}
{% macro each(xs) %}{% for x in xs %}{{ caller(x, loop.index) }}{% endfor %}{% endmacro %}{% call(x, i) each("ab") %}<{{ x }}{{ i }}>{% endcall %}
{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}
{% macro m() %}x{% endmacro %}{% call m() %}y{% endcall %}
{% macro f(k) %}{% if k > 0 %}{{ k }}{{ f(k - 1) }}{% endif %}{% endmacro %}{{ f(4) }}
{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}
{% set y = 1 %}{% macro f() %}{{ y }}{{ later }}{% set y = 5 %}{{ y }}{% endmacro %}{% set y = 2 %}{% set later = 3 %}{{ f() }}{{ y }}
{% macro m() %}{{ loop }}{% endmacro %}{% for x in [1] %}{{ m() }}|{% endfor %}
{% macro m() %}  a  {% endmacro %}{{ m() | trim }}{{ m() ~ "b" }}{{ m().strip() }}{{ m.name }}
{% filter upper %}abc {{ name }}{% endfilter %}{% filter replace("a", "b") | trim %} aa {% endfilter %}
{% with a = 1, b = n %}{{ a }}{{ b }}{% set c = 3 %}{{ c }}{% endwith %}{{ a }}{{ c }}
{% with %}{% set n = 1 %}{{ n }}{% endwith %}{{ n }}
{% generation %}answer {% set q = 1 %}{{ q }}{% endgeneration %}{{ q }}
{%- generation -%}  a  {%- endgeneration -%}  b
{% raw %}{{ not }} {% raw %}{% endraw %}|{%- raw -%}  x  {%- endraw -%}|
{# comment #}a{#- b -#}  c {# {{ x }} #}
{{ "}}" }}{{ '%}' }}{{ {"a": {"b": 1}} }}{{ "{{" }}{% if "%}" %}x{% endif %}
{ { } } % # {a {} }} %} #}
a {{- " b " -}} c
  {% if true %}
    x
  {% endif %}
y
  {%+ if true %}  a{% endif %}
{% if true +%}
b{% endif -%}
   c
line {% if true %}
 kept{% endif %}

after
{{ 1 -}}
   {{- 2 }}
{{ n is defined }} {{ n is number }} {{ n is integer }} {{ f is float }} {{ yes is boolean }} {{ yes is true }} {{ yes is false }} {{ nothing is none }} {{ 1 is true }}
{{ name is string }} {{ words is sequence }} {{ map is mapping }} {{ words is iterable }} {{ name is iterable }} {{ n is iterable }} {{ map is sequence }} {{ n is sequence }}
{{ 3 is odd }} {{ 3 is even }} {{ 9 is divisibleby 3 }} {{ 9 is divisibleby(2) }} {{ n is not none }} {{ 1 is sameas 1 }} {{ yes is sameas true }}
{{ "a" is in "abc" }} {{ 3 is eq 3 }} {{ 3 is equalto(4) }} {{ 3 is ne 4 }} {{ 3 is lt 4 }} {{ 3 is gt(4) }} {{ 3 is le 3 }} {{ 3 is ge 4 }} {{ 2 is greaterthan 1 }}
{{ "abc" is lower }} {{ "ABC" is upper }} {{ "aB" is lower }} {{ range is callable }} {{ n is callable }} {{ "upper" is filter }} {{ "odd" is test }} {{ "x"|e is escaped }}
{{ n is odd and n > 3 }} {{ not n is odd }} {{ n is number + 1 }}
{{ n is unknowntest }}
{{ n | unknownfilter }}
{% if false %}{{ n | unknownfilter }}{% endif %}fine
{{ (n | unknownfilter) if false else "fine" }}
{{ words | join(", ") }} {{ words | join }} {{ people | join("/", attribute="name") }} {{ [1, none, 2.0] | join("-") }} {{ "abc" | join(".") }}
{{ words | first }} {{ words | last }} {{ [] | first }}|{{ [] | last }} {{ "abc" | first }} {{ map | first }} {{ words | length }} {{ words | count }} {{ map | length }}
{{ words | sort }} {{ words | sort(case_sensitive=true) }} {{ words | sort(reverse=true) }} {{ people | sort(attribute="age") | map(attribute="name") | list }} {{ people | sort(attribute="age,name") | map(attribute="name") | join }}
{{ [1, "a"] | sort }}
{{ words | unique | list }} {{ words | unique(true) | list }} {{ people | unique(attribute="age") | map(attribute="name") | list }} {{ [1, 1.0, true] | unique | list }}
{{ words | select | reverse }} {{ words | reverse | list }} {{ "abc" | reverse }} {{ [3, 1, 2] | min }} {{ [3, 1, 2] | max }} {{ words | min }} {{ [] | max }}|{{ people | max(attribute="age") }}
{{ [1, 2, 3] | sum }} {{ people | sum(attribute="age") }} {{ [[1], [2]] | sum(start=[]) }} {{ [] | sum }} {{ [0.1, 0.2] | sum }}
{{ people | map(attribute="name") | list }} {{ people | map(attribute="pet.kind") | list }} {{ people | map(attribute="pet.kind", default="?") | list }} {{ words | map("upper") | list }} {{ words | map("replace", "a", "A") | join(",") }}
{{ people | map(attribute="pet.kind", default="?") | list }} {{ people | groupby("pet.kind", default="no") | map("first") | list }}
{{ [1] | truncate(6) }} {{ missing | truncate(6) }}|{{ "" | truncate }}
{{ people | map(attribute="pet", default="?") | list }} {{ people | map(attribute="tags.0") | list }}
{{ people | selectattr("age", "equalto", 31) | map(attribute="name") | list }} {{ people | rejectattr("pet") | map(attribute="name") | list }} {{ people | selectattr("pet", "defined") | list | length }} {{ [0, 1, 2] | select | list }} {{ [0, 1, 2] | select("odd") | list }} {{ [0, 1] | reject | list }} {{ words | select("in", ["fig"]) | list }}
{{ people | selectattr("age", ">", 30) | list | length }} {{ people | selectattr("age", "nosuch") | list }}
{{ [] | select | length }}
{{ words | map("upper") | length }}
{{ words | map("upper") | tojson }}
{% if [] | select %}always{% endif %}
{{ people | groupby("age") | map("first") | list }}{% for age, group in people | groupby("age") %}{{ age }}:{{ group | map(attribute="name") | join(",") }};{% endfor %}{% for g in people | groupby("age") %}{{ g.grouper }}{{ g.list | length }}{% endfor %}
{{ [1, 2, 3, 4, 5] | batch(2) | list }} {{ [1, 2, 3] | batch(2, 0) | list }} {{ [1, 2, 3, 4, 5] | slice(2) | list }} {{ [1, 2, 3] | slice(2, 0) | list }}
{{ map | dictsort }} {{ map | dictsort(true) }} {{ {"a": 2, "b": 1} | dictsort(by="value") }} {{ {"a": 2, "b": 1} | dictsort(reverse=true) }}
{{ map | items | list }} {{ map.keys() }} {{ map.values() | list }} {{ map.items() }} {{ map.get("b") }} {{ map.get("z") }} {{ map.get("z", 1) }} {{ missing | items | list }}
{{ n | items | list }}
{{ map["items"] is defined }} {{ {"items": 1}["items"] }}
{{ map | tojson }} {{ map | tojson(indent=2) }} {{ [] | tojson(indent=2) }} {{ {} | tojson }} {{ [{}, []] | tojson(indent=1) }}
{{ html | tojson }} {{ "\u2028é\x07\x7f/" | tojson }} {{ "é😀" | tojson(ensure_ascii=true) }} {{ map | tojson(sort_keys=true) }} {{ map | tojson(separators=(",", ":")) }}
{{ [1.0, 1e100, 0.1, none, true, 12345678901234567] | tojson }} {{ {1: 2, none: 3, true: 4, 1.5: 5} | tojson }} {{ (1, 2) | tojson }} {{ 1e400 | tojson }} {{ map | tojson(indent="--") }}
{{ missing | tojson }}
{{ range | tojson }}
{{ {"a": missing} | tojson }}
{{ html | e }} {{ html | escape | e }} {{ html | forceescape }} {{ html | safe }}
{{ "<a>" | safe + html }} {{ html + "<a>" | safe }} {{ ("<a>" | safe) ~ html }} {{ ("%s" | safe) % html }} {{ ("<" | safe) * 2 + "<" }} {{ ["<" | safe, "<"] | join("&") }} {{ [("<" | safe)] }}
{{ ("<" | safe).join(["<"]) }} {{ ("a<" | safe).upper() + "<" }} {{ ("a<b" | safe)[1:] + "<" }} {{ ("x" | safe).replace("x", "<") }} {{ ("<" | safe) | upper + "<" }}
{{ "  a b " | trim }}| {{ "xxaxx" | trim("x") }} {{ spaced | trim }}| {{ n | trim }}
{{ "hello wORLD" | capitalize }} {{ "hello wORLD-foo (bar" | title }} {{ "aßé" | upper }} {{ "ÀÉΣ" | lower }} {{ "ﬁ" | capitalize }}
{{ "a" | center(5) }}| {{ "ab" | center(5) }}| {{ "a b c" | wordcount }} {{ "ab" | list }} {{ n | string + "x" }} {{ 1.0 | string }}
{{ "a\nb\n\nc" | indent }}|{{ "a\nb" | indent(2, true) }}|{{ "a\n\nb" | indent(2, blank=true) }}|{{ "a\nb" | indent("> ") }}|{{ "" | indent }}
{{ n | indent }}
{{ "foo bar baz qux" | truncate(9) }} {{ "foo bar baz qux" | truncate(9, true) }} {{ "foo bar baz qux" | truncate(11) }} {{ "foo bar baz qux" | truncate(9, false, "..", 0) }}
{{ "aXbXc" | replace("X", "-") }} {{ "aXbXc" | replace("X", "-", 1) }} {{ "abc" | replace("", "-") }} {{ 121 | replace(1, 3) }}
{{ "42" | int }} {{ "42.9" | int }} {{ " -7 " | int }} {{ "x" | int }} {{ "x" | int(5) }} {{ "ff" | int(base=16) }} {{ "0x1f" | int(0, 16) }} {{ 3.99 | int }} {{ none | int }} {{ true | int }} {{ "1_000" | int }}
{{ "1.5" | float }} {{ "x" | float }} {{ "x" | float(2.0) }} {{ 3 | float }} {{ "1e3" | float }} {{ none | float }} {{ "inf" | float }} {{ "nan" | float }}
{{ -3 | abs }} {{ -3.5 | abs }} {{ 2.5 | round }} {{ 3.5 | round }} {{ 2.567 | round(2) }} {{ 2.1 | round(method="ceil") }} {{ 2.19 | round(1, "floor") }} {{ 1234 | round(-2) }} {{ 5 | round }} {{ 2.675 | round(2) }}
{{ "a" | abs }}
{{ "%s and %r" % ("a", "b") }} {{ "%d%%" % 5 }} {{ "%5.2f|%-6d|%06.1f|%+d|% d" % (3.14159, 4, 2.5, 3, 4) }} {{ "%x %X %o %#x" % (255, 255, 8, 255) }} {{ "%(a)s" % {"a": 1} }} {{ "%s" % none }} {{ "%s" % [1, 2] }} {{ "%e %g %G" % (12345.678, 0.0001, 1e20) }} {{ "%c" % "x" }} {{ "%.2s|%5s|%-5s|" % ("abc", "d", "e") }}
{{ "%s" % () }}
{{ "a" % [1] }}{{ "b" % missing }}{{ "c" % {} }}{{ "<i>" | safe | list }}
{{ "a" % 1 }}
{{ "%s" % (1, 2) }}
{{ "%d" % "x" }}
{{ "%y" % 1 }}
{{ "%s %s" | format("a", 1) }} {{ "%(x)s" | format(x=2) }}
{{ "{} {}".format(1, "a") }} {{ "{1}{0}".format(1, 2) }} {{ "{a}".format(a=1) }} {{ "{:>5}|{:<5}|{:^5}|{:05d}|{:.2f}|{:,}|{:x}|{!r}|{{}}".format("a", "b", "c", 42, 3.14159, 1234567, 255, "q") }} {{ "{0[b]} {0[c][0]}".format(map) }} {{ "{:+} {:%} {:e} {:*^9}".format(5, 0.25, 1234.5, "mid") }}
{{ "{}".format() }}
{{ "{x}".format() }}
{{ "Ab".upper() }} {{ "Ab".lower() }} {{ "ab cd".title() }} {{ "ab cd".capitalize() }} {{ "aB".swapcase() }} {{ " a ".strip() }}| {{ "xax".strip("x") }} {{ "xax".lstrip("x") }} {{ "xax".rstrip("x") }} {{ "abc".removeprefix("a") }} {{ "abc".removesuffix("c") }}
{{ "abc".startswith("a") }} {{ "abc".startswith(("x", "a")) }} {{ "abc".endswith("c") }} {{ "abc".startswith("b", 1) }} {{ "abc".find("c") }} {{ "abc".find("x") }} {{ "abcabc".rfind("b") }} {{ "abc".index("b") }} {{ "aXaX".count("X") }} {{ "abc".count("") }}
{{ "abc".index("x") }}
{{ "a,b,c".split(",") }} {{ "a,b,c".split(",", 1) }} {{ " a  b ".split() }} {{ "a b c".split(none, 1) }} {{ "a,b,c".rsplit(",", 1) }} {{ " a b c ".rsplit(none, 1) }} {{ "".split(",") }} {{ "".split() }} {{ "abc".split("") }}
{{ crlf.splitlines() }} {{ crlf.splitlines(true) }} {{ "a-b-c".partition("-") }} {{ "a-b-c".rpartition("-") }} {{ "abc".partition("-") }} {{ "-".join(["a", "b"]) }} {{ "abc".replace("b", "BB") }} {{ "aaa".replace("a", "b", 2) }}
{{ ",".join([1]) }}
{{ "7".zfill(3) }} {{ "-7".zfill(4) }} {{ "a".ljust(3) }}| {{ "a".rjust(3, "*") }} {{ "a".center(4, "-") }} {{ "12".isdigit() }} {{ "ab".isalpha() }} {{ "a1".isalnum() }} {{ " ".isspace() }} {{ "A".isupper() }} {{ "a".islower() }} {{ "Ab Cd".istitle() }} {{ "½".isnumeric() }} {{ "é".isascii() }}
{{ crlf | length }} {{ crlf == "one\ntwo\nthree\nfour" }} {{ combining | length }} {{ combining == "éa" }} {{ combining[0] }} {{ combining[::-1] }} {{ emoji | length }} {{ emoji[1:2] }} {{ emoji | list | length }} {{ "\r\n" | length }}
{{ words.index("fig") }} {{ words.count("fig") }} {{ (1, 2).index(2) }} {{ words.copy() }}
{{ words.append("x") }}
{{ map.update({"x": 1}) }}
{{ name.__class__ }}|{{ [].__len__ }}
{{ dict(a=1, b=2) }} {{ dict([("x", 1)]) }} {{ dict({"a": 1}, b=2) }}
{% set c = cycler("a", "b") %}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.next() }}{{ c.reset() }}{{ c.current }}
{% set j = joiner("; ") %}{% for x in [1, 2, 3] %}{{ j() }}{{ x }}{% endfor %}
{{ strftime_now("%d %b %Y") }} {{ strftime_now("%Y-%m-%d %H:%M:%S %A %B %j %p %I %y %% %a %-d %e %U %W %w %V %G %u") }}
{{ raise_exception("no " ~ n) }}
{{ raise_exception() }}
{{ big }} {{ big + 1 }} {{ 9223372036854775807 }}
{{ 1 / 0 }}
{{ 1 // 0 }}
{{ 1 % 0 }}
{{ n.upper() }}
{{ "a" - 1 }}
{{ [1] + (2,) }}
{{ "a" + 1 }}
{{ 1 + "a" }}
{{ 1 < "a" }}
{{ 1 in 5 }}
{{ 1 in "a" }}
{{ -"a" }}
{{ "a"() }}
{{ {[1]: 2} }}
{{ n | length }}
{{ *[1] }}
{{ range(*[1, 4]) | list }} {{ dict(**{"a": 1}) }}
{{ messages | map(attribute="role") | join(",") }} {{ messages[-1].content }} {{ messages | length }} {{ messages[0]["role"] }} {{ messages[:1] }}
{% for m in messages[1:] %}{{ m.role }}{% endfor %}{% for m in messages | reverse %}{{ m.role }}{% endfor %}
{{ people[2].pet.kind }} {{ people[0].pet.kind is defined }}
{{ people | attr("x") }}|{{ map | attr("b") }}|{{ (map | attr("get"))("b") }}
{% if x is not defined %}{% set x = 3 %}{% endif %}{{ x }}
{% set ns = namespace(a=[1]) %}{{ ns }}{{ ns.a[0] }}
{{ 'single' "double" }} {{ "multi
line" }}
{{ [1, 2,] }} {{ {"a": 1,} }} {{ dict(a=1,) }} {{ (1, 2,) }}
{{ 1, 2 }}
{% for x in 1, 2 %}{{ x }}{% endfor %}
{% set x = 1, 2 %}{{ x }}
{{ not }}
{{ }}
{% %}
{% foo %}
{% if %}{% endif %}
{% if true %}
{% for x in [1] %}{{ x }}
{% endif %}
{% else %}
{{ (1 }}
{{ 1) }}
{{ [1} }}
{{ "a }}
{{ a.1b }}
{{ a. }}
{{ 'x' is }}
{{ 1 is sameas 1 is true }}
{% set 1 = 2 %}
{% set true = 2 %}
{% macro m(a=1, b) %}{% endmacro %}
{# open
{% raw %} open
{{ x
{% if x
{{ a b }}
{{ ! }}
{{ "\u12" }}
{{ f(a=1, 2) }}
{{ {1} }}
{{ a ? b : c }}
{% block a %}in {{ n }}{% endblock %}
{% for %}{% endfor %}
{% for x in [1] %}{% endfor x %}
{% call 1 %}{% endcall %}
{{ "a" if }}
{{ messages[0] == messages[0] }} {{ messages[0] == messages[1] }} {{ {"a": 1, "b": 2} == {"b": 2, "a": 1} }} {{ [1, [2]] == [1, [2.0]] }} {{ (1,) == [1] }}
{{ words | sort | first | upper ~ "!" }} {{ -n | abs }} {{ (1, 2) | length }} {{ "a" ~ "b" | upper }} {{ "x" * 2 | length }}
{{ loop.index }}
{{ caller() }}
{% set a = [1, 2] %}{% set b = a %}{% set a = a + [3] %}{{ a }}{{ b }}
{{ "é" < "z" }} {{ "Z" < "a" }} {{ "a" < "ab" }} {{ "\U00010000" < "\uffff" }}
{{ ("a", 1) in [("a", 1)] }} {{ none in [none] }} {{ [1] in [[1]] }}
{{ 10 | string | length }} {{ 5 | default(3) }} {{ "" | default("x") }} {{ "" | d("x", true) }}
{{ words | batch(3) | map("join", "+") | join(" | ") }}
{{ "a.b" }}
{{ map.c[1].d }} {{ map.c[1]["d"] | length }} {{ map["c"][0] + 1 }}
{{ "%s" | format(html | safe) }} {{ html | replace("<", "[") | upper }}
{{ [n, f] | map("string") | join(" ") }} {{ [1, 2] | map("float") | list }} {{ words | map("length") | list }} {{ [[3, 1], [2]] | map("sort") | list }}
{{ "abc" | batch(2) | list }} {{ map | list }} {{ map | join(",") }} {{ "x" in map.keys() }} {{ 2 in map.values() }}
{%- if true -%} {{- "a" }} {%- endif %} b
{{ "tail" }}
"""


def features():
    """Single lines, and the templates of several lines after them."""
    lines = [line for line in FEATURES.strip("\n").split("\n")]
    yield from lines
    yield "a\n"
    yield "a\n\n"
    yield "\n{{ n }}\n"
    yield "  {% if true %}\n    x\n  {% endif %}\ny\n"
    yield "  {%+ if true %}  a{% endif %}\n"
    yield "{% if true +%}\nb{% endif -%}\n   c"
    yield "line {% if true %}\n kept{% endif %}\n\nafter"
    yield "{{ 1 -}}\n   {{- 2 }}\n"
    yield "a\r\n{% if true %}\r\nb\r{% endif %}\r\n"
    yield "{# c #}\n  {# d #}\n  e {# f #}\ng"
    yield "x  {%- set a = 1 -%}  \n y"
    yield "\t{% set a = 1 %}\t\n{{ a }}"
    yield "{% for x in [1, 2] %}\n  {{ x }}\n{% endfor %}\n"
    yield "{% for x in [1, 2] -%}\n  {{ x }}\n{%- endfor %}\nend"
    yield "{% raw %}\n  {{ x }}\n{% endraw %}\nz"
    yield "  {% raw %} a {% endraw %}"
    yield "{% set x %}\n  a\n{% endset %}\n[{{ x }}]"
    yield "{% macro m() %}\n  a\n{% endmacro %}\n[{{ m() }}]"
    yield "{{ 'multi\nline' }}"
    yield "{%- for x in [1] %}\n{%- if x %}\n    a\n{%- else %}\n    b\n{%- endif %}\n{%- endfor %}"
    yield "{{ (1 +\n 2) }}{% set y = [\n 1,\n 2\n] %}{{ y }}"
    yield "\u00a0{%- if true %}\u2003{% endif %}x"
    yield "a\x0b{% if true %}b{% endif %}"
    yield "a\u2028  {% if true %}b{% endif %}"
