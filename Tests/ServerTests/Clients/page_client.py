"""Uses the server's page as a person would: types, reads, stops, switches the cache, reloads.

usage: page_client.py PORT KEY [FOLDER]    puts screenshots into FOLDER
"""

import os
import sys

from webdriver import Browser

port, key = sys.argv[1:3]
folder = sys.argv[3] if len(sys.argv) > 3 else None
url = f"http://127.0.0.1:{port}/"

IDLE = "return document.querySelector('#stop').hidden"
ANSWERS = "return document.querySelectorAll('article.assistant:not(.writing)').length === arguments[0]"


def picture(browser, name):
    if folder:
        os.makedirs(folder, exist_ok=True)
        browser.picture(os.path.join(folder, name + ".png"))


def number(browser, name):
    text = browser.text(f".number.{name} b").replace(",", "")
    return float(text.split()[0]) if text[:1].isdigit() else None


def answered(browser, count):
    browser.wait(f"answer {count}", ANSWERS, count)
    browser.wait("the end of the answer", IDLE)


def quiet(browser):
    complaints = browser.complaints()
    assert not complaints, complaints


def key_is_asked_for(browser):
    browser.open(url)
    browser.wait("a question for the key", "return document.activeElement.id === 'key'")
    assert "API key" in browser.text("#problem")
    # Chromium notes refused requests; nothing else is to be noted.
    assert all("401" in complaint for complaint in browser.complaints())
    browser.type("#key", key)
    browser.press("tab")
    browser.wait("the model's name", "return document.querySelector('#model').textContent")
    assert browser.text("#problem") == ""


def talk(browser):
    browser.wait("the message to type in", "return document.querySelector('#message')")
    hostile = "<img src=x onerror=alert(1)> & <b>bold</b>"
    browser.type("#message", hostile)
    picture(browser, "first-message")
    browser.press("enter")
    answered(browser, 1)
    assert browser.text("article.user .text") == hostile
    assert browser.count("article img, article b") == 0
    assert browser.text("article.assistant .text")
    assert number(browser, "read") > 100 and number(browser, "speed") > 0
    assert browser.count("#picture .stages li") == 2
    assert browser.count("article .mark") > 0


def switch(browser):
    before = number(browser, "forgotten")
    browser.run("""
      const plan = document.querySelector('#plan');
      plan.value = 'other';
      plan.dispatchEvent(new Event('change'));""")
    browser.wait("the field for a cache", "return document.activeElement.id === 'spec'")
    browser.type("#spec", "nonsense:1")
    browser.press("enter")
    browser.wait("a complaint", "return document.querySelector('#problem').textContent.includes('nonsense')")
    assert all("400" in complaint for complaint in browser.complaints())
    browser.run("document.querySelector('#plan').value = 'other'; document.querySelector('#spec-form').hidden = false")
    browser.run("document.querySelector('#spec').value = ''")
    browser.type("#spec", "sinks:4,window:60")
    browser.press("enter")
    browser.wait("64 tokens held", "return document.querySelector('.number.held b').textContent === '64'")
    browser.wait("what is forgotten", "return document.querySelectorAll('article .level0').length > 0")
    assert number(browser, "forgotten") > before
    assert "sinks:4" in browser.text("#picture") and "window:60" in browser.text("#picture")
    assert browser.text("#problem") == ""


def look(browser):
    browser.run("document.querySelector('#stream').focus()")
    browser.press("home")
    assert "Token 0: held by sinks:4" in browser.text("#glass"), browser.text("#glass")
    browser.press("end", "left")
    assert "held by window:60" in browser.text("#glass"), browser.text("#glass")
    picture(browser, "desktop-light")


def stop(browser):
    """Stops an answer as soon as there is something of it."""
    browser.run("""
      new MutationObserver((_, observer) => {
        if (!document.querySelector('.writing .text')?.textContent) return;
        observer.disconnect();
        document.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape' }));
      }).observe(document.querySelector('#messages'), { childList: true, subtree: true, characterData: true });""")
    browser.type("#message", "Go on.")
    browser.click("#send")
    answered(browser, 2)
    last = "article.assistant:last-child"
    assert browser.text(f"{last} .note") == "stopped", browser.text(last)
    assert browser.text(f"{last} .text")
    # It goes on, though the server has not kept the answer that was stopped.
    browser.type("#message", "And now?")
    browser.press("enter")
    answered(browser, 3)
    assert browser.text("#problem") == "", browser.text("#problem")


def reload(browser):
    said, title = browser.text("#messages"), browser.text("#list")
    forgotten = number(browser, "forgotten")
    browser.open(url)
    browser.wait("the conversation", ANSWERS, 3)
    browser.wait("the picture", "return document.querySelectorAll('#picture .stages li').length === 2")
    assert browser.text("#messages") == said and browser.text("#list") == title
    assert number(browser, "forgotten") == forgotten
    browser.type("#message", "Still there?")
    browser.press("enter")
    answered(browser, 4)
    assert browser.text("#plan-note").startswith("Of the last prompt")


def others(browser):
    """A second conversation has a memory of its own, and a deleted one is gone."""
    browser.click("#new")
    assert browser.count("article") == 0 and browser.count("#list li") == 2
    assert number(browser, "read") is None
    picture(browser, "welcome")
    browser.click(".offer")
    answered(browser, 1)
    browser.click("#list li:last-child .choose")
    browser.wait("the first conversation", ANSWERS, 4)
    browser.click("#list li:first-child .remove")
    browser.wait("one conversation", "return document.querySelectorAll('#list li').length === 1")
    browser.wait("the first conversation", ANSWERS, 4)


def looks(browser):
    for name, width, height, dark in [
            ("desktop-dark", 1280, 800, True), ("phone-light", 390, 844, False), ("phone-dark", 390, 844, True)]:
        browser.show(width, height, dark)
        assert browser.run("return document.documentElement.scrollWidth") <= width, f"{name} is too wide"
        picture(browser, name)
        if width < 600:
            browser.click("#show-memory")
            picture(browser, name + "-memory")
            browser.press("escape")
            browser.click("#show-conversations")
            picture(browser, name + "-conversations")
            browser.press("escape")


with Browser(1280, 800) as browser:
    key_is_asked_for(browser)
    for part in [talk, switch, look, stop, reload, others, looks]:
        part(browser)
        quiet(browser)
print("ok")
