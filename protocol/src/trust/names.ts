/** The one spelling of user names, labels and relay ids. */

import { SennitError } from '../errors.ts'

/** A letter or digit, then up to 62 of letters, digits, `.`, `_`, `-`: fits a DNS label and a file name. */
const namePattern = /^[a-z0-9][a-z0-9._-]{0,62}$/

/** Whether `name` is a user name, label or relay id as it travels. */
export function isName(name: string): boolean {
  return namePattern.test(name)
}

/** The name in lower case. @throws SennitError `bad_name` */
export function checkName(what: string, name: string): string {
  const lower = name.toLowerCase()
  if (isName(lower)) return lower
  throw new SennitError('bad_name', `expected ${what} of 1 to 63 of a-z 0-9 . _ - that begins with a letter or digit, found '${name}'`, {
    name,
  })
}
