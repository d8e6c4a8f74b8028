/**
 * The turns of the event loop, shared by all clients of a process. An immediate and a tick of its own for each client and message cost more than what
 * most of them have to do; and when what all clients read is told first, then all applications answer, then all answers leave, each step finds its code
 * still near the processor.
 */

import { throwAlone } from './callbacks.ts'

type Task = () => void

/** Clients whose turn is ended together: what each of them touches, some 10 KB, fits a processor's second cache. */
const relieveAt = 64

/** What hangs on it runs with the microtasks: `queueMicrotask` makes an asynchronous resource each time, which costs more than the task. */
const settled: Promise<void> = Promise.resolve()

/** Tasks that wait. What one of them asks for while they run comes the next time. The lists are used again: most turns have as many as the last. */
class Tasks {
  #waiting: Task[] = []
  #running: Task[] = []
  #count = 0
  #runs = false

  /** How many wait. */
  get count(): number {
    return this.#count
  }

  /** Some of them run now. */
  get runs(): boolean {
    return this.#runs
  }

  /** @returns whether it is the first that waits */
  add(task: Task): boolean {
    this.#waiting[this.#count] = task
    this.#count += 1
    return this.#count === 1
  }

  run(onError: (error: unknown) => void): void {
    const tasks = this.#waiting
    const count = this.#count
    this.#waiting = this.#running
    this.#running = tasks
    this.#count = 0
    this.#runs = true
    for (let place = 0; place < count; place += 1) {
      const task = tasks[place]!
      // A list that is longer than the next turn holds no client that has ended.
      tasks[place] = nothing
      try {
        task()
      } catch (error) {
        onError(error)
      }
    }
    this.#runs = false
  }
}

export class Turns {
  /** Counts up with every turn in which somebody asked for its end. */
  number = 0
  /** Some are relieved: their turn ends, but a socket that was not read yet may hold what speaks against a verdict of theirs. */
  relieves = false
  readonly #soon = new Tasks()
  readonly #afterReads = new Tasks()
  readonly #atEnd = new Tasks()
  readonly #answered = new Tasks()
  #endScheduled = false
  readonly #onError: (error: unknown) => void

  /** @param onError is told what a task throws; it keeps no other task from its turn. @default it is thrown where nobody catches it */
  constructor(onError: (error: unknown) => void = throwAlone) {
    this.#onError = onError
  }

  /** Runs `task` when the running code is done, and the microtasks that it asked for before the first such task. */
  soon(task: Task): void {
    if (this.#soon.add(task)) void settled.then(this.#onSoon)
  }

  /** Runs `task` when every socket with something to read has been read: `setImmediate` runs right after the poll phase. */
  atEnd(task: Task): void {
    this.#atEnd.add(task)
    this.willEnd()
  }

  /** Runs `task` when every socket with something to read has been read, whoever was relieved before. */
  afterReads(task: Task): void {
    this.#afterReads.add(task)
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
    if (this.#answered.add(task)) void settled.then(this.#onAnswersBegin)
  }

  /**
   * Ends the turn for those who wait for that when they are many already: what a client has read is then still near the processor when it is told and
   * answered. Called between two reads; a poll of the system hands over thousands at once when that many came while the loop was busy.
   */
  relieve(): void {
    if (this.#atEnd.count < relieveAt || this.#atEnd.runs) return
    this.relieves = true
    this.#end()
    this.relieves = false
  }

  readonly #onSoon = (): void => this.#soon.run(this.#onError)

  readonly #onEnd = (): void => {
    this.#endScheduled = false
    this.#end()
    this.#afterReads.run(this.#onError)
  }

  #end(): void {
    this.number += 1
    this.#atEnd.run(this.#onError)
  }

  readonly #onAnswersBegin = (): void => process.nextTick(this.#onAnswersEnd)

  readonly #onAnswersEnd = (): void => this.#answered.run(this.#onError)
}

function nothing(): void {}

/** There is one event loop. */
export const turns: Turns = new Turns()
