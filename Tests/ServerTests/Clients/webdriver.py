"""Drives headless Chromium by the WebDriver protocol, with nothing but the standard library."""

import base64
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
KEYS = {"enter": "\ue007", "tab": "\ue004", "escape": "\ue00c", "end": "\ue010", "home": "\ue011", "left": "\ue012"}


class Replaced(AssertionError):
    """An element that was found is none of the page's any more."""


class Browser:
    """One window of Chromium; leaves nothing behind when it is closed."""

    def __init__(self, width, height, dark=False):
        self.driver = subprocess.Popen(
            [shutil.which("chromedriver"), "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            for line in self.driver.stdout:
                if "successfully on port" in line:
                    self.base = f"http://127.0.0.1:{int(line.rsplit(' ', 1)[1].strip().rstrip('.'))}"
                    break
            arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                         "--no-proxy-server", "--hide-scrollbars", f"--window-size={width},{height}"]
            options = {"args": arguments, "binary": shutil.which("chromium") or shutil.which("google-chrome")}
            wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"},
                      "timeouts": {"script": 120_000}}
            answer = self.call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
            self.base += "/session/" + answer["sessionId"]
            self.show(width, height, dark)
        except BaseException:
            self.driver.kill()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.call("DELETE", "")
        finally:
            self.driver.kill()
            self.driver.wait()

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"content-type": "application/json"}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=150) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            value = json.load(error)["value"]
            kind = Replaced if value["error"] == "stale element reference" else AssertionError
            raise kind(value["message"].split("\n")[0]) from None

    def command(self, name, **parameters):
        """A command of Chromium's own protocol."""
        return self.call("POST", "/goog/cdp/execute", {"cmd": name, "params": parameters})

    def show(self, width, height, dark=False):
        """Sets the size of the page and whether the user likes it dark."""
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                     mobile=width < 600)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def find(self, selector):
        return self.call("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def use(self, selector, action, body):
        """The page may replace an element between the look for it and its use."""
        for _ in range(50):
            try:
                return self.call("POST", f"/element/{self.find(selector)}/{action}", body)
            except Replaced:
                continue
        raise AssertionError(f"the page replaces {selector} again and again")

    def click(self, selector):
        self.use(selector, "click", {})

    def type(self, selector, text):
        self.use(selector, "value", {"text": text})

    def press(self, *names):
        """Presses keys one after another, wherever the focus is."""
        keys = [KEYS.get(name, name) for name in names]
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0])?.textContent ?? ''", selector)

    def count(self, selector):
        return self.run("return document.querySelectorAll(arguments[0]).length", selector)

    def wait(self, what, script, *arguments, seconds=150):
        """Asks the page until a script returns something true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = self.run(script, *arguments)
            if value:
                return value
            time.sleep(0.05)
        raise AssertionError(f"waited in vain for {what}; the page says: {self.text('#problem')!r}")

    def picture(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("GET", "/screenshot")))

    def complaints(self):
        """What the console has said since it was last asked: errors, and what the page's policy refused."""
        return [entry["message"] for entry in self.call("POST", "/se/log", {"type": "browser"})]
