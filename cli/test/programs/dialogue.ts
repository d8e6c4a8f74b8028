// A program that is talked to line by line: psql, ssh, a WebSocket client. Each answer is waited for before the next question.
import { type ChildProcess, spawn } from 'node:child_process'
import { deadlineMs } from '../program.ts'

/** An answer may wait for a fail-over, and for two busy cores. */
const answerMs = 2 * deadlineMs

export class Dialogue {
  readonly #child: ChildProcess
  readonly #exited: Promise<number | null>
  #heard = ''
  #said = ''
  #look: () => void = () => {}
  #over = false

  constructor(program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.#child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } })
    this.#child.stdin?.on('error', () => {})
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#heard += text
      this.#look()
    })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#said = (this.#said + text).slice(-2_000)
    })
    this.#exited = new Promise((done) => {
      this.#child.once('error', (error) => {
        this.#said += String(error)
        done(null)
      })
      this.#child.once('close', (code) => {
        this.#over = true
        this.#look()
        done(code)
      })
    })
  }

  say(text: string): void {
    this.#child.stdin?.write(text)
  }

  /** The next line. */
  async line(): Promise<string> {
    return await new Promise((done, fail) => {
      const timer = setTimeout(() => fail(new Error(`no answer within ${answerMs} ms; it said: ${this.#said}`)), answerMs)
      this.#look = () => {
        const end = this.#heard.indexOf('\n')
        if (end < 0 && !this.#over) return
        clearTimeout(timer)
        this.#look = () => {}
        if (end < 0) return fail(new Error(`it ended instead of answering: ${this.#said}`))
        const line = this.#heard.slice(0, end).replace(/\r$/, '')
        this.#heard = this.#heard.slice(end + 1)
        done(line)
      }
      this.#look()
    })
  }

  async ask(text: string): Promise<string> {
    this.say(text)
    return await this.line()
  }

  /** Ends its input. @returns its exit code */
  async end(): Promise<number | null> {
    this.#child.stdin?.end()
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), deadlineMs)
    const code = await this.#exited
    clearTimeout(timer)
    return code
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }
}
