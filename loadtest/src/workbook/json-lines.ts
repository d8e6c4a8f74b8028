// Where things stand in the text of a JSON document: `JSON.parse` gives values without their places, and who wrote the text wants to be told a line.

/** Deeper than the rows of a sheet (`sheets.Clients.rows[7]`) nothing is told apart. */
const depthMax = 4

interface Open {
  readonly path: string
  readonly isList: boolean
  /** Of the next item. */
  index: number
}

/** The line of every place down to the rows of sheets, by its path such as `sheets.Clients.rows[7]`. The text must be JSON. */
export function jsonLines(text: string): ReadonlyMap<string, number> {
  const lines = new Map<string, number>()
  const open: Open[] = []
  let line = 1
  /** The name that the next value has. */
  let name: string | undefined
  const value = (): string | undefined => {
    const inside = open.at(-1)
    if (inside === undefined || open.length > depthMax) return ''
    const path = inside.isList ? `${inside.path}[${inside.index}]` : inside.path === '' ? (name ?? '') : `${inside.path}.${name ?? ''}`
    if (inside.isList) lines.set(path, line)
    inside.index += 1
    name = undefined
    return path
  }
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!
    if (char === '\n') line += 1
    else if (char === '{' || char === '[') open.push({ path: value() ?? '', isList: char === '[', index: 0 })
    else if (char === '}' || char === ']') open.pop()
    else if (char === '"') {
      const end = endOfString(text, at)
      const inside = open.at(-1)
      if (inside !== undefined && !inside.isList && name === undefined && open.length <= depthMax) {
        name = JSON.parse(text.slice(at, end + 1)) as string
        lines.set(inside.path === '' ? name : `${inside.path}.${name}`, line)
      } else value()
      at = end
    } else if (!' \t\r:,'.includes(char)) {
      value()
      while (at + 1 < text.length && !',]} \t\r\n'.includes(text[at + 1]!)) at += 1
    }
  }
  return lines
}

/** The line of the place that is nearest to this path: its own, or that of what holds it. */
export function lineOfPath(lines: ReadonlyMap<string, number>, path: string): number | undefined {
  for (let rest = path; rest !== ''; rest = rest.slice(0, Math.max(rest.lastIndexOf('.'), rest.lastIndexOf('['), 0))) {
    const line = lines.get(rest)
    if (line !== undefined) return line
  }
  return undefined
}

/** The line in which a text stops being JSON: the engine's own message names a place for some mistakes only. */
export function lineOfMistake(text: string): number {
  const token = /[ \t\r\n]*(?:(")|(-?\d[\d.eE+-]*|true|false|null)|([{}[\],:]))/y
  const open: string[] = []
  let expected: 'value' | 'item' | 'name' | 'member' | 'colon' | 'next' = 'value'
  let at = 0
  for (;;) {
    token.lastIndex = at
    const found = token.exec(text)
    const start = at + (/^[ \t\r\n]*/.exec(text.slice(at, at + blanksMax))?.[0].length ?? 0)
    if (found === null) return lineAt(text, start)
    const [, string, literal, sign = ''] = found
    let end = token.lastIndex
    if (string !== undefined) {
      end = endOfString(text, end - 1) + 1
      const broken = text.slice(start, end).search(/[\n\r\t]/)
      if (broken !== -1 || end > text.length) return lineAt(text, broken === -1 ? text.length : start + broken)
    }
    const closes = (sign === ']' && open.at(-1) === '[') || (sign === '}' && open.at(-1) === '{')
    if (expected === 'value' || expected === 'item') {
      if (sign === '{' || sign === '[') {
        open.push(sign)
        expected = sign === '{' ? 'member' : 'item'
      } else if (string !== undefined || literal !== undefined) expected = 'next'
      else if (expected === 'item' && closes) {
        open.pop()
        expected = 'next'
      } else return lineAt(text, start)
    } else if (expected === 'colon' && sign === ':') expected = 'value'
    else if ((expected === 'name' || expected === 'member') && string !== undefined) expected = 'colon'
    else if ((expected === 'next' || expected === 'member') && closes) {
      open.pop()
      expected = 'next'
    } else if (expected === 'next' && sign === ',' && open.length > 0) expected = open.at(-1) === '{' ? 'name' : 'value'
    else return lineAt(text, start)
    at = end
  }
}

/** Blanks between two tokens that are looked over to name the line of the second. */
const blanksMax = 10_000

function lineAt(text: string, position: number): number {
  let line = 1
  for (let at = text.indexOf('\n'); at !== -1 && at < position; at = text.indexOf('\n', at + 1)) line += 1
  return line
}

function endOfString(text: string, from: number): number {
  let at = from + 1
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return at
}
