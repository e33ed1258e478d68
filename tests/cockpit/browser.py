# SPDX-License-Identifier: Apache-2.0
"""Headless Chromium as a person at Cockpit: looks, presses keys, and can say whether letters are readable and anything hangs over."""
import base64
import pathlib
import re
import sys
import tempfile

from selenium import webdriver
from selenium.common.exceptions import SessionNotCreatedException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.chrome.service import Service

from cockpit_host import PATIENCE, expect, wait_for

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "pictures"))
from drawn import undrawn  # noqa: E402, beside the other tests of pictures

# Each text node that is seen, and what style sheets write before an element, against the ground it lies on (WCAG 2.1).
CONTRAST = r"""
const channel = v => { v /= 255; return v <= 0.03928 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4); };
const light = c => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
const parse = s => { const c = (s.match(/[\d.]+/g) || []).map(Number); return c.length === 3 ? [...c, 1] : c; };
const over = (top, under) => top.slice(0, 3).map((v, i) => v * top[3] + under[i] * (1 - top[3]));
const grounds = e => {
  if (e === null) return [[255, 255, 255]];
  const style = getComputedStyle(e);
  const own = parse(style.backgroundColor);
  if (style.backgroundImage !== "none") return style.backgroundImage.match(/rgba?\([^)]*\)/g).map(c => parse(c).slice(0, 3));
  if (own[3] === 1) return [own.slice(0, 3)];
  return grounds(e.parentElement).map(under => over(own, under));
};
const seen = e => e.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) && !e.closest(".for-ears") && e.getBoundingClientRect().width > 2;
const looked = [], bad = [];
const judge = (e, ink, text) => {
  for (const ground of grounds(e)) {
    const a = light(over(parse(ink), ground)), b = light(ground);
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    looked.push(contrast);
    if (contrast < 4.5) bad.push([e.tagName, e.className, text.slice(0, 40), contrast.toFixed(2)]);
  }
};
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node; (node = walk.nextNode());) {
  const e = node.parentElement;
  if (node.data.trim() && seen(e)) judge(e, getComputedStyle(e).color, node.data.trim());
}
for (const e of document.body.querySelectorAll("*")) {
  for (const which of ["::before", "::after"]) {
    const style = getComputedStyle(e, which);
    if (style.content !== "none" && style.content !== "normal" && seen(e)) judge(e, style.color, style.content);
  }
}
return [looked.length, Math.min(...looked), bad];
"""
# What is wider than the window, or is cut off without a sign.
OVERHANG = r"""
const wide = document.documentElement.clientWidth;
const out = [];
if (document.scrollingElement.scrollWidth > wide) out.push(["the page", document.scrollingElement.scrollWidth, wide]);
for (const e of document.body.querySelectorAll("*")) {
  if (!e.checkVisibility() || e.closest(".for-ears")) continue;
  const box = e.getBoundingClientRect();
  if (box.width > 1 && box.right > wide + 1) out.push([e.tagName, e.id || e.className, box.right, wide]);
  const style = getComputedStyle(e);
  if (style.overflowX === "hidden" && e.scrollWidth > e.clientWidth + 1 && style.textOverflow !== "ellipsis" && box.width > 2)
    out.push([e.tagName, e.id || e.className, "is cut off"]);
}
return out.slice(0, 5);
"""
FOCUS = r"""
const e = document.activeElement, style = getComputedStyle(e);
return { tag: e.tagName, id: e.id, text: e.textContent.trim(), marked: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
         nth: [...document.querySelectorAll("*")].indexOf(e), dialog: e.closest("dialog") !== null };
"""
TABBABLE = r"""
return [...document.querySelectorAll("a[href], button, input, select, summary, textarea, [tabindex]")]
    .filter(e => !e.disabled && e.checkVisibility() && e.closest("dialog") === null)
    .map(e => [...document.querySelectorAll("*")].indexOf(e));
"""

COCKPITS_OWN = re.compile(r"^https?://[^ ]*/(system|shell|base1)/[^ ]*\.js ")


def start(options):
    # On a machine that is busy with other tests Chromium may come up later than its driver, which waits for a minute, is patient.
    for again in (True, True, False):
        try:
            return webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        except SessionNotCreatedException:
            if not again:
                raise
    return None


class Browser:
    def __init__(self, pictures=None):
        self._pictures = pictures
        self._profile = tempfile.TemporaryDirectory(prefix="corral-chromium.")
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", f"--user-data-dir={self._profile.name}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = start(options)
        self.driver.set_page_load_timeout(PATIENCE)
        self.driver.set_script_timeout(PATIENCE)
        self.resize(1280)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.driver.quit()
        self._profile.cleanup()

    def open(self, url):
        self.driver.get(url)

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def resize(self, width):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False})

    def theme(self, style):
        """As the shell tells its frames."""
        self.run("localStorage.setItem('shell:style', arguments[0]);"
                 "window.dispatchEvent(new CustomEvent('cockpit-style', { detail: { style: arguments[0] } }))", style)

    def text(self, selector):
        """Of the first that is there and shown; None without one."""
        return self.run("const e = document.querySelector(arguments[0]); return e !== null && e.checkVisibility() ? e.textContent.trim() : null", selector)

    def texts(self, selector):
        return self.run("return [...document.querySelectorAll(arguments[0])].filter(e => e.checkVisibility()).map(e => e.textContent.trim())", selector)

    def await_text(self, selector, part):
        return wait_for(f"{selector} says \"{part}\"", lambda: part in (self.text(selector) or "") and self.text(selector))

    def press(self, *keys):
        ActionChains(self.driver).send_keys(*keys).perform()

    def focus(self):
        return self.run(FOCUS)

    def tab_until(self, what, condition, backwards=False):
        """Tabs on until the focus is on what satisfies `condition`."""
        for _ in range(300):
            if backwards:
                ActionChains(self.driver).key_down(Keys.SHIFT).send_keys(Keys.TAB).key_up(Keys.SHIFT).perform()
            else:
                self.press(Keys.TAB)
            focus = self.focus()
            if condition(focus):
                return focus
        return expect(False, f"{what} is not reached with Tab")

    def walk(self):
        """Every stop of Tab, from the top of the page to its end."""
        self.run("const b = document.body; b.tabIndex = -1; b.focus(); b.removeAttribute('tabindex')")
        stops = []
        for _ in range(2000):
            self.press(Keys.TAB)
            focus = self.focus()
            if focus["tag"] == "BODY" or (stops and focus["nth"] == stops[0]["nth"]):
                return stops
            stops.append(focus)
        return expect(False, "Tab finds no end")

    def tabbable(self):
        return self.run(TABBABLE)

    def check_readable(self, where):
        least = []
        for theme in ("light", "dark"):
            self.theme(theme)
            number, contrast, bad = self.run(CONTRAST)
            expect(not bad, f"{where}, {theme}: hard to read: {bad}")
            expect(number > 5, f"{where}, {theme}: only {number} texts")
            least.append(contrast)
            self.picture(f"{where}-{theme}")
        self.theme("light")
        return min(least)

    def check_fits(self, where):
        for width in (1280, 375):
            self.resize(width)
            hanging = self.run(OVERHANG)
            expect(not hanging, f"{where}, {width} px: {hanging}")
            self.picture(f"{where}-{width}")
        self.resize(1280)

    def check_drawn(self, where, selectors):
        """What the selectors, by name, find first is there for the eye."""
        found = {name: self.driver.find_elements("css selector", selector) for name, selector in selectors.items()}
        lacking = [name for name, elements in found.items() if not elements]
        expect(not lacking, f"{where}: not on the page: {lacking}")
        missing = undrawn(self.driver, {name: elements[0] for name, elements in found.items()})
        expect(not missing, f"{where}: not in the picture: {missing}")

    def check_console(self, where):
        """What Cockpit's own pages complain of, where no systemd answers, is theirs."""
        entries = [entry for entry in self.driver.get_log("browser")
                   if entry["level"] in ("SEVERE", "WARNING") and not COCKPITS_OWN.search(entry["message"])]
        expect(not entries, f"{where}: the console has {entries}")

    def picture(self, name):
        if self._pictures is None:
            return
        width, height = self.run("return [document.documentElement.clientWidth, document.documentElement.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": width, "height": max(900, min(height, 3000)), "scale": 1}
        made = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
        (self._pictures / f"{name.replace(' ', '-')}.png").write_bytes(base64.b64decode(made["data"]))
