export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** What the promise gives, or undefined when it takes longer; leaves no timer behind. */
export function within(ms, promise) {
  let timer
  const limit = new Promise((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  return Promise.race([promise, limit]).finally(() => clearTimeout(timer))
}
