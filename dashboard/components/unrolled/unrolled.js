// The unrolled network: draws once for each sentence and width, and from then on only changes attributes, so that it
// follows the pointer within a frame. A user's words enter by textContent and setAttribute alone.

const SVG = "http://www.w3.org/2000/svg"
const VANISHES = 0.1, EXPLODES = 2
const SIZES = {
  default: { arcs: 128, box: 40, bars: 80, letter: 8.6, least: 54, most: 150 },
  compact: { arcs: 84, box: 34, bars: 52, letter: 7.6, least: 46, most: 120 },
  large: { arcs: 190, box: 60, bars: 120, letter: 12.6, least: 84, most: 230 },
}
const NARROW = 440 // pixels: below, the default picture is drawn as the compact one
const TOLD = 110 // pixels that the words about the loss may take
const SLIMMEST = 17 // pixels of a column whose word is written upwards; below, the picture scrolls
const TWO_NUMBERS = 24 // pixels of a column in which two numbers that are written upwards stand beside each other
const TALLEST = 96, NUMBER = 60 // pixels of a box and of a number that are written upwards
const LEFT = 42, RIGHT = 10, TOP = 14, LONGEST = 16
const CONTROL = { " ": "␣", "\n": "⏎", "\t": "⇥" }
const kept = new WeakMap()

function make(parent, name, attributes = {}, text = null) {
  const element = document.createElementNS(SVG, name)
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
  if (text !== null) element.textContent = text
  parent.append(element)
  return element
}

function set(element, attributes) {
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
}

const shown = word => CONTROL[word] ?? (word.length > LONGEST ? `${word.slice(0, LONGEST - 1)}…` : word)

const SUPERSCRIPT = Object.fromEntries([..."-0123456789"].map((letter, place) => [letter, [..."⁻⁰¹²³⁴⁵⁶⁷⁸⁹"][place]]))
const superscript = number => [...String(number)].map(letter => SUPERSCRIPT[letter]).join("")

/** 0.0064, 25, 6.4·10⁻⁶: two digits that count. */
function figure(value) {
  if (value === null || !Number.isFinite(value)) return "∞"
  if (value === 0) return "0"
  const exponent = Math.floor(Math.log10(value))
  if (exponent < -3 || exponent > 4) {
    const digits = Number((value / 10 ** exponent).toPrecision(2))
    return `${digits === 1 ? "" : `${digits}·`}10${superscript(exponent)}`
  }
  const rounded = Number(value.toPrecision(value >= 100 ? 3 : 2))
  return rounded.toLocaleString("en", { maximumFractionDigits: 6 })
}

/** Row t of the matrix, relative to its last entry: what arrives, of 1 at the loss itself. null: not finite. */
function relative(row) {
  const own = row.at(-1)
  return row.map(value => (value === null || own === null ? null : own > 0 ? value / own : 0))
}

function decades(data) {
  let low = -2, high = 0
  for (const matrix of [data.norms, data.before ?? []])
    for (const row of matrix)
      for (const value of relative(row))
        if (value > 0 && Number.isFinite(value)) {
          low = Math.min(low, Math.floor(Math.log10(value)))
          high = Math.max(high, Math.ceil(Math.log10(value) - 1e-9))
        }
  return { low: Math.max(low, -10), high: Math.min(high, 10) }
}

class Unrolled {
  constructor(root) {
    this.root = root
    this.figure = root.querySelector("figure")
    this.scroll = root.querySelector(".scroll")
    this.svg = root.querySelector("svg")
    this.reading = root.querySelector(".reading")
    this.key = root.querySelector(".key")
    this.watch = new ResizeObserver(() => this.fit())
    this.watch.observe(this.scroll)
    this.svg.addEventListener("pointermove", event => event.pointerType !== "touch" && this.point(event))
    this.svg.addEventListener("pointerleave", () => this.show(this.pinned))
    this.svg.addEventListener("click", event => this.pin(this.at(event)))
    this.svg.addEventListener("keydown", event => this.press(event))
  }

  receive(data, report) {
    const before = this.data
    this.data = data
    this.report = report
    this.steps = data.norms.length
    const same = before && before.words.join("\u0000") === data.words.join("\u0000")
    if (!same || before.chosen !== data.chosen || this.pinned === undefined) this.pinned = data.chosen
    this.range = decades(data)
    this.colours()
    this.width = 0
    this.fit()
  }

  /** The theme's second and third colour: growth, and the loss. */
  colours() {
    const style = getComputedStyle(this.figure)
    const palette = style.getPropertyValue("--st-chart-categorical-colors").split(",").map(name => name.trim())
    this.figure.style.setProperty("--grows", palette[1] || "#b8451f")
    this.figure.style.setProperty("--loss", palette[2] || "#5559a5")
    this.figure.className = this.data.size
  }

  fit() {
    const width = this.scroll.clientWidth
    if (width && width !== this.width) {
      this.width = width
      this.draw()
      this.show(this.pinned)
      this.reveal(this.pinned)
    }
  }

  draw() {
    const { words, unknown, before, bound, size } = this.data
    const measure = SIZES[size === "default" && this.width < NARROW ? "compact" : size]
    this.places(words, measure)
    this.boxTop = TOP + measure.arcs
    const box = this.upright ? this.tall(words, measure) : measure.box
    this.boxBottom = this.boxTop + box
    this.barTop = this.boxBottom + 12
    this.base = this.barTop + measure.bars
    const line = size === "large" ? 24 : 17
    this.numberAt = this.base + (this.upright ? 6 : line)
    const height = this.numberAt + (this.upright ? NUMBER : before ? line + 6 : 8)
    this.svg.classList.toggle("upright", this.upright)
    const width = this.edges.at(-1) + RIGHT
    set(this.svg, { width, height, viewBox: `0 0 ${width} ${height}` })
    this.svg.replaceChildren()
    this.grid(width)
    this.arcs = []
    const arcs = make(this.svg, "g")
    const middle = (this.boxTop + this.boxBottom) / 2
    for (let place = 1; place < words.length; place++)
      make(this.svg, "line", {
        class: "recurrence", x1: this.x(place - 1), x2: this.x(place), y1: middle, y2: middle,
      })
    this.columns = words.map((word, place) => {
      const x = this.x(place), column = this.edges[place + 1] - this.edges[place]
      const pad = Math.min(5, column * 0.06), bar = Math.min(0.62 * column, measure.most / 2)
      const parts = { group: make(this.svg, "g", { class: `word${unknown[place] ? " unknown" : ""}` }) }
      const group = parts.group
      const reach = { x: this.edges[place], y: TOP, width: column, height: height - TOP }
      make(group, "rect", { ...reach, fill: "transparent" })
      make(group, "rect", {
        class: "focus", x: x - column / 2 + 1, y: this.boxTop - 4, width: column - 2, height: box + 8, rx: 10,
      })
      const frame = { x: x - column / 2 + pad, y: this.boxTop, width: column - 2 * pad, height: box }
      make(group, "rect", { class: "box", rx: 8, ...frame })
      const turned = (x, y) => (this.upright ? { transform: `rotate(-90 ${x} ${y})`, "dominant-baseline": "central" } : {})
      const name = { class: "name", x, y: middle, "dominant-baseline": "central", ...turned(x, middle) }
      make(group, "text", name, shown(word))
      make(group, "title", {}, unknown[place] ? `${word}: not in the vocabulary, read as <unk>` : word)
      if (place === 0) {
        group.classList.add("start")
        group.setAttribute("aria-hidden", "true")
      } else {
        set(group, { role: "radio", tabindex: "-1", "aria-label": `Loss of ${shown(word)}`, "aria-checked": "false" })
      }
      // Before and after stand side by side: behind each other, the longer would hide the shorter.
      const now = before ? { x: x - bar * 0.1, width: bar * 0.6 } : { x: x - bar / 2, width: bar }
      parts.was = before ? make(group, "rect", { class: "before", rx: 2, x: x - bar / 2, width: bar * 0.36 }) : null
      parts.bar = make(group, "rect", { class: "bar", rx: 2, ...now })
      parts.more = make(group, "rect", { class: "more", rx: 2, ...now })
      const tick = { class: "bound", x1: now.x - 4, x2: now.x + now.width + 4 }
      parts.bound = bound === null ? null : make(group, "line", tick)
      // Two numbers beside each other need room; without it the one before is left to the sentence below.
      const both = before && (!this.upright || column >= TWO_NUMBERS)
      const aside = this.upright && both ? 7 : 0
      const at = { x: x + aside, y: this.numberAt }
      parts.number = make(group, "text", { class: "number", ...at, ...turned(at.x, at.y) })
      const wasAt = { x: x - aside, y: this.numberAt + (this.upright ? 0 : line) }
      parts.wasNumber = both ? make(group, "text", { class: "number was", ...wasAt, ...turned(wasAt.x, wasAt.y) }) : null
      parts.arc = place < this.steps ? make(arcs, "path", { class: "arc" }) : null
      parts.head = make(arcs, "path", { class: "hop-head more" })
      return parts
    })
    this.hop = make(this.svg, "path", { class: "hop" })
    this.hopHead = make(this.svg, "path", { class: "hop-head" })
    this.lossNote = [0, 1, 2].map(row =>
      make(this.svg, "text", { class: "loss-note", y: this.barTop + 14 + row * (size === "large" ? 20 : 15) }))
    this.cutter = make(this.svg, "line", { class: "cutter", y1: this.boxTop - 26, y2: this.base })
    this.cutterName = make(this.svg, "text", { class: "cutter-name", y: this.boxTop - 12 })
    this.legend()
  }

  grid(width) {
    const { low, high } = this.range
    const every = Math.ceil((high - low) / 4)
    for (let power = 0; power >= low; power -= every) this.mark(power, width)
    for (let power = every; power <= high; power += every) this.mark(power, width)
  }

  mark(power, width) {
    const y = this.height(10 ** power)
    make(this.svg, "line", { class: power === 0 ? "one" : "grid", x1: LEFT, x2: width - RIGHT, y1: y, y2: y })
    const name = power === 0 ? "1" : Math.abs(power) < 3 ? String(Number((10 ** power).toPrecision(1))) :
      `10${superscript(power)}`
    make(this.svg, "text", { class: "tick", x: LEFT - 6, y, "dominant-baseline": "central" }, name)
  }

  /**
   * A column for each word, as wide as the word needs; what is left of the page is shared out evenly. Where the sentence
   * has no room, its words and numbers are written upwards.
   */
  places(words, { letter, least, most }) {
    const room = this.width - LEFT - RIGHT
    let needs = words.map(word => Math.min(most, Math.max(least, shown(word).length * letter + 20)))
    const sum = needs.reduce((total, need) => total + need, 0)
    this.upright = sum > room && room / words.length >= SLIMMEST
    if (this.upright) needs = words.map(() => room / words.length)
    const spare = this.upright ? 0 : room - sum
    const more = Math.min(most, Math.max(0, spare / words.length))
    this.edges = [LEFT]
    for (const need of needs) this.edges.push(this.edges.at(-1) + need + more)
  }

  /** The height of boxes whose words are written upwards. */
  tall(words, { letter, box }) {
    return Math.min(TALLEST, Math.max(box, ...words.map(word => shown(word).length * letter + 16)))
  }

  /** The middle of a word's column. */
  x(place) {
    return (this.edges[place] + this.edges[place + 1]) / 2
  }

  /** Where on the logarithmic scale of the bars a value lies. */
  height(value) {
    const { low, high } = this.range
    const share = (Math.log10(Math.max(value, 1e-300)) - low) / (high - low)
    return this.base - (this.base - this.barTop) * Math.min(1, Math.max(0, share))
  }

  show(chosen) {
    if (chosen === undefined || !this.columns) return
    this.chosen = chosen
    const { truncate, bound } = this.data
    const row = relative(this.data.norms[chosen])
    const was = this.data.before ? relative(this.data.before[chosen]) : null
    const one = this.height(1)
    this.columns.forEach((parts, place) => {
      const { group } = parts
      group.classList.toggle("read", place === chosen)
      group.classList.toggle("asked", place === chosen + 1)
      if (place > 0) set(group, { "aria-checked": place === chosen + 1, tabindex: place === this.pinned + 1 ? 0 : -1 })
      const reached = place <= chosen
      const value = reached ? row[place] : 0
      const lag = chosen - place
      const cut = reached && truncate !== null && lag > truncate
      const grows = reached && !cut && (value === null || value > 1.005)
      const top = value === null ? this.barTop : this.height(value)
      parts.bar.setAttribute("class", `bar${cut ? " cut" : ""}`)
      set(parts.bar, { y: Math.max(top, cut ? top : one), height: reached ? this.base - Math.max(top, cut ? top : one) : 0 })
      set(parts.more, { y: top, height: grows ? Math.max(0, one - top) : 0 })
      if (parts.was) {
        const old = reached && was[place] !== null ? this.height(was[place]) : this.barTop
        set(parts.was, { y: old, height: reached ? this.base - old : 0 })
        if (parts.wasNumber) parts.wasNumber.textContent = reached ? figure(was[place]) : ""
      }
      if (parts.bound) {
        const y = this.height(bound ** lag)
        const inside = reached && lag > 0 && bound ** lag <= 10 ** this.range.high && bound ** lag >= 10 ** this.range.low
        set(parts.bound, { y1: y, y2: y, visibility: inside ? "visible" : "hidden" })
      }
      parts.number.setAttribute("class", `number${cut ? " cut" : grows ? " grows" : ""}`)
      parts.number.textContent = reached ? `${figure(value)}${grows ? " ▲" : ""}` : ""
      this.arc(parts, place, value, cut, grows)
    })
    this.showLoss(chosen)
    this.cut(chosen, truncate)
    this.writeSentence(chosen, row, was)
  }

  arc(parts, place, value, cut, grows) {
    if (!parts.arc) return
    const lag = this.chosen - place
    if (lag <= 0) {
      parts.arc.setAttribute("d", "")
      parts.head.setAttribute("d", "")
      return
    }
    const from = this.x(this.chosen), to = this.x(place), y = this.boxTop
    const rise = (this.boxTop - TOP) * (0.3 + 0.7 * Math.sqrt(lag / this.steps)) * 1.28
    parts.arc.setAttribute("d", `M${from},${y} C${from},${y - rise} ${to},${y - rise} ${to},${y}`)
    const size = value === null ? Infinity : value
    const width = size <= 1 ? 0.9 + 8 * Math.sqrt(size) : Math.min(20, 9 + 4 * Math.log10(size))
    const faint = !cut && size < 1e-3
    parts.arc.setAttribute("class", `arc${cut ? " cut" : grows ? " grows" : faint ? " faint" : ""}`)
    set(parts.arc, {
      "stroke-width": cut || faint ? 1.2 : width.toFixed(2),
      "stroke-opacity": cut ? 0.7 : Math.min(0.95, Math.max(0.16, size ** 0.3)).toFixed(3),
    })
    // Only what grows has a head: it hits harder than it set out.
    const head = width * 0.9 + 2
    parts.head.setAttribute("d", grows ? `M${to - head},${y - head} L${to + head},${y - head} L${to},${y} Z` : "")
  }

  /** The loss of a word is taken one step earlier: where the word before it is read. */
  showLoss(chosen) {
    const from = this.x(chosen + 1), to = this.x(chosen), y = this.boxTop
    const rise = Math.min(46, (this.boxTop - TOP) * 0.4)
    this.hop.setAttribute("d", `M${from},${y} C${from},${y - rise} ${to + 7},${y - rise} ${to + 7},${y - 5}`)
    this.hopHead.setAttribute("d", `M${to + 2},${y - 8} L${to + 12},${y - 8} L${to + 7},${y} Z`)
    const read = shown(this.data.words[chosen])
    const lines = ["its loss is", "taken where", `“${read}” is read`]
    this.lossNote.forEach((text, row) => (text.textContent = lines[row]))
    const longest = Math.max(...this.lossNote.map(text => text.getComputedTextLength()))
    const over = this.edges.at(-1) + RIGHT - longest
    // Slim columns at the end have no room for it: it would lie over several bars.
    const visibility = this.upright && over < this.edges[chosen + 1] ? "hidden" : "visible"
    for (const text of this.lossNote) set(text, { x: Math.min(this.edges[chosen + 1] + 3, over), visibility })
  }

  cut(chosen, truncate) {
    const visible = truncate !== null && chosen > truncate
    for (const part of [this.cutter, this.cutterName]) part.setAttribute("visibility", visible ? "visible" : "hidden")
    if (!visible) return
    const x = this.edges[chosen - truncate]
    set(this.cutter, { x1: x, x2: x })
    set(this.cutterName, { x: x - 6 })
    this.cutterName.textContent = `✂ K = ${truncate}`
  }

  /** One sentence: what arrives at the word that matters, and why no more and no less. */
  writeSentence(chosen, row, was) {
    const { words, bound, truncate, controller, unit, probabilities } = this.data
    const parts = []
    const add = (text, name = "span") => parts.push(Object.assign(document.createElement(name), { textContent: text }))
    const quoted = place => `“${shown(words[place])}”`
    let far = controller !== null && controller < chosen ? controller : chosen > 1 ? 1 : 0
    const lag = chosen - far
    const asked = quoted(chosen + 1)
    if (lag < 1) {
      add(`The loss of ${asked} is taken at the first step: there is no way back from there.`)
    } else {
      const arrives = row[far]
      const steps = `${lag} ${unit}${lag === 1 ? "" : "s"} back`
      const a = arrives === null ? Infinity : arrives
      const each = a > 0 && Number.isFinite(a) ? `, × ${figure(a ** (1 / lag))} a ${unit}` : ""
      const cut = truncate !== null && lag > truncate
      const verdict = cut ? "It is cut off." : a > EXPLODES ? "It explodes." : a < VANISHES ? "It vanishes." : "It arrives."
      add(verdict, "b")
      parts.at(-1).className = "verdict"
      if (cut) {
        add(`Truncation at K = ${truncate} discards what would reach ${quoted(far)}, ${steps}: `)
        add(figure(arrives), "b")
        add(` of the gradient of ${asked}.`)
      } else {
        add(`Of the gradient of ${asked}, `)
        add(a > 1 && Number.isFinite(a) ? `${figure(a)} times as much` : figure(arrives), "b")
        add(` arrives at ${quoted(far)}, ${steps}${each}.`)
      }
      if (was) add(` Before: ${figure(was[far])}.`)
      if (!cut) add(this.why(a, lag, bound))
    }
    if (probabilities) add(` The network gave ${asked} a probability of ${figure(100 * probabilities[chosen])} %.`)
    this.reading.replaceChildren(...parts)
  }

  why(arrives, lag, bound) {
    if (bound === null) return " The carry goes around W, so no bound follows from W alone."
    const most = `(max φ′ ‖W‖)${superscript(lag)} = ${figure(bound)}${superscript(lag)} = ${figure(bound ** lag)}`
    if (bound < 1) return ` No more could: at most ${most}.`
    if (arrives > 1) return ` W would allow up to ${most}; the slopes φ′ take the rest.`
    return ` W would allow up to ${most}: it is the slopes φ′ that take it away.`
  }

  legend() {
    const { before, before_name, bound, truncate } = this.data
    const entries = []
    if (before) entries.push(["before", before_name])
    const drawn = bound !== null && bound >= 10 ** this.range.low && bound <= 10 ** this.range.high
    if (drawn) entries.push(["bound", "the most that W allows: (max φ′ ‖W‖) to the power of the distance"])
    if (truncate !== null) entries.push(["cut", `discarded by truncation at K = ${truncate}`])
    if (this.range.high > 0) entries.push(["grows", "grows beyond 1"])
    this.key.replaceChildren(...entries.map(([name, text]) => {
      const item = document.createElement("li")
      const swatch = document.createElement("i")
      swatch.className = `k-${name}`
      item.append(swatch, document.createTextNode(text))
      return item
    }))
  }

  /** The step whose loss is taken for the word under the pointer; undefined left of the first word that is asked for. */
  at(event) {
    const x = event.clientX - this.svg.getBoundingClientRect().left
    const place = this.edges.findLastIndex(edge => edge <= x)
    return place >= 1 && place <= this.steps ? place - 1 : undefined
  }

  point(event) {
    const chosen = this.at(event)
    if (chosen !== undefined && chosen !== this.chosen) this.show(chosen)
  }

  pin(chosen) {
    if (chosen === undefined) return
    this.pinned = chosen
    this.show(chosen)
    clearTimeout(this.late)
    this.late = setTimeout(() => this.report(chosen), 250)
  }

  press(event) {
    const to = { ArrowLeft: this.pinned - 1, ArrowRight: this.pinned + 1, Home: 0, End: this.steps - 1 }[event.key]
    if (to === undefined) return
    event.preventDefault()
    event.stopPropagation()
    this.pin(Math.min(this.steps - 1, Math.max(0, to)))
    this.columns[this.pinned + 1].group.focus({ preventScroll: true })
    this.reveal(this.pinned)
  }

  /** Where the sentence is wider than the page: bring the chosen word into view. */
  reveal(chosen) {
    if (this.svg.clientWidth > this.scroll.clientWidth)
      this.scroll.scrollLeft = Math.max(this.edges[chosen + 2], this.edges[chosen + 1] + TOLD) - this.scroll.clientWidth + 8
  }
}

export default function ({ parentElement, data, setStateValue }) {
  let picture = kept.get(parentElement)
  if (!picture) {
    picture = new Unrolled(parentElement)
  }
  const [given] = data
  picture.receive(given, chosen => given.reports && setStateValue("chosen", chosen))
  if (!kept.has(parentElement)) {
    kept.set(parentElement, picture)
    // What stood in its place until now may go: ../first_look
    parentElement.dispatchEvent(new CustomEvent("unrolled", { bubbles: true, composed: true, detail: picture }))
  }
  return () => {
    picture.watch.disconnect()
    kept.delete(parentElement)
  }
}
