// What every reading of an .xlsx file in a worker has in common: what is not one is refused, and whatever goes wrong is one sentence.
import { createRequire } from 'node:module'
import { inWorker, type WorkerThreads } from './guarded-worker.ts'
import { columnsMax, fileBytesMax, rowsMax } from './workbook-limits.ts'

export interface XlsxInput {
  /** Where the library is. */
  readonly library: string
  readonly bytes: Uint8Array
  readonly rowsMax: number
  readonly columnsMax: number
}

/** One sentence when `bytes` are too many for a workbook; `file` is for the message. */
export function tooLarge(bytes: number, file: string): { error: string } | undefined {
  return bytes > fileBytesMax ? { error: `${file} has ${bytes} bytes; a workbook has at most ${fileBytesMax}` } : undefined
}

/** Runs `main` in a worker on the bytes of an .xlsx file. */
export async function inXlsxWorker<Answer extends object>(
  main: (load: (path: string) => unknown, threads: WorkerThreads<XlsxInput>) => void,
  bytes: Uint8Array,
  file: string,
): Promise<Answer | { error: string }> {
  // An .xlsx file is a zip archive. Anything else would be guessed at: the library reads even plain text as a sheet.
  if (!(bytes[0] === 0x50 && bytes[1] === 0x4b))
    return { error: `${file} is not an .xlsx workbook (it does not begin as a zip archive does)` }
  const library = createRequire(import.meta.url).resolve('xlsx')
  const outcome = await inWorker<XlsxInput, Answer>(main, { library, bytes, rowsMax, columnsMax })
  if (!('error' in outcome)) return outcome
  // What the library trips over says nothing to a person.
  const why = /undefined|null|NaN|not a function|not iterable|Invalid /.test(outcome.error) ? 'it is damaged' : outcome.error
  return { error: `${file} cannot be read as a workbook: ${why}` }
}
