"""How a page looks, in light and in dark."""

STYLESHEET = """\
:root {
  color-scheme: light dark;
  --paper: #fdfdfb; --ink: #1f2328; --soft: #59626c; --line: #d9dce0;
  --raised: #ffffff; --accent: #0063a3;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15181c; --ink: #e4e7ea; --soft: #a0a8b1; --line: #343a41;
    --raised: #1c2025; --accent: #6cb6f5;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
main {
  max-width: 54rem; margin: 0 auto;
  padding: clamp(1.5rem, 5vw, 4rem) clamp(1rem, 4vw, 2rem);
}
h1, h2 { line-height: 1.25; text-wrap: balance; overflow-wrap: anywhere; }
h1 {
  margin: 0 0 .75rem; font-size: clamp(1.6rem, 5vw, 2.25rem);
  letter-spacing: -.015em;
}
h2 { margin: 0 0 .75rem; font-size: 1.3rem; }
p { margin: 0 0 1rem; max-width: 42rem; overflow-wrap: break-word; }
.lead { font-size: 1.15rem; color: var(--soft); }
nav ul {
  display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none;
  margin: 1.5rem 0 0; padding: .75rem 0;
  border-block: 1px solid var(--line); font-size: .925rem;
}
a { color: var(--accent); text-underline-offset: .2em; }
section { margin-top: 2.75rem; scroll-margin-top: 1rem; }
.note, figcaption { color: var(--soft); font-size: .9rem; line-height: 1.45; }
.note { margin: .75rem 0 0; }
.scroll { overflow-x: auto; }
.scroll:focus-visible { outline: 2px solid var(--accent); }
table {
  border-collapse: collapse; font-size: .95rem;
  font-variant-numeric: tabular-nums;
}
th, td {
  padding: .45rem 0 .45rem 1.75rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line);
}
th:first-child { padding-left: 0; text-align: left; }
thead th {
  color: var(--soft); font-weight: 600; vertical-align: bottom;
  border-bottom: 2px solid var(--line);
}
tbody th { font-weight: 500; }
tbody tr:hover { background: var(--raised); }
figure { margin: 0; }
.plate {
  display: block; width: 100%; height: auto;
  padding: .75rem; background: #ffffff; border: 1px solid var(--line);
  border-radius: 8px;
}
.plate + figcaption { margin-top: .75rem; max-width: 42rem; }
.gallery {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr));
  gap: 1.25rem 1rem; margin: 0; padding: 0; list-style: none;
}
.gallery img {
  display: block; width: 100%; aspect-ratio: 1; object-fit: contain;
  object-position: left; image-rendering: pixelated;
}
.gallery figcaption { margin-top: .4rem; overflow-wrap: break-word; }
@media print {
  section { break-inside: avoid; }
  nav { display: none; }
}
"""
