// SPDX-License-Identifier: Apache-2.0
// A table that keeps itself up to date, row by row, and sorts if its columns can. On a narrow screen its rows become cards
// (page.css), so roles are said and each cell repeats the name of its column.
import { announce, element, setText, syncChildren } from "./dom.js";

/**
 * A column: { name, title, cell(item) → text, rank?(item) → number or string, number?: whether it is one, fill?(cell, item) }.
 * `fill` does what text alone cannot; the first column is the row's head.
 */
export class Table {
  #node;
  #columns;
  #body;
  #order = null; // { column, descending }
  #items = [];

  constructor(node, columns, first = null) {
    this.#node = node;
    this.#columns = columns;
    this.#order = first === null ? null : { column: columns.find((column) => column.name === first), descending: false };
    const row = element("tr", { role: "row" }, ...columns.map((column) => this.#makeHead(column)));
    this.#body = element("tbody", { role: "rowgroup" });
    node.append(element("thead", { role: "rowgroup" }, row), this.#body);
    this.#showOrder();
  }

  show(items) {
    this.#items = items;
    this.#node.hidden = items.length === 0;
    syncChildren(this.#body, this.#sorted(), (item) => item.id, (item) => this.#makeRow(item), (row, item) => this.#updateRow(row, item));
  }

  #makeHead(column) {
    const head = element("th", { role: "columnheader", scope: "col", "data-column": column.name });
    if (column.number) head.classList.add("number");
    if (this.#order === null || column.rank === undefined) {
      head.append(column.title);
      return head;
    }
    const button = element("button", { type: "button", className: "sort" }, column.title);
    button.addEventListener("click", () => this.#sortBy(column));
    head.append(button);
    return head;
  }

  #sortBy(column) {
    // Numbers are looked at for the largest.
    const again = this.#order.column === column;
    this.#order = { column, descending: again ? !this.#order.descending : Boolean(column.number) };
    this.#showOrder();
    this.show(this.#items);
    announce(`Sorted by ${column.title}, ${this.#order.descending ? "largest" : "smallest"} first.`);
  }

  #showOrder() {
    if (this.#order === null) return;
    for (const head of this.#node.querySelectorAll("th[data-column]")) {
      if (head.dataset.column !== this.#order.column.name) head.removeAttribute("aria-sort");
      else head.setAttribute("aria-sort", this.#order.descending ? "descending" : "ascending");
    }
  }

  #sorted() {
    if (this.#order === null) return this.#items;
    const { column, descending } = this.#order;
    const compare = (a, b) => {
      const [x, y] = [column.rank(a), column.rank(b)];
      return typeof x === "string" ? x.localeCompare(y, undefined, { numeric: true }) : x - y;
    };
    return [...this.#items].sort((a, b) => (descending ? compare(b, a) : compare(a, b)));
  }

  #makeRow(item) {
    const cells = this.#columns.map((column, i) => {
      const options = { role: i === 0 ? "rowheader" : "cell", "data-title": column.title, "data-column": column.name };
      if (i === 0) options.scope = "row";
      if (column.number) options.className = "number";
      return element(i === 0 ? "th" : "td", options);
    });
    return element("tr", { role: "row", "data-id": item.id }, ...cells);
  }

  #updateRow(row, item) {
    this.#columns.forEach((column, i) => {
      if (column.fill) column.fill(row.children[i], item);
      else setText(row.children[i], column.cell(item));
    });
  }
}
