// Follows unrolled.js in one script: its picture in the first HTML, until the same one stands in Streamlit's page.

const look = document.getElementById("first-look")

/** Whether the visitor has chosen the dark theme in Streamlit's menu, or the system has. */
function isDark() {
  let theme = null
  try {
    const key = Object.keys(localStorage).find(key => key.startsWith(`stActiveTheme-${location.pathname}-`))
    theme = key ? JSON.parse(localStorage.getItem(key)) : null
  } catch {} // a browser that keeps nothing
  return theme === "Dark" || (theme !== "Light" && matchMedia("(prefers-color-scheme: dark)").matches)
}

const theme = isDark() ? "dark" : "light"
look.style.colorScheme = theme
look.style.setProperty("--st-chart-categorical-colors", FIRST.palettes[theme])
const early = new Unrolled(look.shadowRoot)
early.receive(FIRST.data, () => {})

const PATIENCE = 5000 // milliseconds that the rest of the page may take once the picture stands
const root = document.getElementById("root")
const watch = new MutationObserver(perhaps)
let picture = null

/** Goes once Streamlit's page stands: the picture, or what is wrong instead of it, and all that it still fetches. */
function perhaps() {
  const stands = picture || root.querySelector("[data-testid=stAlert]")
  if (stands && !root.querySelector("[data-testid=stSkeleton]")) leave()
}

function leave() {
  if (!look.isConnected) return
  watch.disconnect()
  early.watch.disconnect()
  look.remove()
  if (!picture) return
  // What the pointer has found by now stays as it is.
  if (early.pinned !== FIRST.data.chosen) picture.pin(early.pinned)
  picture.show(early.chosen)
}

watch.observe(root, { subtree: true, childList: true })
addEventListener("unrolled", ({ detail }) => {
  picture = detail
  requestAnimationFrame(perhaps)
  setTimeout(leave, PATIENCE)
})
