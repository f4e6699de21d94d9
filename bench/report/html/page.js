// Tables sort by their heads, pictures are enlarged on a phone, evidence is searched and opened by links to it, and the
// contents follow the reader.
// Without it the page is the same one, plain.
"use strict";
{
  const collator = new Intl.Collator("en", { numeric: true });
  const NEXT = { none: "ascending", ascending: "descending", descending: "none" };

  // Missing figures stay last in either direction, and equal cells in the order of the page.
  const comparison = (column, isNumeric, direction) => (one, other) => {
    const [a, b] = [one.cells[column], other.cells[column]];
    const missing = ("missing" in a.dataset) - ("missing" in b.dataset);
    if (missing || "missing" in a.dataset) return missing;
    const order = isNumeric ? a.dataset.value - b.dataset.value : collator.compare(a.textContent, b.textContent);
    return direction === "descending" ? -order : order;
  };

  function makeSortable(table) {
    const body = table.tBodies[0];
    const original = [...body.rows];
    if (original.length < 2) return;
    const heads = table.querySelectorAll("th[data-column]");
    for (const head of heads) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      if (head.hasAttribute("aria-label")) button.setAttribute("aria-label", head.getAttribute("aria-label"));
      head.append(button);
      button.addEventListener("click", () => {
        const direction = NEXT[head.getAttribute("aria-sort") ?? "none"];
        for (const each of heads) each.removeAttribute("aria-sort");
        const rows = [...original];
        if (direction !== "none") {
          head.setAttribute("aria-sort", direction);
          rows.sort(comparison(Number(head.dataset.column), "numeric" in head.dataset, direction));
        }
        table.toggleAttribute("data-sorted", direction !== "none");
        body.append(...rows);
      });
    }
  }
  document.querySelectorAll("table").forEach(makeSortable);

  // A picture that is shown again lies in the page once.
  for (const link of document.querySelectorAll("a.again")) {
    const picture = document.getElementById(decodeURIComponent(link.hash.slice(1))).cloneNode();
    picture.removeAttribute("id");
    picture.alt = link.textContent;
    link.replaceWith(picture);
  }

  // Where a picture is smaller than it was drawn (page.css shows the button there), it is shown in full, to be scrolled.
  for (const picture of document.querySelectorAll("figure > img")) {
    const figure = picture.parentElement;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "zoom";
    button.textContent = "Full size";
    const toggle = () => {
      const isFull = figure.classList.toggle("full");
      button.textContent = isFull ? "Fit the screen" : "Full size";
    };
    button.addEventListener("click", toggle);
    figure.append(button);
  }

  // Files of evidence whose path or text has all the words, their kinds opened; without words, all, folded.
  const search = document.querySelector(".search");
  const field = search?.querySelector("input");
  function find() {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let hits = 0;
    const files = document.querySelectorAll(".file");
    for (const file of files) {
      const text = words.length ? file.textContent.toLowerCase() : "";
      file.hidden = !words.every((word) => text.includes(word));
      hits += !file.hidden;
    }
    for (const kind of document.querySelectorAll(".kind")) {
      kind.hidden = !kind.querySelector(".file:not([hidden])");
      kind.open = words.length > 0;
    }
    search.querySelector("output").textContent = words.length ? `${hits} of ${files.length} files` : "";
  }
  if (search) {
    search.hidden = false;
    field.addEventListener("input", find);
  }

  function reveal() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target?.matches(".file")) return;
    if (target.hidden) {
      field.value = "";
      find();
    }
    target.open = target.parentElement.open = true;
    target.scrollIntoView();
  }
  addEventListener("hashchange", reveal);
  reveal();

  const contents = document.querySelector("nav details");
  const isWide = matchMedia("(min-width: 60rem)");
  const fit = () => (contents.open = isWide.matches);
  isWide.addEventListener("change", fit);
  fit();

  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    if (!link) return;
    if (contents.contains(link)) fit(); // which folds it where it covers the page
    if (link.hash === location.hash) reveal(); // the same link again changes no hash
  });

  const links = new Map([...contents.querySelectorAll("a")].map((link) => [decodeURIComponent(link.hash.slice(1)), link]));
  const seen = new IntersectionObserver(
    (entries) => {
      for (const { target } of entries.filter((entry) => entry.isIntersecting)) {
        for (const link of links.values()) link.removeAttribute("aria-current");
        links.get(target.id)?.setAttribute("aria-current", "true");
        links.get(target.id)?.scrollIntoView({ block: "nearest" });
      }
    },
    { rootMargin: "-15% 0px -80% 0px" },
  );
  document.querySelectorAll("section").forEach((section) => seen.observe(section));
}
