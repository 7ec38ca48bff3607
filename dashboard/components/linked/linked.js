// Listens on the page and marks, in all charts, what belongs to the word or the lag under the pointer. Charts come and
// go while it listens, so it looks for their marks anew each time; a page has a few thousand of them at most.

const FIELDS = ["k", "lag"] // the first that a mark has is what is pointed at
const POINTED = "see-bptt-pointed" // an event of the document, with { field, value }; the unrolled network has it too
const STYLE = `
  svg.marks .linked { opacity: 1 !important; stroke: var(--linked) !important; stroke-width: 1.5px !important; }
`

const rowOf = element => element.__data__?.datum

function pointedAt(element) {
  const row = element instanceof Element && element.closest("svg.marks") ? rowOf(element) : null
  if (!row) return null
  const field = FIELDS.find(name => Number.isFinite(row[name]))
  return field ? { field, value: row[field] } : null
}

function mark(pointed) {
  for (const element of document.querySelectorAll("svg.marks .linked")) element.classList.remove("linked")
  if (!pointed) return
  for (const element of document.querySelectorAll("svg.marks :is(path, rect)"))
    if (rowOf(element)?.[pointed.field] === pointed.value && element.closest(".mark-symbol, .mark-rect"))
      element.classList.add("linked")
}

export default function ({ parentElement }) {
  const anchor = parentElement.querySelector("span")
  const style = document.createElement("style")
  style.textContent = STYLE
  document.head.append(style)
  let last = null, waiting = false
  const follow = () => {
    waiting = false
    document.documentElement.style.setProperty("--linked", getComputedStyle(anchor).color)
    mark(last)
  }
  const point = pointed => {
    if (pointed?.field === last?.field && pointed?.value === last?.value) return
    last = pointed
    if (!waiting) requestAnimationFrame(follow)
    waiting = true
  }
  const over = event => {
    const pointed = pointedAt(event.target)
    if (pointed?.field === last?.field && pointed?.value === last?.value) return
    point(pointed)
    document.dispatchEvent(new CustomEvent(POINTED, { detail: pointed }))
  }
  const onPointed = event => point(event.detail)
  document.addEventListener("pointerover", over)
  document.addEventListener(POINTED, onPointed)
  return () => {
    document.removeEventListener("pointerover", over)
    document.removeEventListener(POINTED, onPointed)
    style.remove()
  }
}
