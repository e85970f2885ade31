/** The value below which a share of the sorted values lies; undefined where there are none. */
export const quantile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]

export const ascending = (values) => values.filter(Number.isFinite).toSorted((a, b) => a - b)

export function median(values) {
  const sorted = ascending(values)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

export const sum = (values) => values.reduce((total, value) => total + value, 0)

/** Keeps what a reader can use: three to four digits. */
export function rounded(value) {
  if (!Number.isFinite(value)) return value
  const size = Math.abs(value)
  return Number(value.toFixed(size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : 3))
}
