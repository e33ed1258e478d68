# SPDX-License-Identifier: Apache-2.0
"""Are elements of a page there for the eye? A picture of them is compared with one in which they are hidden: what differs is their own.

To take a picture costs a second or more, so two are taken of all elements that do not touch each other.
"""
import base64
import io
import math

from PIL import Image, ImageChops

HIDE = "for (const e of arguments[0]) e.style.setProperty('visibility', 'hidden', 'important')"
SHOW = "for (const e of arguments[0]) e.style.removeProperty('visibility')"
TALLEST = 4000


def boxes_of(driver, elements):
    """In whole CSS pixels of the page, wherever the window has been scrolled to: left, top, right, bottom."""
    boxes = driver.execute_script("""return arguments[0].map(e => {
        const r = e.getBoundingClientRect();
        return [r.left + scrollX, r.top + scrollY, r.right + scrollX, r.bottom + scrollY];
    })""", elements)
    whole = [(math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)) for left, top, right, bottom in boxes]
    return [(left, top, max(right, left + 1), min(max(bottom, top + 1), top + TALLEST)) for left, top, right, bottom in whole]


def picture_of(driver, box):
    left, top, right, bottom = box
    clip = {"x": left, "y": top, "width": right - left, "height": bottom - top, "scale": 1}
    made = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    return Image.open(io.BytesIO(base64.b64decode(made["data"]))).convert("RGB")


def touch(a, b):
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def groups_of(boxes):
    """Indices of boxes that do not touch, and are near enough for one picture."""
    groups = []
    for index in sorted(range(len(boxes)), key=lambda i: boxes[i][1]):
        for group in groups:
            if boxes[index][3] - boxes[group[0]][1] <= TALLEST and not any(touch(boxes[index], boxes[other]) for other in group):
                group.append(index)
                break
        else:
            groups.append([index])
    return groups


def own_pixels(shown, hidden):
    """How many pixels differ, and in how many colours they are drawn: of many colours, 256 at most."""
    difference = ImageChops.difference(shown, hidden).convert("L").point(lambda value: 255 if value else 0)
    # To count all of them takes seconds.
    colours = Image.composite(shown, Image.new("RGB", shown.size), difference).getcolors(maxcolors=256)
    return difference.histogram()[255], 256 if colours is None else len(colours)


def undrawn(driver, elements, least=20):
    """The names of those of `elements`, by name, that are not to be seen: fewer pixels than `least`, or only one colour of them."""
    names, found = list(elements), list(elements.values())
    boxes = boxes_of(driver, found)
    missing = {}
    for group in groups_of(boxes):
        members = [found[i] for i in group]
        around = tuple(pick(boxes[i][side] for i in group) for side, pick in enumerate((min, min, max, max)))
        shown = picture_of(driver, around)
        driver.execute_script(HIDE, members)
        hidden = picture_of(driver, around)
        driver.execute_script(SHOW, members)
        for i in group:
            left, top, right, bottom = boxes[i]
            place = (left - around[0], top - around[1], right - around[0], bottom - around[1])
            own, colours = own_pixels(shown.crop(place), hidden.crop(place))
            if own < least or colours < 2:
                missing[names[i]] = f"{own} pixels in {colours} colours"
    return missing
