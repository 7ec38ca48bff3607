// Text with colour under its words. A user's words enter by textContent alone.

const STRONGEST = 48 // percent of the colour: the ink on it can still be read
const BEGINS = new Set(["\n", "<s>"])
const ENDS = "</s>"

function draw(place, { tokens, strengths, characters, marked }) {
  const parts = []
  tokens.forEach((token, index) => {
    if (index && BEGINS.has(token)) parts.push("\n")
    const span = document.createElement("span")
    const sign = BEGINS.has(token) || token === ENDS
    span.textContent = sign ? "↵" : token
    span.className = [sign && "break", index === marked && "marked"].filter(Boolean).join(" ")
    span.dataset.index = index
    const strength = strengths[index]
    if (strength) {
      const colour = strength > 0 ? "--up" : "--down"
      span.style.backgroundColor =
        `color-mix(in srgb, var(${colour}) ${Math.abs(strength) * STRONGEST / 100}%, transparent)`
    }
    parts.push(span)
    if (token === ENDS) parts.push("\n")
    else if (!characters) parts.push(" ")
  })
  place.replaceChildren(...parts)
  place.classList.toggle("characters", characters)
}

export default function ({ parentElement, data }) {
  const [given] = data
  const text = parentElement.querySelector(".text")
  const note = parentElement.querySelector("output")
  draw(text, given)
  for (const side of ["above", "below"]) {
    const key = parentElement.querySelector(`.${side}`)
    key.hidden = !given[side]
    key.querySelector("span").textContent = given[side]
  }
  text.querySelector(".marked")?.scrollIntoView({ block: "nearest" })
  const showNote = event => {
    const index = event.target.dataset?.index
    note.textContent = index === undefined ? "" : given.notes[index]
  }
  text.onpointerover = showNote
  text.onclick = showNote
}
