// Sentences with the alternatives of each word. All words enter by textContent. One word of a sentence is in the tab
// order; the arrow keys go from word to word, Enter or the down arrow into the alternatives, Escape back.

const STRONGEST = 48 // percent of the theme's colour behind a word that is certain
const NAMED = { " ": "␣", "\n": "⏎", "\t": "⇥" }
const kept = new WeakMap()

const shown = word => NAMED[word] ?? word
const percent = share => (share >= 0.0995 ? `${Math.round(100 * share)} %` : `${(100 * share).toPrecision(2)} %`)

function make(parent, name, className, text) {
  const element = document.createElement(name)
  if (className) element.className = className
  if (text !== undefined) element.textContent = text
  parent.append(element)
  return element
}

class Written {
  constructor(root) {
    this.list = root.querySelector(".sentences")
    this.menu = root.querySelector(".others")
    this.list.addEventListener("pointerover", event => event.pointerType !== "touch" && this.open(this.of(event)))
    this.list.addEventListener("pointerleave", () => this.closeSoon())
    this.list.addEventListener("click", event => this.open(this.of(event)))
    this.list.addEventListener("keydown", event => this.walk(event))
    this.menu.addEventListener("pointerenter", () => clearTimeout(this.closing))
    this.menu.addEventListener("pointerleave", () => this.closeSoon())
    this.menu.addEventListener("keydown", event => this.choose(event))
    this.away = event => event.composedPath().includes(root) || this.close()
    document.addEventListener("pointerdown", this.away)
    this.scrolled = () => this.close()
    document.addEventListener("scroll", this.scrolled, true)
  }

  receive(data, report) {
    this.report = report
    const received = JSON.stringify(data)
    if (received === this.received) return // the same sentences: whoever stands on a word stays there
    this.received = received
    this.close()
    this.list.setAttribute("aria-label", data.label)
    this.list.replaceChildren()
    this.tokens = new Map()
    data.sentences.forEach((sentence, number) => {
      const line = make(this.list, "li", "sentence")
      sentence.forEach((token, place) => {
        const lead = token.text.length - token.text.trimStart().length
        // The space between two words belongs to neither.
        if (lead && lead < token.text.length) line.append(token.text.slice(0, lead))
        const text = lead < token.text.length ? token.text.slice(lead) : token.text
        const word = make(line, "span", `token${token.given ? " given" : ""}`, text)
        // The root makes room for the small probabilities of a large vocabulary.
        word.style.setProperty("--strength", (STRONGEST * Math.sqrt(token.probability)).toFixed(1))
        word.tabIndex = place ? -1 : 0
        word.setAttribute("role", "button")
        word.setAttribute("aria-haspopup", "menu")
        word.setAttribute("aria-label", `${shown(token.word)}, ${percent(token.probability)}`)
        this.tokens.set(word, { token, number, place })
      })
    })
  }

  of(event) {
    return event.target instanceof Element ? event.target.closest(".token") : null
  }

  open(word) {
    clearTimeout(this.closing)
    if (!word || word === this.word) return
    this.close()
    const { token, number, place } = this.tokens.get(word)
    this.word = word
    word.classList.add("open")
    this.menu.replaceChildren()
    make(this.menu, "p", "", `${shown(token.word)}: ${percent(token.probability)}${token.given ? ", given" : ""}`)
    token.others.forEach(([other, share], index) => {
      const button = make(this.menu, "button")
      button.setAttribute("role", "menuitem")
      if (other === token.word) button.setAttribute("aria-current", "true")
      make(button, "span", "", shown(other))
      make(button, "span", "", percent(share))
      button.onclick = () => {
        this.close()
        this.report([number, place, index])
      }
    })
    this.menu.showPopover()
    const at = word.getClientRects()[0] ?? word.getBoundingClientRect(), own = this.menu.getBoundingClientRect()
    const below = at.bottom + own.height + 4 <= innerHeight
    this.menu.style.left = `${Math.max(8, Math.min(at.left, innerWidth - own.width - 8))}px`
    this.menu.style.top = `${below ? at.bottom + 2 : Math.max(4, at.top - own.height - 2)}px`
  }

  closeSoon() {
    clearTimeout(this.closing)
    this.closing = setTimeout(() => this.menu.contains(this.menu.getRootNode().activeElement) || this.close(), 250)
  }

  close() {
    clearTimeout(this.closing)
    this.word?.classList.remove("open")
    this.word = null
    if (this.menu.matches(":popover-open")) this.menu.hidePopover()
  }

  /** Along the words of a sentence, and from a word into its alternatives. */
  walk(event) {
    const word = this.of(event)
    if (!word) return
    const words = [...word.parentElement.querySelectorAll(".token")]
    const place = words.indexOf(word)
    const to = { ArrowLeft: place - 1, ArrowRight: place + 1, Home: 0, End: words.length - 1 }[event.key]
    if (to !== undefined) {
      const next = words[Math.min(words.length - 1, Math.max(0, to))]
      word.tabIndex = -1
      next.tabIndex = 0
      next.focus()
      this.open(next)
    } else if (["Enter", " ", "ArrowDown"].includes(event.key)) {
      this.open(word)
      this.menu.querySelector("button")?.focus()
    } else if (event.key === "Escape") {
      this.close()
    } else return
    event.preventDefault()
    event.stopPropagation()
  }

  /** Up and down the alternatives; Enter is a button's own. */
  choose(event) {
    const buttons = [...this.menu.querySelectorAll("button")]
    const place = buttons.indexOf(event.target.closest("button"))
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step) buttons[(place + step + buttons.length) % buttons.length].focus()
    else if (event.key === "Escape" || event.key === "Tab") {
      const word = this.word
      this.close()
      word?.focus()
    } else return
    event.preventDefault()
    event.stopPropagation()
  }

  forget() {
    this.close()
    document.removeEventListener("pointerdown", this.away)
    document.removeEventListener("scroll", this.scrolled, true)
  }
}

export default function ({ parentElement, data, setTriggerValue }) {
  let text = kept.get(parentElement)
  if (!text) {
    text = new Written(parentElement)
    kept.set(parentElement, text)
  }
  text.receive(data[0], choice => setTriggerValue("chosen", choice))
  return () => {
    text.forget()
    kept.delete(parentElement)
  }
}
