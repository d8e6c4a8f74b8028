// A run that is killed cannot heal what it did: a relay that it stopped would stand still for ever, deaf to the end of its parent. This process
// outlives the run by a moment. It waits for the end of a pipe that only the run holds, then kills the relays that are left and takes away what the
// run wrote for itself. A shell does it: it weighs nothing beside the load, and every system that can stop a process has one.
import { type ChildProcess, spawn } from 'node:child_process'
import type { Writable } from 'node:stream'

/**
 * Lines `+ PID`, `- PID` and `d FOLDER` come in; then the end. `$pids` are separated by spaces. Signals that a terminal sends to everybody are not
 * for the guard: it ends with the pipe.
 */
const script = `
trap '' INT TERM HUP QUIT
PATH=/usr/bin:/bin
pids=' '
while IFS=' ' read -r word rest; do
  case "$word" in
    +) pids="$pids$rest " ;;
    -) case "$pids" in *" $rest "*) pids="\${pids%%" $rest "*} \${pids#*" $rest "}" ;; esac ;;
    d) dir=$rest ;;
  esac
done
for pid in $pids; do kill -KILL "$pid" 2>/dev/null; done
if [ -n "$dir" ]; then rm -rf -- "$dir"; fi
`

export class Guard {
  readonly #child: ChildProcess
  readonly #pipe: Writable
  readonly #exited: Promise<void>

  /** @param dir the folder that the run made for itself; '': none */
  constructor(dir: string) {
    // In a group of its own, so that what ends the run's group leaves it its moment.
    this.#child = spawn('/bin/sh', ['-c', script, 'sennit-guard'], { stdio: ['pipe', 'ignore', 'ignore'], detached: true })
    this.#pipe = this.#child.stdin as Writable
    // Without a shell there is no guard; relays that are not stopped end with their parent all the same.
    this.#exited = new Promise((done) => {
      this.#child.once('exit', () => done())
      this.#child.once('error', () => done())
    })
    this.#pipe.on('error', () => {})
    this.#child.unref()
    if (dir !== '' && !dir.includes('\n')) this.#pipe.write(`d ${dir}\n`)
  }

  watch(pid: number | undefined): void {
    if (pid !== undefined) this.#pipe.write(`+ ${pid}\n`)
  }

  /** It has ended, and its number may be somebody else's. */
  forget(pid: number | undefined): void {
    if (pid !== undefined) this.#pipe.write(`- ${pid}\n`)
  }

  /** Ends it, when nothing is left to guard: the folder is the run's own again. Resolves when it is gone. */
  async end(): Promise<void> {
    // Waited for now: nothing else may keep this process alive by then.
    this.#child.ref()
    this.#pipe.end('d \n')
    await this.#exited
  }
}
