"""Every chart of the app: drawn, and under it what a visitor may take home: the picture as SVG or PNG, its numbers.

The browser makes the picture's file from what it has drawn already, so that a hundred visitors cost the server nothing.
Streamlit itself offers a PNG alone, without a name, and lets no chart ask its renderer for more.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st
from streamlit.components.v2 import component

from dashboard.components import export
from dashboard.text import general as wording

if TYPE_CHECKING:
    import pandas as pd

_HTML = '<button name="svg">SVG</button><button name="png">PNG</button><span role="status"></span>'

_CSS = """
button { font: inherit; color: inherit; background: transparent; cursor: pointer; padding: .35em .8em;
         margin-right: .6em; border: 1px solid var(--st-border-color); border-radius: var(--st-button-radius); }
button:hover, button:focus-visible { color: var(--st-primary-color); border-color: var(--st-primary-color); }
"""

# The page's colour goes along as a background: ink chosen for a dark page is not to be read on white paper.
_JS = """
const SVG = "http://www.w3.org/2000/svg"
const SCALE = 2 // pixels of the PNG for one of the screen
const MARGIN = 12 // another program's letters may be wider

function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
}

function picture(chart, title) {
  const drawn = document.querySelector(`.${CSS.escape(chart)} svg.marks`)
  if (!drawn) return null
  const copy = drawn.cloneNode(true)
  const width = drawn.viewBox.baseVal.width + 2 * MARGIN
  const height = drawn.viewBox.baseVal.height + 2 * MARGIN
  const place = { x: -MARGIN, y: -MARGIN, width, height }
  copy.removeAttribute("style")
  set(copy, { width, height, viewBox: Object.values(place).join(" ") })
  const paper = document.createElementNS(SVG, "rect")
  set(paper, { ...place, fill: getComputedStyle(document.querySelector(".stApp")).backgroundColor })
  const caption = document.createElementNS(SVG, "title")
  caption.textContent = title
  copy.prepend(caption, paper)
  // On the page a gradient or a clip has the page's address before its name; a file has it in itself.
  for (const name of ["fill", "stroke", "clip-path"])
    for (const element of copy.querySelectorAll(`[${name}^="url("]`))
      element.setAttribute(name, element.getAttribute(name).replace(/^.*#/, "url(#"))
  return { width, height, file: new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" }) }
}

async function painted({ width, height, file }) {
  const address = URL.createObjectURL(file)
  try {
    const image = new Image(width, height)
    image.src = address
    await image.decode()
    const canvas = document.createElement("canvas")
    canvas.width = SCALE * width
    canvas.height = SCALE * height
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height)
    return await new Promise(done => canvas.toBlob(done, "image/png"))
  } finally {
    URL.revokeObjectURL(address)
  }
}

function save(file, name) {
  const link = document.createElement("a")
  link.href = URL.createObjectURL(file)
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 60000)
}

export default function ({ parentElement, data }) {
  const status = parentElement.querySelector("[role=status]")
  const take = async kind => {
    const found = picture(data.chart, data.title)
    status.textContent = found ? "" : data.missing
    if (found) save(kind === "svg" ? found.file : await painted(found), `${data.name}.${kind}`)
  }
  for (const button of parentElement.querySelectorAll("button")) button.onclick = () => take(button.name)
}
"""

_take_picture = component("take_picture", html=_HTML, css=_CSS, js=_JS)


def chart(
    specification: dict[str, Any],
    table: pd.DataFrame,
    *,
    key: str,
    alt_text: str,
    numbers: pd.DataFrame | None = None,
    moment: str = "",
    on_select: Callable[[], None] | None = None,
    stretch: bool = True,
) -> None:
    """Draw a chart of `table`, and offer it to be taken home; as numbers that table, if there are not better ones.

    Files are called after the key and the `moment` of what they show. `on_select` is called before the page is drawn
    again after a click. Key and texts are ours.
    """
    st.vega_lite_chart(
        table,
        # As SVG however many marks there are: of a canvas no SVG can be made.
        specification | {"usermeta": {"embedOptions": {"renderer": "svg"}}},
        width="stretch" if stretch else "content",
        theme="streamlit",
        key=key,
        alt=alt_text,
        on_select="ignore" if on_select is None else on_select,
    )
    name = file_name(key, moment)
    with st.popover(wording.SAVE, icon=":material/download:", type="tertiary", key=f"{key}, save"):
        _take_picture(
            key=f"{key}, picture",
            data={"chart": _css_class(key), "name": name, "title": alt_text, "missing": wording.NOT_DRAWN},
        )
        table_button("Numbers (CSV)", table if numbers is None else numbers, key=f"{key}, numbers", name=name)


def table_button(label: str, table: pd.DataFrame, *, key: str, name: str) -> None:
    """A button that brings a table as CSV; the file is made when it is asked for."""
    st.download_button(
        label,
        partial(export.csv, table),
        file_name=f"{name}.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        key=key,
    )


def file_name(key: str, moment: str = "") -> str:
    """ "gradients: lag ledger", "step 7" -> "gradients-lag-ledger-step-7"."""
    return re.sub(r"[^a-z0-9]+", "-", f"{key} {moment}".lower()).strip("-")


def _css_class(key: str) -> str:
    """The class that Streamlit gives to the element with this key."""
    return "st-key-" + re.sub(r"[^a-zA-Z0-9_-]", "-", key.strip())
