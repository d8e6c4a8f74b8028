// Module hooks of Node: hands out one file with a bug in it, and every other as it is.
let bug

export function initialize(data) {
  bug = data
}

export async function load(url, context, next) {
  const loaded = await next(url, context)
  if (!url.endsWith(`/${bug.file}`)) return loaded
  const text = String(loaded.source)
  const parts = text.split(bug.find)
  if (parts.length !== 2)
    throw new Error(
      `the patch for "${bug.name}" does not fit ${bug.file} any more: its text stands there ${parts.length - 1} times, not once`,
    )
  return { ...loaded, source: parts.join(bug.replace) }
}
