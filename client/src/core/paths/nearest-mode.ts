/** The name of a mode that was probably meant. */

/** As people write them. */
export const modeNames: readonly string[] = ['best', 'pair', 'rotate(10s)', 'spread', 'mirror(n)', 'split(n)', 'disperse(k,n)']

/** The mode nearest to a misspelled name, when it is near enough to be meant. */
export function nearestMode(written: string): string | undefined {
  const word = written.replace(/[^a-z].*$/, '').slice(0, 20)
  let found: string | undefined
  let least = 3
  for (const name of modeNames) {
    const distance = editDistance(word, name.replace(/\(.*$/, ''))
    if (distance < least) {
      least = distance
      found = name
    }
  }
  return found
}

/** Letters to add, drop or change. */
function editDistance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, index) => index)
  for (let i = 1; i <= left.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= right.length; j += 1) {
      const change = row[j - 1]! + (left[i - 1] === right[j - 1] ? 0 : 1)
      next.push(Math.min(change, row[j]! + 1, next[j - 1]! + 1))
    }
    row = next
  }
  return row[right.length]!
}
