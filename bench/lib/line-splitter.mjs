/** Cuts a byte stream into lines. Nothing is scanned or copied twice, so a line of megabytes stays linear. */
export function createLineSplitter(onLine, { keepEmpty = false } = {}) {
  let parts = []
  return (chunk) => {
    let from = 0
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, from)) {
      let line = chunk.subarray(from, end)
      if (parts.length > 0) {
        parts.push(line)
        line = Buffer.concat(parts)
        parts = []
      }
      from = end + 1
      if (line.length > 0 || keepEmpty) onLine(line)
    }
    if (from < chunk.length) parts.push(chunk.subarray(from))
  }
}
