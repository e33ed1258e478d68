# SPDX-License-Identifier: Apache-2.0
"""Is an element of a page there for the eye? A picture of its place is compared with one in which it is hidden: what differs is its own."""
import base64
import io

from PIL import Image, ImageChops


def picture_of(driver, box):
    """Of a part of the page, in CSS pixels, wherever the window has been scrolled to."""
    clip = dict(box, scale=1)
    made = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    return Image.open(io.BytesIO(base64.b64decode(made["data"]))).convert("RGB")


def box_of(driver, element):
    left, top, width, height = driver.execute_script(
        "const r = arguments[0].getBoundingClientRect(); return [r.left + scrollX, r.top + scrollY, r.width, r.height]", element)
    return {"x": left, "y": top, "width": max(1, width), "height": max(1, min(height, 4000))}


def pixels_of(driver, element):
    """How many pixels are the element's, and in how many colours they are drawn."""
    box = box_of(driver, element)
    shown = picture_of(driver, box)
    driver.execute_script("arguments[0].style.setProperty('visibility', 'hidden', 'important')", element)
    hidden = picture_of(driver, box)
    driver.execute_script("arguments[0].style.removeProperty('visibility')", element)
    difference = ImageChops.difference(shown, hidden).convert("L").point(lambda value: 255 if value else 0)
    own = difference.histogram()[255]
    colours = len(Image.composite(shown, Image.new("RGB", shown.size), difference).getcolors(maxcolors=1 << 24))
    return own, colours


def undrawn(driver, elements, least=20):
    """The names of those of `elements`, by name, that are not to be seen: fewer pixels than `least`, or only one colour of them."""
    missing = {}
    for name, element in elements.items():
        own, colours = pixels_of(driver, element)
        if own < least or colours < 2:
            missing[name] = f"{own} pixels in {colours} colours"
    return missing
