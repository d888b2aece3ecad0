"use strict";
(() => {
  const table = document.getElementById("all-keys");
  const form = document.getElementById("filter");
  if (!table || !form) return;
  const body = table.tBodies[0];
  const text = form.querySelector("input");
  const told = document.getElementById("shown");
  const facets = [...form.querySelectorAll("button[data-mark]")];
  let rows = null;
  let only = null;
  let rule = null;

  // The text of thousands of rows is gathered once, when somebody first asks for it.
  const gathered = () => rows ??= [...body.rows].map((row) => ({
    row,
    text: row.textContent.toLowerCase(),
    marks: new Set(row.className.split(" ")),
    rules: new Set([...row.lastElementChild.children].map((tag) => tag.textContent.split(",")[0])),
  }));

  const pressed = () => facets.filter((each) => each.ariaPressed === "true");

  const filter = () => {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const marks = pressed().map((each) => each.dataset.mark);
    let count = 0;
    for (const each of gathered()) {
      const fits = (only === null || each.row.dataset.row === only) && (rule === null || each.rules.has(rule))
        && marks.every((mark) => each.marks.has(mark)) && words.every((word) => each.text.includes(word));
      each.row.hidden = !fits;
      count += fits;
    }
    const by = [...(text.value.trim() ? [`“${text.value.trim()}”`] : []), ...pressed().map((each) => each.dataset.name),
      ...(rule === null ? [] : [`the rule ${rule}`]), ...(only === null ? [] : ["a line of the matrix"])];
    const every = `${rows.length.toLocaleString("en")} keys`;
    told.textContent = by.length ? `${count.toLocaleString("en")} of ${every}, filtered by ${by.join(", ")}` : `all ${every}`;
    form.querySelector("[data-clear]").hidden = !by.length;
  };

  const show = (query, row, broken) => {
    text.value = query;
    only = row;
    rule = broken;
    for (const each of facets) each.ariaPressed = "false";
    filter();
  };

  text.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("click", ({ target }) => {
    if (target.dataset.mark) {
      target.ariaPressed = target.ariaPressed === "true" ? "false" : "true";
      filter();
    } else if ("clear" in target.dataset) {
      show("", null, null);
      text.focus();
    }
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-show-row], a[data-show-text], a[data-show-mark], a[data-show-rule]");
    if (!link) return;
    event.preventDefault();
    form.scrollIntoView();
    show(link.dataset.showText ?? "", link.dataset.showRow ?? null, link.dataset.showRule ?? null);
    const facet = facets.find((each) => each.dataset.mark === link.dataset.showMark);
    if (facet) facet.click();
  });

  // Words sort as words, days as days, and severities by how serious they are: none comes last.
  const serious = { deny: 0, warn: 1, note: 2 };
  const value = (row, column, bySeverity) => {
    if (bySeverity) return serious[row.className.split(" ")[0]] ?? 3;
    const told = row.cells[column].textContent.trim().toLowerCase();
    return told === "never" ? "" : told;
  };
  const compare = new Intl.Collator("en", { numeric: true }).compare;
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.ariaSort === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.ariaSort = down ? "descending" : "ascending";
      const bySeverity = "severity" in head.dataset;
      const order = [...body.rows].map((row) => [value(row, column, bySeverity), row]);
      order.sort(([one], [other]) => (bySeverity ? one - other : compare(one, other)) * (down ? -1 : 1));
      body.append(...order.map(([, row]) => row));
    });
  });

  // Of many rows only those in sight are laid out: as grids, which are rows of a table no more unless they say so.
  if (body.rows.length > 500) {
    table.role = "table";
    for (const part of [table.tHead, body]) part.role = "rowgroup";
    for (const row of table.rows) {
      row.role = "row";
      for (const cell of row.cells) cell.role = { col: "columnheader", row: "rowheader" }[cell.scope] ?? "cell";
    }
    table.classList.add("fast");
  }
  form.hidden = false;
})();
