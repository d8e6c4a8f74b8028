/**
 * The turns of the event loop, shared by all clients of a process. An immediate and a tick of its own for each client and message cost more than what
 * most of them have to do; and when what all clients read is told first, then all applications answer, then all answers leave, each step finds its code
 * still near the processor.
 */

type Task = () => void

/** Clients whose turn is ended together: what each of them touches, some 10 KB, fits a processor's second cache. */
const relieveAt = 64

/** What hangs on it runs with the microtasks: `queueMicrotask` makes an asynchronous resource each time, which costs more than the task. */
const settled: Promise<void> = Promise.resolve()

export class Turns {
  /** Counts up with every turn in which somebody asked for its end. */
  number = 0
  #atEnd: Task[] = []
  #answered: Task[] = []
  #endScheduled = false
  readonly #onError: (error: unknown) => void

  /** @param onError is told what a task throws; it keeps no other task from its turn. @default it is thrown where nobody catches it */
  constructor(onError: (error: unknown) => void = throwAlone) {
    this.#onError = onError
  }

  /** Runs `task` when every socket with something to read has been read: `setImmediate` runs right after the poll phase. */
  atEnd(task: Task): void {
    this.#atEnd.push(task)
    this.willEnd()
  }

  /** Has {@link number} count up at the end of this turn. */
  willEnd(): void {
    if (this.#endScheduled) return
    this.#endScheduled = true
    setImmediate(this.#onEnd)
  }

  /**
   * Runs `task` when the applications have answered what they just heard, promises that wait for promises included. A tick that a microtask asks
   * for comes when no microtask is left.
   */
  afterAnswers(task: Task): void {
    this.#answered.push(task)
    if (this.#answered.length === 1) void settled.then(this.#onAnswersBegin)
  }

  /**
   * Ends the turn for those who wait for that when they are many already: what a client has read is then still near the processor when it is told and
   * answered. Called between two reads; a poll of the system hands over thousands at once when that many came while the loop was busy.
   */
  relieve(): void {
    if (this.#atEnd.length >= relieveAt) this.#end()
  }

  readonly #onEnd = (): void => {
    this.#endScheduled = false
    this.#end()
  }

  #end(): void {
    this.number += 1
    const tasks = this.#atEnd
    this.#atEnd = []
    this.#run(tasks)
  }

  readonly #onAnswersBegin = (): void => process.nextTick(this.#onAnswersEnd)

  readonly #onAnswersEnd = (): void => {
    const tasks = this.#answered
    this.#answered = []
    this.#run(tasks)
  }

  #run(tasks: readonly Task[]): void {
    for (const task of tasks) {
      try {
        task()
      } catch (error) {
        this.#onError(error)
      }
    }
  }
}

/** There is one event loop. */
export const turns: Turns = new Turns()

/** Throws an error where nobody catches it, as a callback of Node's own would; the caller goes on. */
export function throwAlone(error: unknown): void {
  process.nextTick(() => {
    throw error
  })
}
