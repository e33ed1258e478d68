// SPDX-License-Identifier: Apache-2.0
// Elements for text that may come from anybody: names of virtual machines are their owners' to choose, so nothing here reads markup.

/** The element of index.html. */
export const byId = (id) => document.getElementById(id);

/** A new element; `options`: className, role, and whatever else is an attribute. */
export function element(tag, options = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name === "className") made.className = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** Leaves what is the same already alone: a reader's selection, and what an aria-live region would tell again. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setClass(node, className) {
  if (node.className !== className) node.className = className;
}

/** For listeners that cannot see; said again only if it is something else. */
export function announce(text) {
  setText(byId("said"), text);
}

/**
 * Makes the children of `parent` those of `items`, in their order. Who stays keeps its element, and so the focus.
 * @param keyOf  what an item is known by from one time to the next
 * @param make   makes an element for an item
 * @param update brings an element up to date
 */
export function syncChildren(parent, items, keyOf, make, update) {
  const keys = new Set(items.map((item) => String(keyOf(item))));
  const old = new Map();
  // Who goes goes first: an element that is moved would lose the focus.
  for (const child of [...parent.children]) {
    if (keys.has(child.corralKey)) old.set(child.corralKey, child);
    else child.remove();
  }
  let position = parent.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    let child = old.get(key);
    if (child === undefined) {
      child = make(item);
      child.corralKey = key;
    }
    if (child === position) position = position.nextElementSibling;
    else parent.insertBefore(child, position);
    update(child, item);
  }
}
