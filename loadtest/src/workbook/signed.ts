// Durations and shares with a sign: how far a clock is ahead, or behind.
import { duration, type Kind, percent } from './grammar.ts'

/** A duration with a sign, such as -1h. */
export const signedDuration: Kind<number> = {
  code: 'W102',
  expected: 'a duration with or without a sign, such as +1h or -30s',
  parse: (text) => signed(text, duration),
  guess: (text) => duration.guess?.(text),
}

/** A share with a sign, such as -0.5%. */
export const signedPercent: Kind<number> = {
  code: 'W105',
  expected: 'a percentage with or without a sign, such as 1% or -0.5%',
  parse: (text) => signed(text, percent),
  guess: (text) => percent.guess?.(text),
}

function signed(text: string, kind: Kind<number>): number | undefined {
  const sign = /^[-+−]/.exec(text)?.[0]
  const value = kind.parse(sign === undefined ? text : text.slice(1).trim())
  return value === undefined ? undefined : sign === undefined || sign === '+' ? value : -value
}
