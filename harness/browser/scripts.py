"""JavaScript that reads pages. It changes nothing in them."""

from __future__ import annotations

import functools
from importlib.resources import files

# What a person reads, top to bottom: text, and what stands in the fields, as "label: value".
LINES = """() => {
  const shown = (element) => element.checkVisibility({ visibilityProperty: true });
  const places = "nav, main, dialog[open], [role=dialog], [role=alert], [role=status]";
  const parts = [...document.querySelectorAll(places)].filter(shown);
  const outer = parts.filter((part) => !parts.some((other) => other !== part && other.contains(part)));
  const silent = ["hidden", "password", "checkbox", "radio", "file", "submit", "button"];
  const lines = [];
  for (const part of outer) {
    lines.push(...part.innerText.split("\\n"));
    for (const field of part.querySelectorAll("input, textarea, select")) {
      if (!shown(field) || silent.includes(field.type)) continue;
      const label = field.labels?.[0]?.innerText ?? field.getAttribute("aria-label") ?? field.name;
      lines.push(`${label.trim()}: ${field.value}`);
    }
  }
  return lines.map((line) => line.trim()).filter(Boolean);
}"""

# The live part of the app's store, as JSON.
STATE = "() => window.__store__ ? JSON.stringify(window.__store__.getState().live) : null"

CONNECTION = "() => document.querySelector('[data-connection]')?.getAttribute('data-connection') ?? null"

# Whatever was on its way to the screen is there; windows that are not drawn get no frames.
PAINTED = """() => new Promise((resolve) => {
  setTimeout(resolve, 250);
  requestAnimationFrame(() => requestAnimationFrame(() => resolve()));
})"""

# All that a link says, also to those who do not see it.
SAYS = """(element) => [element, ...element.querySelectorAll("[aria-label]")]
  .map((part) => part.getAttribute("aria-label") ?? "").join(" ") + " " + element.innerText"""

AXE_RUN = """async () => {
  const found = await axe.run(document, { resultTypes: ["violations"] });
  return found.violations.map(({ id, impact, help, nodes }) => ({
    id, impact, help, nodes: nodes.map((node) => ({ target: node.target.flat().join(" "), why: node.failureSummary })),
  }));
}"""


@functools.cache
def axe_source() -> str:
    """The source of axe-core, which defines `axe`."""
    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
