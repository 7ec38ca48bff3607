// Makes a file of a chart from what the browser has drawn. The page's colour goes along as a background: ink chosen for
// a dark page is not to be read on white paper.

const SVG = "http://www.w3.org/2000/svg"
const SCALE = 2 // pixels of the PNG for one of the screen
const MARGIN = 12 // another program's letters may be wider

function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
}

// What a style sheet says of an element: a file has no style sheet.
const STYLES = [
  "fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "stroke-opacity", "opacity", "visibility",
  "paint-order", "font-family", "font-size", "font-style", "font-weight", "text-anchor", "text-decoration",
]

/** The drawing in the element of this class: Vega's, or that of a component of ours in its shadow root. */
function drawing(chart) {
  const place = document.querySelector(`.${CSS.escape(chart)}`)
  const shadows = [...(place?.querySelectorAll("*") ?? [])].map(element => element.shadowRoot).filter(Boolean)
  return place?.querySelector("svg.marks") ?? shadows.map(root => root.querySelector("svg.marks")).find(Boolean)
}

function styled(drawn) {
  const copy = drawn.cloneNode(true)
  if (drawn.getRootNode() === document) return copy
  const copies = copy.querySelectorAll("*")
  drawn.querySelectorAll("*").forEach((element, place) => {
    const style = getComputedStyle(element)
    for (const name of STYLES) copies[place].style.setProperty(name, style.getPropertyValue(name))
  })
  return copy
}

function picture(chart, title) {
  const drawn = drawing(chart)
  if (!drawn) return null
  const copy = styled(drawn)
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
